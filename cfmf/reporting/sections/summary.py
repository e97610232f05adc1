"""The verdict, and every method in one table."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from cfmf.reporting import numbers
from cfmf.reporting.page import Block, Column, Fold, Note, Points, Table, Text, records
from cfmf.reporting.strings import Catalogue, number
from cfmf.reporting.study import Study

HEADLINE: list[set[str]] = [
    {"lower", "higher", "equivalent", "undecided", "no_test"},
    {"best"},
    {"order_reversed", "order_same"},
    {"few_folds", "one_fold"},
]
"""Of each set, the first sentence of the verdict that has one of these keys stands on top."""
KINDS = {
    **dict.fromkeys(("size", "low", "high", "difference", "least", "value"), "rmse"),
    **dict.fromkeys(("equivalence_low", "equivalence_high"), "rmse"),
    **dict.fromkeys(("p", "equivalence_p"), "p"),
    **dict.fromkeys(("level", "equivalence_level", "sure", "power"), "percent"),
}


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Verdict in words, then a table to read in a minute."""
    table = numbers.summary(study)
    return [
        *_verdict(study, words),
        _table(table, words),
        Text(words("summary.reading")),
        *_settings(table, words),
    ]


def _verdict(study: Study, words: Catalogue) -> list[Block]:
    """The sentences that answer the question, the others folded."""
    if not study.verdict:
        return [Note("missing", words("summary.no_verdict"))]
    first = headline(study.verdict)
    rest = [said for said in study.verdict if said not in first]
    found: list[Block] = [Points([sentence(said, words) for said in first])]
    if rest:
        found.append(
            Fold(words("summary.more"), [Points([sentence(said, words) for said in rest])])
        )
    return found


def headline(verdict: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first comparison with what goes with it, the best method, the order of k, the design."""
    found: list[dict[str, Any]] = []
    seen: set[str] = set()
    for keys in HEADLINE:
        for said in verdict:
            if said.get("key") in keys and not seen & keys:
                found.append(said)
                seen.add(str(said["key"]))
    return found or verdict[:4]


def sentence(said: dict[str, Any], words: Catalogue) -> Markup:
    """One sentence of the verdict: in the catalogue's words if it has them, else as computed."""
    values = said.get("numbers") or said.get("values") or {}
    shown = {
        name: number(value, KINDS.get(name, "")) if isinstance(value, (int, float)) else value
        for name, value in values.items()
    }
    return words.otherwise(f"verdict.{said.get('key')}", said.get("text", ""), **shown)


def _table(table: pd.DataFrame, words: Catalogue) -> Table:
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("rmse", words.plain("column.test_rmse"), "rmse"),
        Column("sd", words.plain("column.sd"), "rmse"),
        Column("mae", words.plain("column.mae"), "rmse"),
        Column("coverage", words.plain("column.coverage"), "share"),
        Column("seconds", words.plain("column.seconds_fold"), "seconds"),
        Column("search", words.plain("column.seconds_all"), "seconds"),
        Column("what", words.plain("column.what")),
    ]
    what = [words.otherwise(f"method.{method}", method).striptags() for method in table["method"]]
    columns = [c for c in columns if c.key in {"method", "what"} or table[c.key].notna().any()]
    title = words("summary.table", folds=number(int(table["folds"].max())))
    return Table("summary", title, columns, records(table.assign(what=what)))


def _settings(table: pd.DataFrame, words: Catalogue) -> list[Block]:
    rows = table[table["setting"] != ""]
    if rows.empty:
        return []
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("setting", words.plain("column.setting"), "code"),
    ]
    title = words("summary.settings")
    return [Fold(title, [Table("chosen-settings", title, columns, records(rows))])]
