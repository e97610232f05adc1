"""Time of a fit of every method against ratings, users and factors, and the fitted exponents."""

from pathlib import Path

import pandas as pd

from cfmf.config import registry
from cfmf.evaluation.fitting import read_setting
from cfmf.evaluation.scaling import exponents, limited, measure
from cfmf.files import load_matrix
from cfmf.tables import write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    evaluation = params.evaluation
    train, test = limited(
        *(load_matrix(path) for path in (snakemake.input.train, snakemake.input.test)),
        evaluation["scaling"]["ratings"],
        evaluation["seed"],
    )
    tables = []
    for method in params.methods:
        family = registry()[method]
        paths = [path for path in snakemake.input[family] if method in Path(path).parts]
        setting = read_setting(
            method,
            params.fold,
            paths if family == "factorization" else [],
            paths if family == "neighbours" else [],
            params.settings[method],
        )
        tables.append(
            measure(
                setting,
                train,
                test,
                evaluation["scaling"]["k"],
                dataset=snakemake.wildcards.dataset,
                seed=evaluation["seed"],
                scale=tuple(params.scale),
                threads=snakemake.threads,
            )
        )
        log.info("%s: %.1f s in all its samples", method, tables[-1]["seconds"].sum())
    timings = pd.concat(tables, ignore_index=True)
    write_table(snakemake.output.timings, timings, "timings")
    write_table(snakemake.output.scaling, exponents(timings), "scaling")
