"""The methods over all data sets of the study, and the same ratings split in two ways."""

import json
from pathlib import Path

import pandas as pd

from cfmf import verdict
from cfmf.data.splits import size_ratio
from cfmf.evaluation.data_sets import errors
from cfmf.files import atomic_write
from cfmf.statistics.across import OfFolds, across
from cfmf.statistics.results import Analysis
from cfmf.tables import read_table, write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    read = [read_table(path, "metrics") for path in snakemake.input.selected]
    described = [json.loads(Path(path).read_text()) for path in snakemake.input.folds]
    folds = {
        name: OfFolds(
            rows, size_ratio(found, rows["fold"].unique()), params.datasets[name]["width"]
        )
        for name, rows, found in zip(params.datasets, read, described, strict=True)
    }
    table = errors(pd.concat(read), params.datasets)
    tests = across(table, folds, params.settings)
    messages = verdict.across(table, tests, params.settings)
    write_table(snakemake.output.errors, table, "datasets")
    write_table(snakemake.output.tests, Analysis(tests).tables()["tests"], "tests")
    with atomic_write(snakemake.output.verdict) as temporary:
        temporary.write_text(json.dumps(messages, indent=1, ensure_ascii=False))
    for message in messages:
        log.info("%s %s", message["key"], json.dumps(message["numbers"], ensure_ascii=False))
