"""A method fitted to all ratings, at the setting that a tenth of them chooses."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf import __version__
from cfmf.convergence import best_starts, reach
from cfmf.evaluation.conformal import COVERAGE, Radii
from cfmf.methods.base import Method, text_parts
from cfmf.models import Model
from cfmf.observed import pairs, rmse, row_numbers
from cfmf.saved import Ratings, Saved, saved
from cfmf.selection import ERROR, best
from cfmf.tasks import Fitted, Task

log = logging.getLogger(__name__)

VALIDATION = 0.1
"""Share of the ratings that chooses settings, decides when to stop and gives the intervals."""
COVERAGES = (0.8, COVERAGE, 0.95)
FEWEST = 20
"""Fewest ratings that can be fitted."""


@dataclass(frozen=True)
class Options:
    """How methods are fitted.

    Attributes
    ----------
    seed
        Of everything random, the validation part too.
    threads
        Cores to use.
    device
        `cpu`, or a torch device such as `cuda`.
    """

    seed: int = 1
    threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class Trial:
    """A setting, fitted to the ratings without their validation part.

    Attributes
    ----------
    validation
        Its predictions of the validation part, float32, in CSR order.
    fitted
        The training; None of a method that trains in no passes.
    """

    method: Method
    validation: NDArray[np.float32]
    fitted: Fitted | None = None


def fit_candidates(given: Ratings, candidates: Sequence[Method], options: Options) -> Saved:
    """Fit the candidate that validation chooses; see `fit`."""
    kept, held = divided(given.matrix, options.seed)
    trial = choose(candidates, kept, held, options)
    radii = _radii(trial.validation, held, kept, given.scale)
    model = refitted(trial, given.matrix, options)
    provenance = {"cfmf": __version__, "numpy": np.__version__, **given.provenance}
    provenance |= {"seed": options.seed, ERROR: rmse(trial.validation, held.data)}
    return saved(model, trial.method, given.matrix, given.names, radii=radii, provenance=provenance)


def divided(matrix: sparse.csr_array, seed: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    """The ratings without their validation part, and that part, drawn at random."""
    if matrix.nnz < FEWEST:
        raise ValueError(f"there are {matrix.nnz} ratings; at least {FEWEST} are needed")
    drawn = np.random.default_rng([seed, 0]).permutation(matrix.nnz)
    held = np.zeros(matrix.nnz, bool)
    held[drawn[: max(1, round(VALIDATION * matrix.nnz))]] = True
    return part_of(matrix, ~held), part_of(matrix, held)


def part_of(matrix: sparse.csr_array, kept: NDArray[np.bool_]) -> sparse.csr_array:
    """Some of the stored entries, in a matrix of the same shape."""
    rows = row_numbers(matrix)[kept]
    indptr = np.searchsorted(rows, np.arange(matrix.shape[0] + 1)).astype(matrix.indptr.dtype)
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], indptr), matrix.shape)


def choose(
    candidates: Sequence[Method],
    kept: sparse.csr_array,
    held: sparse.csr_array,
    options: Options,
) -> Trial:
    """The candidate with the lowest RMSE on validation, by the rule of `cfmf.selection`."""
    if candidates[0].iterates:
        trials = [_trained(one, kept, held, options) for one in candidates]
    else:
        kind = type(candidates[0])
        grid = kind.predict_grid(
            candidates, kept, *pairs(held), threads=options.threads, device=options.device
        )
        trials = [Trial(one, found.values) for one, found in zip(candidates, grid, strict=True)]
    rows = []
    for number, trial in enumerate(trials):
        error = rmse(trial.validation, held.data)
        text = trial.method.chosen_text()
        log.info("%s %s: validation RMSE %.4f", trial.method.name, text, error)
        rows.append({**text_parts(text), "trial": number, ERROR: error, "all": ""})
    return trials[int(best(pd.DataFrame(rows), ["all"])["trial"].iloc[0])]


def _trained(
    method: Method, kept: sparse.csr_array, held: sparse.csr_array, options: Options
) -> Trial:
    name = f"{method.name} {method.chosen_text()}"
    task = Task(kept, options.seed, held, fitted_values=False, name=name)
    [found] = best_starts(method, [task], _trainer(method, options))
    return Trial(method, found.predictions["validation"], found)


def refitted(trial: Trial, matrix: sparse.csr_array, options: Options) -> Model:
    """The model of all ratings: trained for as many passes as validation found."""
    method, fitted = trial.method, trial.fitted
    if fitted is None:
        return method.fit(matrix, seed=options.seed, threads=options.threads, device=options.device)
    epochs = fitted.epochs if method.stops_on_validation else None
    task = Task(matrix, options.seed, epochs=epochs, fitted_values=False, name=method.name)
    train = _trainer(method, options)
    if method.several_starts:
        [found] = reach([task], [fitted], train)
    else:
        [found] = train([task], "refit")
    return found.model


def _trainer(method: Method, options: Options) -> Any:
    """What `cfmf.convergence` trains tasks with."""

    def train(tasks: Sequence[Task], phase: str) -> list[Fitted]:
        return method.fit_tasks(tasks, threads=options.threads, device=options.device)

    return train


def _radii(
    predictions: NDArray[np.float32],
    held: sparse.csr_array,
    kept: sparse.csr_array,
    scale: tuple[float, float],
) -> list[Radii]:
    history = np.diff(kept.indptr)[row_numbers(held)]
    return [Radii.learn(predictions, held.data, history, scale, one) for one in COVERAGES]
