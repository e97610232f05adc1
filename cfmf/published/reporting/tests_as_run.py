"""The published battery: each table and figure, the erratum that touches it, the corrected one."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.methods.registry import of_published
from cfmf.published.reporting import drawings, search_as_run
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Heading, Note, Plot, Text
from cfmf.report.sections import tests
from cfmf.report.sections.inference import families
from cfmf.report.strings import Catalogue, code
from cfmf.statistics import names

PARTS = {
    "anova": (
        {names.ONE_WAY, names.SUM_OF_SQUARES, names.EFFECT_SIZE, names.WELCH, names.TUKEY},
        {names.ANOVA, names.GREENHOUSE_GEISSER, names.SHARED_ANOVA, names.MIXED_MODEL},
    ),
    "kruskal": ({names.KRUSKAL}, {names.FRIEDMAN, names.IMAN_DAVENPORT, names.MEAN_RANK}),
    "dunn": ({names.DUNN}, {names.CORRECTED_T}),
}
"""The published tests of each part, and those that correct them."""
MEDIANS = (names.ALL_TRIALS, names.GRID, names.ARMS[names.E1])
BEST = (names.SEARCH_ON_TEST, names.GRID_ON_TEST, names.REG_ON_VALIDATION)


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Figures, checks, tests, medians and best rows, published and corrected by turns."""
    found = study.table("tests")
    if found is None or not (found["design"] == names.UNBLOCKED).any():
        return []
    family, method = _families(found)
    published = _of(found, *family)
    right = _of(found, names.OF_K, method)
    right = right[right["estimand"] == names.E1]
    return [
        Heading(words("published.heading")),
        Note("erratum", words("published.label")),
        Text(words("published.text")),
        *_figures(study, words, method),
        *_checks(study, words, family, method),
        *_tests(study, words, published, right, method),
        *_signs(study, words, published, right, method),
        *_side(study, words, "medians", MEDIANS, method),
        *_side(study, words, "best_rows", BEST, method),
        *families("published", found[found["design"] == names.UNBLOCKED], words),
    ]


def _families(found: pd.DataFrame) -> tuple[tuple[str, str], str]:
    """The published family to show, the search's first, and the method that corrects it.

    A family is its key and its method.
    """
    rows = found[found["design"] == names.UNBLOCKED]
    of_search = rows[rows["family"] == f"published_{names.ALL_TRIALS}"]
    first = (of_search if len(of_search) else rows).iloc[0]
    corrected = found.loc[found["family"] == names.OF_K, "method"].astype(str).unique()
    right = [name for name in corrected if not of_published(name)]
    return (first["family"], first["method"]), next(iter([*right, *corrected]), "mf")


def _of(rows: pd.DataFrame, family: str, method: str) -> pd.DataFrame:
    return rows[(rows["family"] == family) & (rows["method"] == method)]


def runs(study: Study) -> tuple[str, pd.DataFrame]:
    """Runs as the published battery takes them, each a sample of its own.

    Returns where they come from (`search`, or the method of a grid) and columns k (text), value,
    state. The published search is taken with its pruned trials where it was repeated.
    """
    frame = study.added.get("frame")
    if frame is not None:
        kept = frame.dropna(subset=["value"]).reset_index(drop=True)
        return "search", kept[["value", "state"]].assign(k=kept["params_k"].astype(int).astype(str))
    rows = study.tables["metrics"]
    rows = rows[(rows["metric"] == "rmse") & (rows["split"] == "test") & (rows["k"] != "")]
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
        title = words(f"published.{kind}_title")
        caption = words(f"published.{kind}_caption", runs=whose)
        found += [
            Plot(f"{kind}-by-k", title, caption, draw(published, words.plain)),
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
    """What is wrong with a part; where pruning is not what makes the order here, that is told."""
    if part in BY_CAUSE and search_as_run.cause(study) == "recipe":
        return words(f"published.erratum_{part}_recipe", **search_as_run.orders(study))
    return words(f"published.erratum_{part}")


def _checks(study: Study, words: Catalogue, family: tuple[str, str], method: str) -> list[Block]:
    rows = study.table("assumptions")
    if rows is None:
        return []
    published, corrected = _of(rows, *family), _of(rows, names.OF_K, method)
    corrected = corrected[corrected["estimand"] == names.E1]
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
    of_h = published["effect_name"].isin({names.EPSILON_H, names.ETA_H})
    for key, (before, after) in PARTS.items():
        rows = published[published["test"].isin(before) & ~of_h]
        if key == "kruskal":
            rows = published[published["test"].isin(before) | of_h]
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
        ("published", published[published["test"] == names.DUNN]),
        ("corrected", right[right["test"] == names.CORRECTED_T]),
    ):
        rows = rows[rows["p_adj"].notna()]
        if rows.empty:
            continue
        pairs = pd.DataFrame(
            {
                "first": rows["group_a"].map(_text),
                "second": rows["group_b"].map(_text),
                "p": rows["p_adj"],
                "effect": rows["effect"],
            }
        )
        title = words(f"published.sign_{name}", method=code(method))
        caption = words(f"published.sign_{name}_caption")
        drawn = drawings.sign_plot(pairs, words.plain)
        made.append(Plot(f"signs-{name}", title, caption, drawn))
        if name == "published":
            made.append(Note("erratum", _erratum(study, "dunn", words)))
    return made


def _text(level: object) -> str:
    """A level as the config writes it; tables read from files may have 4.0 for 4."""
    text = str(level)
    return text.removesuffix(".0")


def _side(
    study: Study, words: Catalogue, kind: str, arms: tuple[str, str, str], method: str
) -> list[Block]:
    """Medians or best rows: of the search, else of a grid, as published; erratum; corrected."""
    rows = study.table(kind)
    if rows is None:
        return []
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
