"""The state of one run whose parameters the compiled kernels change: what ALS and SGD share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from cfmf.factorization.model import Factorization, rated_rows
from cfmf.factorization.objective import as_model, blocks_of, side_by_side
from cfmf.kernels.solve import root_mean_square_error
from cfmf.tasks import Task


class Blocks:
    """Left and right arrays as in `objective`, and the best of them so far.

    Parameters
    ----------
    task
        What is trained on.
    users, items
        The factors at the start, users × k and items × k, of the dtype to compute in; not used
        where the task has a start.
    """

    steps_alone = True

    def __init__(self, task: Task, users: np.ndarray, items: np.ndarray) -> None:
        self.task, self.k = task, users.shape[1]
        self.left, self.right = side_by_side(users, items)
        if isinstance(task.start, Factorization):
            self.left, self.right = (block.astype(users.dtype) for block in blocks_of(task.start))
        self.best = (self.left.copy(), self.right.copy())
        self.mean = float(task.train.data.mean(dtype=np.float64))

    def penalty(self) -> float:
        """What the objective adds to half the sum of squared errors."""
        raise NotImplementedError

    def rmse(self, part: sparse.csr_array | None) -> float:
        """Of the current parameters; NaN of no part."""
        if part is None:
            return np.nan
        return root_mean_square_error(part, self.left, self.right, self.mean)

    def measure(self) -> np.ndarray:
        """Loss, and train, validation and test RMSE."""
        task = self.task
        train = self.rmse(task.train)
        loss = 0.5 * train**2 + self.penalty() / task.train.nnz
        test = task.test if task.watch_test else None
        return np.array([[loss, train, self.rmse(task.validation), self.rmse(test)]])

    def keep(self, runs: np.ndarray) -> None:
        """Copy the parameters, as the best so far."""
        self.best = (self.left.copy(), self.right.copy())

    def model(self) -> Factorization:
        """The kept model."""
        return as_model(*self.best, self.k, self.mean, rated=rated_rows(self.task.train))

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the training."""
        best_left, best_right = self.best
        return {
            "left": self.left,
            "right": self.right,
            "best_left": best_left,
            "best_right": best_right,
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        self.left, self.right = state["left"], state["right"]
        self.best = (state["best_left"], state["best_right"])
