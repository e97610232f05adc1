"""How often the prediction intervals of every method contain the test ratings."""

import pandas as pd

from cfmf.evaluation.prediction_coverage import Fold, prediction_intervals
from cfmf.files import load_matrix
from cfmf.selection import read_selection
from cfmf.tables import write_table
from cfmf.workflow.job import folds_of, job
from cfmf.workflow.layout import settings_of

with job(snakemake) as (log, params):
    matrices = folds_of(snakemake, "fit", "validation", "train", "test")
    known, queried = (
        {settings_of(path): path for path in snakemake.input[part]} for part in ("known", "queried")
    )
    found = prediction_intervals(
        read_selection(snakemake.input.settings),
        lambda *setting: pd.read_parquet(known[setting]),
        lambda *setting: pd.read_parquet(queried[setting]),
        lambda fold: Fold(**{part: load_matrix(path) for part, path in matrices[fold].items()}),
        tuple(params.scale),
    )
    for row in found[(found["fold"] == "all") & (found["level"] == "all")].itertuples():
        log.info("%s, radii %s: coverage %.3f", row.method, row.radii, row.coverage)
    write_table(snakemake.output.table, found, "prediction_intervals")
