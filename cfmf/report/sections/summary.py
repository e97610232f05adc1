"""The verdict, and every method in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from cfmf.metrics import METRICS
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Column, Note, Points, Table, Text, columns, tabulated
from cfmf.report.sections import each_user, planned
from cfmf.report.sections.tests import edges
from cfmf.report.strings import Catalogue, code, number
from cfmf.statistics.names import COMPOSITES, HIGHER, LOWER, WITHIN
from cfmf.tables import where

Message = dict[str, Any]
CONTRASTS = ["better", "better_small", "equivalent", "undecided", "undecided_size", "no_test"]
SMALL_DESIGN = ["quick_study", "quick_study_folds", "one_fold"]
HEADLINE = [["refused"], ["order_compared"]]
"""Of each list, the first message whose key comes first is among the key findings."""
KINDS = {
    **dict.fromkeys(("size", "low", "high", "difference", "detectable", "value", "margin"), "rmse"),
    **dict.fromkeys(("inner_low", "inner_high"), "rmse"),
    "p": "p_in_text",
    "mean": "signed",
    **dict.fromkeys(("level", "inner_level", "power"), "percent"),
    **dict.fromkeys((LOWER, WITHIN, HIGHER), "percent"),
}

KEYS = {"why": "note", "role": "role", "arm": "arm", "population": "population"}
"""Names of a message's keys, and the column of the tables whose keys they are."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The verdict in words, then a table of all methods."""
    table = numbers.summary(study)
    return [
        *planned.disclosure(study, words),
        _table(table, words),
        *informed(table, words),
        *_verdict(study, words),
        Collapsed(words("summary.reading_title"), [Text(words("summary.reading"))]),
        *_of_users(study, words),
        *each_user.blocks(study, words),
        *_settings(table, words),
    ]


def _uses(keys: str, words: Catalogue) -> Markup:
    return words.listed(words.terms("uses", filter(None, keys.split(", "))))


def informed(table: pd.DataFrame, words: Catalogue) -> list[Block]:
    """A note on the methods of `numbers.summary` that know more than the ratings, if any."""
    named = [
        words("term.with", name=code(name), detail=_uses(keys, words))
        for name, keys in zip(table["method"], table["uses"], strict=True)
        if keys
    ]
    text = words("summary.informed", methods=words.listed(named, "further"))
    return [Note("hint", text)] if named else []


def _verdict(study: Study, words: Catalogue) -> list[Block]:
    """The sentences that answer the question; the others are collapsed."""
    if not study.verdict:
        return [Note("missing", words("summary.no_verdict"))]
    first = headline(study.verdict)
    rest = [said for said in study.verdict if said not in first and said["key"] not in SMALL_DESIGN]
    parts = {"summary.main": first, "summary.more": rest}
    return [
        Collapsed(words(key), [Points([sentence(said, words) for said in part])])
        for key, part in parts.items()
        if part
    ]


def headline(verdict: list[Message]) -> list[Message]:
    """The primary comparisons, what one blend adds to another, and the order of k."""
    found = [said for said in verdict if said["key"] == "best_per_family"]
    found += [said for said in verdict if said["key"] in CONTRASTS][:2]
    found += [said for pair in on_blends(verdict)[:1] for said in pair[:2] if said not in found]
    for keys in HEADLINE:
        ranked = [said for said in verdict if said["key"] in keys]
        found += sorted(ranked, key=lambda said: keys.index(said["key"]))[:1]
    return found


def on_blends(verdict: list[Message]) -> list[list[Message]]:
    """For each pair of blends what one adds to the other, the verdict, and further intervals."""
    starts = [place for place, said in enumerate(verdict) if said["key"] == "blend_adds"]
    found = [verdict[start : start + 3] for start in starts]
    return [one if one[-1]["key"] == "other_populations" else one[:2] for one in found]


