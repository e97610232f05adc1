"""How far predictions are off: intervals and how often they hold the rating, and mean errors."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.evaluation.conformal import COVERAGE
from cfmf.evaluation.prediction_coverage import ALL, BY_HISTORY, ONE
from cfmf.methods.registry import of_published
from cfmf.report.context import Study
from cfmf.report.figures.accuracy import by_level
from cfmf.report.page import Block, Collapsed, Column, Plot, Table, Text, plotted, tabulated
from cfmf.report.sections import bias
from cfmf.report.sections.levels import counted, ordered
from cfmf.report.strings import Catalogue, amounts, number
from cfmf.tables import where

ENOUGH = 30
"""Fewest users of a group that is drawn: users err alike on all their ratings."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Coverage overall and by history; with one radius for all, and bias, collapsed."""
    return [*_intervals(study, words), *bias.blocks(study, words)]


def _intervals(study: Study, words: Catalogue) -> list[Block]:
    rows = where(study.table("prediction_intervals"), fold=ALL)
    if rows.empty:
        return []
    overall = where(rows, level=ALL, radii=BY_HISTORY)
    text = words(
        "uncertainty.text",
        nominal=number(COVERAGE, "percent"),
        **amounts("share", least=overall["coverage"].min(), most=overall["coverage"].max()),
        **amounts("rating", narrowest=overall["width"].min(), widest=overall["width"].max()),
    )
    titles = {radii: words(f"uncertainty.{radii}") for radii in (BY_HISTORY, ONE)}
    shown, other = (_table(where(rows, radii=one), one, titles[one], words) for one in titles)
    found: list[Block] = [Text(text), shown]
    groups = where(rows, radii=BY_HISTORY)
    groups = groups[(groups["level"] != ALL) & (groups["users"] >= ENOUGH)]
    groups = groups[~groups["method"].map(of_published)]
    if len(groups):
        found.append(Collapsed(words("uncertainty.figure_title"), [_figure(study, groups, words)]))
    return [*found, Collapsed(titles[ONE], [other])]


def _figure(study: Study, rows: pd.DataFrame, words: Catalogue) -> Plot:
    """Coverage by history."""
    points = ordered(rows.assign(value=rows["coverage"]))
    points["level"] = counted(points, "users", words)
    titles = words.plain("slice.user_ratings"), words.plain("column.coverage")
    drawn = by_level(points, titles, COVERAGE, bias.leading(study), tickformat=".1%")
    nominal = number(COVERAGE, "percent")
    return plotted(words, "interval-coverage", "uncertainty.figure", drawn, nominal=nominal)


def _table(rows: pd.DataFrame, name: str, title: Markup, words: Catalogue) -> Table:
    """A row for each method, the narrowest intervals first; a column for each group of users."""
    groups = ordered(rows[rows["level"] != ALL]).drop_duplicates("level")
    wide = rows.pivot(index="method", columns="level", values="coverage")
    widths = where(rows, level=ALL).set_index("method")["width"]
    shown = wide.assign(width=widths).sort_values("width").reset_index()
    headings = zip(groups["level"], counted(groups, "users", words), strict=True)
    columns = [
        Column("width", words.plain("uncertainty.width"), "rating"),
        Column(ALL, words.plain("uncertainty.all"), "share"),
        *(Column(level, heading, "share") for level, heading in headings),
    ]
    return tabulated(words, f"prediction-intervals-{name}", title, shown, "method", *columns)
