"""One blend: weights learned on the validation part of each fold, applied to its test part."""

import pandas as pd

from cfmf.evaluation.blending import Sources, blend
from cfmf.evaluation.collect import collect
from cfmf.files import atomic_write, load_matrix
from cfmf.selection import read_selection
from cfmf.tables import read_table, write_table
from cfmf.workflow.job import folds_of, job
from cfmf.workflow.layout import settings_of

TABLES = {"metrics": "metrics", "settings": "selection", "costs": "costs", "weights": "weights"}

with job(snakemake) as (log, params):
    matrices = folds_of(snakemake, "validation", "test")
    known, queried = (
        {settings_of(path): path for path in snakemake.input[part]} for part in ("known", "queried")
    )
    sources = Sources(
        read_selection(snakemake.input.settings),
        collect([read_table(path, "costs") for path in snakemake.input.costs], "costs"),
        lambda *setting: pd.read_parquet(known[setting]),
        lambda *setting: pd.read_parquet(queried[setting]),
        lambda fold: tuple(map(load_matrix, matrices[fold].values())),
        tuple(params.scale),
    )
    found = blend(snakemake.wildcards.method, params.members, sources)
    for row in found.metrics.query("split == 'test' and metric == 'rmse'").itertuples():
        log.info("fold %s, seed %s: test RMSE %.4f", row.fold, row.seed, row.value)
    for kind, table in TABLES.items():
        write_table(snakemake.output[kind], getattr(found, table), table)
    for part in ("predictions", "validation"):
        with atomic_write(snakemake.output[part]) as temporary:
            getattr(found, part).to_parquet(temporary, index=False)
