"""An adaptive search of the settings of one method on one fold: validation chooses.

Beside the grids, which alone the tests compare: a search spends its trials where they look
promising, so that its trials depend on each other. What it is for is the setting. Every method gets
the same number of trials and the same wall-clock time; only complete trials are chosen from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import pandas as pd

from cfmf.hyperband import keep_study, new_study
from cfmf.methods import registry
from cfmf.methods.base import Method, Prediction, text_of
from cfmf.observed import pairs, rmse
from cfmf.prediction import score_fold
from cfmf.selection import ERROR, best_trials
from cfmf.side import Side
from cfmf.tables import COLUMNS, cost_row
from cfmf.tasks import Task
from cfmf.training import Limits, Run, train_point
from cfmf.tuning import Setup

OUT_OF_TIME = "out_of_time"

Setting = dict[str, Any]
Suggest = Callable[[optuna.Trial], Setting]
Score = Callable[[Setting, optuna.Trial, float], float]
Finish = Callable[[Setting, pd.DataFrame], pd.DataFrame]


class Tables(NamedTuple):
    """What a search found: tables of the kinds `trials`, `metrics` and `costs`."""

    trials: pd.DataFrame
    metrics: pd.DataFrame
    costs: pd.DataFrame


@dataclass(frozen=True)
class Place:
    """The data of one search: a fold, what else is known of it, and where to compute."""

    dataset: str
    run: Run
    scale: tuple[float, float] | None = None
    threads: int = 1
    device: str = "cpu"
    side: Side | None = None


def search(
    method: str,
    place: Place,
    settings: Mapping[str, Any],
    block: Mapping[str, Any],
    seconds: float,
    storage: Path | None = None,
) -> Tables:
    """Search the settings of a method on one fold, then score the chosen one on its test part once.

    Parameters
    ----------
    method
        A kNN, or a factorization with a `reg` that validation stops.
    settings
        The method's block of the config; the values that it lists for what is searched are not
        used.
    block
        The `tuning.adaptive` block of the config.
    seconds
        Wall-clock time of the search: no trial begins after it, and a training that it ends is not
        chosen (state OUT_OF_TIME). Where it cuts nothing, the search is deterministic.
    storage
        SQLite file for the finished study; None keeps none.

    Returns
    -------
    Trials of every state, in the order they were made; RMSE, MAE and their like on validation and
    test of the chosen setting; seconds of the search and of each trial.

    Raises
    ------
    ValueError
        If the method cannot be searched, or no trial is complete.
    """
    begun = time.perf_counter()
    study, finish = _searched(method, place, settings, block, seconds)
    spent = time.perf_counter() - begun
    if storage is not None:
        keep_study(study, storage)
    keys = {"dataset": place.dataset, "fold": place.run.fold, "method": method}
    trials = _trials(study, keys)
    metrics = finish(best(study, trials), trials)
    costs = [cost_row(keys, "search", spent)]
    costs += [
        cost_row(keys, f"trial {trial.number}", trial.duration.total_seconds())
        for trial in study.get_trials(deepcopy=False)
        if trial.duration is not None
    ]
    return Tables(trials, metrics, pd.DataFrame(costs)[COLUMNS["costs"]])


def _searched(
    method: str,
    place: Place,
    settings: Mapping[str, Any],
    block: Mapping[str, Any],
    seconds: float,
) -> tuple[optuna.Study, Finish]:
    """The finished study, and what trains and scores a setting on the test part."""
    known = registry.methods().get(method)
    parts = _factorization if known and known.job_per_point else _knn
    suggest, score, finish = parts(method, place, settings, block)
    sampler = optuna.samplers.TPESampler(
        seed=block["seed"], multivariate=True, constant_liar=False, n_startup_trials=10
    )
    study = new_study(f"{method} on fold {place.run.fold} of {place.dataset}", sampler, block)
    deadline = time.monotonic() + seconds

    def objective(trial: optuna.Trial) -> float:
        setting = suggest(trial)
        trial.set_user_attr("setting", setting)
        return score(setting, trial, deadline - time.monotonic())

    study.optimize(objective, n_trials=block["trials"], timeout=seconds, n_jobs=1)
    return study, finish


def best(study: optuna.Study, trials: pd.DataFrame) -> Setting:
    """Setting of the trial that validation chooses, as everywhere by `cfmf.selection`.

    Raises
    ------
    ValueError
        If none is complete.
    """
    chosen = best_trials(trials)
    if chosen.empty:
        raise ValueError(
            f"{study.study_name}: none of {len(study.trials)} trials was completed; give"
            " tuning.seconds more time, or tuning.adaptive.trials more trials"
        )
    at = int(chosen["trial"].to_numpy()[0])
    return dict(study.trials[at].user_attrs["setting"])


def _trials(study: optuna.Study, keys: Mapping[str, str]) -> pd.DataFrame:
    rows = []
    for trial in study.get_trials(deepcopy=False):
        state = "OUT_OF_TIME" if trial.user_attrs.get(OUT_OF_TIME) else trial.state.name
        setting = trial.user_attrs["setting"]
        text = text_of({name: x for name, x in setting.items() if x is not None})
        of_trial = {**keys, "trial": trial.number, "state": state, "setting": text}
        rows.append({**of_trial, "metric": ERROR, "value": trial.value})
    return pd.DataFrame(rows, columns=COLUMNS["trials"])


def _knn(
    method: str, place: Place, settings: Mapping[str, Any], block: Mapping[str, Any]
) -> tuple[Suggest, Score, Finish]:
    """Similarity, number of neighbours and shrinkage; of what else the config lists, the first."""
    run = place.run
    first = registry.method(method).candidates(settings, place.scale, place.side)[0]

    def predicted(setting: Setting, train: Any, queried: Any) -> Prediction:
        at = type(first)(**setting, scale=place.scale, side=place.side)
        fitted = at.fit(train, threads=place.threads, device=place.device)
        return fitted.predict(*pairs(queried))

    def suggest(trial: optuna.Trial) -> Setting:
        return first.model_dump() | {
            "similarity": trial.suggest_categorical("similarity", list(block["similarity"])),
            "neighbours": trial.suggest_int("neighbours", *block["neighbours"], log=True),
            "shrinkage": float(trial.suggest_int("shrinkage", *block["shrinkage"], log=True)),
        }

    def score(setting: Setting, trial: optuna.Trial, seconds: float) -> float:
        return rmse(predicted(setting, run.fit, run.validation).values, run.validation.data)

    def finish(setting: Setting, trials: pd.DataFrame) -> pd.DataFrame:
        folds = {run.fold: {"train": run.train, "test": run.test}}
        setup = Setup(type(first), settings, folds, place.dataset, place.scale)
        found = predicted(setting, run.train, run.test)
        validation = trials.loc[trials["state"] == "COMPLETE", "value"].min()
        rows = score_fold(setup, run.fold, found, validation)
        return pd.DataFrame(rows)[COLUMNS["metrics"]]

    return suggest, score, finish


def _factorization(
    method: str, place: Place, settings: Mapping[str, Any], block: Mapping[str, Any]
) -> tuple[Suggest, Score, Finish]:
    """Factors and penalty; after every epoch Hyperband may prune by the validation RMSE."""
    run, found = place.run, registry.method(method)
    if "reg" not in found.grids() or not found.stops_on_validation:
        raise ValueError(f"{method} has no reg that validation chooses; leave it out of the search")

    def at(setting: Setting) -> Method:
        return found.candidates({**settings, **setting}, place.scale, place.side)[0]

    def suggest(trial: optuna.Trial) -> Setting:
        reg = trial.suggest_float("reg", *block["reg"], log=True)
        # four digits are enough, and a name of the setting that can be read
        return {"k": trial.suggest_int("k", *block["k"], log=True), "reg": float(f"{reg:.4g}")}

    def score(setting: Setting, trial: optuna.Trial, seconds: float) -> float:
        reported: list[float] = []

        def report(epoch: int, measured: Mapping[str, float]) -> None:
            reported.append(measured["validation_rmse"])
            trial.report(reported[-1], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        task = Task(
            run.fit,
            run.seed,
            run.validation,
            seconds=seconds,
            fitted_values=False,
            name=run.name,
            report=report,
        )
        where: dict[str, Any] = {"threads": place.threads, "device": place.device}
        if at(setting).fit_tasks([task], **where)[0].out_of_time:
            trial.set_user_attr(OUT_OF_TIME, True)
            raise optuna.TrialPruned
        return min(reported)

    def finish(setting: Setting, trials: pd.DataFrame) -> pd.DataFrame:
        limits = Limits(place.device, place.threads)
        scores = train_point(at(setting), [run], place.dataset, limits).metrics
        return scores[scores["split"].isin(["validation", "test"])].reset_index(drop=True)

    return suggest, score, finish
