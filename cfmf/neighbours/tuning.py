"""Every setting of a neighbour method, tried on the validation part of a fold."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import groupby, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.deadline import OutOfTimeError, check_deadline
from cfmf.neighbours import METHODS, method_class
from cfmf.neighbours.knn import KNN, predict_settings
from cfmf.neighbours.ratings import checked
from cfmf.observed import pairs, rmse
from cfmf.tables import COLUMNS

METRIC = "validation_rmse"

log = logging.getLogger(__name__)


def grid(method: str, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of the listed values, each a full setting of the method.

    The order is canonical: parameters in the order of the registry, the last one changing fastest,
    values in the order of the config (a single value is a list of one).

    Raises
    ------
    ValueError
        If the method or a parameter is unknown, or a list is empty or holds a value twice.
    """
    if method not in METHODS:
        raise ValueError(
            f"no neighbour method is called {method!r}; known are {', '.join(METHODS)}"
        )
    known = METHODS[method].parameters
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"{method} has no parameter {', '.join(unknown)}; it has {', '.join(known) or 'none'}"
        )
    lists = []
    for name, default in known.items():
        values = settings.get(name, default)
        values = [values] if isinstance(values, str | int | float) else list(values)
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{method} lists {values} for {name}; list each value once")
        lists.append([type(default)(value) for value in values])
    return [dict(zip(known, values, strict=True)) for values in product(*lists)]


def setting_text(setting: Mapping[str, Any]) -> str:
    """A setting as one line of `name=value`, numbers without exponents: its name in every table."""
    return " ".join(
        f"{name}={value if isinstance(value, str) else np.format_float_positional(value, trim='-')}"
        for name, value in setting.items()
    )


def name_of(setting: object) -> str:
    """Name of a setting as a table read from a file has it: missing for one without parameters."""
    return setting if isinstance(setting, str) else ""


def predict_all(
    method: str,
    train: sparse.csr_array,
    users: ArrayLike,
    items: ArrayLike,
    settings: Sequence[Mapping[str, Any]],
    threads: int = 1,
    device: str = "cpu",
    until: float | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Predictions of several settings of a method fitted to `train`.

    Parameters
    ----------
    until
        When to give up, by the monotonic clock; None: never.

    Returns
    -------
    Settings × pairs: predictions, float32, and whether they are fallbacks.

    Raises
    ------
    OutOfTimeError
        If it is not done by `until`.
    """
    found = method_class(method)
    if issubclass(found, KNN):
        return predict_settings(
            found.by, checked(train), users, items, settings, threads, device, until=until
        )
    predicted, alone = [], []
    for setting in settings:
        check_deadline(until)
        model = fitted(method, train, setting, threads, device)
        predicted.append(model.predict(users, items))
        alone.append(model.alone)
    return np.stack(predicted), np.stack(alone)


def fitted(
    method: str,
    train: sparse.csr_array,
    setting: Mapping[str, Any],
    threads: int = 1,
    device: str = "cpu",
) -> Any:
    """A method of one setting, fitted to `train`; only some take threads and a device."""
    found = method_class(method)
    known = {one.name for one in fields(found)}
    where = {"threads": threads, "device": device}
    return found(**setting, **{name: where[name] for name in where if name in known}).fit(train)


def search(
    method: str,
    fit: sparse.csr_array,
    validation: sparse.csr_array,
    settings: Mapping[str, Any],
    dataset: str = "",
    fold: str = "",
    threads: int = 1,
    device: str = "cpu",
    seconds: float | None = None,
) -> pd.DataFrame:
    """Validation RMSE of every setting of the grid, as a `trials` table.

    All settings of one similarity share one pass over the data. Where `seconds` have passed before
    a pass is done, it is given up within a block of rows: its trials have the state OUT_OF_TIME and
    no value. Only the first pass is never given up once it began, so that there is something to
    choose from; how far it overran is logged. Without a limit the table does not depend on the
    machine.
    """
    candidates = grid(method, settings)
    users, items = pairs(validation)
    rows: list[tuple[Any, ...]] = []
    limit = None if seconds is None else time.monotonic() + seconds
    numbered = enumerate(candidates)
    for _, same in groupby(numbered, key=lambda one: one[1].get("similarity")):
        group = list(same)
        listed = [setting for _, setting in group]
        until = limit if rows else None
        try:
            check_deadline(limit)
            predicted, _ = predict_all(method, fit, users, items, listed, threads, device, until)
            values = [rmse(one, validation.data) for one in predicted]
            state = "COMPLETE"
        except OutOfTimeError:
            values = [np.nan] * len(group)
            state = "OUT_OF_TIME"
        if limit is not None and not rows and (over := time.monotonic() - limit) > 0:
            log.warning("%s overran the %g s of its search by %.1f s", method, seconds, over)
        for (trial, setting), value in zip(group, values, strict=True):
            rows.append((dataset, fold, method, trial, state, setting_text(setting), METRIC, value))
    return pd.DataFrame(rows, columns=COLUMNS["trials"])


def best_setting(
    method: str, trials: pd.DataFrame, fold: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Setting with the least validation RMSE of a fold, the first of equals.

    Raises
    ------
    ValueError
        If the fold has no complete trial, or the best one is not of this grid.
    """
    complete = trials[(trials["fold"] == fold) & (trials["state"] == "COMPLETE")]
    complete = complete[complete["metric"] == METRIC]
    if not len(complete):
        raise ValueError(f"{method} has no complete trial on fold {fold}; tune it first")
    best = name_of(complete.sort_values(["value", "trial"]).iloc[0]["setting"])
    return setting_named(method, best, settings)


def setting_named(method: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The setting of the grid that `setting_text` writes as `name`.

    Raises
    ------
    ValueError
        If there is none.
    """
    named = {setting_text(setting): setting for setting in grid(method, settings)}
    if name not in named:
        raise ValueError(
            f"{method} chose {name!r}, which the config no longer lists; tune it again"
        )
    return named[name]
