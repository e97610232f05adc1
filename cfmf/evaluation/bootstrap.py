"""Intervals from resampling users, each of whom brings all their test ratings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy  # and scipy.stats, which is slow to import, only where it is used
from numpy.typing import NDArray
from scipy import sparse

from cfmf.tables import COLUMNS

Sums = NDArray[np.float64]
BATCH = 4_000_000
"""Numbers drawn at a time, so that memory stays small where there are many users."""
GROUPS = 10_000
"""More users than this are resampled in so many random groups of equal size.

The sums over random groups vary as those over users do, so an interval keeps its meaning; estimated
from G groups, its width is itself off by about 1 / √(2G), 0.7% here. Half a million users resampled
one by one would take a thousand million random numbers for each interval.
"""


@dataclass(frozen=True)
class Resampling:
    """How intervals are made: number of resamples of users, seed, and level of the interval."""

    repeats: int = 2000
    seed: int = 1
    level: float = 0.95

    @classmethod
    def of(cls, statistics: Mapping[str, Any]) -> Resampling:
        """As the `statistics` block of the config specifies."""
        return cls(statistics["bootstrap_repeats"], statistics["seed"], statistics["ci_level"])


def resampled(sums: Sums, resampling: Resampling) -> Sums:
    """Column sums of `sums` (users × columns) in each resample of its rows: repeats × columns.

    The same seed draws the same users again, so methods that were scored on the same users are
    resampled alike.
    """
    if len(sums) > GROUPS:
        sums = _in_groups(sums, resampling.seed)
    counts = _counts(len(sums), resampling.repeats, resampling.seed)
    batch = _batch(len(sums))
    return np.concatenate(
        [counts[start : start + batch] @ sums for start in range(0, len(counts), batch)]
    )


def _batch(users: int) -> int:
    return max(1, BATCH // max(users, 1))


@lru_cache(maxsize=1)
def _counts(users: int, repeats: int, seed: int) -> NDArray[np.uint16]:
    """How often each resample has each user, repeats × users.

    Kept for the next method, which is scored on the same users.
    """
    generator = np.random.default_rng(seed)
    shares = np.full(users, 1 / users) if users else np.empty(0)
    counts = np.empty((repeats, users), np.uint16)
    for start in range(0, repeats, _batch(users)):
        part = counts[start : start + _batch(users)]
        part[:] = generator.multinomial(users, shares, len(part))
    return counts


def _in_groups(sums: Sums, seed: int) -> Sums:
    """Column sums over `GROUPS` random groups of rows, whose sizes differ by one at most."""
    users = len(sums)
    group = np.random.default_rng(seed).permutation(users) % GROUPS
    dealt = sparse.csc_array((np.ones(users), group, np.arange(users + 1)), shape=(GROUPS, users))
    return np.asarray(dealt @ sums)


def drawn_ratios(
    numerators: Sums, denominators: Sums, resampling: Resampling, root: bool = False
) -> Sums:
    """Σ numerator / Σ denominator over all users, and then over each resample of them.

    Parameters and `root` as `ratio_intervals` has them; (1 + repeats) × columns.
    """
    columns = numerators.shape[1]
    both = np.hstack([numerators, denominators])
    drawn = np.concatenate([both.sum(axis=0)[None, :], resampled(both, resampling)])
    with np.errstate(invalid="ignore", divide="ignore"):
        values = drawn[:, :columns] / drawn[:, columns:]
    return np.sqrt(values) if root else values


def ratio_intervals(
    numerators: Sums, denominators: Sums, resampling: Resampling, root: bool = False
) -> pd.DataFrame:
    """Σ numerator / Σ denominator over users, column by column, with percentile intervals.

    With squared errors and counts of ratings this is a mean squared error over ratings, and with
    `root` an RMSE; with a value and 1 for each user it is a mean over users.

    Parameters
    ----------
    numerators, denominators
        Users × columns; a denominator of 0 means that the user is not in the column.

    Returns
    -------
    One row a column: users (who have a part in it), value, ci_low, ci_high, ci_level; see
    `interval`.
    """
    users = np.count_nonzero(denominators, axis=0)
    values = drawn_ratios(numerators, denominators, resampling, root)
    low, high = interval(values[1:], users, resampling)
    return pd.DataFrame(
        {
            "users": users,
            "value": values[0],
            "ci_low": low,
            "ci_high": high,
            "ci_level": resampling.level,
        }
    )


def interval(drawn: Sums, users: NDArray[np.integer], resampling: Resampling) -> tuple[Sums, Sums]:
    """Ends of the percentile interval of each column of `drawn`, repeats × columns.

    They are NaN where at most one of the `users` has a part in the column: one user does not show
    how users vary. A resample without anyone who has a part (NaN) is not counted.
    """
    tails = [(1 - resampling.level) / 2, (1 + resampling.level) / 2]
    low, high = np.full((2, drawn.shape[1]), np.nan)
    for column in np.flatnonzero(users > 1):
        low[column], high[column] = np.nanquantile(drawn[:, column], tails)
    return low, high


@dataclass(frozen=True)
class LevelSums:
    """Errors summed for each user and level of a slice: users × levels, float64.

    Attributes
    ----------
    n, squared, absolute
        Number of test ratings, and sums of their squared and absolute errors.
    """

    n: Sums
    squared: Sums
    absolute: Sums

    def __add__(self, other: LevelSums) -> LevelSums:
        return LevelSums(
            self.n + other.n, self.squared + other.squared, self.absolute + other.absolute
        )


def level_sums(
    users: NDArray[np.integer],
    places: NDArray[np.integer],
    squared: Sums,
    absolute: Sums,
    shape: tuple[int, int],
) -> LevelSums:
    """Sum errors by user and level.

    Parameters
    ----------
    users, places
        User and level of every test rating; a level below 0 is left out.
    squared, absolute
        Their errors.
    shape
        Number of users and of levels.
    """
    kept = places >= 0
    cell = users[kept].astype(np.int64) * shape[1] + places[kept]

    def summed(weights: Sums | None) -> Sums:
        found = np.bincount(cell, weights, minlength=shape[0] * shape[1])
        return found.astype(np.float64).reshape(shape)

    return LevelSums(summed(None), summed(squared[kept]), summed(absolute[kept]))


def error_rows(
    sums: LevelSums, levels: list[str], resampling: Resampling, **keys: str
) -> pd.DataFrame:
    """Rows of the `intervals` table: RMSE and MAE of every level that has ratings.

    `keys` are dataset, fold, method and slice. Users without any test rating are not resampled.
    """
    tested = sums.n.sum(axis=1) > 0
    n = sums.n[tested]
    found = []
    for metric, errors in (("rmse", sums.squared), ("mae", sums.absolute)):
        rows = ratio_intervals(errors[tested], n, resampling, root=metric == "rmse")
        rows = rows.assign(**keys, level=levels, n=n.sum(axis=0).astype(np.int64), metric=metric)
        found.append(rows[rows["n"] > 0])
    return pd.concat(found, ignore_index=True)[COLUMNS["intervals"]]


def user_rows(sums: LevelSums, resampling: Resampling, **keys: str) -> pd.DataFrame:
    """Rows of the `intervals` table: mean and median of the users' own RMSE.

    Every user with a test rating counts once, however many there are of theirs. The interval of the
    mean comes from resampling users, that of the median from the order of their errors
    (`scipy.stats.quantile_test`); both are NaN where there is one user. `keys` are dataset, fold,
    method and slice.
    """
    n = sums.n.sum(axis=1)
    tested = n > 0
    each = np.sqrt(sums.squared.sum(axis=1)[tested] / n[tested])
    mean = ratio_intervals(each[:, None], np.ones((each.size, 1)), resampling)
    median = mean.assign(value=np.median(each))
    if each.size > 1:
        found = scipy.stats.quantile_test(each, q=np.median(each), p=0.5)
        low, high = np.asarray(found.confidence_interval(resampling.level))
        median = median.assign(ci_low=low, ci_high=high)
    rows = pd.concat(
        [mean.assign(metric="user_rmse_mean"), median.assign(metric="user_rmse_median")]
    )
    return rows.assign(**keys, level="all", n=int(n.sum()))[COLUMNS["intervals"]]
