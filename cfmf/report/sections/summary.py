"""The verdict, and every method in one table."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from cfmf.metrics import METRICS
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Column, Fold, Note, Points, Table, Text, records
from cfmf.report.strings import Catalogue, code, number
from cfmf.report.terms import term

CONTRASTS = ["lower", "higher", "equivalent", "undecided", "no_test"]
FOLDS = ["few_runs", "few_folds", "one_fold"]
HEADLINE = [["refused"], ["best"], ["order_reversed", "order_same"], FOLDS]
"""Of each list, the first sentence whose key comes first stands on top."""
KINDS = {
    **dict.fromkeys(("size", "low", "high", "difference", "least", "value"), "rmse"),
    **dict.fromkeys(("equivalence_low", "equivalence_high"), "rmse"),
    **dict.fromkeys(("p", "equivalence_p", "friedman", "anova", "naive"), "p_in_text"),
    "mean": "signed",
    **dict.fromkeys(("level", "equivalence_level", "power"), "percent"),
}


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Verdict in words, then a table to read in a minute."""
    table = numbers.summary(study)
    return [
        *_verdict(study, words),
        _table(table, words),
        Text(words("summary.reading")),
        *_of_users(study, words),
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
    """The first two comparisons, the best method, the orders of k, and what the design allows."""
    found = [said for said in verdict if said["key"] == "champions"]
    found += [said for said in verdict if said["key"] in CONTRASTS][:2]
    for keys in HEADLINE:
        ranked = [said for said in verdict if said["key"] in keys]
        found += sorted(ranked, key=lambda said: keys.index(said["key"]))[:1]
    return found


def sentence(said: dict[str, Any], words: Catalogue) -> Markup:
    """One sentence of the verdict: in the catalogue's words if it has them, else as computed."""
    shown = {}
    for name, value in said["numbers"].items():
        if isinstance(value, (int, float)):
            shown[name] = number(value, KINDS.get(name, ""))
        elif name in {"first", "second", "method"}:
            shown[name] = term(value, words) if " with k=" in value else code(value)
        elif name == "sure" and value.startswith("over "):
            shown[name] = words("summary.over", share=value.removeprefix("over "))
        else:
            shown[name] = term(value, words)
    return words.otherwise(f"verdict.{said['key']}", said["text"], **shown)


def _table(table: pd.DataFrame, words: Catalogue) -> Table:
    scored = [
        Column(name, words.otherwise(f"column.{name}", name).striptags(), metric.format)
        for name, metric in METRICS.items()
        if metric.in_summary and name != "rmse"
    ]
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("rmse", words.plain("column.test_rmse"), "rmse"),
        Column("sd", words.plain("column.sd"), "rmse"),
        *scored,
        Column("coverage", words.plain("column.coverage"), "share"),
        Column("seconds", words.plain("column.seconds_fold"), "seconds"),
        Column("search", words.plain("column.seconds_all"), "seconds"),
        Column("what", words.plain("column.what")),
    ]
    what = [words.otherwise(f"method.{method}", method).striptags() for method in table["method"]]
    columns = [c for c in columns if c.key in {"method", "what"} or table[c.key].notna().any()]
    title = words("summary.table", folds=number(int(table["folds"].max())))
    return Table("summary", title, columns, records(table.assign(what=what)))


def _of_users(study: Study, words: Catalogue) -> list[Block]:
    """Mean and median of the users' own RMSE with their intervals, folded."""
    rows = numbers.of_users(study)
    if rows.empty:
        return []
    sides = [
        rows[rows["metric"] == f"user_rmse_{what}"]
        .set_index("method")[["value", "ci_low", "ci_high"]]
        .add_prefix(f"{what}_")
        for what in ("mean", "median")
    ]
    table = pd.concat(sides, axis=1).sort_values("mean_value").reset_index()
    columns = [Column("method", words.plain("column.method"), "code")]
    for what in ("mean", "median"):
        columns += [
            Column(f"{what}_value", words.plain(f"column.{what}"), "rmse"),
            Column(f"{what}_ci_low", words.plain("column.low"), "rmse"),
            Column(f"{what}_ci_high", words.plain("column.high"), "rmse"),
        ]
    title = words("summary.users_table")
    level = number(float(rows["ci_level"].iloc[0]), "percent")
    users = number(int(rows["users"].max()), "count")
    text = Text(words("summary.users_text", users=users, level=level))
    return [Fold(title, [text, Table("users", title, columns, records(table))])]


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
