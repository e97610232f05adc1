"""Whether intervals have one radius for all or one for each group of histories.

The validation predictions of every method of a finished study, at its chosen settings, are
cross-validated inside validation: radii are learned on four fifths, and judged on the rest by the
coverage, its mean distance from 90 % over the groups of histories, the mean width and the interval
score (Gneiting & Raftery, 2007, *Strictly proper scoring rules*), which is lower for narrow
intervals that err little. Test parts are not looked at.

    python -m benchmarks.radii [results/ml-100k]

prints the table and writes benchmarks/results/radii.tsv: means over folds, a row for each method
and each list of the lowest histories of the groups.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS
from cfmf.evaluation import conformal
from cfmf.evaluation.conformal import COVERAGE, HISTORIES, Radii, group_of, interval
from cfmf.files import load_matrix
from cfmf.observed import row_numbers
from cfmf.selection import read_selection
from cfmf.workflow.layout import Results, settings_of

GROUPS = ((0,), (0, 20), (0, 20, 100), HISTORIES)
PARTS = 5


def judged(
    predictions: np.ndarray,
    ratings: np.ndarray,
    histories: np.ndarray,
    scale: tuple[float, float],
    lowest: tuple[int, ...],
) -> dict[str, float]:
    """Coverage, its distance from the nominal one over the groups, width and interval score."""
    low, high = np.empty((2, len(ratings)))
    part = np.arange(len(ratings)) % PARTS
    with patch.object(conformal, "HISTORIES", lowest):
        for held in (part == number for number in range(PARTS)):
            learned = Radii.learn(predictions[~held], ratings[~held], histories[~held], scale)
            reach = learned.of(histories[held])
            low[held], high[held] = interval(predictions[held], reach, scale)
    covered = (low <= ratings) & (ratings <= high)
    groups = group_of(histories, HISTORIES)
    sizes, held_in = np.bincount(groups), np.bincount(groups, covered)
    outside = np.maximum(low - ratings, 0) + np.maximum(ratings - high, 0)
    return {
        "coverage": covered.mean(),
        "distance": np.abs(held_in - COVERAGE * sizes).sum() / len(ratings),
        "width": (high - low).mean(),
        "score": (high - low + 2 / (1 - COVERAGE) * outside).mean(),
    }


def compare(results: Results) -> pd.DataFrame:
    """A row for each method and groups, and for the mean of the methods."""
    paths = results.all("neighbours", file="validation.parquet")
    paths += results.all("point", file="validation.parquet")
    known = {settings_of(path): path for path, _ in paths}
    chosen = read_selection([results.where("evaluation", table="selection")])
    rows = []
    for one in chosen.itertuples():
        path = known.get((one.method, one.k, one.reg))
        if path is None:
            continue  # a blend
        frame = pd.read_parquet(path)
        values = frame[(frame["fold"] == one.fold) & (frame["seed"] == one.seed)]["prediction"]
        fit, validation = (
            load_matrix(results.where("matrix", fold=one.fold, part=part))
            for part in ("fit", "validation")
        )
        histories = np.diff(fit.indptr)[row_numbers(validation)]
        scale = float(fit.data.min()), float(fit.data.max())
        given = values.to_numpy("f8"), validation.data.astype("f8"), histories, scale
        for lowest in GROUPS:
            keys = {"method": one.method, "groups": " ".join(map(str, lowest))}
            rows.append(keys | judged(*given, lowest))
    table = pd.DataFrame(rows).groupby(["method", "groups"], sort=False).mean().reset_index()
    mean = table.drop(columns="method").groupby("groups", sort=False).mean().reset_index()
    return pd.concat([table, mean.assign(method="mean")], ignore_index=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare groups, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path("results/ml-100k"))
    options = parser.parse_args(arguments)
    table = compare(Results(options.results.parent, options.results.name))
    print(table.round(4).to_string(index=False))
    path = RESULTS / "radii.tsv"
    table.to_csv(path, sep="\t", index=False, float_format="%.4f", lineterminator="\n")


if __name__ == "__main__":
    main()
