"""Files of item titles."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from cfmf.data.lines import text_fault
from cfmf.data.structured import Places, structured_records
from cfmf.data.text import SURROGATE, Dialect, Record, lines_of, records, sniff

log = logging.getLogger(__name__)

LONGEST_TITLE = 1000
YEAR_AT_END = re.compile(r"\((\d{4})(?:/I+|[-–]\d{0,4})?\)(?:\s*\([A-Z]+\))?$")
# Programs that cannot store whole numbers beside missing ones write 1995.0.
YEAR = re.compile(r"(\d{4})(?:\.0+)?", re.ASCII)
NO_YEAR = ("", "NULL")


@dataclass
class TitleLayout:
    """The layout of a file of titles.

    Parameters
    ----------
    item, title, year
        Positions of the columns from 0; `year` is None if the year is in the title, as in
        "Heat (1995)".
    columns
        Number of columns of a row; 0 if it does not matter.
    title_last
        Whether further separators belong to the title, the last column.
    strict_years
        Whether a row whose year is neither a year nor missing is refused.
    encoding, own
        Encoding of the file, or the one that it has if it is not UTF-8; see `sniff`.
    misspelt
        Titles known to be misspelt in the file, and their correct forms.
    places
        Of a file that `is_structured`, the column of each field, in their order.
    """

    dialect: Dialect
    item: int = 0
    title: int = 1
    year: int | None = None
    header: bool = False
    columns: int = 0
    title_last: bool = False
    strict_years: bool = False
    encoding: str = ""
    own: str = ""
    misspelt: dict[str, str] = field(default_factory=dict)
    places: Places = field(default_factory=dict)


@dataclass
class Titles:
    """A file of titles.

    `table` has the columns item_id, title and year; `bad` holds line number, reason and bytes of
    each rejected row. `lines` counts all `lines`, and of them `header_lines`, `blank_lines` and
    `continuation_lines` (the lines after the first of a row). `odd_years` counts the accepted rows
    whose year column holds neither a year nor nothing; their year is taken from the title.
    """

    table: pd.DataFrame
    lines: dict[str, int]
    odd_years: int
    encoding: str
    bad: list[tuple[int, str, bytes]]


def split_title(text: str) -> tuple[str, int | None]:
    """Title and year of "Toy Story (1995)"; the year is None if the text has none."""
    text = text.rstrip()
    match = YEAR_AT_END.search(text)
    return (text[: match.start()].rstrip(), int(match[1])) if match else (text.strip(), None)


def read_titles(path: Path, layout: TitleLayout, text_ids: bool = False) -> Titles:
    """Read a file of titles: one row an item; NULL and empty years are missing.

    Raises
    ------
    ValueError
        If the file is empty, cannot be decoded or has a quote that is not closed.
    """
    encoding = layout.encoding or sniff(path, "", layout.own, "table.titles.encoding")
    if layout.encoding:
        log.info("%s: encoding %s, set by its layout", path.name, encoding)
    rows: dict[int | str, tuple[str, int | None]] = {}
    bad: list[tuple[int, str, bytes]] = []
    odd_years = in_quotes = 0
    kinds = ("lines", "header_lines", "item_lines", "blank_lines", "continuation_lines")
    counts = dict.fromkeys(kinds, 0)
    limit = layout.columns - 1 if layout.title_last else -1
    for one in table_rows(path, layout.dialect, encoding, layout.places, limit):
        counts["lines"] += one.lines
        counts["continuation_lines"] += one.lines - 1
        if layout.header and one.number == 1:
            counts["header_lines"] = 1
            continue
        if not one.text.strip("\r\n"):
            counts["blank_lines"] += 1
            continue
        try:
            item, title, year = _title_row(one, layout, text_ids)
            if item in rows:
                raise ValueError("the item already has a title")
            rows[item] = title, year
            odd_years += layout.year is not None and not _is_year(one.fields[layout.year])
            in_quotes += len(title) > 1 and title[0] == title[-1] == '"'
        except ValueError as error:
            text = one.text.rstrip("\r\n").encode("utf-8", "surrogateescape")
            bad.append((one.number, str(error), text))
    if not rows and not bad:
        raise ValueError(f"{path} has no titles; get the file again")
    _warn(path.name, layout.dialect, odd_years, in_quotes)
    return Titles(_table(rows), counts, odd_years, encoding, bad)


def table_rows(
    path: Path, dialect: Dialect, encoding: str, places: Places, limit: int = -1
) -> Iterator[Record]:
    """The rows of a file; bytes that its encoding does not have become surrogates.

    Parameters
    ----------
    places
        Of a file that `is_structured`, the column of each field; otherwise empty.
    limit
        At most so many separators divide a row that is not quoted; -1 for all.

    Raises
    ------
    ValueError
        If it cannot be decoded, or a quote is not closed.
    """
    if places:
        yield from structured_records(path, places)
        return
    try:
        with open(path, encoding=encoding, errors="surrogateescape", newline="\n") as text:
            lines = lines_of(text, path.name)
            for row in records(lines, dialect, path.name, limit):
                if row.number == 1 and row.fields:
                    row.fields[0] = row.fields[0].removeprefix("\ufeff")
                yield row
    except UnicodeError as error:
        raise ValueError(
            f"{path} is not valid {encoding.replace('_', '-')} ({error}); set"
            f" `{dialect.key}.encoding` to its encoding, or save it as UTF-8"
        ) from None


def _warn(name: str, dialect: Dialect, odd_years: int, in_quotes: int) -> None:
    """Log what may be wrong with many titles."""
    if odd_years:
        log.warning("%s: %d years are neither a year nor missing", name, odd_years)
    if in_quotes and not dialect.quoted:
        log.warning(
            "%s: %d titles are in quotation marks; if these are not part of the titles, set"
            " `%s.quoted` to true",
            *(name, in_quotes, dialect.key),
        )


def _table(rows: dict[int | str, tuple[str, int | None]]) -> pd.DataFrame:
    """Titles and years by item."""
    titles = [title for title, _ in rows.values()]
    years = pd.array([year for _, year in rows.values()], "Int32")
    return pd.DataFrame({"item_id": list(rows), "title": titles, "year": years})


def _is_year(text: str) -> bool:
    """Whether the text of a year column is a year or missing."""
    return text.strip() in NO_YEAR or YEAR.fullmatch(text.strip()) is not None


def _title_row(
    row: Record, layout: TitleLayout, text_ids: bool
) -> tuple[int | str, str, int | None]:
    """Item, title and year of a row; raises ValueError if it has none."""
    fields = _fields(row, layout)
    item = identifier(fields[layout.item], text_ids, "item")
    title = fields[layout.title]
    title = layout.misspelt.get(title, title)
    _check_title(title, layout.dialect.quoted)
    if layout.year is None:
        return item, *split_title(title)
    year = fields[layout.year].strip()
    if match := YEAR.fullmatch(year):
        return item, title.strip(), int(match[1])
    if year in NO_YEAR:
        return item, title.strip(), None
    if layout.strict_years:
        raise ValueError("the year is neither a year nor NULL")
    return item, *split_title(title)


def _fields(row: Record, layout: TitleLayout) -> list[str]:
    """Fields of a row; raises ValueError if their number is not that of the columns."""
    if row.reason:
        raise ValueError(row.reason)
    count = len(row.fields)
    if layout.columns and count != layout.columns:
        hint = f"; set `{layout.dialect.key}.quoted` to true if fields are in quotes"
        hint = hint if '"' in row.text and not layout.dialect.quoted else ""
        raise ValueError(f"the row has {count} columns instead of {layout.columns}{hint}")
    if count <= max(layout.item, layout.title, layout.year or 0):
        raise ValueError(f"a row of {count} columns is too short")
    return row.fields


def identifier(text: str, text_ids: bool, what: str = "id") -> int | str:
    """The user or item that a text identifies; raises ValueError if it identifies none."""
    if text_ids:
        if fault := text_fault(text):
            raise ValueError(f"the {what} {fault}")
        return text
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"the {what} is not a whole number")
    if len(text) > 19 or int(text) >= 1 << 63:
        raise ValueError(f"the {what}'s number is 2^63 or more")
    return int(text)


def _check_title(title: str, quoted: bool) -> None:
    """Raise ValueError if a text cannot be a title."""
    if len(title) > LONGEST_TITLE:
        raise ValueError(f"the title is longer than {LONGEST_TITLE} characters")
    if "\0" in title:
        raise ValueError("the title contains a zero byte")
    if "\r" in title and not quoted:
        raise ValueError("the title contains a carriage return that is not in quotes")
    if SURROGATE.search(title):
        raise ValueError("the title has bytes that are not valid in the file's encoding")
