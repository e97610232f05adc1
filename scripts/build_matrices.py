"""Rating matrices of one fold: users × items, only the observed pairs stored."""

from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import parquet

from cfmf.data.matrices import build_matrix
from cfmf.data.splits import load
from cfmf.files import save_matrix
from cfmf.rules import job

with job(snakemake) as (log, params):
    ratings = pd.read_parquet(snakemake.input.ratings, columns=["user", "item", "rating"])
    shape = [
        parquet.read_metadata(path).num_rows
        for path in (snakemake.input.users, snakemake.input.titles)
    ]
    fold = load(Path(snakemake.input.folds).parent, snakemake.wildcards.fold)
    rows = {
        "fit": fold.fit,
        "validation": fold.validation,
        "train": np.sort(np.concatenate([fold.fit, fold.validation])),
        "test": fold.test,
    }
    for part, chosen in rows.items():
        matrix = build_matrix(ratings, chosen, *shape)
        log.info("%s: %d × %d, %d ratings", part, *matrix.shape, matrix.nnz)
        save_matrix(snakemake.output[part], matrix)
