"""Neighbour methods: the settings that were tried and those that were chosen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cfmf.methods.registry import family
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import accuracy as figures
from cfmf.report.page import Block, Column, Fold, Heading, Plot, Table, Text, records
from cfmf.report.strings import Catalogue, code, number
from cfmf.selection import setting_parts


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The tuned methods and what they chose."""
    found = _tuned(study, words)
    return [Text(words("neighbours.text")), *found] if found else []


def trial_points(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean validation RMSE over folds of every setting: columns method, setting, value, folds."""
    rows = trials[(trials["metric"] == "validation_rmse") & trials["setting"].notna()]
    return (
        rows.groupby(["method", "setting"], sort=False)["value"]
        .agg(value="mean", folds="size")
        .reset_index()
    )


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
        found += [plot for plot in plots if plot.name != "trials-baseline"]
        folded: list[Block] = [plot for plot in plots if plot.name == "trials-baseline"]
        columns = [
            Column("method", words.plain("column.method"), "code"),
            Column("setting", words.plain("column.setting"), "code"),
            Column("value", words.plain("column.validation_rmse"), "rmse"),
            Column("folds", words.plain("column.folds"), "count"),
        ]
        title = words("neighbours.trials")
        rows = records(points.sort_values(["method", "value"]))
        found.append(Fold(title, [*folded, Table("neighbour-trials", title, columns, rows)]))
    settings = study.table("selection")
    if settings is not None:
        chosen = settings[settings["method"].map(family).ne("factorization")]
        chosen = chosen[chosen["setting"].notna()]
        if len(chosen):
            found.append(Fold(words("neighbours.chosen"), [_chosen(chosen, words)]))
    return [Heading(words("neighbours.tuned")), *found] if found else []


def profile(rows: pd.DataFrame) -> tuple[str, str, pd.DataFrame] | None:
    """Two parts of the settings to draw, and the least validation RMSE for each of their values.

    Returns the numeric part with most values, the other part that moves the error most (empty
    where only one part varies), and columns x, line, value; None where no numeric part varies.
    """
    parts = pd.DataFrame([setting_parts(setting) for setting in rows["setting"]])
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
    return Plot(
        f"trials-{method}",
        words("neighbours.trials_title", method=code(method)),
        words(
            "neighbours.trials_caption",
            settings=number(len(rows)),
            setting=code(best["setting"]),
            rmse=number(float(best["value"]), "rmse"),
        ),
        figures.trials_by_setting(points, words.otherwise(f"axis.{x}", x).striptags(), words.plain),
    )


def _chosen(rows: pd.DataFrame, words: Catalogue) -> Table:
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("fold", words.plain("column.fold"), "code"),
        Column("setting", words.plain("column.setting"), "code"),
    ]
    return Table("neighbour-settings", words("neighbours.chosen"), columns, records(rows))
