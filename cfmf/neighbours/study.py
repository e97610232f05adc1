"""What the rules of the neighbour methods do: tune, predict by blocks of rows, score."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from cfmf.files import load_matrix
from cfmf.neighbours import method_class
from cfmf.neighbours.ratings import pairs, rmse
from cfmf.neighbours.tuning import METRIC, best_setting, name_of, predict_all, search, setting_text
from cfmf.tables import COLUMNS

Matrix = sparse.csr_array | str | Path
Folds = Mapping[str, Mapping[str, Matrix]]


class Outcome(NamedTuple):
    """The tables of `predict_selected`, with the columns of `cfmf.tables`."""

    metrics: pd.DataFrame
    settings: pd.DataFrame
    predictions: pd.DataFrame
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
        costs.append(_cost(dataset, fold, method, "tune", time.perf_counter() - begun))
    return pd.concat(tables, ignore_index=True), pd.DataFrame(costs)[COLUMNS["costs"]]


def selected(
    method: str, folds: Iterable[str], trials: pd.DataFrame, settings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Setting of each fold with the least RMSE on its own validation part."""
    return {fold: best_setting(method, trials, fold, settings) for fold in folds}


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
    if not 0 <= block < blocks:
        raise ValueError(f"block {block} of {blocks} does not exist; blocks count from 0")
    frames = []
    for fold, setting in chosen.items():
        test = matrix_of(folds[fold]["test"])
        users, items = pairs(test)
        by_items = getattr(method_class(method), "by", "users") == "items"
        rows, size = (items, test.shape[1]) if by_items else (users, test.shape[0])
        start, stop = size * block // blocks, size * (block + 1) // blocks
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
        if not np.array_equal(frame["place"], np.arange(expected)):
            raise ValueError(
                f"fold {fold} has {expected} test pairs and {len(frame)} predictions of"
                f" {frame['place'].nunique()} of them; delete the blocks and predict again"
            )
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
        low, high = scale or _range(matrix_of(folds[fold]["train"]))
        text = setting_text(setting)
        same = (trials["fold"] == fold) & (trials["setting"].map(name_of) == text)
        facts = {
            ("validation", "rmse"): trials[same & (trials["metric"] == METRIC)]["value"].iloc[0],
            ("test", "rmse"): rmse(predicted, test.data),
            ("test", "rmse_clipped"): rmse(np.clip(predicted, low, high), test.data),
            ("test", "mae"): np.mean(np.abs(predicted.astype(np.float64) - test.data)),
            ("test", "fallback_share"): of_fold["fallback"].mean(),
        }
        for (split, metric), value in facts.items():
            metrics.append(_keys(dataset, fold, method) | _fact(split, metric, value))
        settings.append({"dataset": dataset, "fold": fold, "method": method, "setting": text})
    return pd.DataFrame(metrics)[COLUMNS["metrics"]], pd.DataFrame(settings)[COLUMNS["settings"]]


def score_training(
    method: str,
    folds: Folds,
    chosen: Mapping[str, Mapping[str, Any]],
    dataset: str = "",
    threads: int = 1,
    device: str = "cpu",
) -> pd.DataFrame:
    """Training RMSE of the methods that have an honest one, as a `metrics` table.

    User CF as published gets two: `rmse` with the user left out, and `rmse_contaminated`, where
    their own rating helps to predict itself, as the study computed it.
    """
    metrics = []
    for fold, setting in chosen.items():
        facts = {}
        train = matrix_of(folds[fold]["train"])
        if method == "user-cf-published":
            fitted = method_class(method)(threads=threads, device=device).fit(train)
            honest, contaminated = fitted.predict_training()
            facts["rmse"] = rmse(honest, train.data)
            facts["rmse_contaminated"] = rmse(contaminated, train.data)
        elif method == "baseline":
            fitted = method_class(method)(**setting).fit(train)
            facts["rmse"] = rmse(fitted.predict(*pairs(train)), train.data)
        for metric, value in facts.items():
            metrics.append(_keys(dataset, fold, method) | _fact("train", metric, value))
    return pd.DataFrame(metrics, columns=COLUMNS["metrics"])


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
    """Fit the chosen setting of each fold on train, predict its test pairs once, and score them.

    Parameters
    ----------
    folds
        `train` and `test` of each fold: matrices or their files.
    trials
        What `tune` found.
    settings
        The values that `tune` searched.
    scale
        See `score`.

    Returns
    -------
    Tables metrics, settings, costs, and predictions with columns fold, seed (empty), prediction.
    """
    chosen = selected(method, folds, trials, settings)
    frames, costs = [], []
    for fold, setting in chosen.items():
        begun = time.perf_counter()
        frames.append(predict_block(method, folds, {fold: setting}, 0, 1, threads, device))
        costs.append(_cost(dataset, fold, method, "predict", time.perf_counter() - begun))
    predictions = gather(frames, folds)
    metrics, table = score(method, folds, predictions, trials, chosen, dataset, scale)
    training = score_training(method, folds, chosen, dataset, threads, device)
    metrics = pd.concat([metrics, training], ignore_index=True) if len(training) else metrics
    return Outcome(metrics, table, as_written(predictions), pd.DataFrame(costs)[COLUMNS["costs"]])


def as_written(predictions: pd.DataFrame) -> pd.DataFrame:
    """Gathered predictions as their file holds them: fold, seed (empty), prediction (float32)."""
    return predictions.assign(seed="")[["fold", "seed", "prediction"]]


def _range(train: sparse.csr_array) -> tuple[float, float]:
    return float(train.data.min()), float(train.data.max())


def _keys(dataset: str, fold: str, method: str) -> dict[str, Any]:
    return {"dataset": dataset, "fold": fold, "method": method, "k": "", "reg": "", "seed": ""}


def _fact(split: str, metric: str, value: float) -> dict[str, Any]:
    return {"split": split, "metric": metric, "value": float(value)}


def _cost(dataset: str, fold: str, method: str, stage: str, seconds: float) -> dict[str, Any]:
    keys = _keys(dataset, fold, method)
    return keys | {"stage": stage, "measure": "seconds", "value": seconds}
