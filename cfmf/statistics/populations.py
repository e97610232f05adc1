"""Difference of RMSE between two predictors, for three populations.

new_ratings
    Other ratings by the same users of the same items. The folds show how differences vary, and
    the variance of their mean is that of Nadeau & Bengio (2003): s²(1/J + n_test/n_train).
new_users
    Other users, who bring their ratings of the same items. The errors of one user belong together,
    so the variance is that of sums over users, the fitted models held fixed. Other users would also
    train other models, which adds `TRAINING` times as much.
new_users_and_items
    Other users and other items. Ratings that share a user or an item belong together: the variance
    of sums over users plus that of sums over items, less that of single ratings, which both contain
    (Cameron, Gelbach & Miller 2011, eq. 2.13); and `TRAINING` times as much for other models. A
    bootstrap with product weights (Owen 2007) has the same sums with the single ratings added
    instead, and so is conservative.

All follow from the *influence* of a test rating on the RMSE of its fold, (e² - MSE)/(2·RMSE), whose
sums over users, over items, and of products of two predictors are all that is kept: users × levels,
items × levels and levels × levels, never users × items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

from cfmf.evaluation.collect import by_seed
from cfmf.metrics import errors
from cfmf.observed import row_numbers
from cfmf.statistics.names import NEW_RATINGS, NEW_USERS, NEW_USERS_AND_ITEMS
from cfmf.statistics.results import Interval

TRAINING = 0.8
"""Variance that other training ratings add, as a share of that of the errors of fixed models.

Chosen among 0.6, 0.8 and 1 on the first 80 of the draws that `benchmarks/coverage.py` makes of
MovieLens 1M, where the shares are 0 to 1.1. One study cannot estimate it: that takes other users.
"""

BATCH = 1 << 20
"""Ratings whose products are summed at a time."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Influence:
    """How the test ratings of all folds act on the RMSE of several predictors, the levels.

    Attributes
    ----------
    levels
        Their names.
    rmse
        Folds × levels, float64; mean over seeds.
    users, items
        Users × levels and items × levels, float64: sums over their test ratings of the influence on
        the sum of the folds' RMSE.
    products
        Levels × levels, float64: sums over test ratings of the product of two levels' influence.
    """

    levels: tuple[str, ...]
    rmse: Floats
    users: Floats
    items: Floats
    products: Floats

    def __add__(self, other: Influence) -> Influence:
        """The folds of both; their matrices have the same shape and their levels are the same."""
        return Influence(
            self.levels,
            np.vstack([self.rmse, other.rmse]),
            self.users + other.users,
            self.items + other.items,
            self.products + other.products,
        )


@dataclass(frozen=True)
class Components:
    """Mean difference of RMSE over folds, and what its variance consists of.

    Attributes
    ----------
    value
        The mean difference.
    folds
        Their number.
    between
        Variance of the difference between folds.
    users, items
        Variance of the mean difference, models held fixed, if ratings of one user (of one item)
        belong together; and the variance of this estimate.
    single
        The same if every rating were for itself.
    """

    value: float
    folds: int
    between: float
    users: tuple[float, float]
    items: tuple[float, float]
    single: float

    @property
    def both(self) -> tuple[float, float]:
        """Variance if ratings that share a user or an item belong together, as `users` has it."""
        variance = self.users[0] + self.items[0] - self.single
        # The sum may be below its parts where neither users nor items matter.
        return max(variance, self.users[0], self.items[0]), self.users[1] + self.items[1]


