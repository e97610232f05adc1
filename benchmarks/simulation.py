"""Who wins where the truth is known: sparse and dense ratings, with and without factors.

The ratings are those of `cfmf.data.synthetic`, so the RMSE of the best predictions that there can
be is known. Four truths:

sparse
    Three training ratings a user, rank 10. There are factors, but these ratings cannot show them:
    no method should be better than the biases by much, and none worse.
dense
    Half of all pairs, rank 10: factorizations should come near the truth, and neighbours not.
rank 0
    Biases only: the baseline is the truth, and nothing should be better, or worse than it by more
    than the noise.
rank 10
    About half as many ratings of a user and an item as MovieLens 100K has: factorizations should
    win.

Every method is tuned on validation and then scored once on test.

    python -m benchmarks.simulation

writes benchmarks/results/simulation.tsv.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS
from benchmarks.development import RANK, Synthetic, synthetic
from cfmf.methods import registry
from cfmf.methods.base import Method, text_parts
from cfmf.observed import rmse
from cfmf.selection import ERROR, best
from cfmf.tasks import Task
from cfmf.training import Run, train_point

SPARSE = {"users": 3000, "items": 200, "train": 9000, "test": 3000}
DENSE = {"users": 250, "items": 150, "train": 18_000, "test": 4000}
USUAL = {"users": 500, "items": 350, "train": 25_000, "test": 6000}
TRUTHS: dict[str, dict[str, Any]] = {
    "sparse": {**SPARSE, **RANK},
    "dense": {**DENSE, **RANK},
    "rank 0": {**USUAL, **RANK, "rank": 0},
    "rank 10": {**USUAL, **RANK},
}
PENALIZED = {"k": [10], "reg": [0.05, 0.1, 0.2, 0.3, 0.5, 1, 5]}
KNN = {
    "similarity": ["pearson-baseline"],
    "neighbours": [40],
    "shrinkage": [20, 200, 2000],
    "damping": [0.1, 10],
}
GRIDS: dict[str, Mapping[str, Any]] = {
    "baseline": {},
    "user-knn": KNN,
    "item-knn": KNN,
    "mf": PENALIZED,
    "als": PENALIZED,
    "gibbs": {"k": [1, 10], "sweeps": 150},
}
BASELINE = "baseline"


def tuned(name: str, run: Run, grid: Mapping[str, Any]) -> tuple[Method, float]:
    """The candidate of a grid that validation chooses, and its RMSE there."""
    candidates = registry.method(name).candidates(grid, (1.0, 5.0))
    rows = []
    for trial, candidate in enumerate(candidates):
        [fitted] = candidate.fit_tasks([Task(run.fit, run.seed, run.validation)])
        error = rmse(fitted.predictions["validation"], run.validation.data)
        parts = text_parts(candidate.chosen_text())
        rows.append({**parts, "method": name, "trial": trial, ERROR: error})
    [chosen] = best(pd.DataFrame(rows), ["method"]).to_dict("records")
    return candidates[chosen["trial"]], chosen[ERROR]


def compare(
    truth: str, simulated: Synthetic, grids: Mapping[str, Mapping[str, Any]] = GRIDS
) -> pd.DataFrame:
    """A row for each method, the lowest RMSE on test first.

    Columns truth, method, setting, validation_rmse, test_rmse, above_oracle (RMSE above that of the
    best predictions), difference (of the squared error from that of the baseline, mean over the
    test ratings), se (its standard error over them).
    """
    run, rows, squares = simulated.run, [], {}
    for name, grid in grids.items():
        method, validation = tuned(name, run, grid)
        predicted = train_point(method, [run]).predictions["prediction"].to_numpy(np.float64)
        squares[name] = np.square(predicted - run.test.data)
        error = float(np.sqrt(squares[name].mean()))
        rows.append([truth, name, method.chosen_text(), validation, error])
    columns = ["truth", "method", "setting", "validation_rmse", "test_rmse"]
    table = pd.DataFrame(rows, columns=columns)
    gaps = [squares[name] - squares[BASELINE] for name in table["method"]]
    return table.assign(
        above_oracle=table["test_rmse"] - simulated.oracle_rmse,
        difference=[float(gap.mean()) for gap in gaps],
        se=[float(gap.std() / np.sqrt(len(gap))) for gap in gaps],
    ).sort_values("test_rmse", ignore_index=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    tables = []
    for truth, settings in TRUTHS.items():
        tables.append(compare(truth, synthetic(options.seed, **settings)))
        print(tables[-1].to_string(index=False), flush=True)
    path = RESULTS / "simulation.tsv"
    pd.concat(tables).to_csv(path, sep="\t", index=False, float_format="%.5f", lineterminator="\n")


if __name__ == "__main__":
    main()
