"""A page that can change its language: one rendering marked, the others kept as differences.

The page is made once in each language from the same study and the same templates, so that the
renderings differ in words only. The first is what a reader sees; of the others only those elements
are kept that read otherwise, and the script of the page puts them in place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
FIXED = {"button", "details", "input", "script", "style", "svg", "table"}
"""Elements that the page's script holds on to: words beside them need an element of their own."""
MARK = "data-words"


@dataclass
class Element:
    """An element of a page: where its start tag begins, and where its content begins and ends.

    `content` has its text and its child elements in order.
    """

    tag: str
    attributes: dict[str, str | None]
    at: int
    begin: int
    end: int = -1
    content: list[str | Element] = field(default_factory=list)

    def children(self) -> list[Element]:
        """The elements directly inside."""
        return [part for part in self.content if isinstance(part, Element)]

    def shape(self) -> list[str]:
        """Its own text, with a tag in angle brackets for each element directly inside."""
        return [part if isinstance(part, str) else f"<{part.tag}>" for part in self.content]


class _Reader(HTMLParser):
    """Reads a page into elements that know their places in the source."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        lengths = (len(line) + 1 for line in source.split("\n"))
        self.lines = [0, *accumulate(lengths)]
        self.root = Element("", {}, 0, 0, len(source))
        self.open = [self.root]
        self.feed(source)
        self.close()

    def _place(self) -> int:
        line, column = self.getpos()
        return self.lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = self._place()
        found = Element(tag, dict(attrs), at, at + len(self.get_starttag_text() or ""))
        self.open[-1].content.append(found)
        if tag in VOID:
            found.end = found.begin
        else:
            self.open.append(found)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop().end = self._place()

    def handle_endtag(self, tag: str) -> None:
        if tag != self.open[-1].tag:
            raise ValueError(f"<{self.open[-1].tag}> is open where </{tag}> stands")
        self.open.pop().end = self._place()

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)

    def handle_entityref(self, name: str) -> None:
        self.open[-1].content.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.open[-1].content.append(f"&#{name};")


def joined(pages: Mapping[str, str]) -> tuple[str, dict[str, list[dict[str, Any]]]]:
    """The first page, its elements that read otherwise elsewhere marked, and how they read there.

    Parameters
    ----------
    pages
        The source of the page by language; the first is the one to show.

    Returns
    -------
    The source of the first page, in which `data-words` numbers each element that differs in
    another language; and for every other language a list whose item of that number has `html`
    (content of the element) or `attributes` (None: it lacks it there), as far as they differ.

    Raises
    ------
    ValueError
        If the pages differ in more than their words.
    """
    (_, source), *others = pages.items()
    root = _Reader(source).root
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for language, other in others:
        pairs = _differences(root, _Reader(other).root, source, other)
        found[language] = {element.at: said for element, said in pairs}
    places = sorted({at for said in found.values() for at in said})
    numbers: dict[str, int] = {}
    said_by: dict[str, list[dict[str, Any]]] = {language: [] for language in found}
    pieces, done = [], 0
    for at in places:
        said = {language: found[language].get(at, {}) for language in found}
        key = json.dumps(said, sort_keys=True)
        if key not in numbers:
            numbers[key] = len(numbers)
            for language in found:
                said_by[language].append(said[language])
        name_ends = at + 1
        while source[name_ends].isalnum():
            name_ends += 1
        pieces += [source[done:name_ends], f' {MARK}="{numbers[key]}"']
        done = name_ends
    return "".join([*pieces, source[done:]]), said_by


def _differences(
    ours: Element, theirs: Element, source: str, other: str
) -> Iterator[tuple[Element, dict[str, Any]]]:
    """The elements of a page that read otherwise in another one, each with how it reads there."""
    said: dict[str, Any] = {}
    if ours.attributes != theirs.attributes:
        said["attributes"] = {
            name: theirs.attributes.get(name)
            for name in ours.attributes | theirs.attributes
            if theirs.attributes.get(name) != ours.attributes.get(name)
        }
    content = other[theirs.begin : theirs.end]
    if source[ours.begin : ours.end] != content:
        if ours.shape() == theirs.shape():
            for mine, its in zip(ours.children(), theirs.children(), strict=True):
                yield from _differences(mine, its, source, other)
        else:
            held = {element.tag for element in _inside(ours) if element.tag in FIXED}
            if held or not ours.tag:
                raise ValueError(f"words of <{ours.tag}> stand beside <{', <'.join(held)}>")
            said["html"] = content
    if said:
        yield ours, said


def _inside(element: Element) -> Iterator[Element]:
    for child in element.children():
        yield child
        yield from _inside(child)


def figure_words(ours: go.Figure, theirs: go.Figure) -> list[tuple[list[str | int], str]]:
    """The texts of a figure that read otherwise in another language: path and text of each."""
    return list(_texts(json.loads(ours.to_json()), json.loads(theirs.to_json()), []))


def _texts(ours: Any, theirs: Any, path: list[str | int]) -> Iterator[tuple[list[str | int], str]]:
    if ours == theirs:
        return
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for key in ours:
            yield from _texts(ours[key], theirs[key], [*path, key])
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (mine, its) in enumerate(zip(ours, theirs, strict=True)):
            yield from _texts(mine, its, [*path, place])
    elif isinstance(ours, str) and isinstance(theirs, str):
        yield path, theirs
    else:
        raise ValueError(f"the figure differs in more than words at {path}")


def still_words(figure: go.Figure, said: Sequence[tuple[list[str | int], str]]) -> dict[str, str]:
    """The same texts for a figure that was drawn as SVG: how each reads there, by how it reads."""
    source = json.loads(figure.to_json())
    found = {}
    for path, text in said:
        place = source
        for step in path:
            place = place[step]
        found[str(place)] = text
    return found
