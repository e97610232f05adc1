"""What the rules of the neighbour methods do: tune, predict by blocks of rows, score."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from cfmf.files import load_matrix
from cfmf.neighbours import method_class
from cfmf.neighbours.tuning import (
    METRIC,
    best_setting,
    fitted,
    name_of,
    predict_all,
    search,
    setting_text,
)
from cfmf.observed import accuracy, pairs, row_numbers
from cfmf.tables import COLUMNS

Matrix = sparse.csr_array | str | Path
Folds = Mapping[str, Mapping[str, Matrix]]


class Outcome(NamedTuple):
    """The tables of `predict_selected`, with the columns of `cfmf.tables`."""

    metrics: pd.DataFrame
    settings: pd.DataFrame
    predictions: pd.DataFrame
    costs: pd.DataFrame


class Part(NamedTuple):
    """What one block of rows gives: one job of those that predictions may be cut into.

    Attributes
    ----------
    predictions
        As `predict_block` returns it.
    training
        As `training_errors` returns it.
    costs
        A `costs` table: seconds of the predictions of each fold.
    """

    predictions: pd.DataFrame
    training: pd.DataFrame
    costs: pd.DataFrame


def matrix_of(matrix: Matrix) -> sparse.csr_array:
    """A matrix as it is, or read from its file."""
    return load_matrix(matrix) if isinstance(matrix, str | Path) else matrix


def tune(
    method: str,
    folds: Folds,
    settings: Mapping[str, Any],
    dataset: str = "",
    threads: int = 1,
    device: str = "cpu",
    seconds: float | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Try every setting on the validation part of every fold.

    Parameters
    ----------
    folds
        `fit` and `validation` of each fold: matrices or their files.
    settings
        Values to search, of each parameter; see `tuning.grid`.
    seconds
        Limit of the search on each fold; see `tuning.search`.

    Returns
    -------
    A `trials` table, and a `costs` table of the seconds that each fold took.
    """
    tables, costs = [], []
    for fold, parts in folds.items():
        begun = time.perf_counter()
        tables.append(
            search(
                method,
                matrix_of(parts["fit"]),
                matrix_of(parts["validation"]),
                settings,
                dataset=dataset,
                fold=fold,
                threads=threads,
                device=device,
                seconds=seconds,
            )
        )
        costs.append(cost_row(dataset, fold, method, "tune", time.perf_counter() - begun))
    return pd.concat(tables, ignore_index=True), pd.DataFrame(costs)[COLUMNS["costs"]]


