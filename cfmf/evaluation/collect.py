"""From the tables of all methods: the setting chosen on validation, and its errors in detail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.evaluation.bootstrap import LevelSums, Resampling, error_rows, level_sums, user_rows
from cfmf.evaluation.metrics import errors, user_errors
from cfmf.tables import COLUMNS

SETTING = ["method", "k", "reg"]
SLICES = {
    "user's ratings in train": (0, 1, 10, 20, 50, 100, 200, 500),
    "item's ratings in train": (0, 1, 10, 20, 50, 100, 200, 500),
}

BY_DATE = "date of the rating"
EACH_USER = "each user's own RMSE"
MOST_PERIODS = 12
NEAR = 0.05
"""Share of a searched range, in the logarithm, that counts as its edge."""

Predictions = Callable[[str, str, str], pd.DataFrame]
Matrices = Callable[[str], tuple[sparse.csr_array, sparse.csr_array]]
Levels = dict[str, tuple[NDArray[np.intp], list[str]]]
Periods = Callable[[str], tuple[NDArray[np.intp], list[str]] | None]


def collect(tables: Iterable[pd.DataFrame], kind: str = "metrics") -> pd.DataFrame:
    """All tables of one kind in one, in the order given.

    Raises
    ------
    ValueError
        If there is none, or if two rows of metrics or costs tell the same fact.
    """
    found = [table for table in tables if len(table)]
    if not found:
        raise ValueError(f"there is no {kind} table with rows; run at least one method")
    joined = pd.concat(found, ignore_index=True)[COLUMNS[kind]]
    facts = [name for name in joined.columns if name != "value"]
    twice = joined[facts].duplicated()
    if "value" in joined.columns and twice.any():
        first = joined.loc[twice, facts].iloc[0].to_dict()
        raise ValueError(f"two {kind} rows tell the same fact: {first}; delete one and run again")
    return joined


def validation_errors(metrics: pd.DataFrame) -> pd.DataFrame:
    """RMSE on validation and on test of every setting and fold, each the mean over seeds.

    Returns
    -------
    Columns dataset, fold, method, k, reg, validation_rmse, test_rmse; NaN where a setting has no
    row of that part.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    rows = metrics[(metrics["metric"] == "rmse") & metrics["split"].isin(["validation", "test"])]
    if not np.isfinite(rows["value"]).all():
        bad = rows.loc[~np.isfinite(rows["value"]), ["fold", *SETTING, "seed", "split"]].iloc[0]
        raise ValueError(f"the RMSE is not finite at {bad.to_dict()}; look at the log of that job")
    table = rows.pivot_table(
        index=["dataset", "fold", *SETTING], columns="split", values="value", aggfunc="mean"
    ).reindex(columns=["validation", "test"])
    return table.add_suffix("_rmse").rename_axis(columns=None).reset_index()


def choose(metrics: pd.DataFrame) -> pd.DataFrame:
    """For each method and fold the (k, reg) of least validation RMSE, averaged over seeds.

    Of settings that tie, the one with the smaller k, then the larger reg: the simpler model.

    Returns
    -------
    Columns dataset, fold, method, k, reg, validation_rmse, test_rmse, edge; `edge` says on which
    end of the method's grid the choice lies ("lowest reg", "highest k", …, joined by "; "), and
    is empty inside it.

    Raises
    ------
    ValueError
        If a method has several settings in a fold and one of them has no validation RMSE.
    """
    table = validation_errors(metrics)
    chosen = []
    for (_, fold, method), settings in table.groupby(["dataset", "fold", "method"], sort=False):
        if len(settings) > 1 and settings["validation_rmse"].isna().any():
            lacking = settings.loc[settings["validation_rmse"].isna(), ["k", "reg"]].iloc[0]
            raise ValueError(
                f"{method} with k={lacking['k']} and reg={lacking['reg']} has no finite validation"
                f" RMSE in fold {fold}, so no setting can be chosen; look at its log"
            )
        order = pd.DataFrame(
            {
                "validation": settings["validation_rmse"],
                "k": pd.to_numeric(settings["k"], errors="coerce"),
                "reg": -pd.to_numeric(settings["reg"], errors="coerce"),
            }
        ).sort_values(["validation", "k", "reg"], kind="stable")
        best = settings.loc[order.index[0]].to_dict()
        best["edge"] = edge(best, settings)
        chosen.append(best)
    if not chosen:
        raise ValueError("no metrics row has an RMSE on validation or test; nothing can be chosen")
    return pd.DataFrame(chosen).reset_index(drop=True)


