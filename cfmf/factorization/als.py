"""Alternating least squares: the corrected objective, minimized exactly one side at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from cfmf.factorization.checkpoint import Checkpoint, fingerprint
from cfmf.factorization.kernels import inner_products, solve_rows
from cfmf.factorization.model import root_mean_square
from cfmf.factorization.objective import as_model, row_weights, side_by_side, start_factors
from cfmf.factorization.tasks import HISTORY, Fitted, Task, diverged, predict_parts
from cfmf.progress import progress


@dataclass(frozen=True)
class ALS:
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
        Stop once the objective falls by less than this share of itself in a sweep.
    patience
        Stop when the validation RMSE has not fallen below its minimum for as many sweeps, and keep
        the minimum.
    initial_scale
        Standard deviation of the start of the factors, times √k.
    scale, device
        Not used: the rating scale, and where to compute, which is the CPU.

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
    scale: tuple[float, float] | None = None
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

    def fit(
        self,
        train: sparse.csr_array,
        validation: sparse.csr_array | None = None,
        test: sparse.csr_array | None = None,
        seed: int = 1,
    ) -> Fitted:
        """Train on one matrix; see `Task` for the arguments."""
        return self.fit_tasks([Task(train, seed, validation, test)])[0]

    def fit_tasks(self, tasks: Sequence[Task], checkpoint: Path | None = None) -> list[Fitted]:
        """Train on several matrices, one after another.

        Raises
        ------
        FloatingPointError
            If the objective is no longer finite, or a row has no unique solution.
        """
        fitted = []
        for number, task in enumerate(tasks):
            path = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-{number}")
            training = _Training(self, task)
            training.run(Checkpoint(path))
            fitted.append(training.fitted())
        return fitted


class _Side:
    """One side's rows: their ratings, and the penalty's part of their normal equations."""

    def __init__(self, ratings: sparse.csr_array, settings: ALS, bias: int, columns: int) -> None:
        self.ratings = ratings
        counts = np.diff(ratings.indptr)
        weights = settings.reg * row_weights(counts, settings.weighting)
        self.precision = np.ones((len(counts), columns), settings.dtype)
        self.precision[:, : settings.k] = np.where(counts > 0, weights, 1)[:, None]
        self.precision[:, bias] = settings.bias_reg
        self.pull = np.zeros_like(self.precision)
        self.bias, self.active = bias, settings.k + 2

    def solve(self, block: np.ndarray, other: np.ndarray, own_one: int, mean: float) -> None:
        """Replace `block`'s factors and biases by the best ones given the other side."""
        design = other.copy()
        design[:, own_one] = 0  # the other side's bias is an offset, not a regressor
        block[:] = solve_rows(
            self.ratings, design, mean + other[:, own_one], 1.0, self.precision, self.pull, self.active
        )
        block[:, own_one] = 1

    def penalty(self, block: np.ndarray, k: int) -> float:
        """½ Σ precision · parameter² of the rows."""
        chosen = [*range(k), self.bias]
        return 0.5 * float(
            np.sum(self.precision[:, chosen] * np.square(block[:, chosen]), dtype=np.float64)
        )


class _Training:
    """State of one run."""

    def __init__(self, settings: ALS, task: Task) -> None:
        self.settings, self.task = settings, task
        k = settings.k
        factors = start_factors(*task.train.shape, k, settings.initial_scale / k**0.5, task.seed)
        self.left, self.right = side_by_side(*(block.astype(settings.dtype) for block in factors))
        columns = self.left.shape[1]
        self.users = _Side(task.train, settings, k, columns)
        self.items = _Side(sparse.csr_array(task.train.T.tocsr()), settings, k + 1, columns)
        self.mean = float(task.train.data.mean(dtype=np.float64))
        self.best = (self.left.copy(), self.right.copy())
        self.best_epoch, self.best_rmse = 0, np.inf
        self.history: list[list[float]] = []
        self.ended = False

    def run(self, checkpoint: Checkpoint) -> None:
        """Sweep until a rule says stop."""
        task, settings = self.task, self.settings
        run = fingerprint((settings, task.seed, task.epochs), task.train, task.validation)
        self.restore(checkpoint.load(run))
        limit = settings.max_epochs if task.epochs is None else task.epochs
        began = time.perf_counter() - (self.history[-1][6] if self.history else 0.0)
        sweeps = [] if self.ended else range(len(self.history), limit + 1)
        for epoch in progress(sweeps, f"{task.name}: sweeps of k {settings.k}"):
            if epoch:
                self.sweep()
            self.record(epoch, began, epoch == limit)
            if self.ended:
                break
            if checkpoint.due():
                checkpoint.save(run, self.state())
        checkpoint.save(run, self.state())

    def sweep(self) -> None:
        """Users, then items."""
        k = self.settings.k
        self.users.solve(self.left, self.right, k + 1, self.mean)
        self.items.solve(self.right, self.left, k, self.mean)

    def errors(self, part: sparse.csr_array) -> np.ndarray:
        """x̂ - x of the stored entries."""
        return self.mean + inner_products(part, self.left, self.right) - part.data

    def record(self, epoch: int, began: float, last: bool) -> None:
        """Measure, keep what is best, and decide whether to stop."""
        task, settings = self.task, self.settings
        train = root_mean_square(self.errors(task.train))
        penalty = self.users.penalty(self.left, settings.k)
        penalty += self.items.penalty(self.right, settings.k)
        loss = 0.5 * train**2 + penalty / task.train.nnz
        if not np.isfinite(loss):
            settings_ = f"k {settings.k}, reg {settings.reg:g}"
            raise diverged(task.name, loss, epoch, settings_, "raise reg")
        previous = self.history[-1][1] if self.history else np.inf
        validation = (
            np.nan if task.validation is None else root_mean_square(self.errors(task.validation))
        )
        test = root_mean_square(self.errors(task.test)) if self.watched() else np.nan
        seconds = time.perf_counter() - began
        delta = abs(loss - previous) if self.history else loss
        self.history.append([epoch, loss, delta, train, validation, test, seconds])
        validated = settings.patience is not None and task.validation is not None
        if not validated or validation < self.best_rmse:
            self.best = (self.left.copy(), self.right.copy())
            self.best_epoch, self.best_rmse = epoch, validation
        self.ended = last
        if task.epochs is None:
            self.ended |= previous - loss < settings.tolerance * loss
            if validated and settings.patience is not None:
                self.ended |= epoch - self.best_epoch >= settings.patience

    def watched(self) -> bool:
        """Whether the curve measures the test pairs."""
        return self.task.watch_test and self.task.test is not None

    def fitted(self) -> Fitted:
        """What the run found."""
        model = as_model(*self.best, self.settings.k, self.mean)
        history = pd.DataFrame(self.history, columns=HISTORY).astype({"epoch": np.int32})
        return Fitted(model, history, self.best_epoch, predict_parts(model, self.task))

    def state(self) -> dict[str, np.ndarray]:
        """Everything that decides how the run goes on."""
        return {
            "left": self.left,
            "right": self.right,
            "best_left": self.best[0],
            "best_right": self.best[1],
            "best": np.array([self.best_epoch, self.best_rmse]),
            "history": np.array(self.history),
            "ended": np.array(self.ended),
        }

    def restore(self, state: dict[str, np.ndarray] | None) -> None:
        """Go on from what `state` gave."""
        if state is None:
            return
        self.left, self.right = state["left"], state["right"]
        self.best = (state["best_left"], state["best_right"])
        self.best_epoch, self.best_rmse = int(state["best"][0]), float(state["best"][1])
        self.history = state["history"].tolist()
        self.ended = bool(state["ended"])
