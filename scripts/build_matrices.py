"""Rating matrices of one fold: users × items, only the observed pairs stored."""

from pathlib import Path

import pandas as pd
from pyarrow import parquet

from cfmf.data.matrices import fold_matrices
from cfmf.data.splits import load
from cfmf.files import save_matrix
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    ratings = pd.read_parquet(snakemake.input.ratings, columns=["user", "item", "rating"])
    shape = [
        parquet.read_metadata(path).num_rows
        for path in (snakemake.input.users, snakemake.input.titles)
    ]
    fold = load(Path(snakemake.input.folds).parent, snakemake.wildcards.fold)
    for part, matrix in fold_matrices(ratings, fold, *shape):
        log.info("%s: %d × %d, %d ratings", part, *matrix.shape, matrix.nnz)
        save_matrix(snakemake.output[part], matrix)