def edge(
    best: Mapping[str, object], settings: pd.DataFrame, names: Sequence[str] = ("k", "reg")
) -> str:
    """On which ends of the grid `settings` the setting `best` lies, in words; empty when inside.

    An end is told only where there are at least three values: of two, each is an end. Nor is the
    lowest where it is 0, for nothing lies below.
    """
    found = []
    for name in names:
        values = pd.to_numeric(settings[name], errors="coerce").dropna().unique()
        if len(values) < 3:
            continue
        value = float(str(best[name]))
        if value == values.min() != 0:
            found.append(f"lowest {name}")
        elif value == values.max():
            found.append(f"highest {name}")
    return "; ".join(found)


def setting_parts(text: object) -> dict[str, str]:
    """The parts of a setting such as `neighbours=40 shrinkage=100`; none of a missing one."""
    return dict(re.findall(r"([\w-]+)\s*[=:~]\s*([^,;\s]+)", text)) if isinstance(text, str) else {}


def trial_edges(
    trials: pd.DataFrame, ranges: Mapping[str, Sequence[float]] | None = None
) -> pd.DataFrame:
    """On which ends of what was tried the setting lies that trials on validation chose.

    Parameters
    ----------
    trials
        A `trials` table; the complete trial of least validation RMSE is the choice, the first of
        equals.
    ranges
        Least and greatest value of each part of a setting that a search drew from, as `near_edge`
        takes them. Without them the ends are those of the values tried, as in `edge`.

    Returns
    -------
    Columns fold, method, edge: one row for each that has a complete trial.
    """
    rows = trials[trials["metric"] == "validation_rmse"]
    found = []
    for (fold, method), tried in rows.groupby(["fold", "method"], sort=False):
        complete = tried[tried["state"] == "COMPLETE"].sort_values(["value", "trial"])
        if complete.empty:
            continue
        best = setting_parts(complete.iloc[0]["setting"])
        if ranges is None:
            settings = pd.DataFrame([setting_parts(setting) for setting in tried["setting"]])
            where = edge(best, settings, list(settings.columns))
        else:
            where = near_edge(best, ranges)
        found.append({"fold": fold, "method": method, "edge": where})
    return pd.DataFrame(found, columns=["fold", "method", "edge"])


def near_edge(best: Mapping[str, str], ranges: Mapping[str, Sequence[float]]) -> str:
    """Near which bounds of its search a setting lies, in the words of `edge`.

    Near is within a twentieth of the range in the logarithm, in which the search is uniform: a
    value that is drawn meets a bound hardly ever.
    """
    found = []
    for name, (low, high) in ranges.items():
        if name not in best or low == high:
            continue
        place = np.log(float(best[name]) / low) / np.log(high / low)
        if place <= NEAR:
            found.append(f"lowest {name}")
        elif place >= 1 - NEAR:
            found.append(f"highest {name}")
    return "; ".join(found)


def late_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """How many trials of each method are not COMPLETE: columns method, cut, runs."""
    late = trials["state"] != "COMPLETE"
    return late.groupby(trials["method"], sort=False).agg(cut="sum", runs="size").reset_index()


