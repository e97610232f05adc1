"""What all factorization methods have in common: from the settings to a shared solver."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from cfmf.extras import explained
from cfmf.methods.base import Method, Progress, setting
from cfmf.models import Model
from cfmf.neighbours.biases import tuned_regs
from cfmf.tasks import Fitted, Solver, Task
from cfmf.threads import use_threads


class FactorizationMethod(Method):
    """Settings and declarations of methods that learn factors of users and items in passes.

    Solvers are given ratings of mean 0 and standard deviation 1, in an order of their own; see
    `cfmf.factorization.standard`. Methods on raw values get them as they are.
    """

    family = "factorization"
    can = frozenset({"explain", "factors", "similar_items"})
    job_per_point = True
    stochastic = True
    iterates: ClassVar[Literal["", "epochs", "sweeps"]] = "epochs"
    stops_on_validation = True
    has_biases: ClassVar[bool] = True

    k: int = setting(16, "Number of factors.", grid=[1, 4, 16, 64], ge=1)

    @abstractmethod
    def solver(self, device: str) -> Solver:
        """The solver of these settings, and whatever it needs imported."""

    def fit(
        self,
        train: sparse.csr_array,
        validation: sparse.csr_array | None = None,
        *,
        seed: int = 1,
        threads: int = 1,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Model:
        """See `Method.fit`."""
        task = Task(train, seed, validation, fitted_values=False, report=progress)
        [found] = self.fit_tasks([task], threads=threads, device=device, checkpoint=checkpoint)
        return found.model

    def fit_tasks(
        self,
        tasks: Sequence[Task],
        *,
        threads: int = 1,
        device: str = "cpu",
        checkpoint: Path | None = None,
    ) -> list[Fitted]:
        """See `Method.fit_tasks`; batches of tasks are trained side by side."""
        from cfmf.factorization.standard import Standard

        with explained():
            solver = self.solver(device)
        use_threads(threads)  # after the solver, which may have loaded torch
        size = self.tasks_at_once(device, len(tasks))
        found: list[Fitted] = []
        for number, start in enumerate(range(0, len(tasks), size)):
            path = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-{number}")
            batch = [
                replace(task, bounds=self.scale, side=self.known(task.train.shape))
                for task in tasks[start : start + size]
            ]
            if self.raw_values:
                found += solver.fit_tasks(batch, path)
                continue
            standards = [Standard.of(task.train) for task in batch]
            seen = (one.task(task) for one, task in zip(standards, batch, strict=True))
            fitted = zip(standards, solver.fit_tasks([*seen], path), batch, strict=True)
            found += [one.restored(result, task) for one, result, task in fitted]
        return found

    def tasks_at_once(self, device: str, tasks: int) -> int:
        """How many of so many tasks are trained side by side."""
        return 1

    def shortened(self, passes: int) -> Method:
        """See `Method.shortened`; no rule ends the training earlier."""
        update: dict[str, Any] = {"max_epochs": passes, "tolerance": 0.0}
        known = {name: value for name, value in update.items() if name in self.settings()}
        return self.model_copy(update=known)

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """See `Method.operations`: c = k + 1 for every rating and for every user and item."""
        return float((train.nnz + sum(train.shape)) * (self.k + 1))

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """See `Method.parameter_count`: k factors and perhaps a bias of every user and item."""
        return model.draws() * sum(shape) * (self.k + self.has_biases)


class PenalizedMethod(FactorizationMethod):
    """Settings of methods that minimize the objective of `cfmf.factorization.objective`."""

    can = FactorizationMethod.can | {"fold_in"}
    several_starts = True
    penalty_power: ClassVar[float] = 2.0  # of the length of a row's factors

    k: int = setting(16, "Number of factors.", grid=[1, 4, 16, 64], step=4, search=(1, 128), ge=1)
    reg: float = setting(
        0.15,
        "Strength λ of the penalty, a pseudo-rating's share of the mean number of ratings of a user"
        " or item, for ratings of standard deviation 1.",
        grid=[0.15, 0.2],
        step=1.5,
        search=(0.01, 10),
        ge=0,
    )
    weighting: float = setting(
        0.5,
        "How a row's penalty grows with its number n of ratings, as n to this power; 0 gives every"
        " user and item the same, 1 lets every rating add its share.",
        ge=0,
        le=1,
    )
    bias_reg: float | None = setting(
        None,
        "Penalty of the biases, in ratings; a bias from n ratings is shrunk by about"
        " n / (n + bias_reg). null tunes one for users and one for items, as the baseline's are, on"
        " a tenth of the training ratings.",
        gt=0,
    )

    def fit_tasks(
        self,
        tasks: Sequence[Task],
        *,
        threads: int = 1,
        device: str = "cpu",
        checkpoint: Path | None = None,
    ) -> list[Fitted]:
        """See `Method.fit_tasks`; models that can fold in know their penalties."""
        options: dict[str, Any] = {"threads": threads, "device": device, "checkpoint": checkpoint}
        if self.bias_reg is None:
            tasks = [replace(task, bias_reg=tuned_regs(task.train)) for task in tasks]
        found = super().fit_tasks(tasks, **options)
        return [
            replace(one, model=self._knowing_penalty(one.model, task))
            for one, task in zip(found, tasks, strict=True)
        ]

    def _knowing_penalty(self, model: Model, task: Task) -> Model:
        from cfmf.factorization.model import Factorization
        from cfmf.factorization.new_rows import RowPenalty, squashed

        assert isinstance(model, Factorization)
        mean = task.train.nnz / task.train.shape[0]
        unit = float(task.train.data.std(dtype=np.float64)) or 1.0
        bias_reg = (task.bias_reg[0] if task.bias_reg else self.bias_reg) or 0.0
        bounded = model.bounds is not None
        if bounded:  # a bias counts by how far it moves a prediction at the mean rating
            bias_reg *= float(squashed(np.array([model.mean]), model.bounds)[1][0] / unit) ** 2
        strength = self.reg * mean ** (1 - self.weighting)
        penalty = RowPenalty(strength, self.weighting, bias_reg, self.penalty_power)
        return replace(model, penalty=penalty.rescaled(unit, bounded))


def solving_operations(train: sparse.csr_array, c: int) -> float:
    """Multiply-adds of solving for c unknowns of every user and item.

    c² for each rating, from both sides, and c³ / 6 for each row.
    """
    return float(2 * train.nnz * c**2 + sum(train.shape) * c**3 / 6)
