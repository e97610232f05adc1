"""What the published study gets wrong, each point with this run's number where it has one."""

from __future__ import annotations

from typing import Any

from cfmf.published.keys import KRUSKAL, ONE_WAY, UNBLOCKED
from cfmf.published.printed import printed_numbers
from cfmf.published.reporting import evidence
from cfmf.published.reporting.search_as_run import cause, orders
from cfmf.published.reporting.user_cf_as_run import leaked
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Column, Heading, Table, Text, tabulated
from cfmf.report.sections.factors import watched_phase
from cfmf.report.strings import Catalogue
from cfmf.tables import where

COUNT = 25
OF_CODE = (12, 16, 25)
"""Errata about the study's code, which no run of another code can show."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The study's figures and this run's, the double root undone, then every erratum."""
    known = printed_numbers()
    return [
        Text(words("errata.text")),
        Heading(words("errata.beside_heading")),
        _comparable(study, known, words),
        Heading(words("errata.independent_heading")),
        Text(words("errata.independent_text")),
        _independent(study, known, words),
        Heading(words("errata.root_heading")),
        _roots(known, words),
        Heading(words("errata.all_heading")),
        _all(study, words),
    ]


def _comparable(study: Study, printed: dict[str, Any], words: Catalogue) -> Table:
    """One row for each published figure that this run has an equivalent of."""
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
    rows: list[dict[str, object]] = []
    for name, value in ours.items():
        if value is not None:
            k = (_jax(study).get("k") if name.startswith("jax") else largest) or "?"
            what = words(f"errata.figure_{name}", k=k).striptags()
            rows.append({"what": what, "published": printed[name], "here": value})
    columns = "what=what_figure published:figure", _here(study, words, "figure")
    return tabulated(words, "published-figures", words("errata.beside"), rows, *columns)


def _here(study: Study, words: Catalogue, kind: str) -> Column:
    return Column("here", words("column.this_run", dataset=study.label()).striptags(), kind)


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
    """What others found on the study's own four files, and the nearest equivalent of this run."""
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
    columns = "what=what_figure k published=independent method", _here(study, words, "rmse")
    return tabulated(words, "independent-runs", words("errata.independent"), rows, *columns)


def _roots(printed: dict[str, Any], words: Catalogue) -> Table:
    """The published values that are roots of an RMSE, squared again."""
    named = {
        words("errata.root_jax"): printed["jax_test"],
        words("errata.root_best"): printed["best_trial"],
        **{words("errata.root_k", k=k): value for k, value in printed["best_by_k"].items()},
    }
    rows: list[dict[str, object]] = [
        {"what": name.striptags(), "published": value, "true": value**2}
        for name, value in named.items()
    ]
    columns = "what=what_figure published:rmse true=true_rmse"
    return tabulated(words, "double-root", words("errata.root_title"), rows, columns)


def _all(study: Study, words: Catalogue) -> Table:
    rows: list[dict[str, object]] = []
    for place in range(1, COUNT + 1):
        found = evidence.EVIDENCE[place](study) if place in evidence.EVIDENCE else None
        nothing = "errata.code" if place in OF_CODE else "errata.not_touched"
        here = words(f"errata.here.e{place}", **found) if found else words(nothing)
        if place == 20 and found:
            effect = words.term("effect_name", found["name"])
            here = words("errata.here.e20", **{**found, "name": effect})
        if place == 3 and (searched := evidence.searched(study)):
            here = words("errata.here.e3_search", **searched)
            if because := cause(study):
                here += " " + words(f"search.because_{because}", **orders(study))
        said = {part: words(f"errata.{part}.e{place}") for part in ("published", "correct")}
        rows.append({"number": place, **said, "here": here})
    columns = "number published=published_says correct here"
    return tabulated(words, "errata", words("errata.all"), rows, columns)


def _largest_k(study: Study, method: str) -> str | None:
    return max(where(study.tables["metrics"], method=method)["k"], key=float, default=None)


def _at(study: Study, split: str, k: str | None) -> float | None:
    return numbers.measure(study, "mf-published", split, k=k) if k else None


def _epochs(study: Study, k: str | None) -> float | None:
    if k is None:
        return None
    splits = ("fit", "train", "test")
    found = (numbers.measure(study, "mf-published", split, "epochs", k=k) for split in splits)
    return next((value for value in found if value is not None), None)


def _statistic(study: Study, test: str, name: str) -> float | None:
    rows = where(study.table("tests"), design=UNBLOCKED, test=test, stat_name=name)
    return float(rows["stat"].iloc[0]) if len(rows) else None
