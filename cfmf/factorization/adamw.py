"""Factorization by full-batch AdamW, as the study did it and as it should be done.

One class, whose options are the difference. It computes on the CPU, by the kernels of
`cfmf.kernels.full_batch`, and does not need torch; `cfmf.factorization.torch_adamw` does the same
on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from scipy import sparse

from cfmf.factorization.curve import Stopping, fit_one_by_one
from cfmf.factorization.model import Factorization, rated_rows
from cfmf.factorization.objective import (
    as_model,
    bias_regs,
    blocks_of,
    row_weights,
    side_by_side,
    silence_unrated,
    start_factors,
)
from cfmf.kernels.full_batch import add_errors, advance, penalty_of
from cfmf.tasks import Fitted, Solver, Task

PENALTY_NAMES = ["l2", "cubic", "decay"]
BETAS = 0.9, 0.999
ADVICE = "lower learning_rate, or reg if it is large"
PART, PARTS = 10**6, 8


@dataclass(frozen=True)
class AdamW(Solver):
    """Matrix factorization trained by AdamW on all observed pairs at once.

    Minimizes the objective J of `cfmf.factorization.objective`, or what the options make of it.

    Attributes
    ----------
    k, reg
        Number of factors; strength of the penalty.
    learning_rate, epsilon
        Of AdamW; its β are 0.9 and 0.999. A step moves a parameter by about learning_rate, whatever
        the ratings' spread.
    max_epochs
        Steps taken at most.
    tolerance
        Stop once the loss changes by less than this between two epochs; 0 never stops.
    patience
        Stop when the validation RMSE has not fallen below its minimum for as many epochs, and keep
        the parameters of the minimum; None keeps those of the last epoch.
    biases
        Whether the mean and the biases b and c are in the model.
    penalty
        `l2`, ½ ‖v‖², or `cubic`, ⅓ ‖v‖³, of the factors v of a row, biases having `l2` always; or
        `decay`: no penalty in J, AdamW shrinks parameters by learning_rate · reg a step.
    weighting
        How the penalty of a row grows with its ratings (`row_weights`).
    bias_reg
        Strength of the biases' penalty where a task has none: about so many ratings' worth of
        shrinkage to the mean. Of a bounded output, a bias counts by how far it moves a prediction
        at the mean rating.
    initial_scale, scale_by_k
        Standard deviation of the normal start of U and V, divided by √k or not. Biases start at 0.
    loss
        `mse`: half the mean square error, as in J; or `rmse`, its root, as the study's JAX code
        minimizes it (with the penalty `decay` only). Gradients and what `tolerance` is compared
        with differ; the RMSE of the curve does not.
    same_key
        Whether U and V are drawn from one state of the generator, as the study's JAX code does:
        where there are as many users as items, both start from the same numbers.
    bounded
        Whether x̂ is squashed between the bounds of each task by a logistic function.
    dtype
        Of the numbers computed with.

    Notes
    -----
    Loshchilov & Hutter (2019), *Decoupled weight decay regularization*; Koren, Bell & Volinsky
    (2009), *Matrix factorization techniques for recommender systems*.
    """

    k: int
    reg: float = 0.15
    learning_rate: float = 0.05
    max_epochs: int = 1000
    tolerance: float = 0.0
    patience: int | None = 30
    biases: bool = True
    penalty: str = "l2"
    weighting: float = 0.5
    bias_reg: float = 3.0
    initial_scale: float = 0.1
    scale_by_k: bool = True
    epsilon: float = 1e-12
    loss: str = "mse"
    same_key: bool = False
    bounded: bool = False
    dtype: type = field(default=np.float32, repr=False)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; a factorization needs at least 1 factor")
        if self.reg < 0:
            raise ValueError(f"reg is {self.reg}; it must not be negative")
        if self.penalty not in PENALTY_NAMES:
            raise ValueError(f"penalty is {self.penalty!r}; it must be one of {PENALTY_NAMES}")
        if self.loss not in ("mse", "rmse"):
            raise ValueError(f"loss is {self.loss!r}; it must be mse or rmse")
        if self.loss == "rmse" and (self.penalty != "decay" or self.biases):
            raise ValueError("loss is rmse; that needs penalty decay and no biases")

    def fit_tasks(self, tasks: Sequence[Task], checkpoint: Path | None = None) -> list[Fitted]:
        """Train on several matrices, one after another.

        Raises
        ------
        FloatingPointError
            If a loss is no longer finite.
        """
        start = partial(_Training, self)
        return fit_one_by_one(tasks, start, self.stopping, self, ADVICE, checkpoint)

    @property
    def stopping(self) -> Stopping:
        """When a training ends."""
        return Stopping(self.max_epochs, self.tolerance, self.patience)

    @property
    def decay(self) -> float:
        """Weight decay of AdamW."""
        return self.reg if self.penalty == "decay" else 0.0

    def first_blocks(self, task: Task) -> tuple[np.ndarray, np.ndarray]:
        """Left and right array: normal factors and zero biases, or the task's own start.

        A row without ratings starts, and so stays, at zero.
        """
        if isinstance(task.start, Factorization):
            return blocks_of(task.start, self.biases)
        deviation = self.initial_scale / (self.k**0.5 if self.scale_by_k else 1.0)
        users, items = start_factors(*task.train.shape, self.k, deviation, task.seed, self.same_key)
        if self.penalty != "decay":
            users, items = silence_unrated(users, items, task.train)
        return side_by_side(users, items, self.biases)

    def offset(self, task: Task) -> float:
        """What is predicted before any parameter: the mean rating, on the scale of the sum."""
        if not self.biases:
            return 0.0
        if not self.bounded:
            return float(task.train.data.mean(dtype=np.float64))
        share = mean_share(task)
        return float(np.log(share / (1 - share)))

    def penalty_weights(self, task: Task) -> list[np.ndarray]:
        """w_row / N of every user and of every item, float64."""
        train = task.train
        counts = np.diff(train.indptr), np.bincount(train.indices, minlength=train.shape[1])
        return [row_weights(side, self.weighting) / train.nnz for side in counts]

    def bias_weights(self, task: Task) -> np.ndarray:
        """Strengths of the penalties of the users' and of the items' biases in the objective.

        `bias_reg` is in ratings; a bias of a bounded output is on the scale of the sum.
        """
        slope = 1.0
        if self.bounded:  # how far a prediction at the mean rating moves with its sum
            (low, high), share = bounds_of(task), mean_share(task)
            slope = (high - low) * share * (1 - share)
        return np.array(bias_regs(task, self.bias_reg)) * slope**2 / task.train.nnz


class _Training:
    """The state of one run, in NumPy arrays that compiled kernels change.

    Parameters have the layout of `cfmf.factorization.objective`. Rows are dealt into parts that
    depend on the data only, so that results do not depend on the number of threads.
    """

    steps_alone = False  # its gradients come from `measure`

    def __init__(self, settings: AdamW, task: Task) -> None:
        self.settings, self.task = settings, task
        self.blocks: list[np.ndarray] = [
            block.astype(settings.dtype) for block in settings.first_blocks(task)
        ]
        self.best = [block.copy() for block in self.blocks]
        self.moments = [(np.zeros_like(block), np.zeros_like(block)) for block in self.blocks]
        self.epoch = 0
        watched = {"train": task.train, "validation": task.validation}
        watched["test"] = task.test if task.watch_test else None
        self.pairs = {
            name: Pairs(part, settings.dtype) for name, part in watched.items() if part is not None
        }
        self.cuts = self.pairs["train"].cuts(self.blocks[1].size)
        parts = len(self.cuts) - 1
        self.gradients = [
            np.empty_like(self.blocks[0]),
            np.empty((parts, *self.blocks[1].shape), settings.dtype),
        ]
        self.weights: list[np.ndarray] = [
            (settings.reg * weights * (settings.penalty != "decay")).astype(settings.dtype)
            for weights in settings.penalty_weights(task)
        ]
        low, high = bounds_of(task)
        numbers = settings.offset(task), low, high - low
        self.output = (*map(settings.dtype, numbers), settings.bounded)
        self.columns = self.roles()

    def roles(self) -> list[np.ndarray]:
        """Of each side, 3 × columns: 1 at factors, the root of a bias's penalty, 1 where free."""
        settings, k = self.settings, self.settings.k
        strengths = settings.bias_weights(self.task) * (settings.penalty != "decay")
        found: list[np.ndarray] = []
        for block, bias, strength in zip(self.blocks, (k, k + 1), strengths, strict=True):
            columns: np.ndarray = np.zeros((3, block.shape[1]), settings.dtype)
            columns[0, :k] = columns[2, :k] = 1
            if settings.biases:
                columns[1, bias], columns[2, bias] = np.sqrt(strength), 1
            found.append(columns)
        return found

    @property
    def cubic(self) -> bool:
        """Whether a row's penalty is its length to the third power."""
        return self.settings.penalty == "cubic"

    def measure(self) -> np.ndarray:
        """Set the gradients; return loss, and train, validation and test RMSE."""
        pairs = self.pairs["train"]
        by_row, by_column = self.gradients
        by_column[:] = 0

        def add(part: int) -> float:
            rows = self.cuts[part], self.cuts[part + 1]
            gradients = by_row, by_column[part]
            return float(add_errors(*rows, pairs.arrays, (*self.blocks,), gradients, self.output))

        mean_square = sum(in_threads(add, range(len(by_column)))) / pairs.count
        for part in range(1, len(by_column)):
            by_column[0] += by_column[part]
        self.scale, loss = 1 / pairs.count, 0.5 * mean_square
        if self.settings.loss == "rmse":
            loss = np.sqrt(mean_square)
            self.scale /= loss
        if self.settings.penalty != "decay":
            for side in zip(self.blocks, self.weights, self.columns, strict=True):
                loss += penalty_of(*side, self.cubic)
        rmse = np.sqrt(mean_square)
        return np.array([[loss, rmse, self.rmse("validation"), self.rmse("test")]])

    def rmse(self, part: str) -> float:
        """Of the current parameters; NaN of a part that is not watched."""
        if part not in self.pairs:
            return np.nan
        pairs = self.pairs[part]
        cuts = pairs.cuts()
        nothing = tuple(block[:0] for block in self.blocks)

        def squares(at: int) -> float:
            rows = cuts[at], cuts[at + 1]
            return float(add_errors(*rows, pairs.arrays, (*self.blocks,), nothing, self.output))

        return float(np.sqrt(sum(in_threads(squares, range(len(cuts) - 1))) / pairs.count))

    def step(self) -> None:
        """One step of AdamW along the gradients that `measure` set."""
        settings = self.settings
        self.epoch += 1
        first, second = (1 - beta**self.epoch for beta in BETAS)
        keep = 1 - settings.learning_rate * settings.decay
        length, epsilon = settings.learning_rate / first, settings.epsilon
        numbers = (
            *(self.scale, keep, *(1 - beta for beta in BETAS)),
            *(length * second**0.5, epsilon * second**0.5),
        )
        rates = tuple(map(settings.dtype, numbers))
        gradients = self.gradients[0], self.gradients[1][0]
        parts = len(self.cuts) - 1
        for side in zip(
            self.blocks, gradients, self.moments, self.weights, self.columns, strict=True
        ):

            def work(part: int, side: tuple[Any, ...] = side) -> None:
                rows = (len(side[0]) * end // parts for end in (part, part + 1))
                advance(*rows, *side, self.cubic, rates)

            in_threads(work, range(parts))
        if settings.biases and settings.decay:
            self.blocks[0][:, settings.k + 1] = 1
            self.blocks[1][:, settings.k] = 1

    def keep(self, runs: np.ndarray) -> None:
        """Copy the parameters, as the best so far."""
        for kept, block in zip(self.best, self.blocks, strict=True):
            kept[:] = block

    def model(self) -> Factorization:
        """The kept model."""
        settings, task = self.settings, self.task
        left, right = self.best
        return as_model(
            left,
            right,
            settings.k,
            settings.offset(task),
            settings.biases,
            bounds_of(task) if settings.bounded else None,
            rated_rows(task.train),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that change from epoch to epoch, by name."""
        found = {}
        for place, side in enumerate(("left", "right")):
            found[side], found[f"best_{side}"] = self.blocks[place], self.best[place]
            found[f"{side}_mean"], found[f"{side}_square"] = self.moments[place]
        return found

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the training."""
        return {**self.arrays(), "epoch": np.array(self.epoch)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        for name, array in self.arrays().items():
            array[:] = state[name]
        self.epoch = int(state["epoch"])


class Pairs:
    """The observed pairs of a matrix as the kernels take them.

    Parameters
    ----------
    matrix
        CSR, users × items; a stored entry is an observed pair, whatever its value.
    dtype
        Of the ratings, which are copied if theirs is another.
    """

    def __init__(self, matrix: sparse.csr_array, dtype: type) -> None:
        self.arrays: tuple[np.ndarray, ...] = (
            matrix.indptr.astype(np.int64),
            matrix.indices,
            matrix.data.astype(dtype, copy=False),
        )
        self.count = int(matrix.nnz)

    def cuts(self, held: int = 0) -> list[int]:
        """Rows at which parts of about as many pairs begin, and the end.

        There is one part below `PART` pairs and at most `PARTS`, of which each holds as many
        numbers of its own as `held`, together no more than there are pairs.
        """
        parts = min(PARTS, self.count // max(held, 1)) if self.count >= PART else 1
        indptr = self.arrays[0]
        ends = np.searchsorted(indptr, np.arange(1, parts) * self.count / max(parts, 1))
        return [0, *ends.tolist(), len(indptr) - 1]


def in_threads(work: Callable[[int], Any], parts: range) -> list[Any]:
    """Results of `work` for each part, in as many threads as numba may use."""
    if len(parts) == 1 or (threads := numba.get_num_threads()) == 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))


def bounds_of(task: Task) -> tuple[float, float]:
    """Lowest and highest rating that a task's bounded output can give."""
    ratings = task.train.data
    return task.bounds or (float(ratings.min()), float(ratings.max()))


def mean_share(task: Task) -> float:
    """Where between a task's bounds its mean rating is, from 0 to 1 and at neither."""
    low, high = bounds_of(task)
    mean = float(task.train.data.mean(dtype=np.float64))
    return min(max((mean - low) / ((high - low) or 1.0), 1e-3), 1 - 1e-3)
