"""Rows of the tests, the checks and their side tables as tables of the report."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.report.page import Column, Table, records
from cfmf.report.strings import Catalogue
from cfmf.report.terms import terms

KINDS = {
    **dict.fromkeys(("value", "median", "mean", "interquartile_mean"), "rmse"),
    **dict.fromkeys(("minimum", "maximum", "validation_rmse", "test_rmse"), "rmse"),
    **dict.fromkeys(("n", "trial"), "count"),
}


def columns(words: Catalogue) -> list[Column]:
    """The columns of the tests that a reader needs; the rest is in tests.tsv."""
    return [
        Column("test", words.plain("column.test")),
        Column("estimand", words.plain("column.estimand")),
        Column("groups", words.plain("column.groups"), "code"),
        Column("n_blocks", words.plain("column.blocks"), "count"),
        Column("stat_name", words.plain("column.statistic")),
        Column("stat", words.plain("column.value"), "value"),
        Column("df1", words.plain("column.df1"), "value"),
        Column("df2", words.plain("column.df2"), "value"),
        Column("p_raw", words.plain("column.p"), "p"),
        Column("p_adj", words.plain("column.p_adj"), "p"),
        Column("effect_name", words.plain("column.effect_name")),
        Column("effect", words.plain("column.effect"), "value"),
        Column("ci_low", words.plain("column.low"), "value"),
        Column("ci_high", words.plain("column.high"), "value"),
        Column("ci_method", words.plain("column.ci_method")),
        Column("note", words.plain("column.note")),
    ]


def table(name: str, title: Markup, rows: pd.DataFrame, words: Catalogue) -> Table:
    """Rows of tests.tsv as a table, without the columns that are empty in all of them."""
    rows = rows.copy()
    said = ["test", "estimand", "stat_name", "effect_name", "ci_method", "note"]
    text = [*said, "group_a", "group_b"]
    rows[text] = rows[text].astype(object).where(rows[text].notna(), "").astype(str)
    for key in said:
        rows[key] = terms(rows[key], words)
    pair = rows["group_a"] + " − " + rows["group_b"]
    rows["groups"] = pair.where(rows["group_b"] != "", rows["group_a"])
    kept = [
        column
        for column in columns(words)
        if (rows[column.key].notna() & (rows[column.key].astype(str) != "")).any()
        and not (column.key == "estimand" and rows["estimand"].unique().size == 1)
    ]
    return Table(name, title, kept, records(rows))


def checks(name: str, title: Markup, rows: pd.DataFrame, words: Catalogue) -> Table:
    """Rows of assumptions.tsv as a table."""
    shown = [
        Column("family", words.plain("column.family"), "text"),
        Column("design", words.plain("column.design")),
        Column("group", words.plain("column.groups"), "code"),
        Column("check", words.plain("column.check")),
        Column("n", "n", "count"),
        Column("stat_name", words.plain("column.statistic")),
        Column("stat", words.plain("column.value"), "value"),
        Column("p_value", words.plain("column.p"), "p"),
        Column("departure", words.plain("column.departure")),
        Column("note", words.plain("column.note")),
    ]
    if len(set(rows["family"])) == 1:
        shown = shown[2:]
    rows = _as_text(rows, shown)
    for key in ("family", "design", "group", "check", "stat_name", "departure", "note"):
        rows[key] = terms(rows[key], words)
    return Table(name, title, shown, records(rows))


def plain_table(name: str, title: Markup, rows: pd.DataFrame, words: Catalogue) -> Table:
    """Rows of any table as they stand."""
    shown = [
        Column(key, words.otherwise(f"column.{key}", key).striptags(), KINDS.get(key, "text"))
        for key in rows.columns
        if key != "dataset"
    ]
    rows = _as_text(rows, shown)
    for key in {"arm", "edge", "state"} & set(rows.columns):
        rows[key] = terms(rows[key], words)
    return Table(name, title, shown, records(rows))


def _as_text(rows: pd.DataFrame, shown: list[Column]) -> pd.DataFrame:
    """The rows with empty texts in place of missing ones."""
    text = [column.key for column in shown if not column.numeric]
    rows = rows.copy()
    rows[text] = rows[text].astype(object).where(rows[text].notna(), "").astype(str)
    return rows
