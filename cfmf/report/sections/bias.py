"""Where predictions are too high or too low, on average."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.evaluation.mean_errors import PREDICTION, RATING
from cfmf.methods.registry import is_blend, of_published
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import accuracy as figures
from cfmf.report.page import Block, Collapsed, Plot, Text, plotted
from cfmf.report.sections.levels import counted, ordered
from cfmf.report.strings import Catalogue, amounts, code
from cfmf.tables import where

SLICES = (RATING, PREDICTION, "item_ratings", "user_ratings")
ENOUGH = 30
"""Fewest test ratings of a level that is drawn."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """A figure for each slice, collapsed; nothing where no bias was measured."""
    rows = where(study.table("slices"), metric="bias")
    rows = rows[~rows["method"].map(of_published)]
    if rows.empty:
        return []
    title = words("bias.title")
    levels = {name: over_folds(rows, name) for name in SLICES}
    plots = [_figure(study, of, name, words) for name, of in levels.items() if len(of)]
    return [Collapsed(title, [Text(_found(study, rows, words)), *plots])]


def over_folds(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """The bias of one slice on the test ratings of all folds together.

    Columns method, level, n and value, levels in the order of their numbers; those of fewer than
    `ENOUGH` ratings are left out.
    """
    rows = where(rows, slice=name)
    rows = rows.assign(total=rows["value"] * rows["n"], level=rows["level"].astype(str))
    sums = rows.groupby(["method", "level"], sort=False)[["total", "n"]].sum().reset_index()
    sums = sums[sums["n"] >= ENOUGH]
    return ordered(sums.assign(value=sums["total"] / sums["n"]).drop(columns="total"))


def leading(study: Study) -> list[str]:
    """The two best methods of each family, which figures draw with thick lines."""
    order = numbers.summary(study).rename(columns={"rmse": "value"})
    return figures.foremost(order[["method", "value"]][~order["method"].map(is_blend)])


def _found(study: Study, rows: pd.DataFrame, words: Catalogue) -> Markup:
    """What the best method does at both ends of the scale."""
    best = str(numbers.best_single(numbers.summary(study))["method"])
    own = where(over_folds(rows, RATING), method=best)
    if own.empty:
        return words("bias.text")
    ends = {"lowest": own["value"].iloc[0], "highest": own["value"].iloc[-1]}
    return words("bias.text_best", method=code(best), **amounts("rating", **ends))


def _figure(study: Study, points: pd.DataFrame, name: str, words: Catalogue) -> Plot:
    """The two best of each family as thick lines, the others thin; of predictions, no counts."""
    if name != PREDICTION:
        points = points.assign(level=counted(points, "n", words))
    titles = words.plain(f"slice.{name}"), words.plain("axis.bias")
    drawn = figures.by_level(points, titles, 0.0, leading(study))
    return plotted(words, f"bias-{name.replace('_', '-')}", f"bias.{name}", drawn)
