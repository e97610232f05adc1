"""Alternating least squares: the corrected objective, minimized exactly one side at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import sparse

from cfmf.factorization.curve import Stopping, fit_one_by_one
from cfmf.factorization.objective import bias_regs, row_weights, start_factors
from cfmf.factorization.parameters import Blocks
from cfmf.kernels.solve import solve_rows
from cfmf.tasks import Fitted, Solver, Task


@dataclass(frozen=True)
class ALS(Solver):
    """Matrix factorization by alternating least squares, with biases.

    A sweep solves every user's factors and bias given the items', then every item's given the
    users': 2 N c² multiply-adds and two Cholesky factorizations' worth of c³ / 6 a row, for
    c = k + 1.

    Attributes
    ----------
    k, reg, weighting, bias_reg
        As `cfmf.factorization.objective`, with ρ(v) = ½ ‖v‖².
    max_epochs
        Sweeps at most.
    tolerance
        Stop once the objective changes by less than this share of itself in a sweep.
    patience
        Stop when the validation RMSE has not fallen below its minimum for as many sweeps, and keep
        the minimum.
    initial_scale
        The initial factors are normal with standard deviation initial_scale / √k.
    device
        Not used: where to compute, which is the CPU.

    Notes
    -----
    Zhou, Wilkinson, Schreiber & Pan (2008), *Large-scale parallel collaborative filtering for the
    Netflix Prize*.
    """

    k: int
    reg: float = 0.15
    weighting: float = 0.5
    bias_reg: float = 3.0
    max_epochs: int = 50
    tolerance: float = 1e-4
    patience: int | None = 3
    initial_scale: float = 0.5
    device: str = "cpu"
    dtype: type = np.float32

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; a factorization needs at least 1 factor")
        if self.reg <= 0 or self.bias_reg <= 0:
            raise ValueError(
                f"reg is {self.reg} and bias_reg {self.bias_reg}; ALS needs both above 0,"
                " or rows with few ratings have no unique solution"
            )

    def fit_tasks(self, tasks: Sequence[Task], checkpoint: Path | None = None) -> list[Fitted]:
        """Train on several matrices, one after another.

        Raises
        ------
        FloatingPointError
            If the objective is no longer finite, or a row has no unique solution.
        """
        return self.fit_from(partial(ALSTraining, self), tasks, checkpoint)

    def fit_from(
        self, start: Callable[[Task], ALSTraining], tasks: Sequence[Task], checkpoint: Path | None
    ) -> list[Fitted]:
        """`fit_tasks`, where `start` makes the state that a task starts from."""
        stopping = Stopping(self.max_epochs, self.tolerance, self.patience, relative=True)
        return fit_one_by_one(tasks, start, stopping, self, "raise reg", checkpoint)


def best_rows(
    ratings: sparse.csr_array,
    precision: np.ndarray,
    other: np.ndarray,
    own_one: int,
    mean: float,
    active: int,
    serial: bool = False,
) -> np.ndarray:
    """Factors and biases of some rows that minimize the objective given the other side's.

    Parameters
    ----------
    ratings
        Rows × rows of the other side, CSR.
    precision
        Rows × c: what the penalty adds to the diagonal of each row's normal equations.
    other
        The other side's array, as `cfmf.factorization.objective` has it.
    own_one
        The column of ones in these rows, in which `other` has its biases.
    mean
        Mean of the ratings.
    active, serial
        As `cfmf.kernels.solve.solve_rows`.

    Returns
    -------
    Rows × c, of the dtype of `other`.

    Raises
    ------
    FloatingPointError
        If a row has no unique solution.
    """
    design = other.copy()
    design[:, own_one] = 0  # the other side's bias is an offset, not a regressor
    offsets, pull = mean + other[:, own_one], np.zeros_like(precision)
    ones = np.ones(len(other), other.dtype)
    found = solve_rows(ratings, design, offsets, ones, precision, pull, active, serial=serial)
    found[:, own_one] = 1
    return found


class Side:
    """One side's rows: their ratings, and the penalty's part of their normal equations."""

    def __init__(
        self, ratings: sparse.csr_array, settings: ALS, bias: int, bias_reg: float, columns: int
    ) -> None:
        self.ratings = ratings
        counts = np.diff(ratings.indptr)
        weights = settings.reg * row_weights(counts, settings.weighting)
        self.precision: np.ndarray = np.ones((len(counts), columns), settings.dtype)
        self.precision[:, : settings.k] = np.where(counts > 0, weights, 1)[:, None]
        self.precision[:, bias] = bias_reg
        self.bias = bias

    def penalty(self, block: np.ndarray, k: int) -> float:
        """½ Σ precision · parameter² of the rows."""
        chosen = [*range(k), self.bias]
        return 0.5 * float(
            np.sum(self.precision[:, chosen] * np.square(block[:, chosen]), dtype=np.float64)
        )


class ALSTraining(Blocks):
    """State of one run."""

    def __init__(self, settings: ALS, task: Task) -> None:
        k, deviation = settings.k, settings.initial_scale / settings.k**0.5
        users, items = start_factors(*task.train.shape, k, deviation, task.seed)
        super().__init__(task, users.astype(settings.dtype), items.astype(settings.dtype))
        columns = self.left.shape[1]
        of_users, of_items = bias_regs(task, settings.bias_reg)
        by_item = sparse.csr_array(task.train.T.tocsr())
        self.users = Side(task.train, settings, k, of_users, columns)
        self.items = Side(by_item, settings, k + 1, of_items, columns)

    def step(self) -> None:
        """A sweep: users, then items."""
        self.solve(self.users, self.left, self.right, self.k + 1)
        self.solve(self.items, self.right, self.left, self.k)

    def solve(self, side: Side, block: np.ndarray, other: np.ndarray, own_one: int) -> None:
        """Replace `block`'s factors and biases by the best ones given the other side."""
        block[:] = best_rows(side.ratings, side.precision, other, own_one, self.mean, self.k + 2)

    def penalty(self) -> float:
        """Of both sides."""
        return self.users.penalty(self.left, self.k) + self.items.penalty(self.right, self.k)
