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

Where a method folds in new users, they are also predicted without a new fit: it is fitted once to
the ratings of all other users, and what the sampled users keep is folded in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.evaluation.bootstrap import LevelSums, Resampling, interval, level_sums, resampled
from cfmf.evaluation.fitting import Setting
from cfmf.evaluation.item_mean import (
    CHANGE,
    OVER,
    difference_rows,
    item_means,
    rmse_and_influence,
)
from cfmf.methods.base import Model
from cfmf.metrics import errors
from cfmf.observed import entries, pairs
from cfmf.tables import COLUMNS

SLICE = "ratings_left"
FOLDED = "rmse_folded_in"
LOSS = "rmse_folded_in_minus_refit"
ALL = "all"
KEEP_ALL = np.iinfo(np.int64).max

Predicted = tuple[NDArray[np.intp], NDArray[Any]]
Sums = tuple[LevelSums, LevelSums, LevelSums]


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
    drawn = np.random.default_rng(seed).random(train.nnz)
    counts, rows = np.diff(train.indptr), pairs(train)[0]
    left = np.ones(train.nnz, bool)
    cut = np.flatnonzero((kept < counts)[rows])
    by_chance = cut[np.lexsort((drawn[cut], rows[cut]))]
    left[by_chance] = _rank_within(rows[by_chance]) < kept[rows[by_chance]]
    return entries(train, left)


def _rank_within(groups: NDArray[np.integer]) -> NDArray[np.int64]:
    """The place of each entry among those of its group; equal groups stand side by side."""
    places = np.arange(len(groups))
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    return places - np.repeat(begins, np.diff(begins, append=len(groups)))


def rows_of(matrix: sparse.csr_array, users: NDArray[np.int64]) -> sparse.csr_array:
    """The matrix with the ratings of these users only, its shape unchanged."""
    return entries(matrix, _of_users(matrix, users))


