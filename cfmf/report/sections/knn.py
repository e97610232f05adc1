"""Neighbour methods: the settings that were tried and those that were chosen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cfmf.methods.base import text_parts
from cfmf.methods.registry import family
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import accuracy as figures
from cfmf.report.page import Block, Collapsed, Plot, Text, plotted, tabulated
from cfmf.report.strings import Catalogue, code, number
from cfmf.tables import where


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The tuned methods and what they chose."""
    found = _tuned(study, words)
    return [Text(words("neighbours.text")), *found] if found else []


def trial_points(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean validation RMSE over folds of every setting: columns method, setting, value, folds."""
    rows = where(trials, metric="validation_rmse").dropna(subset=["setting"])
    grouped = rows.groupby(["method", "setting"], sort=False)["value"]
    return grouped.agg(value="mean", folds="size").reset_index()


def _tuned(study: Study, words: Catalogue) -> list[Block]:
    trials = study.neighbour_trials
    found: list[Block] = []
    if trials is not None:
        points = trial_points(trials)
        plots = [
            plot
            for method, rows in points.groupby("method", sort=False)
            if (plot := _trials_figure(str(method), rows, words)) is not None
        ]
        title, rows = words("neighbours.trials"), points.sort_values(["method", "value"])
        columns = "method setting value=validation_rmse folds"
        table = tabulated(words, "neighbour-trials", title, rows, columns)
        found.append(Collapsed(title, [*plots, table]))
    chosen = study.table("selection").dropna(subset=["setting"])
    chosen = chosen[chosen["method"].map(family).ne("factorization")]
    if len(chosen):
        title, columns = words("neighbours.chosen"), "method fold setting"
        table = tabulated(words, "neighbour-settings", title, chosen, columns)
        found.append(Collapsed(title, [table]))
    return found


def profile(rows: pd.DataFrame) -> tuple[str, str, pd.DataFrame] | None:
    """Two parts of the settings to draw, and the lowest validation RMSE for each of their values.

    Returns the numeric part with most values, the other part that moves the error most (empty
    where only one part varies), and columns x, line, value; None where no numeric part varies.
    """
    parts = pd.DataFrame([text_parts(setting) for setting in rows["setting"]])
    parts = parts.loc[:, [parts[name].unique().size > 1 for name in parts]].assign(
        value=rows["value"].to_numpy()
    )
    named = [name for name in parts.columns if name != "value"]
    numeric = [n for n in named if pd.to_numeric(parts[n], errors="coerce").notna().all()]
    if not numeric:
        return None
    x = max(numeric, key=lambda name: parts[name].nunique())
    others = [name for name in named if name != x]
    line = max(others, key=lambda name: np.ptp(parts.groupby(name)["value"].min()), default="")
    parts["x"] = pd.to_numeric(parts[x])
    parts["line"] = line + " " + parts[line] if line else ""
    least = parts.groupby(["line", "x"], sort=False)["value"].min().reset_index()
    return x, line, least


def _trials_figure(method: str, rows: pd.DataFrame, words: Catalogue) -> Plot | None:
    found = profile(rows)
    if found is None:
        return None
    x, line, points = found
    if line:
        named = words.plain("term.stage.similarity")
        if line != "similarity":
            named = words.otherwise(f"axis.{line}", line).striptags()
        points["line"] = named + " " + points["line"].str.removeprefix(line + " ")
    best = numbers.least(rows, "value")
    axis = words.otherwise(f"axis.{x}", x).striptags()
    drawn = figures.trials_by_setting(points, axis, words.plain)
    values = {"method": code(method), "setting": code(best["setting"])}
    values |= {"settings": number(len(rows)), "rmse": number(best["value"], "rmse")}
    return plotted(words, f"trials-{method}", "neighbours.trials", drawn, **values)
