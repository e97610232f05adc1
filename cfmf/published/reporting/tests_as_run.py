"""The published battery: each table and figure, the erratum that touches it, the corrected one."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.published.reporting import drawings, search_as_run
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Heading, Note, Plot, Text
from cfmf.report.sections import tests
from cfmf.report.sections.inference import families
from cfmf.report.strings import Catalogue, code
from cfmf.statistics import names

PARTS = {
    "anova": ("one-way ANOVA|effect size|Welch|Tukey", f"{names.ANOVA}|mixed model"),
    "kruskal": ("Kruskal", "Friedman|mean rank"),
    "dunn": ("Dunn", names.CORRECTED_T),
}
MEDIANS = (names.PRUNED, names.GRID, names.TUNED)
BEST = (names.SEARCH_ON_TEST, names.GRID_ON_TEST, names.REG_ON_VALIDATION)


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Figures, checks, tests, medians and best rows, published and corrected by turns."""
    found = study.table("tests")
    if found is None or not (found["design"] == names.PUBLISHED).any():
        return []
    family, method = _families(found)
    return [
        Heading(words("published.heading")),
        Note("erratum", words("published.label")),
        Text(words("published.text")),
        *_figures(study, words, method),
        *_checks(study, words, family, method),
        *_tests(study, found, words, family, method),
        *_signs(study, found, words, family, method),
        *_side(study, words, "medians", MEDIANS, method),
        *_side(study, words, "best_rows", BEST, method),
        *families("published", found[found["design"] == names.PUBLISHED], words),
    ]


def _families(found: pd.DataFrame) -> tuple[str, str]:
    """Name of the published family to show, the search's first, and the method that corrects it."""
    rows = found[found["design"] == names.PUBLISHED]
    published = rows["family"].astype(str).unique().tolist()
    of_search = [name for name in published if "search" in name]
    of_k = found.loc[found["factor"] == "k", "family"].astype(str).unique()
    corrected = [name.removeprefix("k of ") for name in of_k if name.startswith("k of ")]
    right = [name for name in corrected if "-published" not in name]
    return (of_search or published)[0], next(iter([*right, *corrected]), "mf")


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


def _checks(study: Study, words: Catalogue, family: str, method: str) -> list[Block]:
    rows = study.table("assumptions")
    if rows is None:
        return []
    families = rows["family"].astype(str)
    published, corrected = (
        rows[families == name] for name in (family, f"k of {method}, {names.E1}")
    )
    found: list[Block] = []
    if len(published):
        found.append(tests.checks("published-checks", words("published.checks"), published, words))
        found.append(Note("erratum", words("published.erratum_checks")))
    if len(corrected):
        title = words("published.checks_corrected", method=code(method))
        found.append(tests.checks("corrected-checks", title, corrected, words))
    return found


def _tests(
    study: Study, found: pd.DataFrame, words: Catalogue, family: str, method: str
) -> list[Block]:
    made: list[Block] = []
    of_family = found[found["family"].astype(str) == family]
    right = found[found["family"].astype(str) == f"k of {method}"]
    right = right[right["estimand"] == names.E1]
    for key, (published, corrected) in PARTS.items():
        rows = of_family[of_family["test"].astype(str).str.contains(published)]
        if key == "kruskal":
            rows = pd.concat([rows, _effects(of_family, "of H")])
        elif key == "anova":
            rows = rows.drop(_effects(rows, "of H").index)
        if rows.empty:
            continue
        made.append(tests.table(f"published-{key}", words(f"published.{key}"), rows, words))
        made.append(Note("erratum", _erratum(study, key, words)))
        rows = right[right["test"].astype(str).str.contains(corrected, regex=key != "dunn")]
        if len(rows):
            title = words(f"published.{key}_corrected", method=code(method))
            made.append(tests.table(f"corrected-{key}", title, rows, words))
    return made


def _effects(rows: pd.DataFrame, ending: str) -> pd.DataFrame:
    sizes = rows[rows["test"] == names.EFFECT_SIZE]
    return sizes[sizes["effect_name"].astype(str).str.endswith(ending)]


def _signs(
    study: Study, found: pd.DataFrame, words: Catalogue, family: str, method: str
) -> list[Block]:
    """The sign plot of Dunn's p, and that of the corrected t."""
    made: list[Block] = []
    for name, of_family, test in (
        ("published", family, "Dunn"),
        ("corrected", f"k of {method}", names.CORRECTED_T),
    ):
        rows = found[(found["family"].astype(str) == of_family) & (found["test"] == test)]
        if name == "corrected":
            rows = rows[rows["estimand"] == names.E1]
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
