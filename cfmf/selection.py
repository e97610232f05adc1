"""The one place where validation chooses: one rule for every method, one table of its choices.

The setting with the lowest RMSE on validation, averaged over seeds, is chosen. Of those that are
equal to it, up to `TIE`, the simplest: fewest factors or neighbours, then the strongest
regularization or shrinkage, then the lowest RMSE, then the first of the grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfmf.lattice import FEWER, Axis, missing, open_ends
from cfmf.methods.base import text_of, text_parts
from cfmf.tables import COLUMNS, read_table

STRONGER = ("reg", "shrinkage")
ERROR = "validation_rmse"
FOLD = ["dataset", "fold", "method"]
POINT = [*FOLD, "k", "reg"]
Axes = Mapping[str, Sequence[Axis]]
"""The axes of each method whose search grows."""
TIE = 0.0001
"""Share of the lowest RMSE by which another one may exceed it and count as equal.

With none, a search follows differences without meaning to ever more factors. On the validation
parts of the other folds, widths from 0 to 0.001 change the RMSE by less than 0.0001 on average
(benchmarks/tie.py), so that they favour none: this one is narrow enough to hide no difference that
readers see.
"""
NEAR = 0.05
"""Proportion of a searched range, in the logarithm, that counts as its edge."""


def best(settings: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """The row of every group that the rule chooses.

    Parameters
    ----------
    settings
        A row for each setting: `validation_rmse`, the columns of `groups`, and what the rule
        compares of k, neighbours, reg, shrinkage and trial (the place in the grid). A missing
        error is never chosen over a known one.

    Returns
    -------
    The chosen rows in order of their groups; order and index of those given do not matter.
    """
    settings = settings.reset_index(drop=True)
    error = settings[ERROR]
    lowest = settings.groupby(list(groups))[ERROR].transform("min")
    compared = {"worse": ~(error <= lowest * (1 + TIE)), ERROR: error}
    for name in (*FEWER, *STRONGER, "trial"):
        if name in settings:
            value = pd.to_numeric(settings[name], errors="coerce")
            compared[name] = -value if name in STRONGER else value
    names = [name for name in ("worse", *FEWER, *STRONGER, ERROR, "trial") if name in compared]
    order = pd.DataFrame(compared).sort_values(names, kind="stable").index
    rows = settings.loc[order].drop_duplicates(list(groups))
    return rows.sort_values(list(groups), kind="stable").reset_index(drop=True)


def read_selection(paths: Iterable[str | Path]) -> pd.DataFrame:
    """`selection` tables in one, in order of dataset, fold and method; empty texts are empty.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = [read_table(path, "selection") for path in paths]
    if not found:
        raise ValueError("there is no table of chosen settings; run at least one method")
    table = pd.concat(found, ignore_index=True).sort_values(FOLD, kind="stable", ignore_index=True)
    empty = table[["setting", "edge"]].astype(object).fillna("")
    return table.assign(setting=empty["setting"], edge=empty["edge"])


def choose(
    metrics: pd.DataFrame, trials: pd.DataFrame | None = None, axes: Axes | None = None
) -> pd.DataFrame:
    """The setting of every method on every fold: a `selection` table.

    Parameters
    ----------
    metrics
        `metrics` table of all methods.
    trials
        `trials` table of the methods that are tuned in one job. The others choose among the rows of
        `metrics`.
    axes
        Those along which the search of a method grows, by its name.

    Returns
    -------
    One row for each method and fold. `setting` is the choice in words; `seed` the first seed of a
    stochastic method, `start` the random start that its training on train kept (see
    `cfmf.convergence`); `epochs` how many the training on fit led to with this seed, NaN of methods
    that train in none; `out_of_time` whether the time budget ended it. `edge` names the ends that
    the choice is on, empty inside: of a grid that stays as it is ("k=highest;reg=lowest"), or of a
    search that grows, as `cfmf.lattice.open_ends` does ("k=highest-limit;reg=lowest-budget").

    Raises
    ------
    ValueError
        If an RMSE is not finite, or a method with several settings lacks one of them.
    """
    tried = [] if trials is None or trials.empty else [choose_trial(trials, axes)]
    known = set() if not tried else set(tried[0]["method"])
    rest = metrics[~metrics["method"].isin(known)]
    found = [*tried, *([_choose_points(rest, axes or {})] if len(rest) else [])]
    found = [table for table in found if len(table)]
    if not found:
        raise ValueError("no metrics row has an RMSE on validation or test; nothing can be chosen")
    table = pd.concat(found, ignore_index=True).sort_values(FOLD, kind="stable")
    return table.reset_index(drop=True)[COLUMNS["selection"]]


