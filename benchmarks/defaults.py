"""The defaults that no grid chooses, chosen on validation parts of development data.

One setting at a time is changed from its default. At each value the method is tuned over a small
grid, and the lowest RMSE on validation counts; test parts are never looked at. The data are
synthetic ratings of three shapes and, where a folder has them, folds of MovieLens 100K,
MovieTweetings and MovieLens 1M (600 of its users).

A default is to be changed where a value lowers the RMSE by more than `MATTERS` on average over the
data sets, and raises it by more than that on none.

    python -m benchmarks.defaults [--data FOLDER] [--folds 1] [--method NAME …] [--setting NAME …]

prints the table and writes benchmarks/results/defaults.tsv; rows of other methods and settings stay
as they are.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS
from benchmarks.development import RANK, SHAPES, public, synthetic
from benchmarks.simulation import tuned
from cfmf.methods import registry
from cfmf.methods.base import plain
from cfmf.progress import progress
from cfmf.training import Run

MATTERS = 0.001
TABLE = RESULTS / "defaults.tsv"
COLUMNS = ["method", "setting", "value", "default", "dataset", "folds", "validation_rmse"]
COLUMNS += ["change", "se"]
ALL = "all"

PENALIZED = {"k": [8], "reg": [0.1, 0.3, 1]}
KNN = {"similarity": ["pearson-baseline"], "neighbours": [40], "shrinkage": [50, 400]}
GRIDS: dict[str, Mapping[str, Any]] = {
    "mf": PENALIZED,
    "als": PENALIZED,
    "mf-sgd": PENALIZED,
    "gibbs": {"k": [4]},
    "gibbs-implicit": {"k": [4]},
    "user-knn": KNN,
    "item-knn": KNN,
}
START = [0.03, 0.1, 0.3, 1.0]
BIASES: dict[str, list[Any]] = {"damping": [0.0, 0.1, 0.5], "reg_user": [3, 10, 30]}
BIASES |= {"reg_item": [2, 5, 15]}
VALUES: dict[str, dict[str, list[Any]]] = {
    "mf": {
        "learning_rate": [0.02, 0.05, 0.1],
        "weighting": [0.0, 0.5, 1.0],
        "initial_scale": START,
        "patience": [10, 30, 100],
    },
    "als": {
        "weighting": [0.0, 0.5, 1.0],
        "initial_scale": START,
        "patience": [1, 3, 10],
        "tolerance": [1e-3, 1e-4, 1e-5],
    },
    "mf-sgd": {
        "learning_rate": [0.03, 0.06, 0.12],
        "decay": [0.2, 0.5, 1.0],
        "initial_scale": START,
        "patience": [2, 5, 10],
    },
    "gibbs": {"noise": ["own", "shared"], "sweeps": [150, 300, 600], "burn_in": [10, 30, 100]},
    "gibbs-implicit": {"noise": ["own", "shared"], "sweeps": [75, 150, 300]},
    "user-knn": BIASES,
    "item-knn": BIASES,
}


def development(folder: Path | None, folds: int) -> dict[str, list[Run]]:
    """So many folds of the development data, by name; their validation parts may be looked at."""
    found = {
        f"synthetic {name}": [synthetic(11 + at, **shape, **RANK).run for at in range(folds)]
        for name, shape in SHAPES.items()
    }
    if folder is not None:
        found["ml-100k"] = public(folder, "ml-100k", folds)
        found["movietweetings"] = public(folder, "movietweetings", folds)
        found["ml-1m, some users"] = public(folder, "ml-1m", folds, users=600)
    return found


def errors(
    name: str, changed: Mapping[str, Any], data: Mapping[str, Sequence[Run]]
) -> dict[str, np.ndarray]:
    """Lowest RMSE on validation of a method with changed settings, by data set and fold."""
    grid = {**GRIDS[name], **changed}
    return {
        dataset: np.array([tuned(name, run, grid)[1] for run in folds])
        for dataset, folds in data.items()
    }


def table_of(
    name: str, data: Mapping[str, Sequence[Run]], settings: Sequence[str] = ()
) -> pd.DataFrame:
    """Every value of these settings of a method, or of all, with columns `COLUMNS`.

    `change` is the RMSE over that of the default, minus 1, mean over folds, and `se` the standard
    error of that mean (empty of one fold); the rows of the data set `all` are means over data sets.
    """
    method = registry.method(name)()
    usual = errors(name, {}, data)
    rows: list[list[Any]] = []
    trials = [
        (setting, value)
        for setting, values in VALUES[name].items()
        for value in values
        if not settings or setting in settings
    ]
    for setting, value in progress(trials, f"{name}: values"):
        default = getattr(method, setting)
        found = usual if value == default else errors(name, {setting: value}, data)
        changes = []
        for dataset, values in found.items():
            change = values / usual[dataset] - 1
            se = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.nan
            changes.append(change.mean())
            key = [name, setting, plain(value), plain(default), dataset]
            rows.append([*key, len(values), values.mean(), changes[-1], se])
        folds = sum(len(values) for values in found.values())
        key = [name, setting, plain(value), plain(default), ALL]
        rows.append([*key, folds, np.nan, np.mean(changes), np.nan])
    return pd.DataFrame(rows, columns=COLUMNS)


def better(table: pd.DataFrame) -> pd.DataFrame:
    """The values that should replace a default: columns method, setting, value, change."""
    keys = ["method", "setting", "value"]
    worst = table[table["dataset"] != ALL].groupby(keys, sort=False)["change"].max()
    mean = table[table["dataset"] == ALL].set_index(keys)["change"]
    found = mean[(mean < -MATTERS) & (worst.reindex(mean.index) <= MATTERS)].reset_index()
    at = found.groupby(["method", "setting"], sort=False)["change"].idxmin()
    return found.loc[at].reset_index(drop=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Choose the defaults again, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("CFMF_REAL_DATA"))
    parser.add_argument("--folds", type=int, default=1, help="of each data set")
    parser.add_argument("--method", nargs="+", choices=list(VALUES), default=list(VALUES))
    known = sorted({setting for values in VALUES.values() for setting in values})
    parser.add_argument("--setting", nargs="+", choices=known, default=[])
    options = parser.parse_args(arguments)
    data = development(options.data and Path(options.data), options.folds)
    found = pd.read_csv(TABLE, sep="\t") if TABLE.exists() else pd.DataFrame(columns=COLUMNS)
    for name in options.method:
        table = table_of(name, data, options.setting)
        print(table[table["dataset"] == ALL].to_string(index=False), flush=True)
        again = (found["method"] == name) & found["setting"].isin(table["setting"])
        found = pd.concat([found[~again], table]) if len(found) else table
        order = found["method"].map(list(VALUES).index)
        found = found.iloc[np.argsort(order, kind="stable")]
        found.to_csv(TABLE, sep="\t", index=False, float_format="%.5f", lineterminator="\n")
    changes = better(found)
    print(changes.to_string(index=False) if len(changes) else "No default is to be changed.")


if __name__ == "__main__":
    main()
