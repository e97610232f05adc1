"""What the published study gets wrong, each point with this run's number where it has one."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from cfmf.published.printed import printed_numbers, quotes
from cfmf.published.reporting import beside, evidence
from cfmf.published.reporting.search_as_run import cause, orders
from cfmf.report.context import Study
from cfmf.report.page import Block, Heading, Table, Text, tabulated
from cfmf.report.strings import Catalogue

OF_CODE = (12, 16, 25, 27, 28)
"""Errata about the study's code or text, which no run of another code can show."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The study, its figures and this run's, the double root undone, then every erratum."""
    return [
        Text(words("errata.text")),
        *beside.blocks(study, words),
        Heading(words("errata.root_heading")),
        _roots(printed_numbers(), words),
        Heading(words("errata.all_heading")),
        _all(study, words),
    ]


def roots(printed: dict[str, Any], words: Catalogue) -> dict[str, float]:
    """The published values that are roots of an RMSE, by what they are."""
    named = {words("errata.root_jax"): printed["jax_test"]}
    named[words("errata.root_best")] = printed["best_trial"]
    for part, values in (("k", printed["best_by_k"]), ("train", printed["train_by_k"])):
        named |= {words(f"errata.root_{part}", k=k): value for k, value in values.items()}
    return {name.striptags(): value for name, value in named.items()}


def _roots(printed: dict[str, Any], words: Catalogue) -> Table:
    """The published values that are roots of an RMSE, squared again."""
    rows: list[dict[str, object]] = [
        {"what": name, "published": value, "true": value**2}
        for name, value in roots(printed, words).items()
    ]
    columns = "what=what_figure published:rmse true=true_rmse"
    return tabulated(words, "double-root", words("errata.root_title"), rows, columns)


def quoted(place: int, words: Catalogue) -> Markup:
    """The lines of the study that an erratum corrects, and what they say."""
    lines = [
        words("errata.quoted", line=line, quote=quote) for line, quote in quotes()[place].items()
    ]
    return Markup("<br>").join([*lines, words(f"errata.published.e{place}")])


def _all(study: Study, words: Catalogue) -> Table:
    rows: list[dict[str, object]] = [
        {
            "number": place,
            "published": quoted(place, words),
            "correct": words(f"errata.correct.e{place}"),
            "here": _here(study, place, words),
        }
        for place in quotes()
    ]
    columns = "number published=published_says correct here"
    return tabulated(words, "errata", words("errata.all"), rows, columns)


def _here(study: Study, place: int, words: Catalogue) -> Markup:
    """What this run shows of an erratum."""
    if place == 3 and (searched := evidence.searched(study)):
        because, here = cause(study), words("errata.here.e3_search", **searched)
        if because:
            here += " " + words(f"search.because_{because}", **orders(study))
        return here
    found = evidence.EVIDENCE[place](study) if place in evidence.EVIDENCE else None
    if found is None:
        return words("errata.code" if place in OF_CODE else "errata.not_touched")
    if place == 20:
        found = {**found, "name": words.term("effect_name", found["name"])}
    if place == 35:
        found = {"parts": words.listed(words(f"errata.part.{name}") for name in found)}
    listed = {
        name: words.listed(value) if isinstance(value, list) else value
        for name, value in found.items()
    }
    return words(f"errata.here.e{place}", **listed)
