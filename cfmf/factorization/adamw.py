"""Factorization by full-batch AdamW, as the study did it and as it should be done.

One class, whose options are the difference. Gradients are written out, from the sparse products of
`cfmf.kernels.products`: residuals at the observed pairs, then two products for the gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.adamw import adamw

from cfmf.devices import DeviceMemoryError
from cfmf.factorization.checkpoint import Checkpoint
from cfmf.factorization.curve import Curve, Stopping, fitted
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
from cfmf.factorization.penalties import PENALTIES
from cfmf.kernels.products import ObservedPairs
from cfmf.tasks import Fitted, Solver, Task


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
        `l2` or `cubic` (see `cfmf.factorization.penalties`) of the factors, biases having `l2`
        always; or `decay`: no penalty in J, AdamW shrinks parameters by learning_rate · reg a step.
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
    device
        Where to compute.

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
    device: str = "cpu"
    dtype: torch.dtype = field(default=torch.float32, repr=False)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; a factorization needs at least 1 factor")
        if self.reg < 0:
            raise ValueError(f"reg is {self.reg}; it must not be negative")
        if self.penalty not in {*PENALTIES, "decay"}:
            known = [*PENALTIES, "decay"]
            raise ValueError(f"penalty is {self.penalty!r}; it must be one of {known}")
        if self.loss not in ("mse", "rmse"):
            raise ValueError(f"loss is {self.loss!r}; it must be mse or rmse")
        if self.loss == "rmse" and (self.penalty != "decay" or self.biases):
            raise ValueError("loss is rmse; that needs penalty decay and no biases")

    def fit_tasks(self, tasks: Sequence[Task], checkpoint: Path | None = None) -> list[Fitted]:
        """Train on several matrices of one shape, side by side in one batch.

        Raises
        ------
        FloatingPointError
            If a loss is no longer finite.
        DeviceMemoryError
            If the GPU's memory does not suffice.
        """
        try:
            training = _Training(self, tasks)
            curve = Curve(
                tasks,
                Stopping(self.max_epochs, self.tolerance, self.patience),
                self,
                "lower learning_rate, or reg if it is large",
            )
            curve.train(training, Checkpoint(checkpoint))
        except torch.cuda.OutOfMemoryError as error:
            pairs = sum(task.train.nnz for task in tasks)
            raise DeviceMemoryError(
                f"the GPU has no memory left for k = {self.k}, {len(tasks)} runs side by side and"
                f" {pairs:,} ratings: lower batch_size or k, or use the CPU"
            ) from error
        return fitted(curve, training.models())


class _Training:
    """The state of one batch of runs.

    Parameters have the layout of `cfmf.factorization.objective`, the rows of all runs stacked. The
    columns of ones are put back after every step; those of zeros have no gradient and stay.
    """

    def __init__(self, settings: AdamW, tasks: Sequence[Task]) -> None:
        self.settings = settings
        self.tasks = tasks
        self.pairs = self.observed("train")
        self.watched = {
            name: self.observed(name)
            for name, wanted in [("validation", True), ("test", tasks[0].watch_test)]
            if wanted and getattr(tasks[0], name) is not None
        }
        self.bounds = [bounds_of(task) for task in tasks]
        self.low, self.width = self.of_runs([(low, high - low) for low, high in self.bounds]).T
        self.offsets = self.of_runs([self.offset(task) for task in tasks])
        self.targets = {
            name: pairs.by_run(-self.offsets) + (0 if settings.bounded else pairs.ratings)
            for name, pairs in [("train", self.pairs), *self.watched.items()]
        }
        self.left, self.right = self.start()
        self.moments = {
            name: [torch.zeros_like(block) for block in self.blocks]
            for name in ("exp_avg", "exp_avg_sq")
        }
        self.steps = [torch.zeros((), device=settings.device) for _ in self.blocks]
        self.left_weights, self.right_weights = self.penalty_weights()
        regs = self.of_runs([bias_regs(task, settings.bias_reg) for task in tasks])
        # `bias_reg` is in ratings. Of a bias on the scale of the sum, `slope` of it is a rating.
        slopes = self.of_runs([self.slope(task) for task in tasks])
        self.bias_weights = (regs * (slopes**2 / self.pairs.totals)[:, None]).T[..., None]
        self.best = [block.clone() for block in self.blocks]

    @property
    def blocks(self) -> list[torch.Tensor]:
        """The parameters: the users' side and the items'."""
        return [self.left, self.right]

    def of_runs(self, values: Sequence[Any]) -> torch.Tensor:
        """Numbers of each run, on the device."""
        return torch.from_numpy(np.array(values)).to(self.settings.device, self.settings.dtype)

    def observed(self, part: str) -> ObservedPairs:
        matrices = [getattr(task, part) for task in self.tasks]
        return ObservedPairs(matrices, self.settings.device, self.settings.dtype)

    def offset(self, task: Task) -> float:
        """What is predicted before any parameter: the mean rating, on the scale of the sum."""
        if not self.settings.biases:
            return 0.0
        mean = float(task.train.data.mean(dtype=np.float64))
        if not self.settings.bounded:
            return mean
        share = mean_share(task)
        return float(np.log(share / (1 - share)))

    def slope(self, task: Task) -> float:
        """How far a prediction at the mean rating moves with its sum."""
        if not self.settings.bounded:
            return 1.0
        low, high = bounds_of(task)
        share = mean_share(task)
        return (high - low) * share * (1 - share)

    def start(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Normal factors and zero biases, or the tasks' own start.

        A row without ratings starts, and so stays, at zero.
        """
        settings = self.settings
        deviation = settings.initial_scale / (settings.k**0.5 if settings.scale_by_k else 1.0)
        lefts, rights = [], []
        for task in self.tasks:
            users, items = start_factors(
                *task.train.shape, settings.k, deviation, task.seed, settings.same_key
            )
            if settings.penalty != "decay":
                users, items = silence_unrated(users, items, task.train)
            left, right = side_by_side(users, items, settings.biases)
            if isinstance(task.start, Factorization):
                left, right = blocks_of(task.start, settings.biases)
            lefts.append(left)
            rights.append(right)
        return self.stacked(lefts), self.stacked(rights)

    def penalty_weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """w_row / N of every user and every item, as columns."""
        left: list[np.ndarray] = []
        right: list[np.ndarray] = []
        for task in self.tasks:
            users = np.diff(task.train.indptr)
            items = np.bincount(task.train.indices, minlength=task.train.shape[1])
            for counts, weights in ((users, left), (items, right)):
                row = row_weights(counts, self.settings.weighting) / task.train.nnz
                weights.append(row[:, None])
        return self.stacked(left), self.stacked(right)

    def stacked(self, blocks: Sequence[np.ndarray]) -> torch.Tensor:
        """The runs' blocks below one another, on the device."""
        together = torch.from_numpy(np.concatenate(blocks))
        return together.to(self.settings.device, self.settings.dtype)

    def residuals(self, part: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        """x̂ - x of every observed pair, and dx̂/dsum where the output is bounded."""
        pairs = self.pairs if part == "train" else self.watched[part]
        sums = pairs.inner_products(self.left, self.right, minus=self.targets[part])
        if not self.settings.bounded:
            return sums, None
        low, width = pairs.by_run(self.low), pairs.by_run(self.width)
        share = torch.sigmoid(sums)
        return low + width * share - pairs.ratings, width * share * (1 - share)

    def penalize(self, left_gradient: torch.Tensor, right_gradient: torch.Tensor) -> torch.Tensor:
        """Add the penalty's gradients to these, and return the penalty of each run."""
        k, runs = self.settings.k, len(self.tasks)
        blocks = [block.view(runs, -1, block.shape[1]) for block in self.blocks]
        gradients = [
            block.view(runs, -1, block.shape[1]) for block in (left_gradient, right_gradient)
        ]
        weights = [weight.view(runs, -1, 1) for weight in (self.left_weights, self.right_weights)]
        penalty = PENALTIES[self.settings.penalty]
        total, *slopes = penalty(*(block[..., :k] for block in blocks), *weights)
        for gradient, slope in zip(gradients, slopes, strict=True):
            gradient[..., :k] += self.settings.reg * slope
        total = self.settings.reg * total
        if self.settings.biases:
            columns = zip(blocks, gradients, (k, k + 1), self.bias_weights, strict=True)
            for block, gradient, bias, strength in columns:
                gradient[..., bias] += strength * block[..., bias]
                total = total + 0.5 * (strength * block[..., bias].square()).sum(1)
        return total

    def measure(self) -> np.ndarray:
        """Set the gradients; return loss, and train, validation and test RMSE, a row a run."""
        k = self.settings.k
        residuals, slopes = self.residuals("train")
        pulls = residuals if slopes is None else residuals * slopes
        left_gradient, right_gradient = self.pairs.spread(pulls, self.left, self.right)
        for gradient in (left_gradient, right_gradient):
            gradient.view(len(self.tasks), -1).div_(self.pairs.totals[:, None])
        mean_squares = self.pairs.mean_squares(residuals)
        loss = 0.5 * mean_squares
        if self.settings.loss == "rmse":
            loss = mean_squares.sqrt()
            for gradient in (left_gradient, right_gradient):
                gradient.view(len(self.tasks), -1).div_(loss[:, None])
        if self.settings.penalty != "decay":
            loss = loss + self.penalize(left_gradient, right_gradient)
        if self.settings.biases:
            left_gradient[:, k + 1] = 0
            right_gradient[:, k] = 0
        self.gradients = [left_gradient, right_gradient]
        columns = [loss, mean_squares]
        for part in ("validation", "test"):
            if part in self.watched:
                columns.append(self.watched[part].mean_squares(self.residuals(part)[0]))
            else:
                columns.append(torch.full_like(mean_squares, torch.nan))
        measured: np.ndarray = torch.stack(columns, dim=1).cpu().numpy()
        measured[:, 1:] = np.sqrt(measured[:, 1:])
        return measured

    def step(self) -> None:
        """One step of AdamW along the gradients that `measure` set.

        By the function that `torch.optim.AdamW` calls: the class itself would import torch's
        compiler first, which is slow.
        """
        settings = self.settings
        adamw(
            self.blocks,
            self.gradients,
            self.moments["exp_avg"],
            self.moments["exp_avg_sq"],
            [],
            self.steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=settings.learning_rate,
            weight_decay=settings.reg if settings.penalty == "decay" else 0.0,
            eps=settings.epsilon,
            maximize=False,
        )
        if settings.biases:
            self.left[:, settings.k + 1] = 1
            self.right[:, settings.k] = 1

    def keep(self, runs: np.ndarray) -> None:
        """Copy the parameters of the chosen runs, as the best so far."""
        for kept, block in zip(self.best, self.blocks, strict=True):
            shape = (len(self.tasks), -1, kept.shape[1])
            where = torch.from_numpy(runs).to(kept.device)
            kept.view(shape)[where] = block.view(shape)[where]

    def models(self) -> list[Factorization]:
        """The kept models of the runs."""
        left, right = (
            block.view(len(self.tasks), -1, block.shape[1]).cpu().numpy() for block in self.best
        )
        settings = self.settings
        return [
            as_model(
                users,
                items,
                settings.k,
                float(offset),
                settings.biases,
                bounds if settings.bounded else None,
                rated_rows(task.train),
            )
            for users, items, offset, bounds, task in zip(
                left, right, self.offsets, self.bounds, self.tasks, strict=True
            )
        ]

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the training."""
        state = {}
        for place, side in enumerate(("left", "right")):
            state[side] = self.blocks[place].cpu().numpy()
            state[f"best_{side}"] = self.best[place].cpu().numpy()
            state[f"{side}_step"] = self.steps[place].cpu().numpy()
            for name, moments in self.moments.items():
                state[f"{side}_{name}"] = moments[place].cpu().numpy()
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        for place, side in enumerate(("left", "right")):
            held = {side: self.blocks[place], f"best_{side}": self.best[place]}
            held[f"{side}_step"] = self.steps[place]
            held |= {f"{side}_{name}": moments[place] for name, moments in self.moments.items()}
            for name, tensor in held.items():
                tensor.copy_(torch.from_numpy(np.array(state[name])))


def bounds_of(task: Task) -> tuple[float, float]:
    """Lowest and highest rating that a task's bounded output can give."""
    ratings = task.train.data
    return task.bounds or (float(ratings.min()), float(ratings.max()))


def mean_share(task: Task) -> float:
    """Where between a task's bounds its mean rating is, from 0 to 1 and at neither."""
    low, high = bounds_of(task)
    mean = float(task.train.data.mean(dtype=np.float64))
    return min(max((mean - low) / ((high - low) or 1.0), 1e-3), 1 - 1e-3)
