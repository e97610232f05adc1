"""One fold as a plain table: fold, part, raw ids, and the ratings that a tool may learn from."""

from pathlib import Path

import pandas as pd

from cfmf.data.export import fold_table, write_fold
from cfmf.data.splits import load
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    name = snakemake.wildcards.fold
    table = fold_table(
        pd.read_parquet(snakemake.input.ratings, columns=["user", "item", "rating", "date"]),
        pd.read_parquet(snakemake.input.users)["user_id"],
        pd.read_parquet(snakemake.input.titles)["item_id"],
        load(Path(snakemake.input.folds).parent, name),
        name,
    )
    log.info("fold %s: %s", name, table["part"].value_counts().to_dict())
    write_fold(snakemake.output.table, table)