def best_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The complete trial that the rule chooses of each fold and method that has one.

    Its columns are those of the `trials` table, the value being called `validation_rmse`, and the
    parts of the setting that the rule compares.
    """
    return best(_complete(trials), FOLD)


def choose_trial(trials: pd.DataFrame, axes: Axes | None = None) -> pd.DataFrame:
    """The `selection` table of methods that are tuned in one job; see `choose`.

    Raises
    ------
    ValueError
        If a method has no complete trial on a fold.
    """
    found = best_trials(trials)
    wanted, got = (set(table[FOLD].itertuples(index=False, name=None)) for table in (trials, found))
    if wanted - got:
        _, fold, method = min(wanted - got)
        raise ValueError(f"{method} has no complete trial on fold {fold}; tune it first")
    rows = trials[trials["metric"] == ERROR]
    edges = []
    for row in found.to_dict("records"):
        tried = _matching(rows, row, FOLD)["setting"].astype(object).fillna("")
        edges.append(_edges(row["setting"], tried, (axes or {}).get(row["method"], ())))
    found["edge"] = edges
    empty: dict[str, Any] = {"k": "", "reg": "", "seed": "", "start": 0}
    empty |= {"epochs": np.nan, "out_of_time": False}
    return found.assign(**empty)[COLUMNS["selection"]]


def further_trials(trials: pd.DataFrame, axes: Sequence[Axis], limit: int) -> list[str]:
    """The settings that the search of a method tries next, as texts; none at its end.

    Parameters
    ----------
    trials
        `trials` table of one method, every setting tried on every fold. What has no value is never
        tried again.
    axes
        Of the method.
    limit
        How many settings may be tried in all.
    """
    tried = set(trials["setting"].astype(object).fillna(""))
    return missing(best_trials(trials)["setting"], tried, axes, limit - len(tried))


def further_points(
    metrics: pd.DataFrame, axes: Sequence[Axis], limit: int
) -> list[tuple[str, str]]:
    """The (k, reg) that the search of a method tries next; `reg` is empty where it is inferred.

    Parameters
    ----------
    metrics
        `metrics` table of one method.
    axes, limit
        As in `further_trials`.

    Raises
    ------
    ValueError
        If an RMSE on validation or test is not finite.
    """
    errors = validation_errors(metrics)
    tried = {_point_text(row) for row in errors[["k", "reg"]].to_dict("records")}
    found = best(errors.dropna(subset=[ERROR]), FOLD).to_dict("records")
    texts = missing(map(_point_text, found), tried, axes, limit - len(tried))
    parts = [text_parts(text) for text in texts]
    return [(one["k"], one.get("reg", "")) for one in parts]


def over_folds(metrics: pd.DataFrame, trials: pd.DataFrame | None = None) -> pd.DataFrame:
    """The one setting of every method that is best over all folds, by the mean of their RMSE.

    Parameters
    ----------
    metrics, trials
        As `choose` takes them.

    Returns
    -------
    Columns dataset, method, setting and validation_rmse (the mean over folds and seeds), the lowest
    first. Settings that were not tried on every fold of their method are not compared.
    """
    tried = [] if trials is None or trials.empty else [_complete(trials)]
    known = set() if not tried else set(tried[0]["method"])
    points = validation_errors(metrics[~metrics["method"].isin(known)]).dropna(subset=[ERROR])
    points["setting"] = [_point_text(row) for row in points.to_dict("records")]
    tried.append(points)
    table = pd.concat(tried, ignore_index=True)
    groups = ["dataset", "method"]
    folds = table.groupby(groups)["fold"].transform("nunique")
    complete = table[table.groupby([*groups, "setting"])["fold"].transform("nunique") == folds]
    means = complete.groupby([*groups, "setting"], sort=False)[ERROR].mean().reset_index()
    parts = pd.DataFrame([text_parts(text) for text in means["setting"]], index=means.index)
    compared = means.join(parts.reindex(columns=[*FEWER, *STRONGER]))
    found = best(compared, groups)[[*groups, "setting", ERROR]]
    return found.sort_values(ERROR, kind="stable", ignore_index=True)


def chosen_rows(metrics: pd.DataFrame, selection: pd.DataFrame) -> pd.DataFrame:
    """Rows of `metrics` on validation and test that belong to the chosen settings."""
    rows = metrics[metrics["split"].isin(["validation", "test"])]
    return rows.merge(selection[POINT], on=POINT, how="inner")[COLUMNS["metrics"]]


def validation_errors(metrics: pd.DataFrame) -> pd.DataFrame:
    """RMSE on validation of every setting and fold, averaged over seeds.

    Returns
    -------
    Columns dataset, fold, method, k, reg, validation_rmse; NaN where a setting with an RMSE on test
    has none on validation.

    Raises
    ------
    ValueError
        If an RMSE on validation or test is not finite.
    """
    rows = metrics[(metrics["metric"] == "rmse") & metrics["split"].isin(["validation", "test"])]
    if not np.isfinite(rows["value"]).all():
        bad = rows.loc[~np.isfinite(rows["value"]), [*POINT, "seed", "split"]].iloc[0]
        raise ValueError(f"the RMSE is not finite at {bad.to_dict()}; see the log of that job")
    rows = rows.assign(**{ERROR: rows["value"].where(rows["split"] == "validation")})
    return rows.groupby(POINT)[[ERROR]].mean().reset_index()


def edge(chosen: Mapping[Any, Any], settings: pd.DataFrame) -> str:
    """On which ends of the grid `settings` a choice is, as `k=highest;reg=lowest`; empty inside.

    An end counts only where there are at least three values, since of two each is an end. The
    lowest does not count where it is 0, since no value is below it.
    """
    found = []
    for name in settings:
        values = pd.to_numeric(settings[name], errors="coerce").dropna().unique()
        if len(values) < 3:
            continue
        value = float(str(chosen[name]))
        if value == values.min() != 0:
            found.append(f"{name}=lowest")
        elif value == values.max():
            found.append(f"{name}=highest")
    return ";".join(found)


def search_edges(trials: pd.DataFrame, ranges: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Near which bounds of a search the settings are that it chose, written as by `edge`.

    Near is within a twentieth of the range in the logarithm, in which the search is uniform: a
    value that is drawn hardly ever meets a bound.

    Parameters
    ----------
    trials
        A `trials` table.
    ranges
        Lowest and highest value of each part of a setting.

    Returns
    -------
    Columns fold, method, edge; one row for each fold and method with a complete trial.
    """
    found = best_trials(trials)
    found["edge"] = [_near(text_parts(text), ranges) for text in found["setting"]]
    return found[["fold", "method", "edge"]]


