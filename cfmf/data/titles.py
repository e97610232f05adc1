"""Files of item titles."""

from __future__ import annotations

import io
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from cfmf.data.text import detect_encoding, records

log = logging.getLogger(__name__)

TITLE_YEAR = re.compile(r"(.*?)\s*\((\d{4})(?:/I+|[-–]\d{0,4})?\)(?:\s*\([A-Z]+\))?\s*")
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
    limit
        Number of separators that divide a line; further ones belong to the last column. -1: all.
    misspelt
        Titles known to be misspelt in the file, and their correct forms.
    """

    separator: str
    item: int = 0
    title: int = 1
    year: int | None = None
    header: bool = False
    quoted: bool = False
    limit: int = -1
    encoding: str = ""
    misspelt: dict[str, str] = field(default_factory=dict)


@dataclass
class Titles:
    """A file of titles.

    `table` has the columns item_id, title and year; `bad` holds line number, reason and bytes of
    each rejected row. `lines` counts all lines by kind: as `header_lines`, `blank_lines` and
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
    match = TITLE_YEAR.fullmatch(text)
    return (match[1], int(match[2])) if match else (text.strip(), None)


def read_titles(path: Path, layout: TitleLayout, text_ids: bool = False) -> Titles:
    """Read a file of titles: one row an item; NULL and empty years are missing.

    Raises
    ------
    ValueError
        If the file is empty, cannot be decoded or has a quote that is not closed.
    """
    data = path.read_bytes()
    encoding = layout.encoding or detect_encoding(data, path.name)
    if layout.encoding:
        log.info("%s: encoding %s, set by its layout", path.name, encoding)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not valid {encoding} ({error}); save it as UTF-8 or ISO-8859-1"
        ) from None
    rows: dict[int | str, tuple[str, int | None]] = {}
    bad: list[tuple[int, str, bytes]] = []
    odd_years = 0
    lines = io.StringIO(text, newline="").readlines()
    counts = dict.fromkeys(("header_lines", "item_lines", "blank_lines", "continuation_lines"), 0)
    for one in records(lines, layout.separator, layout.quoted, path.name, layout.limit):
        counts["continuation_lines"] += one.lines - 1
        if layout.header and one.number == 1:
            counts["header_lines"] = 1
            continue
        if not one.text.strip("\r\n"):
            counts["blank_lines"] += 1
            continue
        try:
            item, title, year = _title_row(one.fields, layout, text_ids)
            if item in rows:
                raise ValueError("the item already has a title")
            rows[item] = title, year
            odd_years += layout.year is not None and not _is_year(one.fields[layout.year])
        except ValueError as error:
            bad.append((one.number, str(error), one.text.rstrip("\r\n").encode()))
    if not rows and not bad:
        raise ValueError(f"{path} has no titles; get the file again")
    if odd_years:
        log.warning("%s: %d years are neither a year nor missing", path.name, odd_years)
    return Titles(_table(rows), {"lines": len(lines), **counts}, odd_years, encoding, bad)


def _table(rows: dict[int | str, tuple[str, int | None]]) -> pd.DataFrame:
    """Titles and years by item."""
    titles = [title for title, _ in rows.values()]
    years = pd.array([year for _, year in rows.values()], "Int32")
    return pd.DataFrame({"item_id": list(rows), "title": titles, "year": years})


def _is_year(text: str) -> bool:
    """Whether the text of a year column is a year or missing."""
    return text.strip() in NO_YEAR or YEAR.fullmatch(text.strip()) is not None


def _title_row(
    fields: list[str], layout: TitleLayout, text_ids: bool
) -> tuple[int | str, str, int | None]:
    """Item, title and year of a row; raises ValueError if it has none."""
    if len(fields) <= max(layout.item, layout.title, layout.year or 0):
        raise ValueError(f"a row of {len(fields)} columns is too short")
    item: int | str = fields[layout.item]
    if not text_ids:
        if not (fields[layout.item].isascii() and fields[layout.item].isdigit()):
            raise ValueError("the item is not a whole number")
        item = int(item)
        if item >= 1 << 63:
            raise ValueError("the item's number is 2^63 or more")
    title = fields[layout.title]
    title = layout.misspelt.get(title, title)
    if "\0" in title:
        raise ValueError("the title contains a zero byte")
    if layout.year is None:
        return item, *split_title(title)
    year = fields[layout.year].strip()
    if match := YEAR.fullmatch(year):
        return item, title.strip(), int(match[1])
    if year in NO_YEAR:
        return item, title.strip(), None
    if layout.limit > 0:
        raise ValueError("the year is neither a year nor NULL")
    return item, *split_title(title)
