"""The baseline predictor: a mean, and how far each user and item is from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.neighbours.ratings import checked, checked_pairs
from cfmf.observed import row_numbers


@dataclass
class Baseline:
    """b_ui = μ + b_u + b_i, with the biases that minimise a regularised squared error.

    Σ_Ω (x_ui − μ − b_u − b_i)² + reg_user Σ b_u² + reg_item Σ b_i², solved by alternating closed
    forms, the items first (Koren, 2010, sec. 2.1; the order and the ten sweeps are Surprise's).
    A user or item without ratings has bias 0. `alone` marks the pairs of the last `predict` that
    lack both, and so get the mean; `fallbacks` counts them.

    Parameters
    ----------
    reg_user, reg_item
        Weight of the squared biases, in ratings: a user with `reg_user` ratings keeps half of
        their mean deviation.
    sweeps
        Alternations; ten leave changes far below a thousandth.
    """

    reg_user: float = 15.0
    reg_item: float = 10.0
    sweeps: int = 10
    alone: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool), init=False)

    def fit(self, train: sparse.csr_array) -> Self:
        """Solve for the biases of a users × items matrix.

        Raises
        ------
        ValueError
            If a regularisation is negative or the matrix is not usable.
        """
        if self.reg_user < 0 or self.reg_item < 0:
            raise ValueError(
                f"reg_user is {self.reg_user} and reg_item {self.reg_item}; neither may be negative"
            )
        train = checked(train)
        self.mean = float(train.data.mean(dtype=np.float64))
        user_count, item_count = train.shape
        of_user = np.diff(train.indptr)
        of_item = np.bincount(train.indices, minlength=item_count)
        self.unknown_user, self.unknown_item = of_user == 0, of_item == 0
        user_weight = np.maximum(of_user + self.reg_user, 1e-12)
        item_weight = np.maximum(of_item + self.reg_item, 1e-12)
        # Σ (x − μ − b) = Σ (x − μ) − Σ b: the first sum once, the second by two products a sweep.
        matrix = train.astype(np.float64)
        matrix.data -= self.mean
        user_sum, item_sum = matrix @ np.ones(item_count), matrix.T @ np.ones(user_count)
        matrix.data[:] = 1
        self.user_bias = np.zeros(user_count)
        for _ in range(self.sweeps):
            self.item_bias = (item_sum - matrix.T @ self.user_bias) / item_weight
            self.user_bias = (user_sum - matrix @ self.item_bias) / user_weight
        return self

    @property
    def fallbacks(self) -> int:
        """How many pairs of the last `predict` had neither a known user nor a known item."""
        return int(np.count_nonzero(self.alone))

    def predict_training(
        self, train: sparse.csr_array, start: int = 0, stop: int | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Predictions of the training pairs of users from `start` up to `stop`, in CSR order."""
        own = train[start:stop]
        return {"rmse": self.predict(row_numbers(own) + start, own.indices)}

    def predict(self, users: ArrayLike, items: ArrayLike) -> NDArray[np.float32]:
        """b_ui of every pair, float32; sets `alone`.

        Raises
        ------
        ValueError
            If a user or item is outside the training matrix.
        """
        shape = (len(self.user_bias), len(self.item_bias))
        users, items = checked_pairs(users, items, shape)
        self.alone = self.unknown_user[users] & self.unknown_item[items]
        return (self.mean + self.user_bias[users] + self.item_bias[items]).astype(np.float32)
