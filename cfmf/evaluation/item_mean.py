"""Every method against the item mean, which knows nothing of the user: paired, level by level.

Where a method does no better than the mean rating of the item, one may as well show that. Both are
measured on the same test ratings, so what makes these hard or easy is in both errors and cancels.
The intervals are for other users of the models as fitted: the variance is that of the users' sums
of the *influence* of their ratings on the difference of the two RMSE (the infinitesimal jackknife;
Efron 1982, *The Jackknife, the Bootstrap and Other Resampling Plans*, ch. 6).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, special

from cfmf.evaluation.bootstrap import LevelSums
from cfmf.observed import means

OVER = "rmse_over_item_mean"
CHANGE = "change_of_rmse_over_item_mean"
LEAST_USERS = 30
"""Users without whom a level is merged with the next: fewer do not show how users vary."""

Floats = NDArray[np.float64]


def item_means(train: sparse.csr_array) -> Floats:
    """Mean training rating of every item, float64; of all ratings where an item has none."""
    return means(train.indices, train.data, train.shape[1])


def rmse_and_influence(sums: LevelSums) -> tuple[Floats, Floats]:
    """RMSE of every level, and users × levels: what each user adds to its error.

    A level without ratings, or without errors, has influence 0.
    """
    n = np.maximum(sums.n.sum(axis=0), 1)
    mean = sums.squared.sum(axis=0) / n
    rmse = np.sqrt(mean)
    return rmse, (sums.squared - sums.n * mean) / (2 * n * np.where(rmse, rmse, 1))


def difference_rows(
    value: Floats, influence: Floats, n: Floats, level: float, metric: str
) -> pd.DataFrame:
    """Differences of RMSE with their intervals: columns of `intervals` without keys and levels.

    Parameters
    ----------
    value
        One for each level.
    influence
        Users × levels: of each user on it.
    n
        Users × levels: test ratings.
    level
        Of the interval, Student's t with one less than the number of users. NaN of one user.
    metric
        `OVER` or `CHANGE`.
    """
    users = np.count_nonzero(n, axis=0)
    rows = {"users": users, "n": n.sum(axis=0).astype(np.int64), "metric": metric, "value": value}
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(np.square(influence).sum(axis=0) * users / (users - 1))
        half = np.where(users > 1, error * upper_t((1 - level) / 2, users - 1), np.nan)
    return pd.DataFrame(
        {**rows, "ci_low": value - half, "ci_high": value + half, "ci_level": level}
    )


def upper_t(tail: Any, df: Any) -> Any:
    """What Student's t exceeds with probability `tail`: `scipy.stats.t.isf`, bit for bit."""
    return -special.stdtrit(df, tail)


def over_item_mean(
    method: LevelSums, mean: LevelSums, levels: list[str], level: float
) -> pd.DataFrame:
    """RMSE of a method minus that of the item mean at every level that has ratings.

    Parameters
    ----------
    method, mean
        Errors of both on the same ratings.
    levels
        Their names.
    level
        Of the interval.
    """
    (first, of_first), (second, of_second) = map(rmse_and_influence, (method, mean))
    rows = difference_rows(first - second, of_first - of_second, method.n, level, OVER)
    return rows.assign(level=levels)[rows["n"] > 0]


def simultaneous(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the intervals of `OVER` and of `CHANGE` widened to hold together.

    All rows of one slice and metric, of all methods and levels, are one family (Bonferroni).
    `ci_level` is then the level at which all of them hold.
    """
    found = rows.copy()
    for metric in (OVER, CHANGE):
        of_metric = found[(found["metric"] == metric) & (found["users"] > 1)]
        for _, family in of_metric.groupby("slice"):
            tail, df = (1 - family["ci_level"]) / 2, family["users"] - 1
            factor = upper_t(tail / len(family), df) / upper_t(tail, df)
            for end in ("ci_low", "ci_high"):
                wide = family["value"] + (family[end] - family["value"]) * factor
                found.loc[family.index, end] = wide
    return found


def merged(places: list[list[int]], sums: LevelSums) -> LevelSums:
    """Sums of errors of merged levels, each of which is a list of columns."""

    def added(part: Floats) -> Floats:
        columns = [part[:, place].sum(axis=1) for place in places]
        return np.stack(columns, axis=1) if columns else part[:, :0]

    return LevelSums(added(sums.n), added(sums.squared), added(sums.absolute))


def wide_enough(sums: LevelSums) -> list[list[int]]:
    """Which neighbouring levels to merge so that each has `LEAST_USERS` users with test ratings.

    From the lowest; what is left at the end joins the last. Levels without ratings are left out.
    """
    held = sums.n > 0
    found: list[list[int]] = []
    current: list[int] = []
    for place in np.flatnonzero(held.any(axis=0)):
        current.append(int(place))
        if held[:, current].any(axis=1).sum() >= LEAST_USERS:
            found.append(current)
            current = []
    if current and found:
        found[-1] += current
    return found or ([current] if current else [])
