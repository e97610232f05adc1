"""Cold start by experiment: users whose history is cut short, and how well each method predicts.

A sample of test users is divided at random among the history lengths. In each of a few rounds a
method is fitted once, to training ratings of which every sampled user keeps as many as their
group's length and all other users keep all; rounds rotate the groups through the lengths (rows of
a cyclic Latin square). What a user keeps at a short length is kept at every longer one.

Groups differ by chance in how predictable their users are, which the errors of the same users
with their whole history show. The error at a length is therefore a ratio estimate (Cochran, 1977,
*Sampling Techniques*, ch. 6): the mean error of all sampled users with their whole history, times
what the cut multiplied the error of the group by. With as many rounds as lengths every user is seen
at every length, and it is the plain error; with fewer, steps between lengths are several times as
uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.evaluation.bootstrap import LevelSums, Resampling, interval, level_sums, resampled
from cfmf.evaluation.fitting import Setting
from cfmf.metrics import errors
from cfmf.observed import pairs
from cfmf.tables import COLUMNS

SLICE = "ratings_left"
ALL = "all"
KEEP_ALL = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Design:
    """Who is trimmed to what.

    Attributes
    ----------
    users
        The sampled users, int64, sorted.
    lengths
        Ratings kept, ascending.
    assigned
        Rounds × sampled users: the place in `lengths` of each, int64.
    seed
        Of which ratings are kept.
    """

    users: NDArray[np.int64]
    lengths: tuple[int, ...]
    assigned: NDArray[np.int64]
    seed: int = 1


def design(
    train: sparse.csr_array,
    test: sparse.csr_array,
    lengths: Sequence[int],
    users: int,
    rounds: int,
    seed: int,
) -> Design:
    """Sample users and give each a history length in every round.

    Drawn from the users with a test rating and more training ratings than the longest of `lengths`,
    so that every length shortens every history; there may be fewer of them than `users`.

    Parameters
    ----------
    lengths
        Ratings kept.
    users
        How many at most.
    rounds
        How often each method is fitted; as many as there are lengths makes the Latin square
        complete, and further ones add no information.
    """
    ascending = tuple(sorted(set(lengths)))
    rounds = min(rounds, len(ascending))
    able = np.flatnonzero((np.diff(train.indptr) > ascending[-1]) & (np.diff(test.indptr) > 0))
    drawn = np.random.default_rng(seed).permutation(able)[:users]
    group = np.arange(len(drawn)) % len(ascending)
    shifts = np.arange(rounds) * len(ascending) // rounds
    assigned = (group[None, :] + shifts[:, None]) % len(ascending)
    order = np.argsort(drawn)
    return Design(drawn[order].astype(np.int64), ascending, assigned[:, order], seed)


def trim(train: sparse.csr_array, kept: NDArray[np.int64], seed: int) -> sparse.csr_array:
    """The training ratings with a given number left of each user, drawn at random.

    Parameters
    ----------
    kept
        For every user, how many ratings are left at most.
    seed
        With one seed, what is left of a user at a lower number is left at a higher one.
    """
    rows, _ = pairs(train)
    by_chance = np.lexsort((np.random.default_rng(seed).random(train.nnz), rows))
    rank = np.empty(train.nnz, np.int64)
    rank[by_chance] = np.arange(train.nnz) - train.indptr[rows[by_chance]]
    left = rank < kept[rows]
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows[left], minlength=train.shape[0]))])
    indptr = starts.astype(train.indptr.dtype)
    return sparse.csr_array((train.data[left], train.indices[left], indptr), shape=train.shape)


def rows_of(matrix: sparse.csr_array, users: NDArray[np.int64]) -> sparse.csr_array:
    """The matrix with the ratings of these users only, its shape unchanged."""
    kept = np.zeros(matrix.shape[0], np.int64)
    kept[users] = KEEP_ALL
    return trim(matrix, kept, 0)


def trimmed_errors(
    setting: Setting,
    train: sparse.csr_array,
    test: sparse.csr_array,
    whole: NDArray[np.float32],
    plan: Design,
    resampling: Resampling,
) -> pd.DataFrame:
    """Error of a method on the sampled users' test ratings at each length of their history.

    Parameters
    ----------
    whole
        Predictions of the test ratings, in CSR order, of the method fitted to all of `train`.
    plan
        The same for all methods, which are then compared on the same users.

    Returns
    -------
    `intervals` table, a row a length and metric, the whole history (`all`) last; empty where no
    user could be sampled. Intervals are from resampling the sampled users, with both sides of the
    ratio; `users` and `n` are those that were measured at that length.
    """
    if not len(plan.users):
        return pd.DataFrame(columns=COLUMNS["intervals"])
    queried = rows_of(test, plan.users)
    users, _ = pairs(queried)
    before = np.abs(errors(whole, test.data)[np.isin(pairs(test)[0], plan.users)])
    shape = (test.shape[0], len(plan.lengths))
    cut, uncut = (LevelSums(*np.zeros((3, *shape))) for _ in range(2))
    for assigned in plan.assigned:
        kept = np.full(train.shape[0], KEEP_ALL)
        kept[plan.users] = np.array(plan.lengths)[assigned]
        place = np.full(train.shape[0], -1)
        place[plan.users] = assigned
        found = setting.fit(trim(train, kept, plan.seed), queried)
        after = np.abs(errors(found.predictions, queried.data))
        cut += level_sums(users, place[users], after**2, after, shape)
        uncut += level_sums(users, place[users], before**2, before, shape)
    everyone = level_sums(users, np.zeros_like(users), before**2, before, (shape[0], 1))
    rows = _rows((cut, uncut, everyone), plan, resampling)
    return rows.assign(**setting.keys, slice=SLICE)[COLUMNS["intervals"]]


def _rows(
    sums: tuple[LevelSums, LevelSums, LevelSums], plan: Design, resampling: Resampling
) -> pd.DataFrame:
    """RMSE and MAE with their intervals by length, the whole history last.

    `sums` are of the errors with cut histories, of the same users' with whole ones, and of all.
    """
    columns = len(plan.lengths)
    n = np.hstack([sums[0].n, sums[2].n])[plan.users]
    found = []
    for metric, name in (("rmse", "squared"), ("mae", "absolute")):
        after, before, all_users = (getattr(one, name)[plan.users] for one in sums)
        columns_of_users = np.hstack([after, before, all_users, sums[2].n[plan.users]])

        def estimate(totals: NDArray[np.float64]) -> NDArray[np.float64]:
            top, bottom = totals[:, :columns], totals[:, columns : 2 * columns]
            mean = totals[:, -2:-1] / totals[:, -1:]
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.hstack([mean * top / bottom, mean])

        point = estimate(columns_of_users.sum(axis=0)[None, :])[0]
        drawn = estimate(resampled(columns_of_users, resampling))
        if metric == "rmse":
            point, drawn = np.sqrt(point), np.sqrt(drawn)
        low, high = interval(drawn, np.count_nonzero(n, axis=0), resampling)
        found.append(
            pd.DataFrame(
                {
                    "level": [*map(str, plan.lengths), ALL],
                    "users": np.count_nonzero(n, axis=0),
                    "n": n.sum(axis=0).astype(np.int64),
                    "metric": metric,
                    "value": point,
                    "ci_low": low,
                    "ci_high": high,
                    "ci_level": resampling.level,
                }
            )
        )
    rows = pd.concat(found, ignore_index=True)
    return rows[rows["n"] > 0]
