"""The plan of the study of one data set, written before any method is scored on test."""

import json
from datetime import UTC, datetime
from pathlib import Path

from cfmf.workflow.declared import plan_of, planned, scores_on_test, write_plan
from cfmf.workflow.job import job
from cfmf.workflow.layout import Results
from cfmf.workflow.plan import Plan

with job(snakemake) as (log, params):
    path, dataset = Path(snakemake.output.plan), snakemake.wildcards.dataset
    declared = Plan(snakemake.config, NotImplemented).declared(dataset)
    plan = plan_of(declared, json.loads(Path(snakemake.input.folds).read_text("utf-8")))
    scored = scores_on_test(Results(path.parents[2], dataset))
    found = planned(plan, None, scored, datetime.now(UTC).isoformat(timespec="seconds"))
    write_plan(path, found)
    log.info("plan %s", found["sha256"])
    if scored:
        log.warning("scores on test existed before there was a plan; the report says so")
