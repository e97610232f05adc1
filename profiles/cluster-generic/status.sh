#!/bin/sh
# status.sh NUMBER: prints what Snakemake wants to read of a job: running, success or failed.
# It asks the queue, then the controller's memory, then the accounting database where there is one.
state=$(squeue --noheader --states=all --jobs="$1" --format=%T 2>/dev/null | head -n 1)
[ -n "$state" ] || state=$(scontrol --oneliner show job "$1" 2>/dev/null |
  sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p')
[ -n "$state" ] || state=$(sacct --allocations --noheader --jobs="$1" --format=State 2>/dev/null |
  head -n 1 | tr -d ' +')
case "$state" in
  COMPLETED) echo success ;;
  PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED | RESIZING | STAGE_OUT | SIGNALING) echo running ;;
  # No answer at all is a controller that restarts, not the end of the job.
  "") scontrol ping 2>/dev/null | grep -q "is UP" && echo failed || echo running ;;
  *) echo failed ;;
esac
