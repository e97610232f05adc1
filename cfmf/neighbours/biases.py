"""Biases of users and items: how far each is from the mean rating, shrunk towards it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.observed import checked, row_numbers

SWEEPS = 10


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
