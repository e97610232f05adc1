"""One point of the study: a method at one (k, reg), trained on all folds with all seeds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.convergence import best_starts, reach
from cfmf.devices import DeviceMemoryError
from cfmf.methods.base import Method, plain
from cfmf.metrics import score
from cfmf.tables import COLUMNS
from cfmf.tasks import Fitted, Task

REPORTED = (FloatingPointError, DeviceMemoryError, MemoryError, ValueError)
Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One fold and seed: the four parts of the fold, users × items, of one shape."""

    fold: str
    seed: int
    fit: sparse.csr_array
    validation: sparse.csr_array
    train: sparse.csr_array
    test: sparse.csr_array

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"fold {self.fold}, seed {self.seed}"

    @property
    def keys(self) -> dict[str, str]:
        """Columns fold and seed of a table."""
        return {"fold": self.fold, "seed": plain(self.seed)}


@dataclass(frozen=True)
class Limits:
    """Where a point is trained, and how long.

    Attributes
    ----------
    device, threads
        As `Method.fit` takes them.
    seconds
        Wall-clock time that each run may take on `fit`; None is no limit. Where it ends a run, the
        results depend on the machine.
    checkpoint
        Folder for the state of the runs, to resume after a kill; it may be deleted afterwards.
    """

    device: str = "cpu"
    threads: int = 1
    seconds: float | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True)
class PointResult:
    """Tables of a point.

    Attributes
    ----------
    metrics, costs
        As `cfmf.tables.COLUMNS` lists them. Metrics contain no times.
    history
        fold, seed, phase (fit, refit), epoch, loss, delta_loss, train_rmse, validation_rmse,
        test_rmse, seconds.
    predictions
        fold, seed, prediction: of the refitted models, in the CSR order of each test matrix.
    validation
        The same of the models trained on `fit`, in the order of each validation matrix.
    """

    metrics: pd.DataFrame
    costs: pd.DataFrame
    history: pd.DataFrame
    predictions: pd.DataFrame
    validation: pd.DataFrame


class Trained(NamedTuple):
    """A run with its two trainings, on `fit` and on `train`, and the seconds of each."""

    run: Run
    fit: Fitted
    refit: Fitted
    seconds: tuple[float, float]


def train_point(
    method: Method, runs: Sequence[Run], dataset: str = "", limits: Limits | None = None
) -> PointResult:
    """Train a method at one setting on all folds with all seeds.

    Every run is trained on `fit`, which gives its validation RMSE and the best number of epochs;
    then from the start on `train` for as many epochs, which gives its test RMSE and predictions.
    `cfmf.convergence` has the rules for several starts, and for a training on `train` that does not
    reach what that on `fit` did. Methods that stop by their loss (as published) or not at all
    (Gibbs) decide their epochs in each phase, unless the time limit did so on `fit`.

    Parameters
    ----------
    method
        With the scale of the ratings, for clipping and bounded outputs; without one, the range of
        the training ratings of all runs.
    runs
        Folds and seeds.
    dataset
        For the tables.

    Returns
    -------
    Metrics: those of `cfmf.metrics` for each split (`fallback_share` of test only: the share of
    `has_unrated`; `rmse_lowest_epoch` where the test part is watched: the lowest RMSE of any epoch,
    which studies report that stop on test), epochs, starts and converged (1 or 0) of `fit` and
    `train` as `Fitted` has them,
    start of `train`, and out_of_time of `fit` (1 where the time limit ended it, else 0). Costs:
    seconds of fit and refit, of all their starts. History, of the kept ones, and predictions as
    `PointResult`.

    Raises
    ------
    ValueError, FloatingPointError, MemoryError
        With method, setting, fold and seed, and what to change.
    """
    limits = limits or Limits()
    if method.scale is None:
        ratings = [run.train.data for run in runs]
        low, high = min(one.min() for one in ratings), max(one.max() for one in ratings)
        method = method.model_copy(update={"scale": (float(low), float(high))})
    found = [
        _tables(method, _train_runs(method, part, of_part), dataset)
        for part, of_part in _parts(method, runs, limits)
    ]
    return PointResult(**{kind: _joined(found, kind) for kind in PointResult.__annotations__})


def _parts(
    method: Method, runs: Sequence[Run], limits: Limits
) -> Iterator[tuple[Sequence[Run], Limits]]:
    """The runs to train at once, which then wait for one another.

    All where training goes by epochs: a GPU takes them side by side. Others one by one: a model of
    a posterior holds many draws, and no two of them need be in memory.
    """
    if method.iterates == "epochs":
        yield runs, limits
        return
    for number, run in enumerate(runs):
        folder = limits.checkpoint and limits.checkpoint / str(number)
        yield [run], replace(limits, checkpoint=folder)


def _joined(parts: Sequence[PointResult], kind: str) -> pd.DataFrame:
    return pd.concat([getattr(part, kind) for part in parts], ignore_index=True)


def refit_task(method: Method, run: Run, fit: Fitted) -> Task:
    """The training of a run on all its training ratings, after that on its fit part."""
    return Task(
        run.train,
        run.seed,
        test=run.test,
        watch_test=method.watches_test,
        epochs=fit.epochs if method.stops_on_validation or fit.out_of_time else None,
        name=run.name,
    )


