"""The settings of a neighbour method, tried on the validation part of every fold."""

from dataclasses import replace

import pandas as pd

from cfmf.files import atomic_write
from cfmf.lattice import axes
from cfmf.prediction import predict_validation
from cfmf.selection import choose_trial
from cfmf.tables import write_table
from cfmf.tuning import Tuned, tune
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import job
from cfmf.workflow.setup import setup_of

with job(snakemake) as (log, params):
    setup = setup_of(snakemake, "fit", "validation")

    def tuned(device: str) -> Tuned:
        return tune(replace(setup, device=device), params.seconds, params.trials)

    trials, costs, lowest = of_job(snakemake, tuned)
    late = trials[trials["state"] != "COMPLETE"].groupby("fold").size()
    for fold, count in late.items():
        log.warning("fold %s: %d trials were not begun or not finished in time", fold, count)
    along = axes(setup.method, setup.block) if params.trials else ()
    chosen = choose_trial(trials, {setup.method.name: along})
    log.info("%d trials, lowest validation RMSE %.4f", len(trials), trials["value"].min())

    def predicted(device: str) -> pd.DataFrame:
        return predict_validation(replace(setup, device=device), chosen, lowest)

    validation = of_job(snakemake, predicted)
    write_table(snakemake.output.trials, trials, "trials")
    write_table(snakemake.output.settings, chosen, "selection")
    write_table(snakemake.output.costs, costs, "costs")
    with atomic_write(snakemake.output.validation) as temporary:
        validation.to_parquet(temporary, index=False)