def edge_parts(text: str) -> list[tuple[str, str]]:
    """The ends that an `edge` names, each with its setting: `[("k", "highest-limit")]`."""
    return [(name, end) for name, _, end in (one.partition("=") for one in text.split(";")) if end]


def _edges(chosen: str, tried: Iterable[str], axes: Sequence[Axis]) -> str:
    """`edge` along settings that stay as listed, and `open_ends` along those that grow."""
    texts = list(tried)
    settings = pd.DataFrame([text_parts(text) for text in texts])
    fixed = settings.drop(columns=[axis.name for axis in axes], errors="ignore")
    ends = [edge(text_parts(chosen), fixed), open_ends(chosen, set(texts), axes)]
    return ";".join(filter(None, ends))


def _point_text(row: Mapping[Any, Any]) -> str:
    return text_of({name: row[name] for name in ("k", "reg") if row[name]})


def _choose_points(metrics: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    errors = validation_errors(metrics)
    several = errors.groupby(FOLD)[ERROR].transform("size") > 1
    if (lacking := several & errors[ERROR].isna()).any():
        _, fold, method, k, reg = errors.loc[lacking, POINT].iloc[0]
        raise ValueError(
            f"{method} with k={k} and reg={reg} has no finite validation RMSE in fold {fold}, so"
            " no setting can be chosen; see its log"
        )
    rows = []
    for row in best(errors, FOLD).to_dict("records"):
        runs = _matching(metrics, row, POINT)
        seed = min(runs["seed"].unique(), key=lambda text: (len(text), text))
        known = runs[runs["seed"] == seed].set_index(["split", "metric"])["value"].to_dict()
        tried = map(_point_text, _matching(errors, row, FOLD).to_dict("records"))
        facts = {
            "setting": _point_text(row),
            "seed": seed,
            "start": int(known.get(("train", "start"), 0)),
            "epochs": known.get(("fit", "epochs"), np.nan),
            "out_of_time": bool(known.get(("fit", "out_of_time"), 0)),
            "edge": _edges(_point_text(row), tried, axes.get(row["method"], ())),
        }
        rows.append(row | facts)
    return pd.DataFrame(rows, columns=COLUMNS["selection"])


def _matching(table: pd.DataFrame, row: Mapping[Any, Any], names: Sequence[str]) -> pd.DataFrame:
    """The rows of a table that are alike in some columns to one."""
    return table[np.logical_and.reduce([table[name] == row[name] for name in names])]


def _complete(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that may be chosen, with the parts of their settings that the rule compares."""
    rows = trials[(trials["metric"] == ERROR) & (trials["state"] == "COMPLETE")]
    rows = rows.rename(columns={"value": ERROR}).reset_index(drop=True)
    rows["setting"] = rows["setting"].astype(object).fillna("")
    parts = pd.DataFrame([text_parts(text) for text in rows["setting"]], index=rows.index)
    return rows.join(parts.reindex(columns=[*FEWER, *STRONGER]))


def _near(chosen: Mapping[str, str], ranges: Mapping[str, Sequence[float]]) -> str:
    found = []
    for name, (low, high) in ranges.items():
        if name not in chosen or low == high:
            continue
        place = np.log(float(chosen[name]) / low) / np.log(high / low)
        if place <= NEAR:
            found.append(f"{name}=lowest")
        elif place >= 1 - NEAR:
            found.append(f"{name}=highest")
    return ";".join(found)
