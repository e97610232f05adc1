"""The parts a report is put together from. What each looks like is the templates' business."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup

from cfmf.report.strings import UNITS, Catalogue, decimal, missing, raw, scale, shown

KINDS = {
    heading: kind
    for kind, headings in {
        "code": "against backend content device dtype file first fold groups item_id method metric"
        " name policy rule sample second setting storage user user_id SHA-256",
        "count": "axis.epoch best_k better_folds blocks complete count data.items data.users folds"
        " jobs k largest largest_k model_numbers n number row rows_kept rows_read rows_refused runs"
        " runs_all seed smallest stopped stored test_ratings trial trials trials_fold users",
        "rmse": "best_rmse high largest_rmse low mean"
        " published_value rmse sd test_rmse true_rmse validation_rmse",
        "signed": "best_gap difference largest_gap rise",
        "seconds": "budget compile_seconds epoch_seconds epoch_seconds_max epoch_seconds_min"
        " fit_seconds longest seconds_all seconds_fold seconds_mean seconds_most setup_seconds sum",
        "fixed": "joules micro popularity",
        "value": "delta_loss df1 df2 effect rating threshold value λ",
        "html": "claim correct evidence here judged published_says",
        "exponent": "exponent se theoretical",
        "bytes": "bytes model_bytes",
        "mb": "memory",
        "p": "p p_adj",
        "share": "coverage",
    }.items()
    for heading in headings.split()
}
"""How the values under a heading are written where no kind is given; others are text."""
LOWER_IS_BETTER = {"test_rmse", "rmse", "mae", "rmse_clipped", "best_rmse"}
"""Headings of errors, the lowest of which is in bold where methods are compared."""
SYMBOLS = {"k", "n", "reg", "λ", "SHA-256"}
"""Headings that are the same in every language."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its key in the rows, its heading and how its values are written.

    `kind` is one of `cfmf.report.strings.shown`, or `text`, `code` or `html`. Where `decimals` is
    given, values are shown with so many, in multiples of `unit`.
    """

    key: str
    heading: str
    kind: str = "text"
    lower_is_better: bool = False
    unit: float = 1.0
    decimals: int | None = None

    def shown(self, value: object) -> str:
        """A value of the column as people read it."""
        if self.decimals is None or missing(value):
            return shown(value, self.kind)
        return decimal(float(str(value)) / self.unit, self.decimals)

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
    def constant(self) -> dict[str, object]:
        """The value of each column but the first that has only one; empty of an empty column."""
        found: dict[str, object] = {}
        if len(self.rows) > 1 and not self.cards:
            for column in self.columns[1:]:
                values = {raw(row[column.key]) for row in self.rows}
                if len(values) == 1:
                    found[column.key] = self.rows[0][column.key]
        return found

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
    """A paragraph; `kind` is `lead` where it answers the question of the report."""

    html: Markup
    kind: str = ""


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
    """Questions, each with its answer and links to the sections with more."""

    items: Sequence[tuple[Markup, Markup, Markup]]


@dataclass(frozen=True)
class Facts:
    """Short facts side by side: of each its name, the fact and what it refers to."""

    items: Sequence[tuple[Markup, Markup, Markup]]


@dataclass(frozen=True)
class Badges:
    """What a study is worth at a glance: `yes`, `no` or `open`, a text, and the section with more.

    A section is given by its anchor.
    """

    items: Sequence[tuple[str, Markup, str]]


@dataclass(frozen=True)
class Linked:
    """A table of `rows` rows that is a page of its own: its title and where it is.

    `category` is where Snakemake's report has it.
    """

    title: Markup
    rows: Markup
    address: str
    category: str


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: Markup


@dataclass(frozen=True)
class Collapsed:
    """Blocks that are shown when a reader expands them; `name`, if any, is their anchor."""

    title: Markup
    blocks: Sequence[Block]
    name: str = ""


Block = (
    Table | Plot | Text | Note | Points | Answers | Facts | Badges | Linked | Heading | Collapsed
)


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


def columns(words: Catalogue, *parts: str | Column) -> list[Column]:
    """Columns of a table.

    Parameters
    ----------
    parts
        Columns, and texts that describe some, separated by spaces: `key`, `key=heading`,
        `key=heading:kind`. A heading is the ending of a text `column.…` of the catalogue, a whole
        key of it where it has a dot, or one of `SYMBOLS`; by default the key. The kind is by
        default that of the heading in `KINDS`.
    """
    found: list[Column] = []
    for part in parts:
        if isinstance(part, Column):
            found.append(part)
            continue
        for described in part.split():
            named, _, kind = described.partition(":")
            key, _, heading = named.partition("=")
            heading = heading or key
            text = heading if heading in SYMBOLS else None
            text = text or words.plain(heading if "." in heading else f"column.{heading}")
            kind = kind or KINDS.get(heading, "text")
            found.append(Column(key, text, kind, heading in LOWER_IS_BETTER))
    return found


def tabulated(
    words: Catalogue,
    name: str,
    title: Markup,
    rows: pd.DataFrame | Sequence[dict[str, object]],
    *parts: str | Column,
) -> Table:
    """A table of rows; `parts` are its columns as in `columns`."""
    rows = records(rows) if isinstance(rows, pd.DataFrame) else rows
    return Table(
        name, title, [_with_unit(one, rows, words) for one in columns(words, *parts)], rows
    )


def _with_unit(column: Column, rows: Sequence[dict[str, object]], words: Catalogue) -> Column:
    """A column of times or sizes with one unit, in its heading, and one number of decimals."""
    if column.kind not in UNITS:
        return column
    values = [row[column.key] for row in rows]
    name, unit, decimals = scale(
        [float(str(one)) for one in values if not missing(one)], column.kind
    )
    heading = (
        words("term.with", name=column.heading, detail=name).striptags() if name else column.heading
    )
    return replace(column, heading=heading, unit=unit, decimals=decimals)


def plotted(words: Catalogue, name: str, key: str, drawn: go.Figure, **values: object) -> Plot:
    """A figure whose title and caption are the texts `{key}_title` and `{key}_caption`."""
    title, caption = (words(f"{key}_{part}", **values) for part in ("title", "caption"))
    return Plot(name, title, caption, drawn)


def every(blocks: Iterable[Block]) -> Iterator[Block]:
    """All blocks in reading order, those that are collapsed too."""
    for block in blocks:
        yield block
        if isinstance(block, Collapsed):
            yield from every(block.blocks)


def plots(blocks: Iterable[Block]) -> list[Plot]:
    """All figures among blocks, in reading order."""
    return [block for block in every(blocks) if isinstance(block, Plot)]