def _of_users(matrix: sparse.csr_array, users: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each stored entry is a rating of one of these users."""
    wanted = np.zeros(matrix.shape[0], bool)
    wanted[users] = True
    return np.repeat(wanted, np.diff(matrix.indptr))


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
    ratio; `users` and `n` are those that were measured at that length. Of users who are folded in
    there are the RMSE and how much higher it is than that of a new fit. The RMSE minus that of the
    item mean, and by how much that difference is not the one of the whole histories (a difference
    in differences), have intervals of single comparisons: see `cfmf.evaluation.item_mean`.
    """
    if not len(plan.users):
        return pd.DataFrame(columns=COLUMNS["intervals"])
    queried = rows_of(test, plan.users)
    after, after_mean, after_fold = _predicted(setting, train, queried, plan)
    before = whole[_of_users(test, plan.users)]
    of_method = _sums(queried, before, after, plan)
    of_mean = _sums(queried, item_means(train)[queried.indices], after_mean, plan)
    rows = [_rows(of_method, plan, resampling), _over(of_method, of_mean, plan, resampling.level)]
    if after_fold:
        of_fold = _sums(queried, before, after_fold, plan)
        rows.append(_folded(of_fold, of_method, plan, resampling.level))
    found = pd.concat(rows, ignore_index=True)
    return found.assign(**setting.keys, slice=SLICE)[COLUMNS["intervals"]]


def _predicted(
    setting: Setting, train: sparse.csr_array, queried: sparse.csr_array, plan: Design
) -> tuple[list[Predicted], list[Predicted], list[Predicted]]:
    """Predictions of each round: of the method, of the item mean, and folded in where it can."""
    after_fold = _folded_predictions(setting, train, queried, plan)
    after: list[Predicted] = []
    after_mean: list[Predicted] = []
    for place, left in _rounds(train, plan):
        after.append((place, setting.fit(left, queried).predictions))
        after_mean.append((place, item_means(left)[queried.indices]))
    return after, after_mean, after_fold


def _rounds(
    train: sparse.csr_array, plan: Design
) -> Iterator[tuple[NDArray[np.intp], sparse.csr_array]]:
    """Of each round, the place of every user in the lengths, and what is left of the ratings."""
    for assigned in plan.assigned:
        kept = np.full(train.shape[0], KEEP_ALL)
        kept[plan.users] = np.array(plan.lengths)[assigned]
        place = np.full(train.shape[0], -1)
        place[plan.users] = assigned
        yield place, trim(train, kept, plan.seed)


def _folded_predictions(
    setting: Setting, train: sparse.csr_array, queried: sparse.csr_array, plan: Design
) -> list[Predicted]:
    """Predictions of each round by the model of all others; empty where it cannot fold in."""
    others = _without(setting, train, plan.users)
    if others is None:
        return []
    numbers = train.shape[0] + np.searchsorted(plan.users, pairs(queried)[0])
    return [
        (place, others.fold_in(left[plan.users]).predict(numbers, queried.indices).values)
        for place, left in _rounds(train, plan)
    ]


def _without(setting: Setting, train: sparse.csr_array, users: NDArray[np.int64]) -> Model | None:
    """The model of all ratings but those of some users.

    None of a method that cannot fold in, and where these users are all there are.
    """
    if "fold_in" not in setting.method.can:
        return None
    left = entries(train, ~_of_users(train, users))
    return setting.fit(left).model if left.nnz else None


def _sums(
    queried: sparse.csr_array, before: NDArray[Any], after: Sequence[Predicted], plan: Design
) -> Sums:
    """Errors by user and length: with cut histories, of the same users' whole ones, and of all.

    `before` are predictions with whole histories; `after` those of each round, with the place of
    every user in the lengths. Rows are those of `plan.users`.
    """
    users, _ = pairs(queried)

    def summed(predictions: NDArray[Any], place: NDArray[np.intp], columns: int) -> LevelSums:
        error = np.abs(errors(predictions, queried.data))
        shape = (queried.shape[0], columns)
        found = level_sums(users, place[users], error**2, error, shape)
        return LevelSums(*(part[plan.users] for part in (found.n, found.squared, found.absolute)))

    columns = len(plan.lengths)
    cut = [summed(predictions, place, columns) for place, predictions in after]
    uncut = [summed(before, place, columns) for place, _ in after]
    everyone = summed(before, np.zeros(queried.shape[0], np.intp), 1)
    return reduce(LevelSums.__add__, cut), reduce(LevelSums.__add__, uncut), everyone


def _over(of_method: Sums, of_mean: Sums, plan: Design, level: float) -> pd.DataFrame:
    """RMSE minus that of the item mean by length, and its change by the cut."""
    (first, of_first), (second, of_second) = map(_rmse_and_influence, (of_method, of_mean))
    value, influence = first - second, of_first - of_second
    n = np.hstack([of_method[0].n, of_method[2].n])
    levels = [*map(str, plan.lengths), ALL]
    over = difference_rows(value, influence, n, level, OVER).assign(level=levels)
    change = (value - value[-1])[:-1], (influence - influence[:, -1:])[:, :-1], n[:, :-1]
    rows = [over, difference_rows(*change, level, CHANGE).assign(level=levels[:-1])]
    found = pd.concat(rows, ignore_index=True)
    return found[found["n"] > 0]


def _folded(of_fold: Sums, of_method: Sums, plan: Design, level: float) -> pd.DataFrame:
    """RMSE of users who are folded in by length, and minus that of the new fit."""
    (first, of_first), (second, of_second) = map(_rmse_and_influence, (of_fold, of_method))
    found = []
    for name, value, influence in (
        (FOLDED, first, of_first),
        (LOSS, first - second, of_first - of_second),
    ):
        given = value[:-1], influence[:, :-1], of_fold[0].n, level, name
        found.append(difference_rows(*given).assign(level=[*map(str, plan.lengths)]))
    rows = pd.concat(found, ignore_index=True)
    return rows[rows["n"] > 0]


def _rmse_and_influence(sums: Sums) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ratio estimate at every length, the whole history last, and each user's part in it."""
    cut, uncut, everyone = sums
    (whole,), of_whole = rmse_and_influence(everyone)
    top, bottom = cut.squared.sum(axis=0), uncut.squared.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = whole * np.sqrt(top / bottom)
        relative = of_whole / whole + (cut.squared / top - uncut.squared / bottom) / 2
    influence = np.nan_to_num(value * relative)
    return np.append(np.nan_to_num(value), whole), np.hstack([influence, of_whole])


def _rows(sums: Sums, plan: Design, resampling: Resampling) -> pd.DataFrame:
    """RMSE and MAE with their intervals by length, the whole history last."""
    columns = len(plan.lengths)
    n = np.hstack([sums[0].n, sums[2].n])
    found = []
    for metric, name in (("rmse", "squared"), ("mae", "absolute")):
        after, before, all_users = (getattr(one, name) for one in sums)
        columns_of_users = np.hstack([after, before, all_users, sums[2].n])

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
