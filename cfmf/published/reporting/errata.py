"""What the published study gets wrong, each point with this run's number where it has one."""

from __future__ import annotations

from typing import Any

from cfmf.published.printed import printed_numbers
from cfmf.published.reporting import evidence
from cfmf.published.reporting.search_as_run import cause, orders
from cfmf.published.reporting.user_cf_as_run import leaked
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Column, Heading, Table, Text
from cfmf.report.sections.factors import watched_phase
from cfmf.report.strings import Catalogue
from cfmf.statistics.names import KRUSKAL, ONE_WAY, UNBLOCKED

COUNT = 25


OF_CODE = (12, 16, 25)
"""Errata about the study's code, which no run of another code can show."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The study's figures beside this run's, the double root undone, then every erratum."""
    known = printed_numbers()
    return [
        Text(words("errata.text")),
        Heading(words("errata.beside_heading")),
        _beside(study, known, words),
        Heading(words("errata.independent_heading")),
        Text(words("errata.independent_text")),
        _independent(study, known, words),
        Heading(words("errata.root_heading")),
        _roots(known, words),
        Heading(words("errata.all_heading")),
        _all(study, words),
    ]


def _beside(study: Study, printed: dict[str, Any], words: Catalogue) -> Table:
    """One row a published figure that this run has an equal of."""
    largest = _largest_k(study, "mf-published")
    ours = {
        "user_cf_test": numbers.measure(study, "user-cf-published", "test"),
        "user_cf_train": leaked(study),
        "torch_test": _at(study, "test", largest),
        "torch_train": _at(study, "train", largest),
        "torch_epochs": _epochs(study, largest),
        **{f"jax_{name}": value for name, value in _jax(study).items() if name != "k"},
        "anova_f": _statistic(study, ONE_WAY, "F"),
        "kruskal_h": _statistic(study, KRUSKAL, "H"),
    }
    rows: list[dict[str, object]] = [
        {
            "what": words(
                f"errata.figure_{name}",
                k=(_jax(study).get("k") if name.startswith("jax") else largest) or "?",
            ).striptags(),
            "published": printed[name],
            "here": value,
        }
        for name, value in ours.items()
        if value is not None
    ]
    columns = [
        Column("what", words.plain("column.what_figure")),
        Column("published", words.plain("column.published"), "figure"),
        Column("here", words("column.this_run", dataset=study.label()).striptags(), "figure"),
    ]
    return Table("published-figures", words("errata.beside"), columns, rows)


def _jax(study: Study) -> dict[str, Any]:
    """End of the JAX code's training at its largest k, its RMSE rooted once more as published."""
    points = [point for point in study.histories if point[0] == "mf-published-jax"]
    if not points:
        return {}
    point = max(points, key=lambda point: float(point[1]))
    last = watched_phase(study.histories[point]).iloc[-1]
    return {
        "k": point[1],
        "test": float(last["test_rmse"]) ** 0.5,
        "train": float(last["train_rmse"]) ** 0.5,
        "epochs": float(last["epoch"]),
    }


def _independent(study: Study, printed: dict[str, Any], words: Catalogue) -> Table:
    """What others found on the study's own four files, beside this run's nearest equal."""
    tuned = dict(numbers.tuned_by_k(study).groupby(["method", "k"])["value"].mean())
    errors = dict(numbers.errors_on_test(study).groupby("method")["value"].mean())
    rows: list[dict[str, object]] = []
    for run in printed["independent"]:
        method, k = run.get("method"), run.get("k")
        here = tuned.get((method, str(k))) if k else errors.get(method)
        rows.append(
            {
                "what": words.plain(f"errata.independent_{run['run']}"),
                "k": k,
                "published": run["rmse"],
                "method": method or "",
                "here": None if here is None else float(here),
            }
        )
    columns = [
        Column("what", words.plain("column.what_figure")),
        Column("k", "k", "count"),
        Column("published", words.plain("column.independent"), "rmse"),
        Column("method", words.plain("column.method"), "code"),
        Column("here", words("column.this_run", dataset=study.label()).striptags(), "rmse"),
    ]
    return Table("independent-runs", words("errata.independent"), columns, rows)


def _roots(printed: dict[str, Any], words: Catalogue) -> Table:
    """The published values that are roots of an RMSE, squared again."""
    named = {
        words.plain("errata.root_jax"): printed["jax_test"],
        words.plain("errata.root_best"): printed["best_trial"],
        **{
            words("errata.root_k", k=k).striptags(): value
            for k, value in printed["best_by_k"].items()
        },
    }
    rows: list[dict[str, object]] = [
        {"what": name, "published": value, "true": value**2} for name, value in named.items()
    ]
    columns = [
        Column("what", words.plain("column.what_figure")),
        Column("published", words.plain("column.published"), "rmse"),
        Column("true", words.plain("column.true_rmse"), "rmse"),
    ]
    return Table("double-root", words("errata.root_title"), columns, rows)


def _all(study: Study, words: Catalogue) -> Table:
    rows: list[dict[str, object]] = []
    for place in range(1, COUNT + 1):
        found = evidence.EVIDENCE[place](study) if place in evidence.EVIDENCE else None
        nothing = "errata.code" if place in OF_CODE else "errata.not_touched"
        here = words(f"errata.here.e{place}", **found) if found else words(nothing)
        if place == 20 and found:
            effect = words.term("effect_name", found["name"])
            here = words("errata.here.e20", **found | {"name": effect})
        if place == 3 and (searched := evidence.searched(study)):
            here = words("errata.here.e3_search", **searched)
            if because := cause(study):
                here += " " + words(f"search.because_{because}", **orders(study))
        rows.append(
            {
                "number": place,
                "published": words(f"errata.published.e{place}"),
                "correct": words(f"errata.correct.e{place}"),
                "here": here,
            }
        )
    columns = [
        Column("number", words.plain("column.number"), "count"),
        Column("published", words.plain("column.published_says"), "html"),
        Column("correct", words.plain("column.correct"), "html"),
        Column("here", words.plain("column.here"), "html"),
    ]
    return Table("errata", words("errata.all"), columns, rows)


def _largest_k(study: Study, method: str) -> str | None:
    rows = study.tables["metrics"]
    ks = rows.loc[rows["method"] == method, "k"].unique()
    return max((str(k) for k in ks), key=float) if len(ks) else None


def _at(study: Study, split: str, k: str | None) -> float | None:
    return numbers.measure(study, "mf-published", split, k=k) if k else None


def _epochs(study: Study, k: str | None) -> float | None:
    if k is None:
        return None
    for split in ("fit", "train", "test"):
        found = numbers.measure(study, "mf-published", split, "epochs", k=k)
        if found is not None:
            return found
    return None


def _statistic(study: Study, test: str, name: str) -> float | None:
    tests = study.table("tests")
    if tests is None:
        return None
    rows = tests[
        (tests["design"] == UNBLOCKED) & (tests["test"] == test) & (tests["stat_name"] == name)
    ]
    return float(rows["stat"].iloc[0]) if len(rows) else None
