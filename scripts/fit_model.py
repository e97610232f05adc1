"""One method, fitted to all ratings at the setting that validation prefers over all folds."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from cfmf.data.matrices import build_matrix
from cfmf.evaluation.collect import collect
from cfmf.evaluation.recommendations import item_titles
from cfmf.methods import registry
from cfmf.saved import Names, Ratings, Saved, save
from cfmf.selection import over_folds
from cfmf.side import load_side
from cfmf.tables import read_table
from cfmf.tuned import Options, fit_candidates
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    name = snakemake.wildcards.method
    found = registry.method(name)
    metrics = collect([read_table(path, "metrics") for path in snakemake.input.metrics])
    trials = [read_table(path, "trials") for path in snakemake.input.trials]
    [chosen] = over_folds(metrics, collect(trials, "trials") if trials else None).to_dict("records")
    log.info("%s", chosen)
    scale, side = tuple(params.scale), load_side(str(snakemake.input.side), found.uses)
    method = found.named(params.settings, chosen["setting"], scale, side)
    rows = pd.read_parquet(snakemake.input.ratings, columns=["user", "item", "rating"])
    users = pd.read_parquet(snakemake.input.users).sort_values("user")
    items = pd.read_parquet(snakemake.input.titles).sort_values("item")
    names = Names(users["user_id"].tolist(), items["item_id"].tolist(), item_titles(items))
    matrix = build_matrix(rows, np.arange(len(rows)), len(users), len(items))
    files = json.loads(Path(snakemake.input.manifest).read_text("utf-8"))["files"]
    provenance = {
        "dataset": snakemake.wildcards.dataset,
        "files": {file: about["sha256"] for file, about in files.items()},
        "ratings": len(rows),
        "versions": {package: version(package) for package in ("numpy", "scipy")},
        "validation_rmse_over_folds": chosen["validation_rmse"],
    }
    ratings = Ratings(matrix, names, scale, provenance)

    def fitted(device: str) -> Saved:
        options = Options(params.seed, snakemake.threads, device)
        return fit_candidates(ratings, [method], options)

    save(snakemake.output.model, of_job(snakemake, fitted))
