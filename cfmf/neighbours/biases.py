"""Biases of users and items: how far each is from the mean rating, shrunk towards it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.observed import checked, mixed, root_mean_square, row_keys, row_numbers

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

    def residuals(self, ratings: sparse.csr_array) -> NDArray[np.float32]:
        """Stored ratings minus b_ui, in CSR order, float32; subtracted in float64."""
        found = ratings.data - (self.mean + self.user[row_numbers(ratings)])
        return (found - self.item[ratings.indices]).astype(np.float32)


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
    user_count, item_count = train.shape
    user_weight = np.maximum(np.diff(train.indptr) + reg_user, 1e-12)
    item_weight = np.maximum(np.bincount(train.indices, minlength=item_count) + reg_item, 1e-12)
    # Σ (x − μ − b) = Σ (x − μ) − Σ b: the first sum once, the second by two products a sweep.
    matrix = train.astype(np.float64)
    matrix.data -= mean
    user_sum, item_sum = matrix @ np.ones(item_count), matrix.T @ np.ones(user_count)
    matrix.data[:] = 1
    user_bias = np.zeros(user_count)
    for _ in range(sweeps):
        item_bias = (item_sum - matrix.T @ user_bias) / item_weight
        user_bias = (user_sum - matrix @ item_bias) / user_weight
    return Biases(mean, user_bias, item_bias)


def tuned_regs(train: sparse.csr_array) -> tuple[float, float]:
    """Weights of the squared biases of users and items that predict held-out ratings best.

    They are held out of `train` itself, so that the weights are a function of the training ratings
    alone: a model whose biases have them needs no validation part, and is the same whoever trains
    it. From `REGS` on, one weight at a time is doubled or halved while that lowers the error, and
    then changed by smaller factors. Which ratings are held out depends on neither unit nor order.

    Returns
    -------
    The weights; `REGS` where there is too little to hold out.
    """
    train = checked(train)
    splits = _splits(train)
    known: dict[tuple[float, float], float] = {}

    def error(regs: tuple[float, float]) -> float:
        if regs not in known:
            left = [fit_biases(fit, *regs, TUNING_SWEEPS).residuals(held) for fit, held in splits]
            known[regs] = root_mean_square(np.concatenate(left))
        return known[regs]

    best = REGS
    for step in STEPS if splits else ():
        while True:
            user, item = best
            around = [(user * by, item) for by in (step, 1 / step)]
            around += [(user, item * by) for by in (step, 1 / step)]
            around = [regs for regs in around if LIMITS[0] <= min(regs) and max(regs) <= LIMITS[1]]
            nearby = min(around, key=error)
            if not error(nearby) < error(best) * (1 - GAIN):
                break
            best = nearby
    return best


def _splits(train: sparse.csr_array) -> list[tuple[sparse.csr_array, sparse.csr_array]]:
    """Pairs of a matrix without some of the ratings and one of these alone."""
    users, items = row_keys(train)
    part = mixed(users[row_numbers(train)] + mixed(items[train.indices])) % np.uint64(PARTS)
    wanted = np.clip(ENOUGH * PARTS // train.nnz, 1, PARTS)
    choices = [part == number for number in range(int(wanted))]
    return [
        (_entries(train, ~held), _entries(train, held))
        for held in choices
        if 0 < np.count_nonzero(held) < train.nnz
    ]


def _entries(ratings: sparse.csr_array, chosen: NDArray[np.bool_]) -> sparse.csr_array:
    """The matrix of the chosen entries alone."""
    before = np.concatenate([[0], np.cumsum(chosen)])
    starts = before[ratings.indptr].astype(ratings.indptr.dtype)
    kept = (ratings.data[chosen], ratings.indices[chosen], starts)
    return sparse.csr_array(kept, shape=ratings.shape)
