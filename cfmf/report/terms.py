"""Words that the tables hold, in the words of a catalogue: tests, checks, effects, arms, notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from markupsafe import Markup, escape

from cfmf.report.strings import Catalogue, code
from cfmf.statistics.names import CHAMPIONS

NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")
FAMILIES = {
    "published": r"published: k of (?P<method>[\w-]+), (?P<arm>.+)",
    "k": r"k of (?P<method>[\w-]+)",
    "against": r"methods against (?P<method>[\w-]+)",
    "methods": r"methods",
    "champions": CHAMPIONS,
}
PATTERNS = {
    "term.k of": r"k of (?P<method>[\w-]+)",
    "statistics.family_published": FAMILIES["published"],
    "statistics.family_against": FAMILIES["against"],
    "statistics.family_champions": FAMILIES["champions"],
    "term.published": r"published: (?P<what>.+)",
    "term.corrected": r"corrected: (?P<what>.+)",
    "term.not computed": r"not computed: (?P<what>.+)",
    "term.no interval": r"none: (?P<what>.+)",
    "term.gives none": r"(?P<what>.+) gives none",
    "term.fit failed": r"the fit failed: (?P<what>.+)",
    "term.one pair alone": r"(?P<what>.+), one pair alone",
    "term.lowest": r"lowest (?P<code>[\w-]+)",
    "term.highest": r"highest (?P<code>[\w-]+)",
    "term.incomplete": (
        r"(?P<cut>\d+) of the (?P<runs>\d+) runs (?P<where>of the grid|at the chosen settings)"
        r" of (?P<method>[\w-]+) are not COMPLETE .*"
    ),
    "term.with k": r"(?P<method>[\w-]+) with k=(?P<code>\w+)",
}
"""Texts with a part that varies, and the key of the text that says the same."""
NAMES = {"method", "code"}
"""Parts that are names and stay as they are."""


def term(text: object, words: Catalogue) -> Markup:
    """What a table says, in the words of a catalogue; as it stands where the catalogue lacks it.

    The catalogue has it under `term` as the table writes it, numbers written `#`; the text there
    has them as `{n1}`, `{n2}` and so on.
    """
    said = _said(str(text), words)
    return escape(text) if said is None else said


def terms(texts: Iterable[object], words: Catalogue) -> list[str]:
    """The same of every text of a column, plain."""
    return [term(text, words).striptags() for text in texts]


def told(values: Mapping[str, object], words: Catalogue) -> dict[str, object]:
    """Values for a text, those that are plain text in the words of the catalogue."""
    return {
        name: term(value, words) if type(value) is str else value for name, value in values.items()
    }


def family_title(family: str, words: Catalogue) -> Markup:
    """What a family compares, in words, from its name in tests.tsv."""
    for key, pattern in FAMILIES.items():
        parts = re.fullmatch(pattern, family)
        if parts:
            return words(f"statistics.family_{key}", **_parts(parts, words))
    return term(family, words)


def _said(text: str, words: Catalogue) -> Markup | None:
    numbers = NUMBER.findall(text)
    for key, values in ((text, []), (NUMBER.sub("#", text), numbers)):
        if text and f"term.{key}" in words:
            named = {f"n{place}": value for place, value in enumerate(values, start=1)}
            return words(f"term.{key}", **named)
    for key, pattern in PATTERNS.items():
        parts = re.fullmatch(pattern, text)
        if parts:
            return words(key, **_parts(parts, words))
    for mark, joint in (("; ", "term.further"), (", ", "term.and")):
        if mark in text:
            said = [_said(part, words) for part in text.split(mark)]
            if all(part is not None for part in said):
                return Markup(words.texts[joint]).join(part for part in said if part is not None)
    return None


def _parts(parts: re.Match[str], words: Catalogue) -> dict[str, Markup]:
    return {
        name: code(value) if name in NAMES else term(value, words)
        for name, value in parts.groupdict().items()
    }
