"""One point of the study: a method at one k and reg, over all folds and seeds."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pandas as pd
from scipy import sparse

from cfmf.config import canonical
from cfmf.devices import DeviceMemoryError
from cfmf.factorization import method as method_named
from cfmf.metrics import score
from cfmf.tables import COLUMNS
from cfmf.tasks import Fitted, Solver, Task

GRIDS = ("k", "reg")
TOLD = (FloatingPointError, DeviceMemoryError, MemoryError, ValueError)


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


@dataclass(frozen=True)
class PointResult:
    """What a point found.

    Attributes
    ----------
    metrics, costs
        As `cfmf.tables.COLUMNS` names them. Metrics hold no times.
    history
        fold, seed, phase (fit, refit), epoch, loss, delta_loss, train_rmse, validation_rmse,
        test_rmse, seconds.
    predictions
        fold, seed, prediction: of the refitted models, in the CSR order of each test matrix.
    """

    metrics: pd.DataFrame
    costs: pd.DataFrame
    history: pd.DataFrame
    predictions: pd.DataFrame


def make_solver(
    method: str,
    k: int,
    reg: float | None,
    settings: Mapping[str, Any],
    device: str = "cpu",
    scale: tuple[float, float] | None = None,
) -> Solver:
    """The solver of a method at one point.

    Parameters
    ----------
    method
        A name of `cfmf.factorization.METHODS`.
    k, reg
        Factors and strength of the penalty; `reg` is None for a method that has none.
    settings
        The method's block of the config; its grids of k and reg are ignored.
    device, scale
        Where to compute; the lowest and highest rating.

    Raises
    ------
    ValueError
        If the method is unknown or a setting is not the method's.
    """
    entry = method_named(method)
    module, name = entry.solver.split(":")
    solver = getattr(importlib.import_module(module), name)
    options = {key: value for key, value in settings.items() if key not in (*GRIDS, "batch_size")}
    fixed = sorted(set(options) & set(entry.options))
    if fixed:
        raise ValueError(f"{method} fixes {', '.join(fixed)}: remove it from its settings")
    if "reg" in entry.tuned_by:
        options["reg"] = reg
    elif reg is not None:
        raise ValueError(f"{method} has no reg, but got {reg}")
    try:
        return solver(k=k, device=device, scale=scale, **options, **entry.options)
    except TypeError as error:
        raise ValueError(f"{method} does not take these settings: {error}") from error


def train_point(
    method: str,
    k: int,
    reg: float | None,
    runs: Sequence[Run],
    settings: Mapping[str, Any],
    *,
    dataset: str = "",
    scale: tuple[float, float] | None = None,
    device: str = "cpu",
    threads: int = 1,
    seconds: float | None = None,
    checkpoint: Path | None = None,
) -> PointResult:
    """Train a method at one k and reg over all folds and seeds.

    Every run is trained on `fit`, which gives its validation RMSE and how many epochs were best;
    then anew on `train` for as many epochs, which gives its test RMSE and predictions. Methods
    that stop by their loss (as published) or not at all (Gibbs) decide their epochs in each phase,
    unless the limit of time did so on `fit`.

    Parameters
    ----------
    method, k, reg, settings, device
        As `make_solver`.
    runs
        Folds and seeds.
    dataset
        For the tables.
    scale
        Lowest and highest rating, for clipping and bounded outputs; None takes those of the runs.
    threads
        Of torch and numba. Results do not depend on it.
    seconds
        Wall-clock time that each run may take on `fit`; None is no limit. Where it ends a run, the
        results depend on the machine.
    checkpoint
        Folder for the state of the runs, to go on from after a kill; it may be deleted afterwards.

    Returns
    -------
    Metrics: those of `cfmf.metrics` for each split, epochs of `fit` and `train`, out_of_time of
    `fit` (1 where the limit of time ended it, else 0), fallback_share of test (see
    `fallback_share`).
    Costs: seconds of fit and refit. History and predictions as `PointResult`.

    Raises
    ------
    ValueError, FloatingPointError, MemoryError
        With method, k, reg, fold and seed, and what to change.
    """
    if scale is None:
        ratings = [run.train.data for run in runs]
        scale = (
            float(min(values.min() for values in ratings)),
            float(max(values.max() for values in ratings)),
        )
    solver = make_solver(method, k, reg, settings, device, scale)
    use_threads(threads)
    keys = {"dataset": dataset, "method": method, "k": canonical(k)}
    keys["reg"] = "" if reg is None else canonical(reg)
    size = settings.get("batch_size") or (len(runs) if device.startswith("cuda") else 1)
    results: list[tuple[Run, Fitted, Fitted]] = []
    try:
        for number, batch in enumerate(batches(runs, size)):
            fits = solver.fit_tasks(
                [
                    Task(run.fit, run.seed, run.validation, seconds=seconds, name=run.name)
                    for run in batch
                ],
                checkpoint and checkpoint / f"fit-{number}.npz",
            )
            tasks = [refit_task(method, run, fit) for run, fit in zip(batch, fits, strict=True)]
            refits = solver.fit_tasks(tasks, checkpoint and checkpoint / f"refit-{number}.npz")
            results.extend(zip(batch, fits, refits, strict=True))
    except TOLD as error:
        # A class of its own, as numpy's MemoryError, may want other arguments than a message.
        kind = next(kind for kind in TOLD if isinstance(error, kind))
        raise kind(f"{method}, k {k}, reg {keys['reg'] or 'inferred'}: {error}") from error
    return collect(results, keys, scale)


def use_threads(threads: int) -> None:
    """Let numba, and torch where the solver has loaded it, use so many cores in this process.

    ALS and Gibbs need no torch, which takes a second and a half to load.
    """
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    # After numba: its pool, as it starts, sets the threads of the OpenMP that torch may share.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def batches(runs: Sequence[Run], size: int) -> Iterator[Sequence[Run]]:
    """Runs in groups of at most `size`."""
    for start in range(0, len(runs), size):
        yield runs[start : start + size]


def refit_task(method: str, run: Run, fit: Fitted) -> Task:
    """The training of a run on all its training ratings, after that on its fit part."""
    entry = method_named(method)
    return Task(
        run.train,
        run.seed,
        test=run.test,
        watch_test=entry.watches_test,
        epochs=fit.epochs if entry.stops_on_validation or fit.out_of_time else None,
        name=run.name,
    )


def collect(
    results: Sequence[tuple[Run, Fitted, Fitted]],
    keys: Mapping[str, str],
    scale: tuple[float, float],
) -> PointResult:
    """Tables of the runs of a point."""
    metrics: list[dict[str, Any]] = []
    costs: list[dict[str, Any]] = []
    history, predictions = [], []
    for run, fit, refit in results:
        row = {**keys, "fold": run.fold, "seed": canonical(run.seed)}
        place = {"fold": run.fold, "seed": canonical(run.seed)}
        scored = [
            ("fit", run.fit, fit, "train"),
            ("validation", run.validation, fit, "validation"),
            ("train", run.train, refit, "train"),
            ("test", run.test, refit, "test"),
        ]
        for split, truth, fitted, part in scored:
            sd = None if fitted.deviations is None else fitted.deviations[part]
            found = score(fitted.predictions[part], truth.data, scale, sd)
            if split == "test":
                found["fallback_share"] = fallback_share(run.train, truth)
            for name, value in found.items():
                metrics.append({**row, "split": split, "metric": name, "value": value})
        for split, stage, fitted in [("fit", "fit", fit), ("train", "refit", refit)]:
            metrics.append({**row, "split": split, "metric": "epochs", "value": fitted.epochs})
            seconds = float(fitted.history["seconds"].iloc[-1])
            costs.append({**row, "stage": stage, "measure": "seconds", "value": seconds})
            history.append(fitted.history.assign(**place, phase=stage))
        late = float(fit.out_of_time)
        metrics.append({**row, "split": "fit", "metric": "out_of_time", "value": late})
        predictions.append(pd.DataFrame({**place, "prediction": refit.predictions["test"]}))
    curves = pd.concat(history, ignore_index=True)
    first = ["fold", "seed", "phase"]
    return PointResult(
        metrics=pd.DataFrame(metrics)[COLUMNS["metrics"]],
        costs=pd.DataFrame(costs)[COLUMNS["costs"]],
        history=curves[[*first, *(name for name in curves if name not in first)]],
        predictions=pd.concat(predictions, ignore_index=True),
    )


def fallback_share(train: sparse.csr_array, test: sparse.csr_array) -> float:
    """Share of the pairs of `test` whose user or item has no rating in `train`.

    Nothing was learned of how the two go together: what is predicted is a mean with at most one
    bias (or, of a model without these, what its start and penalty left). NaN where there are none.
    """
    users = np.repeat(np.diff(train.indptr) == 0, np.diff(test.indptr))
    items = np.bincount(train.indices, minlength=train.shape[1]) == 0
    return float(np.mean(users | items[test.indices])) if test.nnz else np.nan
