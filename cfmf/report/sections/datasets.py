"""All data sets of the study together, and the random split compared with the temporal one."""

from __future__ import annotations

import pandas as pd

from cfmf.evaluation.data_sets import independent, pairs_of_schemes, side_by_side
from cfmf.report.context import Study
from cfmf.report.figures import ranks as figures
from cfmf.report.page import Block, Collapsed, Column, Heading, Plot, Points, Table, Text, tabulated
from cfmf.report.sections.summary import sentence
from cfmf.report.sections.tests import table as test_table
from cfmf.report.strings import Catalogue, number
from cfmf.statistics.names import CRITICAL_DIFFERENCE


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Every method on every data set, ranks over them, and the same ratings split in two ways."""
    table, tests = study.table("across_errors"), study.table("across_tests")
    if table.empty or tests.empty:
        return []
    title = words("datasets.tests")
    said = [sentence(one, words) for one in study.across_verdict]
    return [
        Text(words("datasets.text")),
        *([Points(said)] if said else []),
        _every(study, table, words),
        *_ranks(table, tests, words),
        *_schemes(study, table, words),
        Collapsed(title, [test_table("tests-datasets", title, tests, words)]),
    ]


def _every(study: Study, table: pd.DataFrame, words: Catalogue) -> Table:
    """RMSE, a row a method and a column a data set."""
    wide = table.pivot_table(index="method", columns="dataset", values="rmse", sort=False)
    wide = wide.assign(mean=wide.mean(axis="columns")).sort_values("mean")
    names = [str(name) for name in wide.columns if name != "mean"]
    columns = [Column(name, study.label(name), "rmse") for name in names]
    title, shown = words("datasets.every"), wide.drop(columns="mean").reset_index()
    return tabulated(words, "datasets", title, shown, "method", *columns)


def _ranks(table: pd.DataFrame, tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    found = tests[tests["test"] == CRITICAL_DIFFERENCE]
    if found.empty:
        return []
    wide = independent(table)
    ranks = wide.rank(axis="columns").mean().rename("rank").rename_axis("method").reset_index()
    critical = float(found["stat"].iloc[0])
    caption = words("datasets.rank_caption", datasets=number(len(wide)), critical=number(critical))
    drawn = figures.critical_difference(ranks, critical, words.plain)
    return [Plot("ranks-datasets", words("datasets.rank_title"), caption, drawn)]


def _schemes(study: Study, table: pd.DataFrame, words: Catalogue) -> list[Block]:
    found: list[Block] = []
    for place, (first, second) in enumerate(pairs_of_schemes(table), start=1):
        both = side_by_side(table, first, second)
        labels = study.label(first), study.label(second)
        names = dict(zip(("random", "temporal"), labels, strict=True))
        title = words("datasets.scheme_title", **names)
        sides = zip(("first", "second"), labels, strict=True)
        columns = [Column(side, label, "rmse") for side, label in sides]
        name, caption = f"split-schemes-{place}", words("datasets.scheme_caption", **names)
        found += [
            Plot(name, title, caption, figures.split_schemes(both, words.plain)),
            tabulated(words, name, title, both, "method", *columns, "difference"),
        ]
    return [Heading(words("datasets.scheme_heading")), *found] if found else []
