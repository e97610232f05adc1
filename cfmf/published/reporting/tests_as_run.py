"""The published tests: each table and figure, its erratum, and the corrected one."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.methods.registry import of_published
from cfmf.published import keys
from cfmf.published.reporting import drawings, search_as_run
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Note, Plot, Text, plotted
from cfmf.report.sections import tests
from cfmf.report.sections.inference import families
from cfmf.report.strings import Catalogue, code
from cfmf.statistics import names
from cfmf.tables import where

PARTS = {
    "anova": (
        {keys.ONE_WAY, keys.SUM_OF_SQUARES, names.EFFECT_SIZE, keys.WELCH, keys.TUKEY},
        {names.SHARED_ANOVA, names.MIXED_MODEL},
    ),
    "kruskal": ({keys.KRUSKAL}, {names.WILCOXON}),
    "dunn": ({keys.DUNN}, {names.CORRECTED_T}),
}
"""The published tests of each part, and those that correct them."""
MEDIANS = (keys.ALL_TRIALS, keys.GRID, names.ARMS[names.E1])
BEST = (keys.SEARCH_ON_TEST, keys.GRID_ON_TEST, names.REG_ON_VALIDATION)


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Figures, checks, tests, medians and best rows, published and corrected alternately."""
    found = study.table("tests")
    unblocked = where(found, design=keys.UNBLOCKED)
    if unblocked.empty:
        return []
    family, method = _families(found)
    published = where(found, family=family[0], method=family[1])
    right = where(found, family=names.OF_K, method=method, estimand=names.E1)
    return [
        Text(words("published.text")),
        *_figures(study, words, method),
        *_checks(study, words, family, method),
        *_tests(study, words, published, right, method),
        *_signs(study, words, published, right, method),
        *_side(study, words, "medians", MEDIANS, method),
        *_side(study, words, "best_rows", BEST, method),
        *families("published", unblocked, words),
    ]


def _families(found: pd.DataFrame) -> tuple[tuple[str, str], str]:
    """The published family to show, the search's first, and the method that corrects it.

    A family is its key and its method.
    """
    rows = where(found, design=keys.UNBLOCKED)
    of_search = where(rows, family=f"published_{keys.ALL_TRIALS}")
    first = (of_search if len(of_search) else rows).iloc[0]
    corrected = where(found, family=names.OF_K)["method"].astype(str).unique()
    right = [name for name in corrected if not of_published(name)]
    return (first["family"], first["method"]), next(iter([*right, *corrected]), "mf")


def runs(study: Study) -> tuple[str, pd.DataFrame]:
    """Runs as the published tests take them, each a sample of its own.

    Returns where they come from (`search`, or the method of a grid) and columns k (text), value,
    state. The published search is taken with its pruned trials where it was repeated.
    """
    frame = study.table("frame")
    if len(frame):
        kept = frame.dropna(subset=["value"]).reset_index(drop=True)
        return "search", kept[["value", "state"]].assign(k=kept["params_k"].astype(int).astype(str))
    rows = where(study.tables["metrics"], metric="rmse", split="test")
    rows = rows[rows["k"] != ""]
    for method in ("mf", *rows["method"].unique()):
        chosen = rows.loc[rows["method"] == method, ["k", "value"]].assign(state="COMPLETE")
        if chosen["k"].unique().size > 1:
            return str(method), chosen.reset_index(drop=True)
    return "", rows[["k", "value"]].head(0).assign(state="COMPLETE")


def tuned(study: Study, method: str) -> pd.DataFrame:
    """What the corrected arm takes: RMSE at the reg that validation chose, a run a fold and k."""
    rows = numbers.tuned_by_k(study)
    rows = rows.loc[rows["method"] == method, ["k", "value"]]
    return rows.assign(state="COMPLETE").reset_index(drop=True)


def _figures(study: Study, words: Catalogue, method: str) -> list[Block]:
    source, published = runs(study)
    if published.empty:
        return []
    corrected = tuned(study, method)
    whose = words("published.runs_of_search")
    if source != "search":
        whose = words("published.runs_of_grid", method=code(source))
    found: list[Block] = []
    for kind, draw in (
        ("scatter", drawings.scatter_by_k),
        ("box", drawings.box_by_k),
        ("density", drawings.density_by_k),
    ):
        drawn = draw(published, words.plain)
        found += [
            plotted(words, f"{kind}-by-k", f"published.{kind}", drawn, runs=whose),
            Note("erratum", _erratum(study, kind, words)),
        ]
        if len(corrected):
            found.append(
                Plot(
                    f"{kind}-corrected",
                    words(f"published.{kind}_corrected", method=code(method)),
                    words("published.corrected_caption", method=code(method)),
                    draw(corrected, words.plain),
                )
            )
    return found


