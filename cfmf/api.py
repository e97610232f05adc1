"""Five lines for ratings of one's own: fit a method, ask it, and compare methods.

import cfmf.api as cfmf

model = cfmf.fit(ratings)  # a data frame with user, item and rating, or a file
model.recommend(["anna"], top=10, coverage=0.9, explained=3)
cfmf.save("model.cfmf", model)
cfmf.compare(ratings, ["baseline", "user-knn", "als"])
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf import __version__
from cfmf.convergence import best_starts, reach
from cfmf.evaluation.bootstrap import Resampling, interval, resampled
from cfmf.evaluation.conformal import COVERAGE, Radii
from cfmf.evaluation.foreign import in_order, read_predictions
from cfmf.inputs import Layout, Ratings, of_frame, read_pairs, read_ratings
from cfmf.methods import registry
from cfmf.methods.base import Method, text_parts
from cfmf.metrics import errors
from cfmf.models import Model
from cfmf.observed import pairs, rmse, row_numbers
from cfmf.saved import Names, Saved, load, save, saved
from cfmf.selection import ERROR, best
from cfmf.tasks import Fitted, Task

__all__ = [
    "Layout",
    "Names",
    "Ratings",
    "Saved",
    "compare",
    "evaluate",
    "fit",
    "load",
    "of_frame",
    "read_pairs",
    "read_ratings",
    "save",
]

log = logging.getLogger(__name__)

VALIDATION = 0.1
"""Share of the ratings that chooses settings, decides when to stop and gives the intervals."""
COVERAGES = (0.8, COVERAGE, 0.95)
FEWEST = 20
"""Fewest ratings that can be fitted."""
Given = Ratings | pd.DataFrame | str | Path


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


def ratings_of(given: Given, layout: Layout | None = None, threads: int = 1) -> Ratings:
    """Ratings as `fit` takes them, of whatever they are given as.

    Raises
    ------
    ValueError
        As `read_ratings` and `of_frame`.
    """
    if isinstance(given, Ratings):
        return given
    if isinstance(given, pd.DataFrame):
        return of_frame(given, layout)
    return read_ratings(given, layout, threads)


def fit(
    ratings: Given,
    method: str = registry.DEFAULT,
    settings: Mapping[str, Any] | None = None,
    layout: Layout | None = None,
    options: Options | None = None,
) -> Saved:
    """Fit a method to ratings: its settings are chosen on a tenth of them, then all are used.

    The tenth is drawn at random. It also decides when training stops and how wide the intervals of
    predictions are.

    Parameters
    ----------
    ratings
        A data frame or a file with users, items and ratings, or a folder of MovieLens.
    method
        Name, as `cfmf.methods.registry.methods` has it.
    settings
        Values by name, or lists of values to try; what is left out is tried as in a study. See
        docs/reference/methods.md.

    Raises
    ------
    ValueError
        If the ratings or the settings cannot be used.
    FloatingPointError
        If the training diverges.
    """
    options = options or Options()
    found = registry.method(method)
    given = ratings_of(ratings, layout, options.threads)
    candidates = found.candidates(dict(settings or {}), given.scale)
    return fit_candidates(given, candidates, options)


def fit_candidates(given: Ratings, candidates: Sequence[Method], options: Options) -> Saved:
    """Fit the candidate that validation chooses; see `fit`."""
    kept, held = _divided(given.matrix, options.seed)
    trial = _chosen(candidates, kept, held, options)
    radii = _radii(trial.validation, held, kept, given.scale)
    model = _refitted(trial, given.matrix, options)
    provenance = {"cfmf": __version__, "numpy": np.__version__, **given.provenance}
    provenance |= {"seed": options.seed, ERROR: rmse(trial.validation, held.data)}
    return saved(model, trial.method, given.matrix, given.names, radii=radii, provenance=provenance)


def evaluate(model: Saved, ratings: Given, layout: Layout | None = None) -> pd.DataFrame:
    """Errors of a model's predictions of ratings that it has not seen.

    Returns
    -------
    Columns metric, n, value, ci_low and ci_high (95 %, resampling users): rmse, mae, coverage of
    each interval of the model, and fallback_share.

    Raises
    ------
    ValueError
        If the ratings cannot be read.
    """
    table = ratings_of(ratings, layout).frame()
    found = model.predict(table["user"], table["item"])
    measures = error_measures(found["prediction"], table["rating"])
    for radii in model.about.intervals:
        ends = model.predict(table["user"], table["item"], radii.coverage)
        inside = table["rating"].between(ends["low"], ends["high"]).to_numpy()
        measures[f"coverage_{radii.coverage:g}"] = inside.astype(np.float64)
    measures["fallback_share"] = found["is_fallback"].to_numpy(np.float64)
    return measured(table["user"], measures)


def evaluate_predictions(
    predictions: str | Path, ratings: Given, layout: Layout | None = None
) -> pd.DataFrame:
    """Errors of predictions that any tool wrote to a file: `user,item,prediction`.

    Returns
    -------
    As `evaluate`, without what only a model has.

    Raises
    ------
    ValueError
        If the file lacks a pair of the ratings, has another one or one twice, or a prediction is
        not a finite number.
    """
    table = ratings_of(ratings, layout).frame()
    values = in_order(read_predictions(predictions), table[["user", "item"]], str(predictions))
    return measured(table["user"], error_measures(values, table["rating"]))


def error_measures(predictions: Any, ratings: Any) -> dict[str, NDArray[np.float64]]:
    """Squared and absolute errors, by the names of their means."""
    found = errors(np.asarray(predictions), np.asarray(ratings))
    return {"rmse": found**2, "mae": np.abs(found)}


def measured(users: Any, measures: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    """Means over ratings, the root of that named `rmse`, with intervals from resampling users."""
    numbers = pd.factorize(users)[0]
    sums = np.column_stack([np.bincount(numbers, one) for one in measures.values()])
    counts = np.bincount(numbers).astype(float)
    drawn = _means(sums, counts, [*measures])
    low, high = interval(drawn[1:], np.full(len(measures), len(counts)), Resampling())
    values = {"metric": [*measures], "n": len(numbers), "value": drawn[0]}
    return pd.DataFrame({**values, "ci_low": low, "ci_high": high})


def compare(
    ratings: Given,
    methods: Iterable[str],
    folds: int = 5,
    layout: Layout | None = None,
    options: Options | None = None,
) -> pd.DataFrame:
    """Methods by their RMSE in cross-validation; each is tuned within the training part of a fold.

    Returns
    -------
    Columns method, rmse, ci_low and ci_high (95 %, resampling users), mae, and difference to the
    lowest RMSE with its own interval (difference_low, difference_high); the lowest RMSE first.

    Raises
    ------
    ValueError
        As `fit`, or if there are too few ratings for the folds.
    """
    options = options or Options()
    given, names = ratings_of(ratings, layout, options.threads), list(dict.fromkeys(methods))
    classes = [registry.method(name) for name in names]
    matrix = given.matrix
    if not 2 <= folds <= matrix.nnz // FEWEST:
        raise ValueError(f"{matrix.nnz} ratings do not allow {folds} folds; choose from 2 on")
    fold_of = np.random.default_rng(options.seed).permutation(matrix.nnz) % folds
    found = np.zeros((matrix.nnz, len(names)))
    for fold in range(folds):
        tested = fold_of == fold
        train, test = _part(matrix, ~tested), _part(matrix, tested)
        kept, held = _divided(train, options.seed)
        for at, one in enumerate(classes):
            log.info("fold %d of %d: %s", fold + 1, folds, one.name)
            trial = _chosen(one.candidates({}, given.scale), kept, held, options)
            model = _refitted(trial, train, options)
            predicted = model.predict(*pairs(test)).values
            found[tested, at] = np.clip(predicted, *given.scale) - test.data
    return _ranking(names, found, row_numbers(matrix))


def _ranking(
    names: Sequence[str], found: NDArray[np.float64], users: NDArray[np.integer]
) -> pd.DataFrame:
    """The table of `compare` from errors, ratings × methods."""
    squared = np.column_stack([np.bincount(users, one**2) for one in found.T])
    drawn = _means(squared, np.bincount(users).astype(float), ["rmse"] * len(names))
    count = np.full(len(names), len(np.unique(users)))
    low, high = interval(drawn[1:], count, Resampling())
    behind = drawn - drawn[:, [int(np.argmin(drawn[0]))]]
    less, more = interval(behind[1:], count, Resampling())
    table = {"method": names, "rmse": drawn[0], "ci_low": low, "ci_high": high}
    table |= {"mae": np.abs(found).mean(axis=0), "difference": behind[0]}
    table |= {"difference_low": less, "difference_high": more}
    return pd.DataFrame(table).sort_values("rmse", ignore_index=True)


def _means(sums: NDArray[Any], counts: NDArray[Any], names: Sequence[str]) -> NDArray[np.float64]:
    """Means over all users and over each resample of them: (1 + repeats) × columns."""
    stacked = np.column_stack([sums, counts])
    totals = np.vstack([stacked.sum(axis=0), resampled(stacked, Resampling())])
    means = totals[:, :-1] / totals[:, -1:]
    roots = np.array([name == "rmse" for name in names])
    return np.where(roots, np.sqrt(means), means)


def _divided(matrix: sparse.csr_array, seed: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    """The ratings without their validation part, and that part, drawn at random."""
    if matrix.nnz < FEWEST:
        raise ValueError(f"there are {matrix.nnz} ratings; at least {FEWEST} are needed")
    drawn = np.random.default_rng([seed, 0]).permutation(matrix.nnz)
    held = np.zeros(matrix.nnz, bool)
    held[drawn[: max(1, round(VALIDATION * matrix.nnz))]] = True
    return _part(matrix, ~held), _part(matrix, held)


def _part(matrix: sparse.csr_array, kept: NDArray[np.bool_]) -> sparse.csr_array:
    """Some of the stored entries, in a matrix of the same shape."""
    rows = row_numbers(matrix)[kept]
    indptr = np.searchsorted(rows, np.arange(matrix.shape[0] + 1)).astype(matrix.indptr.dtype)
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], indptr), matrix.shape)


def _chosen(
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
    task = Task(kept, options.seed, held, name=f"{method.name} {method.chosen_text()}")
    [found] = best_starts(method, [task], _trainer(method, options))
    return Trial(method, found.predictions["validation"], found)


def _refitted(trial: Trial, matrix: sparse.csr_array, options: Options) -> Model:
    """The model of all ratings: trained for as many passes as validation found."""
    method, fitted = trial.method, trial.fitted
    if fitted is None:
        return method.fit(matrix, seed=options.seed, threads=options.threads, device=options.device)
    epochs = fitted.epochs if method.stops_on_validation else None
    task = Task(matrix, options.seed, epochs=epochs, name=method.name)
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
