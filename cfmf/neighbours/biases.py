"""Biases of users and items: how far each is from the mean rating, shrunk towards it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.observed import checked, entries, mixed, root_mean_square, row_keys, row_numbers

SWEEPS = 10
REGS = (10.0, 5.0)
"""Weights of the squared biases of users and of items where nothing tunes them."""
LIMITS = 0.5, 10_000.0
"""Lowest and highest weight that `tuned_regs` tries."""
STEPS = 2.0, 2**0.5
"""Factors by which it changes a weight, one after the other."""
PARTS, ENOUGH = 10, 10_000
"""It holds out a tenth of the ratings, and another one until there are about so many."""
TUNING_SWEEPS = 6
MOST = 10_000_000
"""Ratings that it looks at, about."""
Weights = float | NDArray[np.float64]
CHUNK = 2**22
"""Ratings whose residuals are computed at once."""
GAIN = 1e-5  # share of the RMSE that a step of its search must gain


@dataclass(frozen=True)
class Biases:
    """b_ui = μ + b_u + b_i; float64, 0 for a user or item without ratings."""

    mean: float
    user: NDArray[np.float64]
    item: NDArray[np.float64]

    def predict(
        self, users: NDArray[np.integer], items: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """b_ui of every pair, float32."""
        return (self.mean + self.user[users] + self.item[items]).astype(np.float32)

    def residuals(self, ratings: sparse.csr_array, first: int = 0) -> NDArray[np.float32]:
        """Stored ratings minus b_ui, in CSR order, float32; rows are users from `first` on."""
        users = row_numbers(ratings)
        found = np.empty(ratings.nnz, np.float32)
        # Subtracted in float64, of which there is no room for that of all ratings.
        for start in range(0, ratings.nnz, CHUNK):
            part = slice(start, start + CHUNK)
            left = ratings.data[part] - (self.mean + self.user[first + users[part]])
            found[part] = left - self.item[ratings.indices[part]]
        return found

    def with_users(self, ratings: sparse.csr_array, reg_user: float) -> Biases:
        """With those of new users, a row of `ratings` each: the minimum given the items' biases."""
        counts = np.diff(ratings.indptr)
        left = ratings.data - self.mean - self.item[ratings.indices]
        sums = np.bincount(row_numbers(ratings), left, minlength=ratings.shape[0])
        new = sums / np.maximum(counts + reg_user, 1e-12)
        return Biases(self.mean, np.concatenate([self.user, new]), self.item)


def fit_biases(
    train: sparse.csr_array, reg_user: float, reg_item: float, sweeps: int = SWEEPS
) -> Biases:
    """The biases of a users × items matrix that minimize a regularized squared error.

    Σ_Ω (x_ui − μ − b_u − b_i)² + reg_user Σ b_u² + reg_item Σ b_i², solved by alternating closed
    forms, the items first (Koren, 2010, sec. 2.1; the order and the ten sweeps are Surprise's).

    Parameters
    ----------
    reg_user, reg_item
        Weight of the squared biases, in ratings: a user with `reg_user` ratings keeps half of
        their mean deviation.
    sweeps
        Alternations; after ten, biases change by far less than a thousandth of the ratings' spread.

    Raises
    ------
    ValueError
        If a weight is negative or the matrix cannot be used.
    """
    if not (reg_user >= 0 and reg_item >= 0):
        raise ValueError(f"reg_user is {reg_user} and reg_item {reg_item}; neither may be negative")
    train = checked(train)
    mean = float(train.data.mean(dtype=np.float64))
    user, item = _Equations.of(train, mean).solve(reg_user, reg_item, sweeps)
    return Biases(mean, user, item)