BY_CAUSE = ("box", "dunn", "medians")


def _erratum(study: Study, part: str, words: Catalogue) -> Markup:
    """The erratum of a part; another one where pruning does not cause this run's order of k."""
    if part in BY_CAUSE and search_as_run.cause(study) == "recipe":
        return words(f"published.erratum_{part}_recipe", **search_as_run.orders(study))
    return words(f"published.erratum_{part}")


def _checks(study: Study, words: Catalogue, family: tuple[str, str], method: str) -> list[Block]:
    rows = study.table("assumptions")
    published = where(rows, family=family[0], method=family[1])
    corrected = where(rows, family=names.OF_K, method=method, estimand=names.E1)
    found: list[Block] = []
    if len(published):
        found.append(tests.checks("published-checks", words("published.checks"), published, words))
        found.append(Note("erratum", words("published.erratum_checks")))
    if len(corrected):
        title = words("published.checks_corrected", method=code(method))
        found.append(tests.checks("corrected-checks", title, corrected, words))
    return found


def _tests(
    study: Study, words: Catalogue, published: pd.DataFrame, right: pd.DataFrame, method: str
) -> list[Block]:
    made: list[Block] = []
    of_h = published["effect_name"].isin({keys.EPSILON_H, keys.ETA_H})
    for key, (before, after) in PARTS.items():
        named = published["test"].isin(before)
        rows = published[named | of_h if key == "kruskal" else named & ~of_h]
        if rows.empty:
            continue
        made.append(tests.table(f"published-{key}", words(f"published.{key}"), rows, words))
        made.append(Note("erratum", _erratum(study, key, words)))
        rows = right[right["test"].isin(after)]
        if len(rows):
            title = words(f"published.{key}_corrected", method=code(method))
            made.append(tests.table(f"corrected-{key}", title, rows, words))
    return made


def _signs(
    study: Study, words: Catalogue, published: pd.DataFrame, right: pd.DataFrame, method: str
) -> list[Block]:
    """The sign plot of Dunn's p, and that of the corrected t."""
    made: list[Block] = []
    for name, rows in (
        ("published", where(published, test=keys.DUNN)),
        ("corrected", where(right, test=names.CORRECTED_T)),
    ):
        rows = rows.dropna(subset=["p_adj"])
        if rows.empty:
            continue
        sides = {"first": rows["group_a"].map(_text), "second": rows["group_b"].map(_text)}
        pairs = rows[["effect"]].assign(**sides, p=rows["p_adj"])
        title = words(f"published.sign_{name}", method=code(method))
        caption = words(f"published.sign_{name}_caption")
        drawn = drawings.sign_plot(pairs, words.plain)
        made.append(Plot(f"signs-{name}", title, caption, drawn))
        if name == "published":
            made.append(Note("erratum", _erratum(study, "dunn", words)))
    return made


def _text(level: object) -> str:
    """A level as the config writes it; tables read from files may have 4.0 for 4."""
    return str(level).removesuffix(".0")


def _side(
    study: Study, words: Catalogue, kind: str, arms: tuple[str, str, str], method: str
) -> list[Block]:
    """Medians or best rows: of the search, else of a grid, as published; erratum; corrected."""
    rows = study.table(kind)
    searched, gridded, corrected = (rows[rows["arm"] == arm] for arm in arms)
    gridded = gridded[gridded["method"] == gridded["method"].iloc[0]] if len(gridded) else gridded
    published = searched if len(searched) else gridded
    corrected = corrected[corrected["method"] == method]
    name = kind.replace("_", "-")
    made: list[Block] = []
    if len(published):
        title = words(f"published.{kind}_published")
        made.append(tests.plain_table(f"published-{name}", title, published, words))
        made.append(Note("erratum", _erratum(study, kind, words)))
    if len(corrected):
        title = words(f"published.{kind}_corrected", method=code(method))
        made.append(tests.plain_table(f"corrected-{name}", title, corrected, words))
    return made