def sentence(said: Message, words: Catalogue) -> Markup:
    """One message of the verdict, in the words of the catalogue."""
    numbers = said["numbers"]
    shown = {name: _shown(name, value, words) for name, value in numbers.items()}
    if "method" in numbers and "second" in numbers:  # two k of a method
        for name in ("first", "second"):
            shown[name] = words("verdict.k_of", method=shown["method"], k=code(numbers[name]))
    if said["key"] == "datasets_order":
        shown["order"] = _listed(numbers["order"], "exponent", words)
    return words(f"verdict.{said['key']}", **shown)


def _shown(name: str, value: Any, words: Catalogue) -> Markup:
    """One number, name or key of a message."""
    if isinstance(value, (int, float)):
        return number(value, KINDS.get(name, ""))
    if name in COMPOSITES.values():
        return words.listed(
            words("term.with", name=code(method), detail=folds) for method, folds in value
        )
    if value in COMPOSITES.values():
        return words.term("group", value)
    if name in KEYS:
        return words.term(KEYS[name], value)
    if name == "names":
        return words.listed(words.term("estimand", one) for one in value)
    if name == "added":
        return words.listed(map(code, value))
    if name == "where":
        return edges(value, words)
    if name == "values":
        return words.listed(number(one, "rmse") for one in value)
    if name == "others":
        return words.listed((_interval(one, words) for one in value), "further")
    if name == "order":
        ranked = isinstance(value[0], list)
        return (
            _listed(value, "rmse", words) if ranked else Markup(" &lt; ").join(map(escape, value))
        )
    return code(value)


def _interval(found: Sequence[Any], words: Catalogue) -> Markup:
    """A population with its interval and verdict."""
    population, low, high, verdict = found
    ends = {"low": number(low, "rmse"), "high": number(high, "rmse")}
    known = {"population": words.term("population", population)}
    return words("verdict.interval", **ends, **known, verdict=words.term("verdict", verdict))


def _listed(pairs: list[tuple[str, float]], kind: str, words: Catalogue) -> Markup:
    return words.listed(code(name) + " " + number(value, kind) for name, value in pairs)


def _table(table: pd.DataFrame, words: Catalogue) -> Table:
    scored = [
        Column(name, words.otherwise(f"column.{name}", name).striptags(), metric.format, True)
        for name, metric in METRICS.items()
        if metric.in_summary and name != "rmse"
    ]
    costs = "coverage seconds=seconds_fold search=seconds_all"
    also = [_uses(keys, words).striptags() for keys in table["uses"]]
    table = table.assign(also=also)
    names = "method also=also_knows rmse=test_rmse sd" if any(also) else "method rmse=test_rmse sd"
    every = columns(words, names, *scored, costs)
    kept = [column for column in every if table[column.key].notna().any()]
    title = words("summary.table", folds=number(int(table["folds"].max())))
    return tabulated(words, "summary", title, table, *kept)


def _of_users(study: Study, words: Catalogue) -> list[Block]:
    """Mean and median of the users' own RMSE with their intervals, collapsed."""
    rows = numbers.of_users(study)
    if rows.empty:
        return []
    sides, columns = [], "method"
    for what in ("mean", "median"):
        side = where(rows, metric=f"user_rmse_{what}").set_index("method")
        sides.append(side[["value", "ci_low", "ci_high"]].add_prefix(f"{what}_"))
        columns += f" {what}_value={what}:rmse {what}_ci_low=low {what}_ci_high=high"
    table = pd.concat(sides, axis=1).sort_values("mean_value").reset_index()
    title = words("summary.users_table")
    level = number(float(rows["ci_level"].iloc[0]), "percent")
    users = number(int(rows["users"].max()), "count")
    text = Text(words("summary.users_text", users=users, level=level))
    return [Collapsed(title, [text, tabulated(words, "users", title, table, columns)])]


def _settings(table: pd.DataFrame, words: Catalogue) -> list[Block]:
    rows = table[table["setting"] != ""]
    if rows.empty:
        return []
    title = words("summary.settings")
    return [Collapsed(title, [tabulated(words, "chosen-settings", title, rows, "method setting")])]
