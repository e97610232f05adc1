"""The published search, repeated as it was: its test set chooses, and its pruned trials count.

The study searched with its JAX code, whose loss and start differ from those of its torch code. One
whole learning curve of that code is stored with the search.
"""

import optuna
import pandas as pd

from cfmf.files import atomic_write, load_matrix
from cfmf.methods.base import plain
from cfmf.published.methods.mf_published_jax import MFPublishedJax
from cfmf.published.search import search, trials_table
from cfmf.tables import write_table
from cfmf.tasks import Task
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    # Optuna's own lines go to the job's log like all others.
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    train, test = (load_matrix(path) for path in (snakemake.input.train, snakemake.input.test))

    block = params.search

    def trained(k: int, reg: float, report=None) -> pd.DataFrame:
        settings = {**params.method, "tolerance": block["tolerance"], "k": k, "reg": reg}
        task = Task(train, params.seed, test=test, watch_test=True, report=report)
        return MFPublishedJax.candidates(settings)[0].fit_tasks([task])[0].history

    found = search(trained, block, storage=snakemake.output.storage)
    trials = trials_table(
        found,
        block,
        dataset=snakemake.wildcards.dataset,
        fold=params.fold,
        method=MFPublishedJax.name,
    )
    log.info("trials: %s", found.frame["state"].value_counts().to_dict())
    write_table(snakemake.output.trials, trials, "trials")
    curve = trained(block["curve_k"], block["curve_reg"]).assign(
        fold=params.fold, seed=str(params.seed), phase="refit", k=block["curve_k"],
        reg=plain(block["curve_reg"]),
    )  # fmt: skip
    for name in ("frame", "intermediate", "importances", "curve"):
        table = curve if name == "curve" else getattr(found, name)
        with atomic_write(snakemake.output[name]) as temporary:
            table.to_parquet(temporary, index=False)
