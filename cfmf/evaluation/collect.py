"""From the tables of all methods: one table of each kind, and the errors in detail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.evaluation.bootstrap import LevelSums, Resampling, error_rows, level_sums, user_rows
from cfmf.evaluation.item_mean import (
    item_means,
    merged,
    over_item_mean,
    simultaneous,
    wide_enough,
)
from cfmf.evaluation.mean_errors import bias_rows
from cfmf.metrics import errors, user_errors
from cfmf.observed import row_numbers
from cfmf.tables import COLUMNS, where

SLICES = {
    "user_ratings": (0, 1, 10, 20, 50, 100, 200, 500),
    "item_ratings": (0, 1, 10, 20, 50, 100, 200, 500),
}

BY_DATE = "date"
EACH_USER = "each_user"
MOST_PERIODS = 12
USER_ERRORS = ["dataset", "fold", "method", "user", "n", "squared_error", "absolute_error"]

Totals = dict[str, LevelSums]
"""Errors in all folds, by slice."""
Predictions = Callable[[str, str, str], pd.DataFrame]
Matrices = Callable[[str], tuple[sparse.csr_array, sparse.csr_array]]
Levels = dict[str, tuple[NDArray[np.intp], list[str]]]
Periods = Callable[[str], tuple[NDArray[np.intp], list[str]] | None]


def collect(tables: Iterable[pd.DataFrame], kind: str = "metrics") -> pd.DataFrame:
    """All tables of one kind in one, in the order given.

    Raises
    ------
    ValueError
        If there is none, or if two rows of metrics or costs report the same fact.
    """
    found = [table for table in tables if len(table)]
    if not found:
        raise ValueError(f"there is no {kind} table with rows; run at least one method")
    joined = pd.concat(found, ignore_index=True)[COLUMNS[kind]]
    facts = [name for name in joined.columns if name != "value"]
    twice = joined[facts].duplicated()
    if "value" in joined.columns and twice.any():
        first = joined.loc[twice, facts].iloc[0].to_dict()
        raise ValueError(f"two {kind} rows report the same fact: {first}; delete one and run again")
    return joined


def stopped_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """How many trials of each method are not COMPLETE: columns method, stopped, runs."""
    late = trials["state"] != "COMPLETE"
    return late.groupby(trials["method"], sort=False).agg(stopped="sum", runs="size").reset_index()


class Details(NamedTuple):
    """Test errors of every method at its chosen setting.

    Attributes
    ----------
    slices
        `slices` table: RMSE and MAE by the number of the user's and of the item's ratings in
        train, and by date; the squared error is averaged over seeds before the root is taken. And
        the bias, also by rating and by prediction (`cfmf.evaluation.mean_errors`).
    intervals
        `intervals` table: the same over the test ratings of all folds together (fold `all`), with
        intervals from resampling users, levels of histories with few users merged; the RMSE minus
        that of the item mean (`cfmf.evaluation.item_mean`), with simultaneous intervals; and the
        mean and median of each user's own RMSE.
    user_errors
        dataset, fold, method, user, n, squared_error, absolute_error: sums over the user's test
        ratings, averaged over seeds.
    """

    slices: pd.DataFrame
    intervals: pd.DataFrame
    user_errors: pd.DataFrame


def details(
    chosen: pd.DataFrame,
    predictions: Predictions,
    matrices: Matrices,
    resampling: Resampling,
    scale: tuple[float, float],
    periods: Periods = lambda fold: None,
) -> Details:
    """Test errors of every method at its chosen setting: in slices, and for each user.

    Parameters
    ----------
    chosen
        A `selection` table.
    predictions
        Called with a method, k and reg; returns a frame of fold, seed and prediction, the rows of
        a fold and seed in the CSR order of the test matrix.
    matrices
        Called with a fold; returns its train and test matrices, users × items.
    scale
        Lowest and highest rating.
    periods
        Called with a fold; returns what `rating_periods` does, or None where there are no dates.

    Raises
    ------
    ValueError
        If a method has no predictions for a fold, or not one for each rating of its test matrix.
    """
    slices, users, of_mean, names = [], [], Totals(), dict[str, list[str]]()
    totals: defaultdict[str, Totals] = defaultdict(dict)
    for fold, methods in chosen.groupby("fold", sort=False):
        train, test = matrices(str(fold))
        levels = slice_levels(train, test, periods(str(fold)))
        names |= {name: bins for name, (_, bins) in levels.items()}
        _add(of_mean, _sums([item_means(train)[test.indices].astype("f4")], test, levels))
        for row in methods.to_dict("records"):
            method, k, reg = (str(row[name]) for name in ("method", "k", "reg"))
            predicted = where(predictions(method, k, reg), fold=fold)
            seeds = by_seed(predicted, test, f"{method} in fold {fold}")
            keys = {"dataset": row["dataset"], "fold": fold, "method": method}
            users.append(_user_means(seeds, test).assign(**keys))
            found, bias = _sums(seeds, test, levels), bias_rows(seeds, test, levels, scale)
            _add(totals[method], found)
            slices += [one.assign(**keys) for one in (_slices(found, names), bias)]
    return Details(
        pd.concat(slices, ignore_index=True)[COLUMNS["slices"]],
        _intervals(totals, of_mean, names, resampling, str(chosen["dataset"].iloc[0])),
        pd.concat(users, ignore_index=True)[USER_ERRORS],
    )


def _user_means(seeds: list[NDArray[np.float32]], test: sparse.csr_array) -> pd.DataFrame:
    mean = pd.concat([user_errors(values, test) for values in seeds])
    mean = mean.groupby("user", as_index=False).mean()
    return mean.astype({"n": np.int64, "user": np.int32})


def _add(totals: Totals, found: Totals) -> None:
    """Add the sums of one fold to those of all."""
    for name, sums in found.items():
        totals[name] = totals[name] + sums if name in totals else sums


def _intervals(
    totals: Mapping[str, Totals],
    of_mean: Totals,
    names: dict[str, list[str]],
    resampling: Resampling,
    dataset: str,
) -> pd.DataFrame:
    """Rows of all folds together, by method and slice, then the users' own RMSE.

    `totals` are by method, `of_mean` those of the item mean.
    """
    joined = {name: wide_enough(sums) for name, sums in of_mean.items() if name in SLICES}
    names = names | {
        name: [bin_name(SLICES[name], one) for one in places] for name, places in joined.items()
    }
    errors, over, users = [], [], []
    for method, of_slices in totals.items():
        keys = {"dataset": dataset, "fold": "all", "method": method}
        for name, total in of_slices.items():
            places = joined.get(name)
            sums, mean = (
                one if places is None else merged(places, one) for one in (total, of_mean[name])
            )
            errors.append(error_rows(sums, names[name], resampling, **keys, slice=name))
            rows = over_item_mean(sums, mean, names[name], resampling.level)
            over.append(rows.assign(**keys, slice=name)[COLUMNS["intervals"]])
        # Every test rating is in one level of the first slice, so its sums are those of all.
        whole = of_slices[next(iter(SLICES))]
        users.append(user_rows(whole, resampling, **keys, slice=EACH_USER))
    widened = simultaneous(pd.concat(over, ignore_index=True))
    return pd.concat([*errors, widened, *users], ignore_index=True)


def slice_levels(
    train: sparse.csr_array,
    test: sparse.csr_array,
    periods: tuple[NDArray[np.intp], list[str]] | None = None,
) -> Levels:
    """For each slice, the number of the bin of every test rating, and the names of the bins.

    `periods`, where given, are the bins by date; a rating without a date is in bin -1, of none.
    """
    of_user = np.diff(train.indptr)[row_numbers(test)]
    of_item = np.bincount(train.indices, minlength=train.shape[1])[test.indices]
    levels = {
        name: (np.searchsorted(lowest, count, side="right") - 1, bin_names(lowest))
        for (name, lowest), count in zip(SLICES.items(), (of_user, of_item), strict=True)
    }
    return levels | ({} if periods is None else {BY_DATE: periods})


def rating_periods(dates: pd.Series) -> tuple[NDArray[np.intp], list[str]] | None:
    """Number of the period of each date, -1 where unknown, and the periods' names in order.

    Months, quarters or years: the shortest that at most twelve of hold all dates, years where none
    does. None where no rating has a date.
    """
    if not dates.notna().any():
        return None
    for kind in ("M", "Q", "Y"):
        periods = dates.dt.to_period(kind)
        codes, found = pd.factorize(periods, sort=True)
        if len(found) <= MOST_PERIODS:
            break
    return codes, [str(one) for one in found]


def bin_names(lowest: Sequence[int]) -> list[str]:
    """Names of bins of counts, given the lowest count of each: "0", "1-9", …, "500+"."""
    return [bin_name(lowest, [place]) for place in range(len(lowest))]


def bin_name(lowest: Sequence[int], places: Sequence[int]) -> str:
    """Name of neighbouring bins of counts together, as `bin_names` has that of one."""
    low, after = lowest[places[0]], places[-1] + 1
    if after == len(lowest):
        return f"{low}+"
    return str(low) if lowest[after] == low + 1 else f"{low}-{lowest[after] - 1}"


def by_seed(frame: pd.DataFrame, test: sparse.csr_array, what: str) -> list[NDArray[np.float32]]:
    """Predictions of one fold, an array for each seed.

    Parameters
    ----------
    frame
        Columns seed and prediction, the rows of a seed in the CSR order of `test`.
    what
        Method and fold, for messages.

    Raises
    ------
    ValueError
        If there is none, or not one for each rating of `test`.
    """
    if frame.empty:
        raise ValueError(f"there are no predictions of {what}; run its job again")
    found = []
    for seed, rows in frame.groupby("seed", sort=False):
        if len(rows) != test.nnz:
            raise ValueError(
                f"{what}, seed {seed!r}: {len(rows)} predictions for {test.nnz} test ratings;"
                " the folds changed since the job ran, so run it again"
            )
        found.append(rows["prediction"].to_numpy(dtype=np.float32))
    return found


def _sums(seeds: list[NDArray[np.float32]], test: sparse.csr_array, levels: Levels) -> Totals:
    """Errors, averaged over seeds, summed by user and level of each slice."""
    differences = np.stack([errors(values, test.data) for values in seeds])
    squared, absolute = np.square(differences).mean(axis=0), np.abs(differences).mean(axis=0)
    users = row_numbers(test)
    return {
        name: level_sums(users, place, squared, absolute, (test.shape[0], len(bins)))
        for name, (place, bins) in levels.items()
    }


def _slices(totals: Totals, names: Mapping[str, list[str]]) -> pd.DataFrame:
    """Columns slice, level, n, metric and value of one fold."""
    rows = []
    for name, sums in totals.items():
        n, squared, absolute = (part.sum(axis=0) for part in (sums.n, sums.squared, sums.absolute))
        held = np.flatnonzero(n)
        values = {"rmse": np.sqrt(squared[held] / n[held]), "mae": absolute[held] / n[held]}
        shared = {
            "slice": name,
            "level": [names[name][place] for place in held],
            "n": n[held].astype(np.int64),
        }
        rows += [
            pd.DataFrame({**shared, "metric": metric, "value": values[metric]}) for metric in values
        ]
    return pd.concat(rows, ignore_index=True)
