"""The parts a report is put together from. What each looks like is the templates' business."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup


@dataclass(frozen=True)
class Column:
    """A column of a table: its key in the rows, its heading and how its values are written.

    `kind` is one of `cfmf.report.strings.shown`, or `text`, `code` or `html`.
    """

    key: str
    heading: str
    kind: str = "text"

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers, to be set flush right and sorted by size."""
        return self.kind not in {"text", "code", "html"}


@dataclass(frozen=True)
class Table:
    """A table to read, sort, filter and download; `name` is the name of its file."""

    name: str
    title: Markup
    columns: Sequence[Column]
    rows: Sequence[dict[str, object]]

    @property
    def cards(self) -> bool:
        """Whether it holds sentences, and so becomes cards on a narrow page."""
        return any(column.kind == "html" for column in self.columns)

    @property
    def long(self) -> bool:
        """Whether a field to filter the rows is worth its place."""
        return len(self.rows) > 8


@dataclass(frozen=True)
class Plot:
    """A figure with its title and caption.

    `words` holds by language how the texts of the figure read there.
    """

    name: str
    title: Markup
    caption: Markup
    figure: go.Figure
    words: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    html: Markup


@dataclass(frozen=True)
class Note:
    """A remark set apart; `kind` is `erratum`, `missing` or `hint`."""

    kind: str
    html: Markup


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: Sequence[Markup]


@dataclass(frozen=True)
class Answers:
    """Questions, each with its answer and links to where more of it stands."""

    items: Sequence[tuple[Markup, Markup, Markup]]


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: Markup


@dataclass(frozen=True)
class Fold:
    """Blocks that are read only when unfolded."""

    title: Markup
    blocks: Sequence[Block]


Block = Table | Plot | Text | Note | Points | Answers | Heading | Fold


@dataclass(frozen=True)
class Section:
    """A section of the report; `name` is its anchor."""

    name: str
    title: Markup
    blocks: Sequence[Block] = field(default_factory=list)


def records(table: pd.DataFrame) -> list[dict[str, object]]:
    """The rows of a frame as dictionaries of plain Python values."""
    columns = [table[name].tolist() for name in table.columns]
    names = [str(name) for name in table.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def plots(blocks: Iterable[Block]) -> list[Plot]:
    """All figures among blocks, in reading order."""
    found: list[Plot] = []
    for block in blocks:
        if isinstance(block, Plot):
            found.append(block)
        elif isinstance(block, Fold):
            found += plots(block.blocks)
    return found
