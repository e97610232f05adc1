"""Every setting of a neighbour method, tried on the validation part of every fold."""

import pandas as pd

from cfmf.neighbours.study import tune
from cfmf.tables import write_table
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import folds_of, job

with job(snakemake) as (log, params):

    def tuned(device: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        return tune(
            snakemake.wildcards.method,
            folds_of(snakemake, "fit", "validation"),
            params.settings,
            dataset=snakemake.wildcards.dataset,
            threads=snakemake.threads,
            device=device,
            seconds=params.seconds,
        )

    trials, costs = of_job(snakemake, tuned)
    late = trials[trials["state"] != "COMPLETE"].groupby("fold").size()
    for fold, count in late.items():
        log.warning("fold %s: the time for tuning was spent before %d trials", fold, count)
    log.info("%d trials, least validation RMSE %.4f", len(trials), trials["value"].min())
    write_table(snakemake.output.trials, trials, "trials")
    write_table(snakemake.output.costs, costs, "costs")
