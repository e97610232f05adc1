"""Text of raw files: its encoding, files of titles, and tables that the fast path cannot read."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
import pandas as pd
from charset_normalizer import from_bytes

from cfmf.data.lines import (
    BAD_ITEM,
    BAD_USER,
    DATE,
    ITEM,
    LONGEST_LINE,
    REASONS,
    USER,
    Block,
    Layout,
    long_line,
)

log = logging.getLogger(__name__)

SAMPLE_BYTES = 1 << 16
CANDIDATES = ["utf_8", "latin_1"]
WIDE = ("utf_16", "utf_32")
MARKS = {
    codecs.BOM_UTF8: "utf_8_sig",
    codecs.BOM_UTF32_LE: "utf_32",
    codecs.BOM_UTF32_BE: "utf_32",
    codecs.BOM_UTF16_LE: "utf_16",
    codecs.BOM_UTF16_BE: "utf_16",
}
TITLE_YEAR = re.compile(r"(.*?)\s*\((\d{4})(?:/I+|[-–]\d{0,4})?\)(?:\s*\([A-Z]+\))?\s*")
# Programs that know no whole number beside missing ones write 1995.0.
YEAR = re.compile(r"(\d{4})(?:\.0+)?", re.ASCII)
NO_YEAR = ("", "NULL")
LINES_AT_ONCE = 50_000
LONGEST_ID = 255
TEXT_REASONS = REASONS | {
    BAD_USER: f"the user is empty or of more than {LONGEST_ID} characters",
    BAD_ITEM: f"the item is empty or of more than {LONGEST_ID} characters",
}


def detect_encoding(data: bytes, name: str) -> str:
    """Name of the encoding of `data` (Python's name for it), logged with the file's `name`.

    A byte order mark decides; bytes that are valid UTF-8 are UTF-8, which includes ASCII. For the
    rest charset-normalizer chooses between ISO-8859-1, which the known sources use, and the wide
    encodings, told by their zero bytes.
    """
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            log.info("%s: encoding %s by its byte order mark", name, encoding)
            return encoding
    pairs = np.frombuffer(data[: len(data) // 2 * 2], np.uint8).reshape(-1, 2)
    if len(pairs) and (pairs == 0).mean(axis=0).max() > 0.4:
        candidates = ["utf_16_le" if (pairs[:, 1] == 0).mean() > 0.4 else "utf_16_be"]
    else:
        candidates = CANDIDATES
    best = from_bytes(data, cp_isolation=candidates).best()
    encoding = best.encoding if best else "latin_1"
    log.info("%s: encoding %s, detected by charset-normalizer", name, encoding)
    return encoding


def sniff(path: Path, declared: str = "") -> str:
    """Encoding of a file: as declared, or detected in its first bytes.

    Raises
    ------
    ValueError
        If the declared encoding is unknown to Python.
    """
    if declared:
        try:
            "".encode(declared)
            return codecs.lookup(declared).name.replace("-", "_")
        except (LookupError, UnicodeError):
            raise ValueError(
                f"encoding {declared!r} of {path.name} is none of text; give a name that Python"
                " knows, such as utf-8 or iso-8859-1, or leave it empty to detect it"
            ) from None
    with open(path, "rb") as file:
        sample = file.read(SAMPLE_BYTES)
    if len(sample) == SAMPLE_BYTES:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    return detect_encoding(sample, path.name)


def is_wide(encoding: str) -> bool:
    """Whether a line feed is more than one byte, so that bytes cannot be cut into lines."""
    return encoding.startswith(WIDE)


@dataclass
class TitleLayout:
    """How a file of titles is laid out.

    Parameters
    ----------
    item, title, year
        Positions from 0; no `year` where it stands in the title, as in "Heat (1995)".
    limit
        Number of separators that separate; further ones belong to the last column. -1 for all.
    misspelt
        Titles that the file is known to misspell, and what they are.
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
    """A file of titles: `table` has columns item_id, title, year; `bad` line, reason, bytes.

    `continuation_lines` are those after the first of rows that are several lines; `odd_years`
    counts the rows kept whose column of the year holds something else, so that it is taken from the
    title, or missing.
    """

    table: pd.DataFrame
    rows_read: int
    lines: int
    header_lines: int
    blank_lines: int
    continuation_lines: int
    odd_years: int
    encoding: str
    bad: list[tuple[int, str, bytes]]


def split_title(text: str) -> tuple[str, int | None]:
    """Title and year of "Toy Story (1995)"; no year where the text ends otherwise."""
    match = TITLE_YEAR.fullmatch(text)
    return (match[1], int(match[2])) if match else (text.strip(), None)


def read_titles(path: Path, layout: TitleLayout, text_ids: bool = False) -> Titles:
    """Read a file of titles whole: one row an item, years missing where NULL or empty.

    Raises
    ------
    ValueError
        If the file is empty, cannot be decoded or has a quote that is not closed.
    """
    data = path.read_bytes()
    encoding = layout.encoding or detect_encoding(data, path.name)
    if layout.encoding:
        log.info("%s: encoding %s, as its layout tells", path.name, encoding)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not {encoding} ({error}); save it as UTF-8 or ISO-8859-1"
        ) from None
    rows, bad, seen = [], [], set()
    blank = header = continued = odd_years = 0
    lines = io.StringIO(text, newline="").readlines()
    for one in _records(lines, layout.separator, layout.quoted, path.name, layout.limit):
        number, fields, line = one.number, one.fields, one.text
        continued += one.lines - 1
        if layout.header and number == 1:
            header = 1
            continue
        if not line.strip("\r\n"):
            blank += 1
            continue
        try:
            row = _title_row(fields, layout, text_ids)
            if row[0] in seen:
                raise ValueError("the item has a title already")
            seen.add(row[0])
            rows.append(row)
            odd_years += layout.year is not None and not _tells_year(fields[layout.year])
        except ValueError as error:
            bad.append((number, str(error), line.rstrip("\r\n").encode()))
    if not rows and not bad:
        raise ValueError(f"{path} holds no titles; get the file again")
    item, title, year = zip(*rows, strict=True) if rows else ((), (), ())
    years = pd.array(np.array([one or 0 for one in year], np.int32), "Int32")
    years[np.array([one is None for one in year], bool)] = pd.NA
    table = pd.DataFrame({"item_id": item, "title": title, "year": years})
    read = len(rows) + len(bad)
    if odd_years:
        log.warning("%s: %d years are neither a year nor missing", path.name, odd_years)
    return Titles(table, read, len(lines), header, blank, continued, odd_years, encoding, bad)