def selected(
    method: str, folds: Iterable[str], trials: pd.DataFrame, settings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Setting of each fold with the least RMSE on its own validation part."""
    return {fold: best_setting(method, trials, fold, settings) for fold in folds}


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


def predict_block(
    method: str,
    folds: Folds,
    chosen: Mapping[str, Mapping[str, Any]],
    block: int = 0,
    blocks: int = 1,
    threads: int = 1,
    device: str = "cpu",
) -> pd.DataFrame:
    """Test predictions of one of `blocks` blocks of rows, fitted on train.

    Rows are the users, or the items for a method of item neighbours. The predictions of a pair do
    not depend on how many blocks there are.

    Parameters
    ----------
    folds
        `train` and `test` of each fold: matrices or their files.
    chosen
        Setting of each fold.
    block
        Counted from 0.

    Returns
    -------
    Columns fold, place (in the CSR order of the fold's test matrix), prediction (float32),
    fallback (whether it has no neighbours).
    """
    frames = []
    for fold, setting in chosen.items():
        test = matrix_of(folds[fold]["test"])
        users, items = pairs(test)
        by_items = getattr(method_class(method), "by", "users") == "items"
        rows, size = (items, test.shape[1]) if by_items else (users, test.shape[0])
        start, stop = bounds(size, block, blocks)
        places = np.flatnonzero((rows >= start) & (rows < stop))
        train = matrix_of(folds[fold]["train"])
        predicted, alone = predict_all(
            method, train, users[places], items[places], [setting], threads, device
        )
        frame = {"fold": fold, "place": places, "prediction": predicted[0], "fallback": alone[0]}
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


def gather(blocks: Iterable[pd.DataFrame], folds: Folds) -> pd.DataFrame:
    """Blocks of predictions, in any order, as one table in the order of `folds` and the CSR order.

    Raises
    ------
    ValueError
        If a pair of a test matrix has no prediction, or more than one.
    """
    together = pd.concat(list(blocks), ignore_index=True)
    frames = []
    for fold, parts in folds.items():
        frame = together[together["fold"] == fold].sort_values("place", kind="stable")
        expected = matrix_of(parts["test"]).nnz
        _check_complete(fold, "test pairs", frame["place"], expected)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def score(
    method: str,
    folds: Folds,
    predictions: pd.DataFrame,
    trials: pd.DataFrame,
    chosen: Mapping[str, Mapping[str, Any]],
    dataset: str = "",
    scale: tuple[float, float] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test metrics of gathered predictions, beside the validation RMSE that chose them.

    Parameters
    ----------
    scale
        Least and greatest rating, for `rmse_clipped`; those of each fold's training ratings when
        not given.

    Returns
    -------
    A `metrics` and a `settings` table.
    """
    metrics, settings = [], []
    for fold, setting in chosen.items():
        test = matrix_of(folds[fold]["test"])
        of_fold = predictions[predictions["fold"] == fold]
        predicted = of_fold["prediction"].to_numpy(np.float32)
        found = accuracy(predicted, test.data, scale or _range(matrix_of(folds[fold]["train"])))
        text = setting_text(setting)
        same = (trials["fold"] == fold) & (trials["setting"].map(name_of) == text)
        facts = {
            ("validation", "rmse"): trials[same & (trials["metric"] == METRIC)]["value"].iloc[0],
            **{("test", name): value for name, value in found.items()},
            ("test", "fallback_share"): of_fold["fallback"].mean(),
        }
        for (split, metric), value in facts.items():
            metrics.append(_keys(dataset, fold, method) | _fact(split, metric, value))
        settings.append({"dataset": dataset, "fold": fold, "method": method, "setting": text})
    return pd.DataFrame(metrics)[COLUMNS["metrics"]], pd.DataFrame(settings)[COLUMNS["settings"]]


def training_errors(
    method: str,
    folds: Folds,
    chosen: Mapping[str, Mapping[str, Any]],
    block: int = 0,
    blocks: int = 1,
    threads: int = 1,
    device: str = "cpu",
) -> pd.DataFrame:
    """Squared errors on the training ratings of a block of users, for methods with honest ones.

    User CF as published gets two: `rmse` with the user left out, and `rmse_contaminated`, where
    their own rating helps to predict itself, as the study computed it.

    Returns
    -------
    Columns fold, metric, user, squares (their sum over the user's ratings, float64). Summed up user
    by user, so that the figure of all does not depend on how many blocks there are.
    """
    frames = []
    honest = hasattr(method_class(method), "predict_training")
    for fold, setting in chosen.items() if honest else ():
        train = matrix_of(folds[fold]["train"])
        start, stop = bounds(train.shape[0], block, blocks)
        model = fitted(method, train, setting, threads, device)
        predictions = model.predict_training(train, start, stop)
        own = train[start:stop]
        for metric, predicted in predictions.items():
            squares = (predicted.astype(np.float64) - own.data) ** 2
            summed = np.bincount(row_numbers(own), squares, minlength=own.shape[0])
            frame = {"fold": fold, "metric": metric, "user": range(start, stop), "squares": summed}
            frames.append(pd.DataFrame(frame))
    columns = ["fold", "metric", "user", "squares"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def score_training(
    method: str, folds: Folds, errors: pd.DataFrame, dataset: str = ""
) -> pd.DataFrame:
    """Training RMSE from the gathered `training_errors`, as a `metrics` table.

    Raises
    ------
    ValueError
        If a user has no errors, or has them twice.
    """
    metrics = []
    for (fold, metric), found in errors.groupby(["fold", "metric"], sort=False):
        train = matrix_of(folds[str(fold)]["train"])
        found = found.sort_values("user")
        _check_complete(str(fold), "users", found["user"], train.shape[0])
        value = float(np.sqrt(found["squares"].to_numpy().sum() / train.nnz))
        metrics.append(_keys(dataset, str(fold), method) | _fact("train", str(metric), value))
    return pd.DataFrame(metrics, columns=COLUMNS["metrics"])


def predict_part(
    method: str,
    folds: Folds,
    trials: pd.DataFrame,
    settings: Mapping[str, Any],
    block: int = 0,
    blocks: int = 1,
    dataset: str = "",
    threads: int = 1,
    device: str = "cpu",
) -> Part:
    """Fit the chosen setting of each fold on train and predict the test pairs of a block of rows.

    Parameters
    ----------
    folds
        `train` and `test` of each fold: matrices or their files.
    trials
        What `tune` found.
    settings
        The values that `tune` searched.
    block, blocks
        See `predict_block`.
    """
    chosen = selected(method, folds, trials, settings)
    frames, costs = [], []
    for fold, setting in chosen.items():
        begun = time.perf_counter()
        one = {fold: setting}
        frames.append(predict_block(method, folds, one, block, blocks, threads, device))
        costs.append(cost_row(dataset, fold, method, "predict", time.perf_counter() - begun))
    training = training_errors(method, folds, chosen, block, blocks, threads, device)
    costs_table = pd.DataFrame(costs)[COLUMNS["costs"]]
    return Part(pd.concat(frames, ignore_index=True), training, costs_table)


def join_parts(
    method: str,
    folds: Folds,
    trials: pd.DataFrame,
    settings: Mapping[str, Any],
    parts: Sequence[Part],
    dataset: str = "",
    scale: tuple[float, float] | None = None,
) -> Outcome:
    """Score the parts of all blocks together, in whatever order they come.

    Parameters
    ----------
    folds, trials, settings
        As `predict_part` got them.
    scale
        See `score`.

    Returns
    -------
    Tables metrics, settings, costs (seconds summed up over the parts), and predictions with columns
    fold, seed (empty), prediction. Nothing but the seconds depends on the number of parts.
    """
    chosen = selected(method, folds, trials, settings)
    predictions = gather([part.predictions for part in parts], folds)
    metrics, table = score(method, folds, predictions, trials, chosen, dataset, scale)
    errors = pd.concat([part.training for part in parts], ignore_index=True)
    if len(errors):
        training = score_training(method, folds, errors, dataset)
        metrics = pd.concat([metrics, training], ignore_index=True)
    costs = pd.concat([part.costs for part in parts])
    keys = [name for name in COLUMNS["costs"] if name != "value"]
    costs = costs.groupby(keys, sort=False)[["value"]].sum().reset_index()
    return Outcome(metrics, table, as_written(predictions), costs)


def predict_selected(
    method: str,
    folds: Folds,
    trials: pd.DataFrame,
    settings: Mapping[str, Any],
    dataset: str = "",
    threads: int = 1,
    device: str = "cpu",
    scale: tuple[float, float] | None = None,
) -> Outcome:
    """`predict_part` and `join_parts` of all rows in one block."""
    whole = predict_part(method, folds, trials, settings, 0, 1, dataset, threads, device)
    return join_parts(method, folds, trials, settings, [whole], dataset, scale)


def as_written(predictions: pd.DataFrame) -> pd.DataFrame:
    """Gathered predictions as their file holds them: fold, seed (empty), prediction (float32)."""
    return predictions.assign(seed="")[["fold", "seed", "prediction"]]


def _check_complete(fold: str, what: str, numbers: pd.Series, expected: int) -> None:
    if not np.array_equal(numbers, np.arange(expected)):
        raise ValueError(
            f"fold {fold} has {expected} {what} and {len(numbers)} predictions of"
            f" {numbers.nunique()} of them; delete the blocks and predict again"
        )


def _range(train: sparse.csr_array) -> tuple[float, float]:
    return float(train.data.min()), float(train.data.max())


def _keys(dataset: str, fold: str, method: str) -> dict[str, Any]:
    return {"dataset": dataset, "fold": fold, "method": method, "k": "", "reg": "", "seed": ""}


def _fact(split: str, metric: str, value: float) -> dict[str, Any]:
    return {"split": split, "metric": metric, "value": float(value)}


def cost_row(dataset: str, fold: str, method: str, stage: str, seconds: float) -> dict[str, Any]:
    """One row of the `costs` table: the wall-clock seconds of a stage."""
    keys = _keys(dataset, fold, method)
    return keys | {"stage": stage, "measure": "seconds", "value": seconds}
