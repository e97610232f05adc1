"""The metrics of all methods in one table, the chosen settings, and the errors in detail."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from cfmf.data.splits import load
from cfmf.evaluation.bootstrap import Resampling
from cfmf.evaluation.collect import collect, details, rating_periods
from cfmf.files import atomic_write, load_matrix
from cfmf.selection import chosen_rows, read_selection
from cfmf.tables import read_table, write_table
from cfmf.workflow.job import job
from cfmf.workflow.layout import settings_of

with job(snakemake) as (log, params):
    predicted = {settings_of(path): path for path in snakemake.input.predictions}
    train, test = (
        dict(zip(params.folds, paths, strict=True))
        for paths in (snakemake.input.train, snakemake.input.test)
    )

    def predictions(method: str, k: str, reg: str) -> pd.DataFrame:
        return pd.read_parquet(predicted[method, k, reg])

    def matrices(fold: str):
        return load_matrix(train[fold]), load_matrix(test[fold])

    ratings = pd.read_parquet(snakemake.input.ratings, columns=["user", "item", "date"])
    dated = rating_periods(ratings["date"])

    def periods(fold: str):
        if dated is None:
            return None
        rows = load(Path(snakemake.input.folds).parent, fold).test
        tested = ratings.iloc[rows]
        # the CSR order of the test matrix
        order = rows[np.lexsort((tested["item"], tested["user"]))]
        return dated[0][order], dated[1]

    def gathered(kind: str, paths: Iterable[str]) -> pd.DataFrame:
        return collect([read_table(path, kind) for path in paths], kind)

    metrics = gathered("metrics", snakemake.input.metrics)
    costs = gathered("costs", [*snakemake.input.tuning_costs, *snakemake.input.costs])
    chosen = read_selection(snakemake.input.settings)
    for row in chosen[chosen["edge"] != ""].itertuples():
        log.warning("%s in fold %s: the optimum is on the %s", row.method, row.fold, row.edge)
    resampling, scale = Resampling.of(params.resampling), tuple(params.scale)
    found = details(chosen, predictions, matrices, resampling, scale, periods)
    tables = {
        "metrics": metrics,
        "selected": chosen_rows(metrics, chosen),
        "selection": chosen,
        "costs": costs,
        "slices": found.slices,
        "intervals": found.intervals,
    }
    for kind, table in tables.items():
        write_table(snakemake.output[kind], table, "metrics" if kind == "selected" else kind)
    with atomic_write(snakemake.output.user_errors) as temporary:
        found.user_errors.to_parquet(temporary, index=False)
