"""How often intervals contain the truth and tests err, on real ratings drawn again and again."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup

from cfmf.report import ASSETS
from cfmf.report.figures import dots
from cfmf.report.page import Block, Collapsed, Column, Note, Table, Text, plotted, tabulated
from cfmf.report.strings import Catalogue, amounts, number
from cfmf.statistics.names import POPULATIONS

MEASURED = ASSETS / "coverage.tsv"
NOMINAL = 0.93, 0.97
"""Coverage between these is that of a 95% interval: 200 draws have a standard error of 1.5%."""


def shares() -> pd.DataFrame:
    """What `benchmarks/coverage.py` wrote: a row for each way of drawing and contrast.

    Columns redrawn, folds, draws, kind (like, unlike, family, omnibus), first, second, truth, sd,
    and for each population its coverage, error and equivalence; `own` is the coverage of the
    interval that is for what was redrawn.
    """
    rows = pd.read_csv(MEASURED, sep="\t")
    own = [row[f"coverage_{row['redrawn']}"] for row in rows.to_dict("records")]
    return rows.assign(own=own)


def blocks(words: Catalogue) -> list[Block]:
    """What coverage was found, for which populations it is not nominal, and the table."""
    rows = shares()
    of_tests, together = rows["kind"] == "omnibus", rows.loc[rows["kind"] == "family", "own"]
    contrasts = rows[rows["first"].notna()]
    named = {side: words.terms("compared", contrasts[side]) for side in ("first", "second")}
    contrasts = contrasts.assign(**named)
    users = contrasts.loc[contrasts["redrawn"] == "new_users", "coverage_new_ratings"]
    equivalence = max(row[f"equivalence_{row['redrawn']}"] for row in contrasts.to_dict("records"))
    ratings, new_users, both = 1 - rows.loc[of_tests, "coverage_new_ratings"]
    told = words(
        "calibration.text",
        draws=number(int(rows["draws"].min()), "count"),
        folds=number(int(rows["folds"].min())),
        contrasts=number(len(contrasts) // len(POPULATIONS)),
        **amounts("share", low=NOMINAL[0], high=NOMINAL[1]),
        **amounts("share", users_least=users.min(), users_most=users.max()),
        **amounts("share", equivalence=equivalence),
        **amounts("share", together_least=together.min(), together_most=together.max()),
        **amounts("share", omnibus=ratings, omnibus_users=new_users, omnibus_items=both),
    )
    title = words("calibration.title")
    parts: list[Block] = [
        Text(told),
        *(Note("hint", one) for one in _populations(contrasts, words)),
        plotted(words, "coverage", "calibration.figure", _figure(contrasts, words)),
        _table(contrasts, title, words),
    ]
    return [Collapsed(words("calibration.heading"), parts)]


def _populations(contrasts: pd.DataFrame, words: Catalogue) -> list[Markup]:
    """One sentence for each population: nominal, or the coverage that was found."""
    found = []
    for population in POPULATIONS:
        own = contrasts.loc[contrasts["redrawn"] == population, "own"]
        low, high = NOMINAL
        outside = own[(own < low) | (own > high)]
        key = "approximate" if len(outside) else "nominal"
        found.append(
            words(
                f"calibration.{key}",
                population=words.term("population", population),
                outside=number(len(outside)),
                contrasts=number(len(own)),
                **amounts("share", least=own.min(), most=own.max(), mean=own.mean()),
            )
        )
    return found


def _figure(rows: pd.DataFrame, words: Catalogue) -> go.Figure:
    """The coverage of the interval for what was redrawn, a line for each contrast."""
    points = pd.DataFrame(
        {
            "series": words.terms("population", rows["redrawn"]),
            "label": rows["first"] + " − " + rows["second"],
            "value": rows["own"],
        }
    )
    return dots.coverage(points, words.plain("column.coverage"), NOMINAL)


def _table(rows: pd.DataFrame, title: Markup, words: Catalogue) -> Table:
    """A row for each way of drawing and contrast, a column for each interval."""
    columns = [
        Column(
            f"coverage_{name}",
            words("calibration.interval", population=words.term("population", name)).striptags(),
            "share",
        )
        for name in POPULATIONS
    ]
    shown = rows.assign(redrawn=words.terms("population", rows["redrawn"]))
    return tabulated(words, "coverage", title, shown, "redrawn first second", *columns)
