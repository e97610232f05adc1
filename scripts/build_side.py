"""What is known beside the ratings: the day of each."""

import pandas as pd
from pyarrow import parquet

from cfmf.data.matrices import day_matrix
from cfmf.side import Side, save_side
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    ratings = pd.read_parquet(snakemake.input.ratings, columns=["user", "item", "date"])
    m, n = (
        parquet.read_metadata(path).num_rows
        for path in (snakemake.input.users, snakemake.input.titles)
    )
    days = day_matrix(ratings, m, n)
    log.info("%d of %d ratings are dated", 0 if days is None else days.nnz, len(ratings))
    save_side(snakemake.output.side, Side(days))
