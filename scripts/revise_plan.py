"""The plan as the config has it now, and each earlier one that was changed after scores on test."""

import json
from datetime import UTC, datetime
from pathlib import Path

from cfmf.workflow.declared import plan_of, planned, read_plan, scores_on_test, write_plan
from cfmf.workflow.job import job
from cfmf.workflow.layout import Results, prefix
from cfmf.workflow.sealed import refuse_other_plan

with job(snakemake) as (log, params):
    path = Path(snakemake.output.plan)
    before = read_plan(path) or read_plan(Path(snakemake.input.first))
    scored = scores_on_test(Results(path.parents[1], snakemake.wildcards.dataset))
    folds = json.loads(Path(snakemake.input.folds).read_text("utf-8"))
    plan = plan_of(params.declared, folds)
    found = planned(plan, before, scored, datetime.now(UTC).isoformat(timespec="seconds"))
    if params.is_open:
        refuse_other_plan(folds, found["sha256"], prefix(snakemake.log[0]))
    write_plan(path, found)
    log.info("plan %s of %s", found["sha256"], found["written"])
    for change in found["changes"]:
        log.warning("changed after scores on test existed: %s", ", ".join(change["changed"]))
