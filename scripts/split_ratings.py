"""Folds of the ratings: row numbers for fitting, validation and test."""

from pathlib import Path

import pandas as pd

from cfmf.data.splits import save, split
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    ratings = pd.read_parquet(snakemake.input.ratings, columns=["user", "item", "date", "part"])
    folds = split(ratings, params.rule)
    save(folds, params.rule, Path(snakemake.output.folds).parent, ratings)
    for name, fold in folds.items():
        log.info(
            "fold %s: %d fit, %d validation, %d test",
            name,
            len(fold.fit),
            len(fold.validation),
            len(fold.test),
        )
