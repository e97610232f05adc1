"""Test predictions at the chosen settings, in blocks of users or items that jobs may share."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from cfmf.methods.base import Method, Model, Prediction
from cfmf.metrics import score
from cfmf.observed import pairs, row_numbers
from cfmf.selection import ERROR
from cfmf.tables import COLUMNS, cost_row
from cfmf.tuning import Lowest, Setup

ERRORS = ["fold", "metric", "user", "squares"]


class Outcome(NamedTuple):
    """Tables metrics and costs, and predictions with columns fold, seed (empty), prediction."""

    metrics: pd.DataFrame
    costs: pd.DataFrame
    predictions: pd.DataFrame


class Part(NamedTuple):
    """What one block of rows gives.

    Attributes
    ----------
    predictions
        Columns fold, place (in the CSR order of the fold's test matrix), prediction (float32),
        is_fallback, and sd (float32) where the method predicts one.
    training
        Columns fold, metric, user, squares: squared errors on the training ratings, summed over
        each user's ratings in float64, so that the total does not depend on the number of blocks.
        Empty for a method that does not declare `predict_training`.
    costs
        A `costs` table: seconds of the predictions of each fold.
    """

    predictions: pd.DataFrame
    training: pd.DataFrame
    costs: pd.DataFrame


def bounds(size: int, block: int, blocks: int) -> tuple[int, int]:
    """First row of a block, counted from 0, and the first one after it.

    Raises
    ------
    ValueError
        If there is no such block.
    """
    if not 0 <= block < blocks:
        raise ValueError(f"block {block} of {blocks} does not exist; blocks count from 0")
    return size * block // blocks, size * (block + 1) // blocks


def predict_part(setup: Setup, settings: pd.DataFrame, block: int = 0, blocks: int = 1) -> Part:
    """Fit the chosen setting of each fold on train and predict the test pairs of a block of rows.

    Rows are the users, or the items for a method of item neighbours. The prediction of a pair does
    not depend on how many blocks there are.

    Parameters
    ----------
    settings
        The `selection` table that tuning wrote.
    block
        Counted from 0.
    """
    parts = []
    for fold, candidate in chosen_methods(setup, settings).items():
        begun = time.perf_counter()
        train, test = setup.matrix(fold, "train"), setup.matrix(fold, "test")
        users, items = pairs(test)
        by_items = setup.method.neighbours_of == "items"
        rows, size = (items, test.shape[1]) if by_items else (users, test.shape[0])
        start, stop = bounds(size, block, blocks)
        places = np.flatnonzero((rows >= start) & (rows < stop))
        model = candidate.fit(train, threads=setup.threads, device=setup.device)
        values, is_fallback, sd = model.predict(users[places], items[places])
        cost = cost_row(setup.keys(fold), "predict", time.perf_counter() - begun)
        columns = {"place": places, "prediction": values, "is_fallback": is_fallback}
        if sd is not None:
            columns["sd"] = sd
        errors = pd.DataFrame(columns=ERRORS)
        if "predict_training" in setup.method.can:
            errors = _training_errors(model, train, *bounds(train.shape[0], block, blocks))
        frames = pd.DataFrame(columns), errors, pd.DataFrame([cost])
        parts.append(Part(*(frame.assign(fold=fold) for frame in frames)))
    joined = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    return Part(*joined)


def chosen_methods(setup: Setup, settings: pd.DataFrame) -> dict[str, Method]:
    """The method at the setting that validation chose on each fold.

    Raises
    ------
    ValueError
        If a fold has none, or one that the config no longer lists.
    """
    texts = dict(zip(settings["fold"], settings["setting"], strict=True))
    missing = [fold for fold in setup.folds if fold not in texts]
    if missing:
        raise ValueError(f"{setup.method.name} has no setting on {', '.join(missing)}; tune it")
    return {fold: setup.named(texts[fold]) for fold in setup.folds}


def predict_validation(
    setup: Setup, settings: pd.DataFrame, lowest: Mapping[str, Lowest] | None = None
) -> pd.DataFrame:
    """Predictions of the validation pairs by the chosen setting of each fold, fitted on `fit`.

    Parameters
    ----------
    lowest
        What tuning predicted with the lowest error: mostly the setting that is chosen.

    Returns
    -------
    Columns fold, seed (empty) and prediction (float32), in the CSR order of each validation matrix.
    """
    frames = []
    for fold, candidate in chosen_methods(setup, settings).items():
        known = (lowest or {}).get(fold, Lowest())
        if known.setting == candidate.chosen_text() and len(known.predictions):
            values = known.predictions
            frames.append(pd.DataFrame({"fold": fold, "seed": "", "prediction": values}))
            continue
        users, items = pairs(setup.matrix(fold, "validation"))
        model = candidate.fit(setup.matrix(fold, "fit"), threads=setup.threads, device=setup.device)
        values = model.predict(users, items).values
        frames.append(pd.DataFrame({"fold": fold, "seed": "", "prediction": values}))
    return pd.concat(frames, ignore_index=True)


def _training_errors(model: Model, train: sparse.csr_array, start: int, stop: int) -> pd.DataFrame:
    own = train[start:stop]
    frames = []
    for metric, predicted in model.predict_training(train, start, stop).items():
        squares = (predicted.astype(np.float64) - own.data) ** 2
        summed = np.bincount(row_numbers(own), squares, minlength=own.shape[0])
        frame = {"metric": metric, "user": range(start, stop), "squares": summed}
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


def join_parts(setup: Setup, settings: pd.DataFrame, parts: Sequence[Part]) -> Outcome:
    """Score the parts of all blocks together, in whatever order they come.

    Parameters
    ----------
    setup, settings
        Those of `predict_part`.

    Returns
    -------
    Seconds are summed over the parts; nothing else depends on their number.

    Raises
    ------
    ValueError
        If a test pair or a training user is missing in the parts, or is in more than one.
    """
    predictions = _gather(setup, (part.predictions for part in parts))
    metrics = []
    validation = settings.set_index("fold")[ERROR]
    for fold in setup.folds:
        of_fold = predictions[predictions["fold"] == fold]
        names = ("prediction", "is_fallback", "sd")
        predicted = Prediction(*(of_fold[name].to_numpy() for name in names if name in of_fold))
        metrics += score_fold(setup, fold, predicted, validation[fold])
    metrics += _training_metrics(setup, pd.concat([part.training for part in parts]))
    costs = pd.concat([part.costs for part in parts])
    keys = [name for name in COLUMNS["costs"] if name != "value"]
    return Outcome(
        pd.DataFrame(metrics)[COLUMNS["metrics"]],
        costs.groupby(keys, sort=False)[["value"]].sum().reset_index(),
        predictions.assign(seed="")[["fold", "seed", "prediction"]],
    )


def predict_selected(setup: Setup, settings: pd.DataFrame) -> Outcome:
    """`predict_part` and `join_parts` of all rows in one block."""
    return join_parts(setup, settings, [predict_part(setup, settings)])


def score_fold(
    setup: Setup, fold: str, predicted: Prediction, validation: float
) -> list[dict[str, Any]]:
    """Rows of a `metrics` table: the metrics of test predictions, and the RMSE that chose them."""
    test = setup.matrix(fold, "test")
    scale = setup.scale
    if scale is None:
        train = setup.matrix(fold, "train")
        scale = (float(train.data.min()), float(train.data.max()))
    found = score(predicted.values, test.data, scale, predicted.sd, predicted.is_fallback)
    rows = [_metric(setup, fold, "validation", "rmse", validation)]
    return rows + [_metric(setup, fold, "test", name, value) for name, value in found.items()]


def _training_metrics(setup: Setup, errors: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for (fold, metric), found in errors.groupby(["fold", "metric"], sort=False):
        train = setup.matrix(str(fold), "train")
        found = found.sort_values("user")
        _check_complete(str(fold), "users", found["user"], train.shape[0])
        value = np.sqrt(found["squares"].to_numpy().sum() / train.nnz)
        rows.append(_metric(setup, str(fold), "train", str(metric), value))
    return rows


def _gather(setup: Setup, blocks: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Blocks of predictions, in any order, as one table in the order of the folds and CSR."""
    together = pd.concat(list(blocks), ignore_index=True)
    frames = []
    for fold in setup.folds:
        frame = together[together["fold"] == fold].sort_values("place", kind="stable")
        _check_complete(fold, "test pairs", frame["place"], setup.matrix(fold, "test").nnz)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _check_complete(fold: str, what: str, numbers: pd.Series, expected: int) -> None:
    if not np.array_equal(numbers, np.arange(expected)):
        raise ValueError(
            f"fold {fold} has {expected} {what} and {len(numbers)} predictions of"
            f" {numbers.nunique()} of them; delete the blocks and predict again"
        )


def _metric(setup: Setup, fold: str, split: str, metric: str, value: float) -> dict[str, Any]:
    keys = {**setup.keys(fold), "k": "", "reg": "", "seed": ""}
    return {**keys, "split": split, "metric": metric, "value": float(value)}
