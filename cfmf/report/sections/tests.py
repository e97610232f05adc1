"""Rows of the tests, the checks and their side tables as tables of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from cfmf.report.page import Column, Table, columns, tabulated
from cfmf.report.strings import Catalogue, code, shown
from cfmf.selection import edge_parts

KINDS = {
    **dict.fromkeys(("value", "median", "mean", "interquartile_mean"), "rmse"),
    **dict.fromkeys(("minimum", "maximum", "validation_rmse", "test_rmse"), "rmse"),
    **dict.fromkeys(("n", "trial"), "count"),
}
KEYS = ["test", "estimand", "population", "stat_name", "effect_name", "verdict"]
"""Columns of tests.tsv whose keys the catalogues name."""
SHOWN = (
    "test estimand population groups n_blocks=blocks stat_name=statistic stat=value df1 df2 p_raw=p"
    " p_adj effect_name effect ci_low=low:value ci_high=high:value ci_method verdict note"
)
"""The columns of the tests that a reader needs; the rest is in tests.tsv."""
ONE = {"estimand", "population"}
"""Columns that are shown only where rows differ in them."""
NOTED = ["note_value", "n_blocks", "n_obs", "family_size", "threshold"]
"""Columns of numbers that a note may hold."""


def table(name: str, title: Markup, rows: pd.DataFrame, words: Catalogue) -> Table:
    """Rows of tests.tsv as a table, without the columns that are empty in all of them."""
    text = ["group_a", "group_b", "ci_method", *KEYS, "note", "function"]
    rows = _as_text(rows, text)
    for key in KEYS:
        rows[key] = words.terms(key, rows[key])
    rows["ci_method"] = [
        words.term("ci_method", method, resamples=shown(resamples)).striptags()
        for method, resamples in zip(rows["ci_method"], rows["ci_resamples"], strict=True)
    ]
    rows["note"] = [_note(row, words) for row in rows.to_dict("records")]
    for side in ("group_a", "group_b"):
        rows[side] = words.terms("group", rows[side])
    pair = rows["group_a"] + " − " + rows["group_b"]
    rows["groups"] = pair.where(rows["group_b"] != "", rows["group_a"])
    kept = [
        column
        for column in columns(words, SHOWN)
        if (rows[column.key].notna() & (rows[column.key].astype(str) != "")).any()
        and not (column.key in ONE and rows[column.key].unique().size == 1)
    ]
    return tabulated(words, name, title, rows, *kept)


def _note(row: Mapping[Any, Any], words: Catalogue) -> str:
    """The remarks on a result or a check; why it was not computed, where it was not."""
    if not row["note"]:
        return ""
    values = {name: shown(row[name]) for name in NOTED if name in row}
    said = [words.term("note", key, **values) for key in row["note"].split(";")]
    text = words.listed(said, "further")
    return (text if row["function"] else words("term.not_computed", why=text)).striptags()


def family_title(family: str, method: str, words: Catalogue) -> Markup:
    """What a family compares."""
    return words.term("family", family, method=code(method))


def checks(name: str, title: Markup, rows: pd.DataFrame, words: Catalogue) -> Table:
    """Rows of assumptions.tsv as a table."""
    keys = ["estimand", "design", "group", "check", "stat_name", "violation"]
    rows = _as_text(rows, [*keys, "family", "method", "note", "function"])
    one = len(rows[["family", "method", "estimand"]].drop_duplicates()) == 1
    rows["family"] = [
        family_title(*pair, words).striptags()
        for pair in zip(rows["family"], rows["method"], strict=True)
    ]
    for key in keys:
        rows[key] = words.terms(key, rows[key])
    rows["note"] = [_note(row, words) for row in rows.to_dict("records")]
    of_check = "group=groups check n stat_name=statistic stat=value p_value=p threshold"
    columns = "" if one else "family estimand design", of_check, "violation note"
    return tabulated(words, name, title, rows, *columns)


def plain_table(name: str, title: Markup, rows: pd.DataFrame, words: Catalogue) -> Table:
    """Rows of any table, its keys in words."""
    columns = [
        Column(key, words.otherwise(f"column.{key}", key).striptags(), KINDS.get(key, "text"))
        for key in rows.columns
        if key != "dataset"
    ]
    rows = _as_text(rows, [column.key for column in columns if not column.numeric])
    for key in {"arm", "state"} & set(rows.columns):
        rows[key] = words.terms(key, rows[key])
    if "edge" in rows:
        rows["edge"] = [edges(edge_parts(edge), words).striptags() for edge in rows["edge"]]
    return tabulated(words, name, title, rows, *columns)


def edges(ends: Iterable[Sequence[str]], words: Catalogue) -> Markup:
    """Which end of the grid each part of a setting is on."""
    said = [words.term("edge", end, name=code(name)) for name, end in ends]
    return words.listed(said)


def _as_text(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The rows with empty texts in place of missing ones in some columns."""
    kept = rows[list(names)].astype(object)
    return rows.assign(**kept.where(kept.notna(), "").astype(str))
