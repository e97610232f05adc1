"""The plan of the study of one data set, written before any method is scored on test."""

import json
from pathlib import Path

from cfmf.workflow.declared import followed, plan_of, write_plan
from cfmf.workflow.job import job
from cfmf.workflow.layout import Results
from cfmf.workflow.plan import Plan

with job(snakemake) as (log, params):
    path, dataset = Path(snakemake.output.plan), snakemake.wildcards.dataset
    declared = Plan(snakemake.config, NotImplemented).declared(dataset)
    plan = plan_of(declared, json.loads(Path(snakemake.input.folds).read_text("utf-8")))
    found = followed(Results(path.parents[2], dataset), "first_plan", plan)
    write_plan(path, found)
    log.info("plan %s of %s", found["sha256"], found["written"])
    if found["written_after_scores"]:
        log.warning("scores on test existed before there was a plan; the report says so")
