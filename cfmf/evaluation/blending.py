"""Blends: the predictions of several methods, combined by weights learned on validation.

Stacking (Wolpert 1992; Breiman 1996): a linear model of the validation ratings, given what the
members trained on `fit` predict for them, is applied to what the members trained on all training
ratings predict for the test pairs. No test rating has a part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import nnls

from cfmf.evaluation.collect import by_seed
from cfmf.metrics import score
from cfmf.observed import root_mean_square
from cfmf.selection import ERROR
from cfmf.tables import COLUMNS, cost_row, where

Floats = NDArray[np.float64]
Frames = Callable[[str, str, str], pd.DataFrame]
Matrices = Callable[[str], tuple[sparse.csr_array, sparse.csr_array]]

PARTS = 5
"""Parts of the cross-validation, inside validation, that chooses the rule of the weights."""
PENALTY = 10.0
"""Of the rule `linear`: as if so many ratings more spoke for equal weights.

Of 0, 3, 10, 30, …, 1000 it has the lowest cross-validated RMSE inside the validation parts of
MovieLens 100K (benchmarks/blend_rules.py).
"""
ONE_RUN = ("fit", "refit", "predict")


class Weights(NamedTuple):
    """A linear combination: one weight a member, and the intercept in units of the ratings."""

    weights: Floats
    intercept: float

    def combined(self, predictions: Floats) -> Floats:
        """Predictions of the blend, float64, from pairs × members."""
        return np.asarray(predictions @ self.weights + self.intercept)


class Blended(NamedTuple):
    """Tables of a blend: those of a method at its chosen setting, and its `weights` table.

    `validation` has predictions of the validation pairs by weights that were not learned on them.
    """

    metrics: pd.DataFrame
    selection: pd.DataFrame
    costs: pd.DataFrame
    weights: pd.DataFrame
    predictions: pd.DataFrame
    validation: pd.DataFrame


@dataclass(frozen=True)
class Sources:
    """What blends are made of, on one data set.

    Attributes
    ----------
    chosen
        `selection` table: the setting that validation chose for each member and fold.
    costs
        `costs` table of the members.
    validation, test
        Called with a method, k and reg; return a frame of fold, seed and prediction, the rows of a
        fold and seed in the CSR order of the fold's validation (test) matrix. Those of `validation`
        are by models that were not trained on it.
    matrices
        Called with a fold; returns its validation and test matrices, users × items.
    scale
        Lowest and highest rating that can be given.
    """

    chosen: pd.DataFrame
    costs: pd.DataFrame
    validation: Frames
    test: Frames
    matrices: Matrices
    scale: tuple[float, float]


def _equal(factor: Floats, target: Floats, unit: float) -> Floats:
    return np.full(factor.shape[1], 1 / factor.shape[1])


def _convex(factor: Floats, target: Floats, unit: float) -> Floats:
    """Weights of at least 0 with the sum 1.

    The last row asks for that sum. It need not be weighed heavily: whatever its weight, the
    solution is the wanted one times a number, since the other rows are proportional to the weights.
    """
    residuals = factor - target[:, None]
    size = float(np.abs(residuals).max(initial=0.0)) or 1.0
    rows = np.vstack([residuals, np.full(factor.shape[1], size)])
    found = nnls(rows, np.append(np.zeros(len(residuals)), size))[0]
    return np.asarray(found / found.sum())


def _positive(factor: Floats, target: Floats, unit: float) -> Floats:
    return np.asarray(nnls(factor, target)[0])


def _linear(factor: Floats, target: Floats, unit: float) -> Floats:
    """Any weights; their squared distance from equal ones is penalized in units of the ratings."""
    members = factor.shape[1]
    equal, size = np.full(members, 1 / members), np.sqrt(PENALTY) * unit
    rows = np.vstack([factor, size * np.eye(members)])
    rest = np.append(target - factor @ equal, np.zeros(members))
    return equal + np.asarray(np.linalg.lstsq(rows, rest)[0])


RULES: dict[str, Callable[[Floats, Floats, float], Floats]] = {
    "equal": _equal,
    "convex": _convex,
    "positive": _positive,
    "linear": _linear,
}
"""How weights are found, from the most to the least restricted; all have a free intercept."""


def learn(predictions: Floats, ratings: Floats, rule: str) -> Weights:
    """Weights by least squares under a rule of `RULES`.

    Parameters
    ----------
    predictions
        Pairs × members, float64, one pair or more.
    ratings
        Of the pairs.

    Returns
    -------
    Those of ratings and predictions a·x + b have the same weights.
    """
    means, mean = predictions.mean(axis=0), float(ratings.mean())
    centred = np.column_stack([predictions - means, ratings - mean])
    # As good as all rows, and as small as the number of members.
    triangle = np.asarray(np.linalg.qr(centred, mode="r"))
    weights = RULES[rule](triangle[:, :-1], triangle[:, -1], float(ratings.std()))
    return Weights(weights, mean - float(means @ weights))


def choose_rule(known: Sequence[Floats], ratings: Floats) -> tuple[str, list[Floats]]:
    """The rule with the lowest cross-validated RMSE, and its predictions for each seed.

    Every `PARTS`-th pair is in the same part, so that nothing is random. With too few pairs to
    choose, weights are equal, and predictions are not cross-validated.

    Parameters
    ----------
    known
        Predictions of the validation pairs, pairs × members, for each seed.
    """
    if len(ratings) < PARTS * (known[0].shape[1] + 1):
        return "equal", [learn(one, ratings, "equal").combined(one) for one in known]
    found = {rule: [held_out(one, ratings, rule) for one in known] for rule in RULES}

    def error(rule: str) -> float:
        return float(np.mean([root_mean_square(one - ratings) for one in found[rule]]))

    rule = min(found, key=error)
    return rule, found[rule]


def held_out(predictions: Floats, ratings: Floats, rule: str) -> Floats:
    """What a rule predicts of pairs by weights that were not learned on them."""
    part, found = np.arange(len(ratings)) % PARTS, np.empty(len(ratings))
    for held in range(PARTS):
        inside = part == held
        learned = learn(predictions[~inside], ratings[~inside], rule)
        found[inside] = learned.combined(predictions[inside])
    return found


def blend(name: str, members: Sequence[str], sources: Sources) -> Blended:
    """A blend of some methods: on each fold one rule, for each seed its weights.

    The seeds are those of the stochastic members; the predictions of the others are the same for
    each.

    Parameters
    ----------
    name
        As tables call it.

    Raises
    ------
    ValueError
        If a member lacks a fold, a seed or a prediction.
    """
    folds = list(dict.fromkeys(sources.chosen[sources.chosen["method"].isin(members)]["fold"]))
    found = [_of_fold(name, members, str(fold), sources) for fold in folds]
    joined = (pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True))
    return Blended(*joined)


def _of_fold(name: str, members: Sequence[str], fold: str, sources: Sources) -> Blended:
    validation, test = sources.matrices(fold)
    known = predictions_of(members, fold, sources, sources.validation, validation)
    queried = predictions_of(members, fold, sources, sources.test, test)
    ratings = validation.data.astype(np.float64)
    rule, validated = choose_rule(list(known.values()), ratings)
    errors = [root_mean_square(one - ratings) for one in validated]
    dataset = str(sources.chosen["dataset"].iloc[0])
    keys = {"dataset": dataset, "fold": fold, "method": name}
    metrics, weights, combined = [], [], []
    for (seed, predicted), error in zip(known.items(), errors, strict=True):
        learned = learn(predicted, ratings, rule)
        values = learned.combined(queried[seed]).astype(np.float32)
        row = {**keys, "k": "", "reg": "", "seed": seed}
        metrics.append({**row, "split": "validation", "metric": "rmse", "value": error})
        metrics += [
            {**row, "split": "test", "metric": metric, "value": value}
            for metric, value in score(values, test.data, sources.scale).items()
        ]
        named = zip([*members, ""], [*learned.weights, learned.intercept], strict=True)
        weights += [{**row, "member": member, "weight": float(value)} for member, value in named]
        combined.append(values)
    choice: dict[str, Any] = {
        "k": "",
        "reg": "",
        "setting": f"rule={rule}",
        "seed": next(iter(known)),
    }
    choice |= {"start": 0, "epochs": np.nan, "out_of_time": False, "edge": ""}
    return Blended(
        pd.DataFrame(metrics)[COLUMNS["metrics"]],
        pd.DataFrame([{**keys, **choice, ERROR: float(np.mean(errors))}])[COLUMNS["selection"]],
        _costs(keys, members, sources),
        pd.DataFrame(weights)[COLUMNS["weights"]],
        _by_seed(fold, known, combined),
        _by_seed(fold, known, validated),
    )


def _by_seed(fold: str, seeds: Iterable[str], predictions: Sequence[NDArray[Any]]) -> pd.DataFrame:
    """Columns fold, seed and prediction, float32."""
    found = zip(seeds, predictions, strict=True)
    frames = [{"fold": fold, "seed": seed, "prediction": one.astype("f4")} for seed, one in found]
    return pd.concat(map(pd.DataFrame, frames), ignore_index=True)


def predictions_of(
    members: Sequence[str], fold: str, sources: Sources, frames: Frames, part: sparse.csr_array
) -> dict[str, Floats]:
    """Predictions of the members for each seed: pairs × members, in the CSR order of `part`.

    Raises
    ------
    ValueError
        If a member has no setting, or not one prediction for each pair and seed.
    """
    found: list[dict[str, NDArray[np.float32]]] = []
    for member in members:
        rows = where(sources.chosen, method=member, fold=fold)
        if rows.empty:
            raise ValueError(f"{member} has no setting on fold {fold}; run its jobs")
        frame = where(frames(member, rows["k"].iloc[0], rows["reg"].iloc[0]), fold=fold)
        values = by_seed(frame, part, f"{member} in fold {fold}")
        found.append(dict(zip(frame["seed"].unique(), values, strict=True)))
    seeds = list(dict.fromkeys(seed for one in found for seed in one if seed)) or [""]
    table = {}
    for seed in seeds:
        columns = [one[seed if seed in one else ""] for one in found if {seed, ""} & set(one)]
        if len(columns) < len(members):
            raise ValueError(
                f"a member of {', '.join(members)} has no predictions of seed {seed} on fold"
                f" {fold}; run their jobs again"
            )
        table[seed] = np.stack(columns, axis=1).astype(np.float64)
    return table


def _costs(keys: Mapping[str, str], members: Sequence[str], sources: Sources) -> pd.DataFrame:
    """Seconds of all members on a fold: one run at the chosen settings, and what searching took.

    Weights take milliseconds, which are not counted.
    """
    costs = sources.costs[sources.costs["method"].isin(members)]
    costs = where(costs, fold=keys["fold"], measure="seconds")
    chosen = where(sources.chosen, fold=keys["fold"])[["method", "k", "reg"]]
    run = costs.merge(chosen, on=["method", "k", "reg"])
    each = run[run["stage"].isin(ONE_RUN)].groupby(["method", "seed"])["value"].sum()
    once = float(each.groupby("method").mean().sum())
    rest = float(costs["value"].sum()) - once
    rows: list[dict[str, Any]] = [
        cost_row(keys, "predict", once),
        cost_row(keys, "tune", rest),
    ]
    return pd.DataFrame(rows)[COLUMNS["costs"]]
