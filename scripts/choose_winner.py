"""The method and setting with the lowest RMSE on validation, averaged over the folds."""

import json

from cfmf.evaluation.collect import collect
from cfmf.files import atomic_write
from cfmf.methods import registry
from cfmf.selection import over_folds
from cfmf.tables import read_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    metrics = read_table(snakemake.input.metrics, "metrics")
    trials = [read_table(path, "trials") for path in snakemake.input.trials]
    # No blend: its weights are learned on validation, so that its RMSE there is too low.
    metrics = metrics[metrics["method"].isin(params.methods)]
    table = over_folds(metrics, collect(trials, "trials") if trials else None)
    able = [name for name in table["method"] if "dates" not in registry.uses(name)]
    if not able:
        raise ValueError("every method of the study needs the date of what it predicts")
    ranked = table.drop(columns="dataset").to_dict("records")
    [winner] = [one for one in ranked if one["method"] == able[0]]
    log.info("%s", winner)
    with atomic_write(snakemake.output.winner) as temporary:
        temporary.write_text(json.dumps({**winner, "methods": ranked}, indent=1) + "\n", "utf-8")
