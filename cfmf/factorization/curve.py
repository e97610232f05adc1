"""The loop that trains every iterative solver: measure, keep the best, know when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from cfmf.factorization.checkpoint import Checkpoint, fingerprint
from cfmf.factorization.model import Factorization
from cfmf.observed import pairs
from cfmf.progress import progress
from cfmf.tasks import HISTORY, WATCHED, Fitted, Solver, Task

MIN_IMPROVEMENT = 1e-5  # share of the validation RMSE, below which an epoch is no better


@dataclass(frozen=True)
class Stopping:
    """When a run ends, unless its task sets the number of epochs.

    Attributes
    ----------
    max_epochs
        Epochs at most.
    tolerance, relative
        Once the loss changes by less than this between two epochs, or by less than this share of
        itself; 0 never stops.
    patience
        Once the validation RMSE has not fallen below its minimum for as many epochs; the minimum
        is kept then. None keeps the last epoch.
    """

    max_epochs: int
    tolerance: float = 0.0
    patience: int | None = None
    relative: bool = False


class Training(Protocol):
    """The state of one or several runs side by side, as a solver computes it.

    Attributes
    ----------
    steps_alone
        Whether `step` needs nothing that `measure` computes.
    """

    steps_alone: bool

    def measure(self) -> np.ndarray:
        """Loss, and train, validation and test RMSE (NaN where unwatched): runs × 4, float64."""
        ...

    def step(self) -> None:
        """Go on by one epoch."""
        ...

    def keep(self, runs: np.ndarray) -> None:
        """Copy the parameters of the runs where this is true, as the best so far."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the training."""
        ...

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        ...


