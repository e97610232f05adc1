"""One training and its result: what methods and the solvers they share hand to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from cfmf.models import Model
from cfmf.side import Side

WATCHED = ("train_rmse", "validation_rmse", "test_rmse")
LOSSES = ("loss", "delta_loss")
HISTORY = ["epoch", *LOSSES, *WATCHED, "seconds"]


@dataclass(frozen=True)
class Task:
    """One training: what to learn from, what to predict, and the seed.

    Attributes
    ----------
    train
        Users × items, CSR, sorted indices; a stored entry is an observed pair.
    seed
        Of everything random.
    validation
        Watched at every epoch where given, and decides when to stop; not empty.
    test
        Pairs to predict at the end.
    watch_test
        Whether the curve measures the test pairs at every epoch, as the study did; they never
        decide anything.
    epochs
        How many epochs to train, exactly; None leaves it to the stopping rules.
    start
        Model to start from, of the same settings; its epoch with the lowest loss is kept then. None
        starts from random numbers. Sampling does not use it.
    seconds
        Wall-clock time after which no further epoch is begun: what is best so far is kept, and
        the run is marked as out of time. None is no limit.
    bounds
        Lowest and highest rating of a bounded output; None takes those of `train`.
    bias_reg
        Penalties of the biases of users and of items, in ratings; None takes the solver's for both.
    side
        What is known beside the ratings, where the method uses it.
    fitted_values
        Whether to predict the training ratings at the end too, which takes as long as some passes.
        Without them, of a set number of epochs, and where nothing else is watched, only the last
        epoch of the curve need be measured; the others may be NaN.
    name
        For messages: fold and seed.
    report
        Called after every measured epoch with its number and its loss, delta_loss and the RMSEs of
        `WATCHED`, NaN where a part is not watched; what it raises ends the training (a search
        prunes so).

    Raises
    ------
    ValueError
        If train or a given validation is empty, or a rating of any part is not a finite number.
    """

    train: sparse.csr_array
    seed: int = 1
    validation: sparse.csr_array | None = None
    test: sparse.csr_array | None = None
    watch_test: bool = False
    epochs: int | None = None
    start: Model | None = None
    seconds: float | None = None
    bounds: tuple[float, float] | None = None
    bias_reg: tuple[float, float] | None = None
    side: Side | None = None
    fitted_values: bool = True
    name: str = "one run"
    report: Callable[[int, Mapping[str, float]], None] | None = None

    def __post_init__(self) -> None:
        if self.train.nnz == 0:
            raise ValueError(f"{self.name}: there is no rating to learn from")
        if self.validation is not None and self.validation.nnz == 0:
            raise ValueError(
                f"{self.name}: validation has no rating, so nothing can decide when to stop; hold"
                " more of the training ratings out"
            )
        for part, matrix in self.parts().items():
            if not np.isfinite(matrix.data).all():
                raise ValueError(f"{self.name}: a rating of the {part} part is not a finite number")

    def parts(self) -> dict[str, sparse.csr_array]:
        """Those of the three parts that there are, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}

    def curve_is_unread(self) -> bool:
        """Whether nothing but the last epoch of its curve matters."""
        watched = self.fitted_values or self.watch_test or self.report is not None
        return (
            self.epochs is not None
            and self.validation is None
            and self.start is None
            and not watched
        )

    def queried(self) -> dict[str, sparse.csr_array]:
        """The parts to predict at the end, by name."""
        parts = self.parts()
        return {name: parts[name] for name in parts if name != "train" or self.fitted_values}


@dataclass(frozen=True)
class Fitted:
    """A trained model and the curve of its training.

    Attributes
    ----------
    model
        The model that was kept.
    history
        Columns `HISTORY`, one row an epoch: what the parameters before the epoch's step give.
        Seconds count from the start of the training.
    epochs
        Epochs that led to the model.
    predictions
        Of every queried part of the task, float32, in the CSR order of its matrix.
    deviations
        Standard deviations of the ratings that a Bayesian model predicts, likewise; None of others.
    out_of_time
        Whether the task's `seconds` ended the training before its own rules did.
    converged
        Whether the training's own rules ended it, not the highest number of epochs or the time; of
        sampling, whether the error of the mean prediction no longer changes.
    start
        Number of the random start of the training that was kept (`cfmf.convergence`).
    starts
        How many trainings were made to get it.
    """

    model: Model
    history: pd.DataFrame
    epochs: int
    predictions: dict[str, np.ndarray] = field(repr=False)
    deviations: dict[str, np.ndarray] | None = field(default=None, repr=False)
    out_of_time: bool = False
    converged: bool = True
    start: int = 0
    starts: int = 1


class Solver:
    """What all solvers have in common: instances hold settings and train tasks."""

    def fit(
        self,
        train: sparse.csr_array,
        validation: sparse.csr_array | None = None,
        test: sparse.csr_array | None = None,
        seed: int = 1,
    ) -> Fitted:
        """Train on one matrix; see `Task` for the arguments and `fit_tasks` for the errors."""
        return self.fit_tasks([Task(train, seed, validation, test)])[0]

    def fit_tasks(self, tasks: Sequence[Task], checkpoint: Path | None = None) -> list[Fitted]:
        """Train tasks of one shape, side by side where that is faster."""
        raise NotImplementedError