def _tells_year(text: str) -> bool:
    """Whether a column of the year holds a year, or that there is none."""
    return text.strip() in NO_YEAR or YEAR.fullmatch(text.strip()) is not None


def _title_row(
    fields: list[str], layout: TitleLayout, text_ids: bool
) -> tuple[int | str, str, int | None]:
    if len(fields) <= max(layout.item, layout.title, layout.year or 0):
        raise ValueError(f"{len(fields)} columns are too few")
    item: int | str = fields[layout.item]
    if not text_ids:
        if not (fields[layout.item].isascii() and fields[layout.item].isdigit()):
            raise ValueError("the item is not a whole number")
        item = int(item)
        if item >= 1 << 63:
            raise ValueError("the number of the item is beyond 2^63")
    title = fields[layout.title]
    title = layout.misspelt.get(title, title)
    if "\0" in title:
        raise ValueError("the title holds a zero byte")
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


@dataclass
class Record:
    """A row as it stands in a file: its first line's number, its fields, text and lines."""

    number: int
    fields: list[str]
    text: str
    lines: int = 1


def _records(
    lines: Iterable[str], separator: str, quoted: bool, name: str, limit: int = -1
) -> Iterator[Record]:
    """The rows of a file of that name; quoted ones may span lines.

    Raises
    ------
    ValueError
        If several lines are one row that cannot be read: nobody knows which rows are lost in it.
    """
    if not quoted or len(separator) > 1:
        for number, line in enumerate(lines, 1):
            yield Record(number, line.rstrip("\r\n").split(separator, limit), line)
        return
    consumed: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            consumed.append(line)
            yield line

    first = 1
    reader = csv.reader(remembered(), delimiter=separator, strict=True)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fields = []
            if len(consumed) > 1:
                raise ValueError(
                    f"{name} line {first}: {consumed[0][:80]!r} opens a quote that is not closed as"
                    f" it should be ({error} in line {first + len(consumed) - 1}), so where the"
                    " next row begins is not known; mend that line, or set `table.quoted` to false"
                    " if quotes mean nothing in this file"
                ) from None
        yield Record(first, fields, "".join(consumed), len(consumed))
        first += len(consumed)
        consumed.clear()


