"""Pairs the texts of a page in one language with the same texts in the others.

The sections are made once per language from the same study, so they differ in words only. Every
text that reads differently becomes a `<span>` with the first language as its content and each
other one in an attribute (`data-zh`); the script of the page exchanges them. The words of a figure
are a dictionary from the first language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup, escape

from cfmf.report.page import Plot
from cfmf.report.strings import Catalogue, missing

FULL_WIDTH = re.compile(
    r"<q .*?</q>|(?<=[。；：？！，、]) +|(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])"
)
"""Spaces that Chinese does not take: after full-width marks and between two characters.

Quotations stay as they are.
"""


class Words:
    """The catalogues of all languages as one: its texts are pairs (see `paired`)."""

    def __init__(self, catalogues: Mapping[str, Catalogue]) -> None:
        self.catalogues = catalogues
        self.first = next(iter(catalogues.values()))

    def __call__(self, key: str, **values: object) -> Markup:
        """The text of a key in every language."""
        texts = {name: words(key, **values) for name, words in self.catalogues.items()}
        return Markup(paired(texts))


def paired(versions: Mapping[str, Any]) -> Any:
    """One value from its versions by language, all alike but for their texts.

    Parameters
    ----------
    versions
        A text, or dataclasses, lists, tuples or dictionaries of texts; the first language is the
        one to show. Equal texts stay as they are.

    Raises
    ------
    ValueError
        If the versions differ in anything but texts.
    """
    first, *others = versions.values()
    kind = type(first)
    if isinstance(first, str):
        return first if all(other == first for other in others) else _span(versions)
    if isinstance(first, Plot):
        words = {name: figure_words(first.figure, plot.figure) for name, plot in versions.items()}
        return Plot(
            first.name,
            paired({name: plot.title for name, plot in versions.items()}),
            paired({name: plot.caption for name, plot in versions.items()}),
            first.figure,
            {name: said for name, said in words.items() if said},
        )
    if is_dataclass(first):
        return kind(**paired({name: _fields(value) for name, value in versions.items()}))
    if isinstance(first, dict) and all(other.keys() == first.keys() for other in others):
        return {
            key: paired({name: value[key] for name, value in versions.items()}) for key in first
        }
    if isinstance(first, (list, tuple)) and all(len(other) == len(first) for other in others):
        rows = zip(*versions.values(), strict=True)
        return kind(paired(dict(zip(versions, row, strict=True))) for row in rows)
    if all(other == first or (missing(other) and missing(first)) for other in others):
        return first
    raise ValueError(f"languages differ in more than words: {first!r}, {others}"[:500])


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _span(versions: Mapping[str, str]) -> Markup:
    # Sentences are joined by a space, and so are words and names put into them.
    first, *others = (
        (name, FULL_WIDTH.sub(lambda found: found[0].strip(" "), str(escape(text))))
        for name, text in versions.items()
    )
    attributes = "".join(
        f' data-{name}="{text.replace("&", "&amp;").replace(chr(34), "&quot;")}"'
        for name, text in others
        if text != first[1]
    )
    return Markup(f"<span{attributes}>{first[1]}</span>")


def figure_words(ours: go.Figure, theirs: go.Figure) -> dict[str, str]:
    """How each text of a figure reads in another language, where it reads differently.

    Raises
    ------
    ValueError
        If the figures differ in more than words, or a text would read in two ways.
    """
    found: dict[str, str] = {}
    if ours is not theirs:
        _collect(json.loads(ours.to_json()), json.loads(theirs.to_json()), found)
    return found


def _collect(ours: Any, theirs: Any, found: dict[str, str]) -> None:
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for mine, its in zip(ours, theirs, strict=True):
            _collect(mine, its, found)
    elif isinstance(ours, str) and isinstance(theirs, str):
        if ours != theirs and found.setdefault(ours, theirs) != theirs:
            raise ValueError(f"{ours!r} reads in two ways: {found[ours]!r} and {theirs!r}")
    elif ours != theirs:
        raise ValueError(f"the figures differ in more than words: {ours!r}, {theirs!r}"[:300])
