"""The plan as the config has it now, and each earlier one that was changed after scores on test."""

import json
from pathlib import Path

from cfmf.workflow.declared import followed, plan_of, write_plan
from cfmf.workflow.job import job
from cfmf.workflow.layout import Results, prefix
from cfmf.workflow.sealed import refuse_other_plan

with job(snakemake) as (log, params):
    path = Path(snakemake.output.plan)
    folds = json.loads(Path(snakemake.input.folds).read_text("utf-8"))
    files = Results(path.parents[1], snakemake.wildcards.dataset)
    found = followed(files, "plan", plan_of(params.declared, folds))
    if params.is_open:
        refuse_other_plan(folds, found["sha256"], prefix(snakemake.log[0]))
    write_plan(path, found)
    log.info("plan %s of %s", found["sha256"], found["written"])
    for change in found["changes"]:
        log.warning("changed after scores on test existed: %s", ", ".join(change["changed"]))