@dataclass(frozen=True)
class Difference:
    """RMSE of one level minus that of another, for a population.

    (`value` - truth) / `error` is taken as Student's t with `df` degrees of freedom.
    """

    population: str
    value: float
    error: float
    df: float

    def interval(self, level: float) -> Interval:
        """The two-sided interval of this level; its method is the name of the population."""
        half = self.error * float(stats.t.isf((1 - level) / 2, self.df))
        return Interval(self.population, self.value - half, self.value + half, level)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p of the hypothesis that the difference is `null`."""
        if not self.error:
            return float(self.value == null)
        return float(2 * stats.t.sf(abs(self.value - null) / self.error, self.df))


def of_fold(predictions: Mapping[str, ArrayLike], test: sparse.csr_array) -> Influence:
    """Influence of the test ratings of one fold.

    Parameters
    ----------
    predictions
        For each level the predictions of the stored entries of `test`, in CSR order: one row, or
        one for each seed (seeds × entries), over which RMSE and influence are averaged.
    test
        Users × items, CSR; all folds have the same shape.

    Raises
    ------
    ValueError
        If there are not as many predictions as ratings, no ratings, or one is not finite.
    """
    levels = len(predictions)
    rmse = np.empty(levels)
    each = np.empty((levels, test.nnz))
    for place, values in enumerate(predictions.values()):
        squares = [np.square(errors(one, test.data)) for one in np.atleast_2d(np.asarray(values))]
        means = [one.mean() for one in squares]
        rmse[place] = np.mean(np.sqrt(means))
        # Of a perfect predictor, whose errors are all 0, no rating has influence.
        scaled = [
            (one - mean) / (2 * np.sqrt(mean) or 1.0)
            for one, mean in zip(squares, means, strict=True)
        ]
        each[place] = np.mean(scaled, axis=0) / test.nnz
    products = np.zeros((levels, levels))
    for start in range(0, test.nnz, BATCH):
        part = each[:, start : start + BATCH]
        products += part @ part.T
    rows, (users, items) = row_numbers(test), test.shape
    return Influence(
        tuple(predictions),
        rmse[None, :],
        np.stack([np.bincount(rows, one, users) for one in each], axis=1),
        np.stack([np.bincount(test.indices, one, items) for one in each], axis=1),
        products,
    )


def of_folds(folds: Iterable[tuple[Mapping[str, ArrayLike], sparse.csr_array]]) -> Influence:
    """Influence of the test ratings of several folds, one after another; see `of_fold`."""
    return reduce(Influence.__add__, (of_fold(*fold) for fold in folds))


def of_levels(
    levels: pd.DataFrame,
    predictions: Callable[[str, str, str], pd.DataFrame],
    tests: Callable[[str], sparse.csr_array],
) -> Influence:
    """Influence of the test ratings on any levels, from the predictions that a study has made.

    Parameters
    ----------
    levels
        Columns level, fold, method, k, reg (text): the setting that predicts each fold of a level.
        Every level has every fold; the settings may differ from fold to fold.
    predictions
        As `cfmf.evaluation.collect.details` calls it.
    tests
        Called with a fold; returns its test matrix.

    Raises
    ------
    ValueError
        As `details`, or if a level lacks a fold.
    """
    held = pd.crosstab(levels["level"], levels["fold"])
    for place in np.argwhere(held.to_numpy() == 0)[:1]:
        level, fold = held.index[place[0]], held.columns[place[1]]
        raise ValueError(
            f"{level} has no setting for fold {fold}; compare levels of the same folds"
        )
    order = list(dict.fromkeys(levels["level"]))

    def of(fold: str, rows: pd.DataFrame) -> tuple[dict[str, ArrayLike], sparse.csr_array]:
        test, found = tests(fold), {}
        for level, method, k, reg in rows[["level", "method", "k", "reg"]].itertuples(index=False):
            frame = predictions(method, k, reg)
            what = f"{method} in fold {fold}"
            found[level] = np.stack(by_seed(frame[frame["fold"] == fold], test, what))
        return {level: found[level] for level in order}, test

    return of_folds(of(str(fold), rows) for fold, rows in levels.groupby("fold", sort=False))


def components(
    influence: Influence, first: str, second: str, repeats: int = 1
) -> Components | None:
    """What the variance of the RMSE of `first` minus that of `second` consists of.

    Parameters
    ----------
    influence
        Of all folds.
    first, second
        Names of the levels.
    repeats
        How many times each rating is tested: of repeated cross-validation the number of its
        repeats.

    Returns
    -------
    None with fewer than two folds, which do not show how results vary with the training ratings.
    """
    contrast = np.zeros(len(influence.levels))
    for level, sign in ((first, 1), (second, -1)):
        contrast[influence.levels.index(level)] += sign
    d = influence.rmse @ contrast
    if d.size < 2:
        return None
    users, items = (
        _clustered(sums @ contrast / d.size) for sums in (influence.users, influence.items)
    )
    # The influence of a rating is nearly the same in every repeat.
    single = float(contrast @ influence.products @ contrast) * repeats / d.size**2
    return Components(float(d.mean()), d.size, float(d.var(ddof=1)), users, items, single)


def differences(
    influence: Influence, first: str, second: str, ratio: float, repeats: int = 1
) -> dict[str, Difference]:
    """RMSE of level `first` minus that of level `second`, mean over folds, for every population.

    Parameters
    ----------
    influence, first, second, repeats
        As `components` takes them.
    ratio
        Test ratings over train ratings of a fold.

    Returns
    -------
    By the names in `names.POPULATIONS`; empty with fewer than two folds.
    """
    found = components(influence, first, second, repeats)
    if found is None:
        return {}
    ratings = found.between * (1 / found.folds + ratio)
    parts = {
        NEW_RATINGS: (ratings, 2 * ratings**2 / (found.folds - 1)),
        NEW_USERS: found.users,
        NEW_USERS_AND_ITEMS: found.both,
    }
    return {
        name: _difference(name, found.value, part, 1 if name == NEW_RATINGS else 1 + TRAINING)
        for name, part in parts.items()
    }


def widest(found: Iterable[Difference], level: float) -> Difference:
    """The difference whose interval of this level is widest; the first of equal ones."""
    return max(found, key=lambda one: one.error * stats.t.isf((1 - level) / 2, one.df))


def _clustered(sums: Floats) -> tuple[float, float]:
    """Variance of the total of independent sums, and the variance of this estimate.

    Sums of 0 belong to users or items without test ratings.
    """
    squares = np.square(sums[sums != 0])
    n = squares.size
    if n < 2:
        return 0.0, 0.0
    total = float(squares.sum())
    return total * n / (n - 1), max(float(np.square(squares).sum()) - total**2 / n, 0.0)


def _difference(
    population: str, value: float, part: tuple[float, float], factor: float
) -> Difference:
    """A difference with a multiple of a variance, whose own variance gives degrees of freedom."""
    variance, uncertainty = part
    # Satterthwaite (1946)
    df = max(2 * variance**2 / uncertainty, 1.0) if uncertainty else np.inf
    return Difference(population, value, float(np.sqrt(variance * factor)), df)
