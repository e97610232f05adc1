"""What studies of other sizes could detect, from the variance components of this one."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Points, Text, tabulated
from cfmf.report.strings import Catalogue, number


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """A sentence for each population, and the table of designs; none without the table."""
    rows = study.table("planning")
    if rows.empty:
        return []
    known = {name: words.term("method", rows[name].iloc[0]) for name in ("group_a", "group_b")}
    margin = number(rows["margin"].iloc[0], "rmse")
    title = words("designs.title")
    shown = rows.assign(population=words.terms("population", rows["population"]))
    columns = "population folds=folds:count repeats=repeats_of_folds:count seeds=seeds:count"
    columns += " users=users:count error=standard_error:rmse detectable=detectable:rmse"
    columns += " equivalence=equivalence_power:share"
    parts: list[Block] = [
        Text(words("designs.text", first=known["group_a"], second=known["group_b"], margin=margin)),
        Points(_populations(study, words)),
        tabulated(words, "designs", title, shown, columns),
    ]
    return [Collapsed(words("designs.heading"), parts)]


def _populations(study: Study, words: Catalogue) -> list[Markup]:
    """What the smallest and the largest design detect for each population."""
    found = []
    for population, rows in study.table("planning").groupby("population", sort=False):
        least, most = (rows.sort_values("detectable").iloc[place] for place in (-1, 0))
        found.append(
            words(
                "designs.population",
                population=words.term("population", population),
                small=_design(least, words),
                large=_design(most, words),
                least=number(least["detectable"], "rmse"),
                most=number(most["detectable"], "rmse"),
            )
        )
    return found


def _design(row: pd.Series, words: Catalogue) -> Markup:
    return words(
        "designs.design",
        folds=number(int(row["folds"]), "count"),
        repeats=number(int(row["repeats"]), "count"),
        seeds=number(int(row["seeds"]), "count"),
        users=number(int(row["users"]), "count"),
    )