@dataclass(frozen=True)
class _Equations:
    """What biases are solved from for any weights: who rated what, counts, and sums of x − μ.

    Σ (x − μ − b) = Σ (x − μ) − Σ b: the first sum once, the second by two products a sweep.
    """

    by_user: sparse.csr_array
    by_item: sparse.csr_array
    user_sum: NDArray[np.float64]
    item_sum: NDArray[np.float64]

    @classmethod
    def of(cls, train: sparse.csr_array, mean: float | NDArray[np.float64]) -> _Equations:
        """Equations of a matrix and the mean of its ratings, or one of each of them."""
        by_user = train.astype(np.float64)
        by_user.data -= mean
        by_item = sparse.csr_array(by_user.T)
        user_sum, item_sum = by_user @ np.ones(train.shape[1]), by_item @ np.ones(train.shape[0])
        by_user.data[:] = by_item.data[:] = 1
        return cls(by_user, by_item, user_sum, item_sum)

    def solve(
        self, reg_user: Weights, reg_item: Weights, sweeps: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Biases of users and of items, with a column for each of several pairs of weights."""
        users, items = (
            np.maximum(np.add.outer(np.diff(one.indptr), reg), 1e-12)
            for one, reg in ((self.by_user, reg_user), (self.by_item, reg_item))
        )
        columns = (...,) if users.ndim == 1 else (..., None)
        user_bias = np.zeros(users.shape)
        for _ in range(sweeps):
            item_bias = self.by_item @ user_bias
            np.subtract(self.item_sum[columns], item_bias, out=item_bias)
            item_bias /= items
            user_bias = self.by_user @ item_bias
            np.subtract(self.user_sum[columns], user_bias, out=user_bias)
            user_bias /= users
        return user_bias, item_bias


def tuned_regs(train: sparse.csr_array) -> tuple[float, float]:
    """Weights of the squared biases of users and items that predict held-out ratings best.

    They are held out of `train` itself, so that the weights are a function of the training ratings
    alone: a model whose biases have them needs no validation part, and is the same whoever trains
    it. From `REGS` on, one weight at a time is doubled or halved while that lowers the error, and
    then changed by smaller factors. Of more than `MOST` ratings, those of some of the users are
    looked at: a weight is the ratio of two variances, which does not depend on their number. Which
    users these are, and which ratings are held out, depends on neither unit nor order.

    Returns
    -------
    The weights; `REGS` where there is too little to hold out.
    """
    errors_of = _held_out_errors(_some_users(checked(train)))
    if errors_of is None:
        return REGS
    known: dict[tuple[float, float], float] = {}

    def errors(tried: list[tuple[float, float]]) -> list[float]:
        new = [regs for regs in tried if regs not in known]
        known.update(zip(new, errors_of(new), strict=True))
        return [known[regs] for regs in tried]

    best = REGS
    for step in STEPS:
        while True:
            user, item = best
            around = [(user * by, item) for by in (step, 1 / step)]
            around += [(user, item * by) for by in (step, 1 / step)]
            around = [regs for regs in around if LIMITS[0] <= min(regs) and max(regs) <= LIMITS[1]]
            found = errors([best, *around])
            lowest = int(np.argmin(found[1:]))
            if not found[1 + lowest] < found[0] * (1 - GAIN):
                break
            best = around[lowest]
    return best


def _some_users(train: sparse.csr_array) -> sparse.csr_array:
    """The ratings of so many users that there are about `MOST`; all where there are no more."""
    if train.nnz <= MOST:
        return train
    keys = mixed(row_keys(train)[0])
    return train[np.flatnonzero(keys < np.uint64(MOST / train.nnz * 2.0**64))]


def _held_out_errors(
    train: sparse.csr_array,
) -> Callable[[list[tuple[float, float]]], list[float]] | None:
    """RMSE on held-out ratings for each of some pairs of weights; None if too few to hold out.

    Every split is a block of one matrix, so that all are solved at once.
    """
    splits = _splits(train)
    if not splits:
        return None
    fits, held = (sparse.block_diag(parts, format="csr") for parts in zip(*splits, strict=True))
    means = np.array([fit.data.mean(dtype=np.float64) for fit, _ in splits])
    of_fit, of_held = (np.repeat(means, [pair[part].nnz for pair in splits]) for part in range(2))
    equations = _Equations.of(sparse.csr_array(fits), of_fit)
    users, items, left = row_numbers(held), held.indices, held.data - of_held

    def errors(tried: list[tuple[float, float]]) -> list[float]:
        regs = np.array(tried, dtype=np.float64).reshape(-1, 2)
        user, item = equations.solve(regs[:, 0], regs[:, 1], TUNING_SWEEPS)
        return [
            root_mean_square(left - user[users, at] - item[items, at]) for at in range(len(tried))
        ]

    return errors


def _splits(train: sparse.csr_array) -> list[tuple[sparse.csr_array, sparse.csr_array]]:
    """Pairs of a matrix without some of the ratings and one of these alone."""
    users, items = row_keys(train)
    part = mixed(users[row_numbers(train)] + mixed(items[train.indices])) % np.uint64(PARTS)
    wanted = np.clip(ENOUGH * PARTS // train.nnz, 1, PARTS)
    choices = [part == number for number in range(int(wanted))]
    return [
        (entries(train, ~held), entries(train, held))
        for held in choices
        if 0 < np.count_nonzero(held) < train.nnz
    ]