class Curve:
    """What was measured so far, and which epoch of each run is the one to keep.

    That is the one with the lowest validation RMSE, of runs with a given start the one with the
    lowest loss, of others the last. A run whose test RMSE is watched at a set number of epochs goes
    on for the patience, so that its curve shows what the test part would have chosen.
    Runs side by side share a device and so put their limits of wall-clock time together.

    Parameters
    ----------
    tasks
        The runs.
    stopping
        Their rules.
    settings
        The solver, for messages and the fingerprint of checkpoints.
    advice
        What to do about a loss or a validation RMSE that is no longer finite.
    """

    def __init__(
        self, tasks: Sequence[Task], stopping: Stopping, settings: Solver, advice: str
    ) -> None:
        self.tasks, self.stopping = tasks, stopping
        self.settings, self.advice = settings, advice
        planned = [np.inf if task.epochs is None else task.epochs for task in tasks]
        self.planned = np.array(planned)
        validated = all(task.validation is not None for task in tasks)
        self.patience = stopping.patience if validated else None
        self.started = self.patience is None and all(task.start is not None for task in tasks)
        self.best_epoch = np.zeros(len(tasks), dtype=np.int64)
        self.best = np.full(len(tasks), np.inf)
        self.ended = np.zeros(len(tasks), dtype=bool)
        self.converged = np.zeros(len(tasks), dtype=bool)
        self.out_of_time = np.zeros(len(tasks), dtype=bool)
        self.seconds = sum(np.inf if task.seconds is None else task.seconds for task in tasks)
        self.rows: list[np.ndarray] = []

    def train(self, training: Training, checkpoint: Checkpoint) -> None:
        """Train until every run has ended.

        Raises
        ------
        FloatingPointError
            If a loss or a validation RMSE is no longer finite.
        """
        run = fingerprint(self.settings, self.tasks) if checkpoint.path else ""
        self.restore(checkpoint.load(run), training)
        began = time.perf_counter() - (self.rows[-1][:, 6].max() if self.rows else 0.0)
        names = ", ".join(task.name for task in self.tasks)
        limit, before = int(self.limits().max()), len(self.rows)
        for epoch in progress(self.epochs(), f"{names}: epochs", limit, before=before):
            unread = training.steps_alone and self.unread(epoch)
            measured = np.full((len(self.tasks), 4), np.nan) if unread else training.measure()
            if not unread:
                self.report(epoch, measured)
            kept = self.record(epoch, measured, time.perf_counter() - began)
            if kept.any():
                training.keep(kept)
            if self.ended.all():
                break
            try:
                training.step()
            except FloatingPointError as error:
                raise FloatingPointError(
                    f"{names}: {error} at epoch {epoch} ({self.settings}); {self.advice}"
                ) from error
            if checkpoint.due():
                checkpoint.save(run, lambda: {**training.state(), **self.state()})
        checkpoint.save(run, lambda: {**training.state(), **self.state()})

    def unread(self, epoch: int) -> bool:
        """Whether nothing reads what this epoch would measure; the last is always checked."""
        return all(task.curve_is_unread() for task in self.tasks) and epoch < self.limits().min()

    def epochs(self) -> Iterator[int]:
        """Epochs still to measure: none after the end."""
        while not self.ended.all():
            yield len(self.rows)

    def limits(self) -> np.ndarray:
        """Epochs of each run at most."""
        further = [(self.stopping.patience or 0) * task.watch_test for task in self.tasks]
        free = np.isinf(self.planned)
        return np.where(free, self.stopping.max_epochs, self.planned + np.array(further))

    def changes(self, loss: np.ndarray) -> np.ndarray:
        """How far the losses are from those of the epoch before."""
        return np.abs(loss - (self.rows[-1][:, 1] if self.rows else 0.0))

    def record(self, epoch: int, measured: np.ndarray, seconds: float) -> np.ndarray:
        """Add an epoch and end the runs that are done; return which runs' parameters to keep."""
        loss, validation = measured[:, 0], measured[:, 2]
        delta = self.changes(loss)
        row = np.column_stack(
            [np.full(len(loss), epoch), loss, delta, measured[:, 1:], np.full(len(loss), seconds)]
        )
        if self.rows:  # a run that has ended repeats its last row, which `history` cuts off
            row[self.ended] = self.rows[-1][self.ended]
        self.rows.append(row)
        better = ~self.ended & (epoch <= self.planned)
        value, margin = (loss, 0.0) if self.started else (validation, MIN_IMPROVEMENT)
        keeps_best = self.started or self.patience is not None
        if keeps_best:
            better = better & (value < self.best * (1 - margin))
        self.best[better] = value[better]
        self.best_epoch[better] = epoch
        by_rule = self.ends(epoch, loss, delta)
        self.converged |= by_rule & ~self.ended
        self.ended |= by_rule | (epoch >= self.limits())
        if seconds >= self.seconds:
            self.out_of_time |= ~self.ended
            self.ended[:] = True
        return better if keeps_best else better & (self.ended | (epoch == self.planned))

    def report(self, epoch: int, measured: np.ndarray) -> None:
        """Check that what was measured is finite, and tell it to the tasks that want to know."""
        for task, row, change in zip(
            self.tasks, measured, self.changes(measured[:, 0]), strict=True
        ):
            watched = [("loss", row[0])]
            if task.validation is not None:
                watched.append(("validation RMSE", row[2]))
            for name, value in watched:
                if not np.isfinite(value):
                    raise FloatingPointError(
                        f"the {name} of {task.name} is {value} at epoch {epoch} ({self.settings});"
                        f" {self.advice}"
                    )
            if task.report is not None:
                named = {"loss": row[0], "delta_loss": change}
                named |= dict(zip(WATCHED, row[1:], strict=True))
                task.report(epoch, {name: float(value) for name, value in named.items()})

    def ends(self, epoch: int, loss: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Which runs have done by this epoch what their rules, or their tasks, want."""
        free = np.isinf(self.planned)
        small = self.stopping.tolerance * (np.abs(loss) if self.stopping.relative else 1.0)
        ends = free & (delta < small)
        if self.patience is not None:
            ends |= free & (epoch - self.best_epoch >= self.patience)
        return ends | (~free & (epoch >= self.limits()))

    def history(self, run: int) -> pd.DataFrame:
        """The curve of a run, columns `HISTORY`."""
        table = pd.DataFrame(np.stack(self.rows)[:, run], columns=HISTORY)
        table = table.astype({"epoch": np.int32})
        return table[: table["epoch"].max() + 1]

    def state(self) -> dict[str, np.ndarray]:
        """What determines the rest of the curve."""
        return {
            "curve": np.stack(self.rows),
            "best_epoch": self.best_epoch,
            "best": self.best,
            "ended": self.ended,
            "converged": self.converged,
            "out_of_time": self.out_of_time,
        }

    def restore(self, state: Mapping[str, np.ndarray] | None, training: Training) -> None:
        """Go on from a checkpoint."""
        if state is None:
            return
        self.rows = list(state["curve"])
        self.best_epoch, self.best = state["best_epoch"], state["best"]
        self.ended, self.out_of_time = state["ended"], state["out_of_time"]
        self.converged = state["converged"]
        training.restore(state)


class SingleTraining(Training, Protocol):
    """The state of one run."""

    def model(self) -> Factorization:
        """The kept model."""
        ...


def fit_one_by_one(
    tasks: Sequence[Task],
    start: Callable[[Task], SingleTraining],
    stopping: Stopping,
    settings: Solver,
    advice: str,
    checkpoint: Path | None,
) -> list[Fitted]:
    """Train tasks one after another, each with a checkpoint of its own.

    Parameters
    ----------
    tasks, stopping, settings, advice
        As `Curve`.
    start
        Makes the state that a task starts from.
    checkpoint
        Path of the checkpoints; each adds its task's number.

    Raises
    ------
    FloatingPointError
        If a loss is no longer finite.
    """
    found = []
    for number, task in enumerate(tasks):
        path = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-{number}")
        training = start(task)
        curve = Curve([task], stopping, settings, advice)
        curve.train(training, Checkpoint(path))
        found += fitted(curve, [training.model()])
    return found


def fitted(curve: Curve, models: Sequence[Factorization]) -> list[Fitted]:
    """What the runs of a curve found, with these models."""
    return [
        Fitted(
            model,
            curve.history(run),
            int(curve.best_epoch[run]),
            {name: model.values(*pairs(part)) for name, part in task.queried().items()},
            out_of_time=bool(curve.out_of_time[run]),
            converged=bool(curve.converged[run]),
        )
        for run, (task, model) in enumerate(zip(curve.tasks, models, strict=True))
    ]
