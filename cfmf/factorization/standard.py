"""Ratings as solvers see them: no unit, no zero and no order of rows but their own.

A solver's learning rates, penalties, priors and starts are for ratings of mean 0 and standard
deviation 1, so that ratings a·x + b give the predictions a·x̂ + b. It draws random numbers row by
row, so users and items come in an order that the ratings alone decide: numbering them otherwise
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.factorization.model import Factorization
from cfmf.factorization.posterior import Posterior
from cfmf.observed import numbered, row_keys
from cfmf.tasks import LOSSES, WATCHED, Fitted, Task

Order = NDArray[np.integer]


@dataclass(frozen=True)
class Standard:
    """What turns the ratings of a task into those that its solver sees, and the results back.

    Attributes
    ----------
    centre, unit
        Mean and standard deviation of the training ratings, float64; the unit is 1 where they do
        not vary.
    users, items
        The user and the item that the solver has in each place.
    """

    centre: float
    unit: float
    users: Order
    items: Order

    @classmethod
    def of(cls, train: sparse.csr_array) -> Standard:
        """That of training ratings, users × items."""
        values = train.data.astype(np.float64)
        users, items = (np.argsort(keys, kind="stable") for keys in row_keys(train))
        return cls(float(values.mean()), float(values.std()) or 1.0, users, items)

    def task(self, task: Task) -> Task:
        """The task in standard ratings; its report is given those of the rating scale."""
        moved: dict[str, Any] = {name: self.matrix(part) for name, part in task.parts().items()}
        moved["bounds"] = task.bounds and tuple(
            (end - self.centre) / self.unit for end in task.bounds
        )
        moved["side"] = task.side and task.side.rows(self.users, self.items)
        report = task.report and self.reporting(task.report)
        start = task.start
        if isinstance(start, Factorization):
            start = start.reordered(self.users, self.items)
            start = start.rescaled(1 / self.unit, -self.centre / self.unit)
        return replace(task, **moved, report=report, start=start)

    def matrix(self, part: sparse.csr_array) -> sparse.csr_array:
        """A part in standard ratings, float32."""
        moved = self.places(part)
        values = part.data[moved.data].astype(np.float64)
        values -= self.centre
        values /= self.unit
        indices = moved.indices.astype(part.indices.dtype, copy=False)
        indptr = moved.indptr.astype(part.indptr.dtype, copy=False)
        return sparse.csr_array((values.astype(np.float32), indices, indptr), part.shape)

    def places(self, part: sparse.csr_array) -> sparse.csr_array:
        """The places of a part's entries, in the order of rows and columns that the solver has."""
        moved = numbered(part)[self.users][:, self.items]
        moved.sort_indices()
        return moved

    def reporting(self, report: Callable[[int, Mapping[str, float]], None]) -> Any:
        """A report of standard measures that hands those of the rating scale to `report`."""
        factors = self.factors()

        def standard(epoch: int, measured: Mapping[str, float]) -> None:
            report(epoch, {name: value * factors[name] for name, value in measured.items()})

        return standard

    def factors(self) -> dict[str, float]:
        """What turns each measure of a curve into that of the rating scale."""
        return dict.fromkeys(WATCHED, self.unit) | dict.fromkeys(LOSSES, self.unit**2)

    def restored(self, fitted: Fitted, task: Task) -> Fitted:
        """What a solver found for `self.task(task)`, in the scale and order of the task."""
        model = fitted.model
        assert isinstance(model, Factorization | Posterior)
        inverse = np.argsort(self.users), np.argsort(self.items)
        history, predictions, deviations = fitted.history, {}, {}
        for name, part in task.queried().items():
            order = self.places(part).data
            predictions[name] = self.values(fitted.predictions[name], order, self.centre)
            if fitted.deviations is not None:
                deviations[name] = self.values(fitted.deviations[name], order, 0.0)
        return replace(
            fitted,
            model=model.moved(self.unit, self.centre, *inverse),
            history=history.assign(
                **{name: history[name] * by for name, by in self.factors().items()}
            ),
            predictions=predictions,
            deviations=None if fitted.deviations is None else deviations,
        )

    def values(self, standard: np.ndarray, order: Order, centre: float) -> np.ndarray:
        """Standard values of a part in the order and unit of its ratings, float32."""
        found = np.empty(len(standard), np.float32)
        scaled = np.multiply(standard, self.unit, dtype=np.float64)
        scaled += centre
        found[order] = scaled
        return found
