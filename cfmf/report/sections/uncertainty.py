"""The intervals of predictions: how often they hold the rating, and how wide they are."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.evaluation.conformal import COVERAGE
from cfmf.evaluation.prediction_coverage import ALL, BY_HISTORY, ONE
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Column, Table, Text, tabulated
from cfmf.report.strings import Catalogue, amounts, number
from cfmf.tables import where


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Coverage overall and by history; with one radius for all, collapsed."""
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
    return [Text(text), shown, Collapsed(titles[ONE], [other])]


def _table(rows: pd.DataFrame, name: str, title: Markup, words: Catalogue) -> Table:
    """A row for each method, the narrowest intervals first; a column for each group of users."""
    levels = [level for level in dict.fromkeys(rows["level"]) if level != ALL]
    levels.sort(key=lambda level: int(level.rstrip("+").split("-")[0]))
    wide = rows.pivot(index="method", columns="level", values="coverage")
    widths = where(rows, level=ALL).set_index("method")["width"]
    shown = wide.assign(width=widths).sort_values("width").reset_index()
    headings = zip(levels, words.terms("group", levels), strict=True)
    columns = [
        Column("width", words.plain("uncertainty.width"), "rating"),
        Column(ALL, words.plain("uncertainty.all"), "share"),
        *(Column(level, heading, "share") for level, heading in headings),
    ]
    return tabulated(words, f"prediction-intervals-{name}", title, shown, "method", *columns)