def _train_runs(method: Method, runs: Sequence[Run], limits: Limits) -> list[Trained]:
    """Train every run on its fit part, then on all its training ratings."""
    seconds: dict[str, dict[str, float]] = {"fit": {}, "refit": {}}

    def train(tasks: Sequence[Task], phase: str) -> list[Fitted]:
        found, taken = _train(method, tasks, limits, phase)
        total = seconds["fit" if phase.startswith("fit") else "refit"]
        for task, one in zip(tasks, taken, strict=True):
            total[task.name] = total.get(task.name, 0.0) + one
        return found

    tasks = [
        Task(run.fit, run.seed, run.validation, seconds=limits.seconds, name=run.name)
        for run in runs
    ]
    fits = best_starts(method, tasks, train)
    tasks = [refit_task(method, run, fit) for run, fit in zip(runs, fits, strict=True)]
    refits = reach(tasks, fits, train) if method.several_starts else train(tasks, "refit")
    return [
        Trained(run, fit, refit, (seconds["fit"][run.name], seconds["refit"][run.name]))
        for run, fit, refit in zip(runs, fits, refits, strict=True)
    ]


def _train(
    method: Method, tasks: Sequence[Task], limits: Limits, phase: str
) -> tuple[list[Fitted], list[float]]:
    """Train tasks; also return the seconds of each, by its curve where it has one."""
    began = time.perf_counter()
    try:
        found = method.fit_tasks(
            tasks,
            threads=limits.threads,
            device=limits.device,
            checkpoint=limits.checkpoint and limits.checkpoint / f"{phase}.npz",
        )
    except REPORTED as error:
        # A class of its own, as numpy's MemoryError, may want other arguments than a message.
        kind = next(kind for kind in REPORTED if isinstance(error, kind))
        settings = [f"{name} {plain(getattr(method, name))}" for name in method.grids()]
        raise kind(f"{', '.join([method.name, *settings])}: {error}") from error
    mean = (time.perf_counter() - began) / len(tasks)
    curves = [fitted.history["seconds"] for fitted in found]
    return found, [float(curve.iloc[-1]) if len(curve) else mean for curve in curves]


def _tables(method: Method, trained: Sequence[Trained], dataset: str) -> PointResult:
    """Tables of the runs of a point."""
    point = {name: plain(getattr(method, name)) for name in method.grids()}
    keys = {"dataset": dataset, "method": method.name, "k": "", "reg": "", **point}
    metrics: list[Row] = []
    costs: list[Row] = []
    history, predictions, validation = [], [], []
    for run, fit, refit, seconds in trained:
        rows = _scores(run, fit, refit, method.scale or (-np.inf, np.inf))
        metrics += [{**keys, **run.keys, **row} for row in rows]
        for phase, fitted, taken in zip(("fit", "refit"), (fit, refit), seconds, strict=True):
            costs.append({**keys, **run.keys, "stage": phase, "measure": "seconds", "value": taken})
            history.append(fitted.history.assign(**run.keys, phase=phase))
        predictions.append(pd.DataFrame({**run.keys, "prediction": refit.predictions["test"]}))
        known = fit.predictions["validation"]
        validation.append(pd.DataFrame({**run.keys, "prediction": known}))
    curves = pd.concat(history, ignore_index=True)
    first = ["fold", "seed", "phase"]
    return PointResult(
        metrics=pd.DataFrame(metrics)[COLUMNS["metrics"]],
        costs=pd.DataFrame(costs)[COLUMNS["costs"]],
        history=curves[[*first, *(name for name in curves if name not in first)]],
        predictions=pd.concat(predictions, ignore_index=True),
        validation=pd.concat(validation, ignore_index=True),
    )


def _scores(run: Run, fit: Fitted, refit: Fitted, scale: tuple[float, float]) -> list[Row]:
    """Split, metric and value of one run."""
    rows: list[Row] = []
    for split, truth, fitted, part in (
        ("fit", run.fit, fit, "train"),
        ("validation", run.validation, fit, "validation"),
        ("train", run.train, refit, "train"),
        ("test", run.test, refit, "test"),
    ):
        sd = None if fitted.deviations is None else fitted.deviations[part]
        unrated = has_unrated(run.train, truth) if split == "test" else None
        found = score(fitted.predictions[part], truth.data, scale, sd, unrated)
        if split == "test" and refit.history["test_rmse"].notna().any():
            found["rmse_lowest_epoch"] = float(refit.history["test_rmse"].min())
        rows += [{"split": split, "metric": name, "value": value} for name, value in found.items()]
    for split, fitted in (("fit", fit), ("train", refit)):
        for name in ("epochs", "starts", "converged"):
            value = float(getattr(fitted, name))
            rows.append({"split": split, "metric": name, "value": value})
    rows.append({"split": "train", "metric": "start", "value": float(refit.start)})
    rows.append({"split": "fit", "metric": "out_of_time", "value": float(fit.out_of_time)})
    return rows


def has_unrated(train: sparse.csr_array, test: sparse.csr_array) -> NDArray[np.bool_]:
    """Whether the user or the item of each pair of `test` has no rating in `train`, in CSR order.

    Nothing specific to such a pair was learned: its prediction is a mean with at most one bias (or,
    of a model without these, what its start and penalty left).
    """
    users = np.repeat(np.diff(train.indptr) == 0, np.diff(test.indptr))
    items = np.bincount(train.indices, minlength=train.shape[1]) == 0
    return np.asarray(users | items[test.indices])