def selected_rows(metrics: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Rows of `metrics` on validation and test that belong to the chosen settings."""
    keys = ["dataset", "fold", *SETTING]
    rows = metrics[metrics["split"].isin(["validation", "test"])]
    return rows.merge(chosen[keys], on=keys, how="inner")[COLUMNS["metrics"]]


def settings_rows(chosen: pd.DataFrame) -> pd.DataFrame:
    """The chosen (k, reg) in the words of the `settings` table, for the methods that have them."""
    rows = chosen[chosen["k"] != ""]
    words = "k=" + rows["k"] + (", reg=" + rows["reg"]).where(rows["reg"] != "", "")
    return rows[["dataset", "fold", "method"]].assign(setting=words)[COLUMNS["settings"]]


def details(
    chosen: pd.DataFrame,
    predictions: Predictions,
    matrices: Matrices,
    resampling: Resampling,
    periods: Periods = lambda fold: None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Test errors of every method at its chosen setting: in slices, and for each user.

    Parameters
    ----------
    chosen
        What `choose` returns.
    predictions
        Called with a method, k and reg; returns a frame of fold, seed and prediction, the rows of
        a fold and seed in the CSR order of the fold's test matrix.
    matrices
        Called with a fold; returns its train and test matrices, users × items.
    resampling
        How the intervals are made.
    periods
        Called with a fold; returns what `rating_periods` does, or None where there are no dates.

    Returns
    -------
    slices
        `slices` table: RMSE and MAE by the number of the user's and of the item's ratings in
        train, and by date; the squared error is averaged over seeds before the root is taken.
    intervals
        `intervals` table: the same over the test ratings of all folds together (fold `all`), with
        intervals from resampling users; and the mean and median of each user's own RMSE.
    user_errors
        dataset, fold, method, user, n, squared_error, absolute_error: sums over the user's test
        ratings, averaged over seeds.

    Raises
    ------
    ValueError
        If a method has no predictions for a fold, or not one for each rating of its test matrix.
    """
    slices, users = [], []
    totals: dict[tuple[str, str], LevelSums] = {}
    names: dict[str, list[str]] = {}
    for fold, methods in chosen.groupby("fold", sort=False):
        train, test = matrices(str(fold))
        levels = slice_levels(train, test, periods(str(fold)))
        names |= {name: bins for name, (_, bins) in levels.items()}
        for row in methods.to_dict("records"):
            method = str(row["method"])
            frame = predictions(method, str(row["k"]), str(row["reg"]))
            by_seed = _seeds(frame[frame["fold"] == fold], test, f"{method} in fold {fold}")
            keys = {"dataset": row["dataset"], "fold": fold, "method": method}
            for name, sums in _sums(by_seed, test, levels).items():
                slices.append(_slices(sums, names[name]).assign(**keys, slice=name))
                known = totals.get((method, name))
                totals[method, name] = sums if known is None else known + sums
            per_seed = pd.concat([user_errors(values, test) for values in by_seed])
            mean = per_seed.groupby("user", as_index=False).mean()
            users.append(mean.astype({"n": np.int64, "user": np.int32}).assign(**keys))
    dataset = str(chosen["dataset"].iloc[0])
    intervals = [
        error_rows(
            *(sums, names[name], resampling),
            dataset=dataset,
            fold="all",
            method=method,
            slice=name,
        )
        for (method, name), sums in totals.items()
    ]
    # Every test rating is in one level of the first slice, so its sums are those of all.
    whole = next(iter(SLICES))
    intervals += [
        user_rows(sums, resampling, dataset=dataset, fold="all", method=method, slice=EACH_USER)
        for (method, name), sums in totals.items()
        if name == whole
    ]
    columns = ["dataset", "fold", "method", "user", "n", "squared_error", "absolute_error"]
    return (
        pd.concat(slices, ignore_index=True)[COLUMNS["slices"]],
        pd.concat(intervals, ignore_index=True),
        pd.concat(users, ignore_index=True)[columns],
    )


def slice_levels(
    train: sparse.csr_array,
    test: sparse.csr_array,
    periods: tuple[NDArray[np.intp], list[str]] | None = None,
) -> Levels:
    """For each slice, the number of the bin of every test rating, and the names of the bins.

    `periods`, where given, are the bins by date; a rating without a date is in bin -1, of none.
    """
    users = np.repeat(np.arange(test.shape[0]), np.diff(test.indptr))
    of_user = np.diff(train.indptr)[users]
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
    """Names of bins of counts, given the least count of each: "0", "1-9", …, "500 or more"."""
    names = [str(low) if high == low + 1 else f"{low}-{high - 1}" for low, high in pairwise(lowest)]
    return [*names, f"{lowest[-1]} or more"]


def _seeds(frame: pd.DataFrame, test: sparse.csr_array, what: str) -> list[NDArray[np.float32]]:
    """Predictions of one fold, an array a seed; refuses a number that is not the matrix's."""
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


def _sums(
    by_seed: list[NDArray[np.float32]], test: sparse.csr_array, levels: Levels
) -> dict[str, LevelSums]:
    """Errors, averaged over seeds, summed by user and level of each slice."""
    differences = np.stack([errors(values, test.data) for values in by_seed])
    squared, absolute = np.square(differences).mean(axis=0), np.abs(differences).mean(axis=0)
    users = np.repeat(np.arange(test.shape[0]), np.diff(test.indptr))
    return {
        name: level_sums(users, place, squared, absolute, (test.shape[0], len(bins)))
        for name, (place, bins) in levels.items()
    }


def _slices(sums: LevelSums, bins: list[str]) -> pd.DataFrame:
    """Columns level, n, metric and value of one fold's slice."""
    n, squared, absolute = (part.sum(axis=0) for part in (sums.n, sums.squared, sums.absolute))
    held = np.flatnonzero(n)
    values = {"rmse": np.sqrt(squared[held] / n[held]), "mae": absolute[held] / n[held]}
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "level": [bins[place] for place in held],
                    "n": n[held].astype(np.int64),
                    "metric": metric,
                    "value": found,
                }
            )
            for metric, found in values.items()
        ]
    )
