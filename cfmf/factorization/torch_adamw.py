"""AdamW in torch: what `cfmf.factorization.adamw` does on the CPU, for GPUs.

Gradients are written out, from the sparse products of `cfmf.kernels.products`: residuals at the
observed pairs, then two products for the gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.adamw import adamw

from cfmf.devices import DeviceMemoryError
from cfmf.factorization.adamw import ADVICE, BETAS, AdamW, bounds_of
from cfmf.factorization.checkpoint import Checkpoint
from cfmf.factorization.curve import Curve, fitted
from cfmf.factorization.model import Factorization, rated_rows
from cfmf.factorization.objective import as_model
from cfmf.factorization.penalties import PENALTIES
from cfmf.kernels.products import ObservedPairs
from cfmf.tasks import Fitted, Task


@dataclass(frozen=True)
class TorchAdamW(AdamW):
    """`AdamW` in torch, all tasks side by side.

    Attributes
    ----------
    device
        Where to compute, a device of torch.
    """

    device: str = "cuda"

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
            curve = Curve(tasks, self.stopping, self, ADVICE)
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

    steps_alone = False  # its gradients come from `measure`

    def __init__(self, settings: TorchAdamW, tasks: Sequence[Task]) -> None:
        self.settings = settings
        self.tasks = tasks
        self.dtype = torch.from_numpy(np.empty(0, settings.dtype)).dtype
        self.pairs = self.observed("train")
        self.watched = {
            name: self.observed(name)
            for name, wanted in [("validation", True), ("test", tasks[0].watch_test)]
            if wanted and getattr(tasks[0], name) is not None
        }
        self.bounds = [bounds_of(task) for task in tasks]
        self.low, self.width = self.of_runs([(low, high - low) for low, high in self.bounds]).T
        self.offsets = self.of_runs([settings.offset(task) for task in tasks])
        self.targets = {
            name: pairs.by_run(-self.offsets) + (0 if settings.bounded else pairs.ratings)
            for name, pairs in [("train", self.pairs), *self.watched.items()]
        }
        starts = [settings.first_blocks(task) for task in tasks]
        self.left, self.right = (self.stacked(side) for side in zip(*starts, strict=True))
        self.moments = {
            name: [torch.zeros_like(block) for block in self.blocks]
            for name in ("exp_avg", "exp_avg_sq")
        }
        self.steps = [torch.zeros((), device=settings.device) for _ in self.blocks]
        weights = [settings.penalty_weights(task) for task in tasks]
        self.left_weights, self.right_weights = (
            self.stacked([row[:, None] for row in side]) for side in zip(*weights, strict=True)
        )
        # Sides × runs × 1
        self.bias_weights = self.of_runs([settings.bias_weights(task) for task in tasks]).T[
            ..., None
        ]
        self.best = [block.clone() for block in self.blocks]

    @property
    def blocks(self) -> list[torch.Tensor]:
        """The parameters: the users' side and the items'."""
        return [self.left, self.right]

    def of_runs(self, values: Sequence[Any]) -> torch.Tensor:
        """Numbers of each run, on the device."""
        return torch.from_numpy(np.array(values)).to(self.settings.device, self.dtype)

    def observed(self, part: str) -> ObservedPairs:
        matrices = [getattr(task, part) for task in self.tasks]
        return ObservedPairs(matrices, self.settings.device, self.dtype)

    def stacked(self, blocks: Sequence[np.ndarray]) -> torch.Tensor:
        """The runs' blocks below one another, on the device."""
        together = torch.from_numpy(np.concatenate(blocks))
        return together.to(self.settings.device, self.dtype)

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
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=settings.learning_rate,
            weight_decay=settings.decay,
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
