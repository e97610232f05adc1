"""The published search, repeated as it was: its test set chooses, and its pruned trials count."""

import optuna
import pandas as pd

from cfmf.factorization.study import make_solver
from cfmf.factorization.tasks import Task
from cfmf.files import load_matrix, written_whole
from cfmf.rules import job
from cfmf.search.published import search, trials_table
from cfmf.tables import write_table

with job(snakemake) as (log, params):
    # Optuna's own lines go to the job's log like all others.
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    train, test = (load_matrix(path) for path in (*snakemake.input.train, *snakemake.input.test))

    def trained(k: int, reg: float, report) -> dict[str, float]:
        solver = make_solver("mf-published", k, reg, params.method)
        task = Task(train, params.seed, test=test, watch_test=True, report=report)
        last = solver.fit_tasks([task])[0].history.iloc[-1]
        return {name: last[name] for name in ("loss", "delta_loss", "train_rmse")}

    found = search(trained, params.search, storage=snakemake.output.storage)
    trials = trials_table(
        found,
        params.search,
        dataset=snakemake.wildcards.dataset,
        fold=params.fold,
        method="mf-published",
    )
    log.info("trials: %s", found.frame["state"].value_counts().to_dict())
    write_table(snakemake.output.trials, trials, "trials")
    for name in ("frame", "intermediate", "importances"):
        table: pd.DataFrame = getattr(found, name)
        with written_whole(snakemake.output[name]) as beside:
            table.to_parquet(beside, index=False)
