"""The search of the published study, as it was: TPE and Hyperband, scored on the test set.

Three things make its trials unfit for tests, and are kept because this is the published arm: the
test set chooses and prunes; the trials depend on each other and are unbalanced; and Optuna stores
for a pruned trial its last report, which the published tables keep as if it were a result. The
metric is rooted twice, as published, unless that is switched off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from cfmf.hyperband import keep_study, new_study
from cfmf.tables import COLUMNS

Report = Callable[[int, Mapping[str, float]], None]
Train = Callable[[int, float, Report], None]

NEEDED = (
    *("k", "reg_low", "reg_high", "trials", "seed", "study_name", "min_resource", "max_resource"),
    *("reduction_factor", "square_root_twice"),
)
LAYOUT = ("number", "value", "params", "user_attrs", "system_attrs", "state")


@dataclass(frozen=True)
class Search:
    """What a search left behind.

    Attributes
    ----------
    frame
        One row a trial in the layout of Optuna's `trials_dataframe`, pruned trials included:
        number, value, params_k, params_lmd, user_attrs_*, system_attrs_completed_rung_*, state.
        Its times are left out, so that two searches can be compared byte by byte.
    intermediate
        Every report: trial, step (epoch), value.
    importances
        parameter, evaluator, value; empty where fewer than two trials were completed.
    """

    frame: pd.DataFrame
    intermediate: pd.DataFrame
    importances: pd.DataFrame


def search(train: Train, block: Mapping[str, Any], storage: Path | None = None) -> Search:
    """Search k and λ as published, one worker, deterministic for a deterministic `train`.

    Parameters
    ----------
    train
        Called with k, λ and a report; trains a model and calls `report(epoch, measured)` after
        every epoch with the plain test_rmse and what else is to be kept of the last one as user
        attributes (loss, delta_loss, train_rmse). The report raises `optuna.TrialPruned`, which
        `train` must let pass.
    block
        The `search` block of the config: k, reg_low, reg_high, trials, seed, study_name,
        min_resource, max_resource, reduction_factor, square_root_twice.
    storage
        SQLite file for the finished study, which tools such as optuna-dashboard open; written
        whole at the end. None keeps none.

    Raises
    ------
    ValueError
        If the block lacks a key, or `train` reports nothing.

    Notes
    -----
    Everything that decides the course is spelled out: the sampler's multivariate and constant_liar
    (Optuna's defaults changed since), Hyperband's resources (`auto` would wait for the first
    complete trial) and the study's name (its brackets are drawn from it).
    """
    missing = [key for key in NEEDED if key not in block]
    if missing:
        raise ValueError(f"the search block lacks {missing}; the schema has their defaults")
    sampler = optuna.samplers.TPESampler(
        seed=block["seed"], multivariate=False, constant_liar=False
    )
    study = new_study(block["study_name"], sampler, block)
    study.optimize(
        lambda trial: _objective(trial, train, block), n_trials=block["trials"], n_jobs=1
    )
    if storage is not None:
        keep_study(study, storage)
    return Search(_frame(study), _intermediate(study), _importances(study))


def _objective(trial: optuna.Trial, train: Train, block: Mapping[str, Any]) -> float:
    """Least reported value of one trial, as published: the epoch too is chosen on the test set."""
    k = trial.suggest_categorical("k", list(block["k"]))
    reg = trial.suggest_float("lmd", block["reg_low"], block["reg_high"], log=True)
    reported: list[float] = []
    last: dict[str, float] = {}

    def report(epoch: int, measured: Mapping[str, float]) -> None:
        twice = block["square_root_twice"]
        for name, value in measured.items():
            if math.isnan(value):
                continue
            last[name] = math.sqrt(value) if twice and name.endswith("_rmse") else value
        reported.append(last["test_rmse"])
        trial.report(reported[-1], epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        train(int(k), reg, report)
    finally:
        for name, value in last.items():
            trial.set_user_attr(name, float(value))
    if not reported or not math.isfinite(min(reported)):
        raise ValueError(f"trial {trial.number} (k={k}, λ={reg:.4g}) reported no finite test RMSE")
    return min(reported)


def _frame(study: optuna.Study) -> pd.DataFrame:
    frame = study.trials_dataframe(attrs=LAYOUT)
    return frame[[*(name for name in frame.columns if name != "state"), "state"]]


def _intermediate(study: optuna.Study) -> pd.DataFrame:
    rows = [
        (trial.number, step, value)
        for trial in study.get_trials(deepcopy=False)
        for step, value in sorted(trial.intermediate_values.items())
    ]
    return pd.DataFrame(rows, columns=["trial", "step", "value"])


def _importances(study: optuna.Study) -> pd.DataFrame:
    """Importances by PED-ANOVA, the evaluator that Optuna now takes by default."""
    columns = ["parameter", "evaluator", "value"]
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < 2:
        return pd.DataFrame(columns=columns)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    rows = [(name, type(evaluator).__name__, value) for name, value in found.items()]
    return pd.DataFrame(rows, columns=columns)


def trials_table(
    found: Search, block: Mapping[str, Any], *, dataset: str, fold: str, method: str
) -> pd.DataFrame:
    """The `trials` table of a search, all states: the stored value and the true test RMSE.

    `value` is what the published study calls test RMSE; `test_rmse` is that value squared where it
    was rooted twice; `epochs` counts the reports; `loss`, `delta_loss` and `train_rmse` (the true
    one) are of the last of them.
    """
    squared = 2 if block["square_root_twice"] else 1
    epochs = found.intermediate.groupby("trial").size()
    rows = []
    for trial in found.frame.to_dict("records"):
        number, value = int(trial["number"]), float(trial["value"])
        keys = {"dataset": dataset, "fold": fold, "method": method, "trial": number}
        keys |= {
            "state": str(trial["state"]),
            "setting": f"k={int(trial['params_k'])}, reg={trial['params_lmd']:.6g}",
        }
        measures = {
            "value": value,
            "test_rmse": value**squared,
            "epochs": float(epochs.get(number, 0)),
        }
        for name, power in (("loss", 1), ("delta_loss", 1), ("train_rmse", squared)):
            if (kept := f"user_attrs_{name}") in found.frame:
                measures[name] = float(trial[kept]) ** power
        rows += [{**keys, "metric": name, "value": x} for name, x in measures.items()]
    return pd.DataFrame(rows, columns=COLUMNS["trials"])