def split_fields(line: str, separator: str, quoted: bool) -> list[str]:
    """Fields of one line."""
    return next(_records([line], separator, quoted, "")).fields


@dataclass
class Transcoder:
    """Brings any text table into the form of the fast path: numbers, tabs, line feeds, ASCII.

    Text ids become numbers in order of appearance (kept in `codes`), dates of any format seconds
    since 1970. What cannot be brought into the form is passed on as "?", for the kernel to refuse:
    every rule about a row stays in one place.

    `lines_read` and `continuation_lines`, those after the first of rows that are several lines,
    are of the latest reading.
    """

    layout: Layout
    encoding: str
    quoted: bool = False
    text_ids: bool = False
    date_format: str = ""
    codes: dict[int, dict[str, int]] = field(default_factory=lambda: {USER: {}, ITEM: {}})
    lines_read: int = 0
    continuation_lines: int = 0

    @property
    def output_layout(self) -> Layout:
        """Layout of what `blocks` yields."""
        dates = "epoch" if self.date_format else self.layout.dates
        return Layout(self.layout.columns, "\t", dates)

    def blocks(self, stream: BinaryIO, name: str) -> Iterator[Block]:
        """Blocks of some lines each, with the number and the bytes of every line.

        `name` is the file's, for errors.

        Raises
        ------
        ValueError
            If a line is longer than a mebibyte, or a quote is not closed.
        """
        text = io.TextIOWrapper(stream, self.encoding, errors="replace", newline="")
        self.lines_read = self.continuation_lines = 0
        lines: list[tuple[int, bytes]] = []
        output: list[str] = []
        physical = self._lines(text, name)
        for row in _records(physical, self.layout.separator, self.quoted, name):
            self.continuation_lines += row.lines - 1
            lines.append((row.number, row.text.rstrip("\r\n").encode()))
            output.append(self._line(row.fields, row.text))
            if len(output) == LINES_AT_ONCE:
                yield self._block(output, lines)
                lines, output = [], []
        if output:
            yield self._block(output, lines)

    def _lines(self, text: TextIO, name: str) -> Iterator[str]:
        """Lines of a text, counted; none is held whole that is too long."""
        while line := text.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise long_line(name)
            self.lines_read += 1
            yield line

    @staticmethod
    def _block(output: list[str], lines: list[tuple[int, bytes]]) -> Block:
        # Writable as the blocks of a file are, or the kernel would be compiled once more.
        return Block(np.frombuffer(bytearray("".join(output), "ascii"), np.uint8), lines)

    def _line(self, fields: list[str], raw: str) -> str:
        if not raw.strip("\r\n"):
            return "\n"
        if "\ufffd" in raw:
            return "?\n"
        roles = self.layout.columns
        if len(fields) != len(roles):
            return "\t".join("0" * len(fields)) + "?\n"
        return "\t".join(map(self._field, fields, roles)) + "\n"

    def _field(self, text: str, role: int) -> str:
        if role in (USER, ITEM) and self.text_ids:
            known = self.codes[role]
            good = 0 < len(text) <= LONGEST_ID
            return str(known.setdefault(text, len(known))) if good else "?"
        if role == DATE and self.date_format:
            try:
                moment = datetime.strptime(text, self.date_format)
            except ValueError:
                return "?"
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return str(int(moment.timestamp()))
        if not text.isascii() or any(character in text for character in "\t\r\n"):
            return "?"
        return text
