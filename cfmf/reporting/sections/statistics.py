"""The tests: the study's battery as published, then those that the design supports."""

from __future__ import annotations

import re

import pandas as pd
from markupsafe import Markup, escape

from cfmf.figures import comparison as figures
from cfmf.reporting.page import Block, Column, Fold, Heading, Note, Plot, Table, Text, records
from cfmf.reporting.strings import Catalogue, code, number
from cfmf.reporting.study import Study

PUBLISHED = "unblocked, as published"
FAMILIES = {
    "published": r"published: k of (?P<method>[\w-]+), (?P<arm>.+)",
    "k": r"k of (?P<method>[\w-]+)",
    "against": r"methods against (?P<method>[\w-]+)",
    "methods": r"methods",
    "champions": r"best factorization against best neighbours",
}


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """As published, each with the erratum that touches it; blocked tests; assumptions; power."""
    tests = study.table("tests")
    if tests is None:
        return []
    published = tests["design"].astype(str) == PUBLISHED
    return [
        Text(words("statistics.text")),
        *_blocked(tests[~published], words),
        *_power(tests, words),
        *_published(study, tests[published], words),
        *_assumptions(study, words),
        *_side_tables(study, words),
    ]


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
        Column("note", words.plain("column.note")),
    ]


def table(name: str, title: Markup, rows: pd.DataFrame, words: Catalogue) -> Table:
    """Rows of tests.tsv as a table, without the columns that are empty in all of them."""
    rows = rows.copy()
    text = ["test", "estimand", "stat_name", "effect_name", "note", "group_a", "group_b"]
    rows[text] = rows[text].astype(object).where(rows[text].notna(), "").astype(str)
    pair = rows["group_a"] + " − " + rows["group_b"]
    rows["groups"] = pair.where(rows["group_b"] != "", rows["group_a"])
    kept = [
        column
        for column in columns(words)
        if (rows[column.key].notna() & (rows[column.key].astype(str) != "")).any()
        and not (column.key == "estimand" and rows["estimand"].unique().size == 1)
    ]
    return Table(name, title, kept, records(rows))


