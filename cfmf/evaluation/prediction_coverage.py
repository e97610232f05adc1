"""How often prediction intervals contain the rating: overall and by the length of the history.

Radii are learned on the validation part of a fold, from predictions by models fitted without it,
and judged on its test part, from predictions by models fitted to all training ratings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.evaluation.collect import bin_names, by_seed
from cfmf.evaluation.conformal import HISTORIES, Radii, group_of, interval, radius
from cfmf.observed import row_numbers
from cfmf.tables import COLUMNS, where

Frames = Callable[[str, str, str], pd.DataFrame]
Floats = NDArray[np.float64]
ALL = "all"
BY_HISTORY, ONE = "by_history", "one"


@dataclass(frozen=True)
class Fold:
    """The matrices of one fold, users × items, by the parts that `cfmf.data.splits` has."""

    fit: sparse.csr_array
    validation: sparse.csr_array
    train: sparse.csr_array
    test: sparse.csr_array


def prediction_intervals(
    chosen: pd.DataFrame,
    known: Frames,
    queried: Frames,
    folds: Callable[[str], Fold],
    scale: tuple[float, float],
) -> pd.DataFrame:
    """Coverage on test of the intervals of every method at its chosen setting.

    Parameters
    ----------
    chosen
        A `selection` table.
    known, queried
        Called with a method, k and reg; return a frame of fold, seed and prediction, the rows of a
        fold and seed in the CSR order of the fold's validation (test) matrix.
    folds
        Called with the name of a fold.
    scale
        Lowest and highest rating.

    Returns
    -------
    A `prediction_intervals` table: for every method, on each fold and on all together, with a
    radius for each group of histories (`by_history`) and with `one`, the number of test ratings and
    of their users, the proportion in their intervals and the mean width, in all and by history; a
    mean over seeds. Ratings of few users say little: users err alike on all of theirs.

    Raises
    ------
    ValueError
        If a method lacks predictions.
    """
    rows, tested = [], []
    for fold, methods in chosen.groupby("fold", sort=False):
        parts = folds(str(fold))
        tested.append(_tested(parts).assign(fold=fold))
        for row in methods.to_dict("records"):
            setting = str(row["method"]), str(row["k"]), str(row["reg"])
            before, after = (where(one(*setting), fold=fold) for one in (known, queried))
            sums = _sums(parts, before, after, scale, f"{setting[0]} in fold {fold}")
            rows.append(sums.assign(dataset=row["dataset"], fold=fold, method=setting[0]))
    return _as_table(pd.concat(rows, ignore_index=True), pd.concat(tested, ignore_index=True))


def _tested(parts: Fold) -> pd.DataFrame:
    """Columns place (0 for all, then the groups) and user: who has test ratings there."""
    users = row_numbers(parts.test)
    places = 1 + group_of(np.diff(parts.train.indptr)[users], HISTORIES)
    found = pd.DataFrame({"place": places, "user": users}).drop_duplicates()
    return pd.concat([found, found.assign(place=0)], ignore_index=True)


def _as_table(sums: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """The sums of every fold and of all together, as a `prediction_intervals` table."""
    keys = ["dataset", "method", "radii", "place"]
    together = sums.groupby(keys, sort=False)[["n", "covered", "wide"]].sum().reset_index()
    found = pd.concat([sums, together.assign(fold=ALL)], ignore_index=True)
    found = found[found["n"] > 0].astype({"n": np.int64})
    levels = [ALL, *bin_names(HISTORIES)]
    everyone = pd.concat([tested, tested.assign(fold=ALL)]).groupby(["fold", "place"])["user"]
    found = found.merge(everyone.nunique().rename("users").reset_index(), on=["fold", "place"])
    return found.assign(
        level=[levels[place] for place in found["place"]],
        coverage=found["covered"] / found["n"],
        width=found["wide"] / found["n"],
    )[COLUMNS["prediction_intervals"]]


def _sums(
    parts: Fold, known: pd.DataFrame, queried: pd.DataFrame, scale: tuple[float, float], what: str
) -> pd.DataFrame:
    """Columns radii, place (0 for all, then the groups), n, covered and wide (sum of widths)."""
    learned = by_seed(known, parts.validation, what), by_seed(queried, parts.test, what)
    before = np.diff(parts.fit.indptr)[row_numbers(parts.validation)]
    histories = np.diff(parts.train.indptr)[row_numbers(parts.test)]
    places = 1 + group_of(histories, HISTORIES)
    tables = []
    for validated, tested in zip(*learned, strict=True):
        ratings = parts.validation.data
        errors = np.clip(validated.astype(np.float64), *scale) - ratings
        reach = Radii.learn(validated, ratings, before, scale).of(histories)
        for name, radii in ((BY_HISTORY, reach), (ONE, np.full(len(tested), radius(errors)))):
            table = _counted(tested, parts.test.data, radii, scale, places)
            tables.append(table.assign(radii=name))
    return pd.concat(tables).groupby(["radii", "place"], sort=False).mean().reset_index()


def _counted(
    predictions: NDArray[np.float32],
    ratings: NDArray[np.float32],
    radii: Floats,
    scale: tuple[float, float],
    places: NDArray[np.intp],
) -> pd.DataFrame:
    """Columns place, n, covered and wide."""
    low, high = interval(predictions, radii, scale)
    covered = (low <= ratings) & (ratings <= high)
    size = 1 + len(HISTORIES)
    columns = {}
    for name, values in (("n", np.ones(len(ratings))), ("covered", covered), ("wide", high - low)):
        sums = np.bincount(places, values, size)
        sums[0] = sums.sum()
        columns[name] = sums
    return pd.DataFrame({"place": np.arange(size), **columns})
