"""The methods over all data sets of the study, and the two tracks of the same ratings."""

import json

import pandas as pd

from cfmf.files import atomic_write
from cfmf.statistics.datasets import tables
from cfmf.tables import read_table, write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    selected = pd.concat([read_table(path, "metrics") for path in snakemake.input.selected])
    errors, tests, verdict = tables(selected, params.datasets, params.settings)
    write_table(snakemake.output.errors, errors, "datasets")
    write_table(snakemake.output.tests, tests, "tests")
    with atomic_write(snakemake.output.verdict) as beside:
        beside.write_text(json.dumps(verdict, indent=1, ensure_ascii=False))
    for sentence in verdict:
        log.info("%s", sentence["text"])
