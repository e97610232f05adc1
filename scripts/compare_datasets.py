"""The methods over all data sets of the study, and the two tracks of the same ratings."""

import json

import pandas as pd

from cfmf import verdict
from cfmf.evaluation.datasets import errors
from cfmf.files import atomic_write
from cfmf.statistics.datasets import across
from cfmf.tables import read_table, write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    selected = pd.concat([read_table(path, "metrics") for path in snakemake.input.selected])
    table = errors(selected, params.datasets)
    tests = across(table, params.settings)
    said = verdict.across(table, tests, params.settings)
    write_table(snakemake.output.errors, table, "datasets")
    write_table(snakemake.output.tests, tests, "tests")
    with atomic_write(snakemake.output.verdict) as beside:
        beside.write_text(json.dumps(said, indent=1, ensure_ascii=False))
    for sentence in said:
        log.info("%s", sentence["text"])