def _blocked(tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    if tests.empty:
        return []
    return [
        Heading(words("statistics.blocked")),
        Text(words("statistics.blocked_text")),
        *_families("tests", tests, words),
    ]


def _families(name: str, tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    """A fold for each family of tests."""
    found: list[Block] = []
    families = tests["family"].astype(str)
    for place, (family, rows) in enumerate(tests.groupby(families, sort=False), start=1):
        title = family_title(str(family), words)
        found.append(Fold(title, [table(f"{name}-{place}", title, rows, words)]))
    return found


def family_title(family: str, words: Catalogue) -> Markup:
    """What a family compares, in words, from its name in tests.tsv."""
    for key, pattern in FAMILIES.items():
        parts = re.fullmatch(pattern, family)
        if parts:
            named = {name: code(value) for name, value in parts.groupdict().items()}
            return words(f"statistics.family_{key}", **named)
    return escape(family)


def _power(tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    rows = tests[(tests["test"] == "power") & tests["stat"].notna() & (tests["factor"] == "method")]
    if rows.empty:
        return []
    return [
        Note(
            "hint",
            words(
                "statistics.power",
                blocks=number(int(rows["n_blocks"].max())),
                least=number(float(rows["effect"].min()), "rmse"),
                most=number(float(rows["effect"].max()), "rmse"),
                low=number(float(rows["stat"].min()), "share"),
                high=number(float(rows["stat"].max()), "share"),
                margin=number(float(rows["margin"].iloc[0]), "rmse"),
            ),
        )
    ]


def _published(study: Study, tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    if tests.empty:
        return []
    found: list[Block] = [
        Heading(words("statistics.published")),
        Text(words("statistics.published_text")),
        *_published_figures(study, words),
        *_families("published", tests, words),
    ]
    for key, name in (("anova", "ANOVA"), ("kruskal", "Kruskal"), ("dunn", "Dunn")):
        if tests["test"].astype(str).str.contains(name).any():
            found.append(Note("erratum", words(f"statistics.erratum_{key}")))
    return found


def published_runs(study: Study) -> tuple[str, pd.DataFrame]:
    """Runs as the published battery takes them, each a sample of its own.

    Returns where they come from (`search`, or the method of a grid) and columns k (text), value.
    The published search is taken with its pruned trials where it was repeated, as published.
    """
    frame = study.search.get("frame")
    if frame is not None:
        kept = frame.dropna(subset=["value"])
        return "search", kept[["value"]].assign(k=kept["params_k"].astype(int).astype(str))
    rows = study.tables["metrics"]
    rows = rows[(rows["metric"] == "rmse") & (rows["split"] == "test") & (rows["k"] != "")]
    for method in ("mf", *rows["method"].unique()):
        chosen = rows.loc[rows["method"] == method, ["k", "value"]]
        if chosen["k"].unique().size > 1:
            return str(method), chosen.reset_index(drop=True)
    return "", rows[["k", "value"]].head(0)


def _published_figures(study: Study, words: Catalogue) -> list[Block]:
    source, runs = published_runs(study)
    if runs.empty:
        return []
    whose = words("statistics.runs_of_search")
    if source != "search":
        whose = words("statistics.runs_of_grid", method=code(source))
    box = figures.box_by_k(runs, words.plain)
    density = figures.density_by_k(runs, words.plain)
    return [
        Plot(
            "box-by-k",
            words("statistics.box_title"),
            words("statistics.box_caption", runs=whose),
            box,
        ),
        Plot(
            "density-by-k",
            words("statistics.density_title"),
            words("statistics.density_caption", runs=whose),
            density,
        ),
    ]


def _assumptions(study: Study, words: Catalogue) -> list[Block]:
    rows = study.table("assumptions")
    if rows is None:
        return []
    shown = [
        Column("family", words.plain("column.family"), "text"),
        Column("design", words.plain("column.design")),
        Column("group", words.plain("column.groups"), "code"),
        Column("check", words.plain("column.check")),
        Column("n", "n", "count"),
        Column("stat_name", words.plain("column.statistic")),
        Column("stat", words.plain("column.value"), "value"),
        Column("p_value", words.plain("column.p"), "p"),
        Column("holds", words.plain("column.holds")),
        Column("note", words.plain("column.note")),
    ]
    text = ["family", "design", "group", "check", "stat_name", "holds", "note"]
    rows = rows.copy()
    rows[text] = rows[text].astype(object).where(rows[text].notna(), "").astype(str)
    judged = rows[rows["holds"].isin(["True", "False"])]
    text_block = Text(
        words(
            "statistics.assumptions_text",
            failed=number(int((judged["holds"] == "False").sum())),
            judged=number(len(judged)),
        )
    )
    title = words("statistics.assumptions")
    return [
        Fold(title, [text_block, Table("assumptions", title, shown, records(rows))]),
    ]


def _side_tables(study: Study, words: Catalogue) -> list[Block]:
    """Medians, best rows and trials, as they stand."""
    kinds = {
        "value": "rmse",
        "median": "rmse",
        "mean": "rmse",
        "minimum": "rmse",
        "maximum": "rmse",
        "validation_rmse": "rmse",
        "test_rmse": "rmse",
        "n": "count",
        "trial": "count",
    }
    found: list[Block] = []
    for name in ("medians", "best_rows", "trials"):
        rows = study.table(name)
        if rows is None or (name == "trials" and study.search):
            continue
        shown = [
            Column(key, words.otherwise(f"column.{key}", key).striptags(), kinds.get(key, "text"))
            for key in rows.columns
            if key != "dataset"
        ]
        numeric = [column.key for column in shown if not column.numeric]
        rows = rows.copy()
        rows[numeric] = rows[numeric].astype(object).where(rows[numeric].notna(), "").astype(str)
        title = words(f"statistics.{name}")
        found.append(Fold(title, [Table(name.replace("_", "-"), title, shown, records(rows))]))
    return found
