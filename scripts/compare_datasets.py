"""The methods over all data sets of the study, and the same ratings split in two ways."""

import json

import pandas as pd

from cfmf import verdict
from cfmf.evaluation.data_sets import errors
from cfmf.files import atomic_write
from cfmf.statistics.across import across
from cfmf.statistics.results import Analysis
from cfmf.tables import read_table, write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    selected = pd.concat([read_table(path, "metrics") for path in snakemake.input.selected])
    table = errors(selected, params.datasets)
    tests = across(table, params.settings)
    messages = verdict.across(table, tests, params.settings)
    write_table(snakemake.output.errors, table, "datasets")
    write_table(snakemake.output.tests, Analysis(tests).tables()["tests"], "tests")
    with atomic_write(snakemake.output.verdict) as temporary:
        temporary.write_text(json.dumps(messages, indent=1, ensure_ascii=False))
    for message in messages:
        log.info("%s %s", message["key"], json.dumps(message["numbers"], ensure_ascii=False))
