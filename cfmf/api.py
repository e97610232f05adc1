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
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.evaluation.bootstrap import Resampling, drawn_ratios, interval, ratio_intervals
from cfmf.evaluation.foreign import in_order, read_predictions
from cfmf.inputs import Layout, of_frame, read_pairs, read_ratings
from cfmf.methods import registry
from cfmf.metrics import errors
from cfmf.observed import pairs, row_numbers
from cfmf.saved import Names, Ratings, Saved, load, save
from cfmf.tuned import (
    COVERAGES,
    FEWEST,
    Options,
    choose,
    divided,
    fit_candidates,
    part_of,
    refitted,
)

__all__ = [
    "COVERAGES",
    "Layout",
    "Names",
    "Options",
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

Given = Ratings | pd.DataFrame | str | Path


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


def evaluate(model: Saved, ratings: Given, layout: Layout | None = None) -> pd.DataFrame:
    """Errors of a model's predictions of ratings that it has not seen; a warning if it has.

    Returns
    -------
    Columns metric, n, value, ci_low and ci_high (95%, resampling users): rmse, mae, coverage of
    each interval of the model, and fallback_share.

    Raises
    ------
    ValueError
        If the ratings cannot be read.
    """
    table = ratings_of(ratings, layout).frame()
    if seen := np.count_nonzero(model.has_seen(table["user"], table["item"])):
        log.warning(
            "the model was fitted to %d of these %d pairs of user and item; errors on them are"
            " lower than on new ratings",
            seen,
            len(table),
        )
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
    counts = np.bincount(numbers)[:, None].astype(float)
    rows = [
        ratio_intervals(
            np.bincount(numbers, one).astype(float)[:, None], counts, Resampling(), name == "rmse"
        )
        for name, one in measures.items()
    ]
    found = pd.concat(rows, ignore_index=True)[["value", "ci_low", "ci_high"]]
    found.insert(0, "metric", [*measures])
    found.insert(1, "n", len(numbers))
    return found


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
    Columns method, rmse, ci_low and ci_high (95%, resampling users), mae, and difference to the
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
        train, test = part_of(matrix, ~tested), part_of(matrix, tested)
        kept, held = divided(train, options.seed)
        for at, one in enumerate(classes):
            log.info("fold %d of %d: %s", fold + 1, folds, one.name)
            trial = choose(one.candidates({}, given.scale), kept, held, options)
            model = refitted(trial, train, options)
            predicted = model.predict(*pairs(test)).values
            found[tested, at] = np.clip(predicted, *given.scale) - test.data
    return _ranking(names, found, row_numbers(matrix))


def _ranking(
    names: Sequence[str], found: NDArray[np.float64], users: NDArray[np.integer]
) -> pd.DataFrame:
    """The table of `compare` from errors, ratings × methods."""
    squared = np.column_stack([np.bincount(users, one**2) for one in found.T]).astype(float)
    counts = np.repeat(np.bincount(users)[:, None], len(names), axis=1).astype(float)
    drawn = drawn_ratios(squared, counts, Resampling(), root=True)
    count = np.full(len(names), len(np.unique(users)))
    low, high = interval(drawn[1:], count, Resampling())
    behind = drawn - drawn[:, [int(np.argmin(drawn[0]))]]
    less, more = interval(behind[1:], count, Resampling())
    table = {"method": names, "rmse": drawn[0], "ci_low": low, "ci_high": high}
    table |= {"mae": np.abs(found).mean(axis=0), "difference": behind[0]}
    table |= {"difference_low": less, "difference_high": more}
    return pd.DataFrame(table).sort_values("rmse", ignore_index=True)
