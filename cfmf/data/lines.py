"""Read delimited text in blocks with pyarrow, and check every field of every row.

A file is never held in memory whole. Each block of lines is cut into fields by pyarrow.csv (fields
in quotes by Python's csv module) and then converted and checked once per distinct value. A row that
fails keeps its line number, its bytes and the reason.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from cfmf.data.dates import NO_DATE, UNITS, converted, likely
from cfmf.data.text import (
    LONGEST_LINE,
    SURROGATE,
    Dialect,
    Record,
    lines_of,
    long_line,
    records,
)

BLOCK_BYTES = 4 << 20
RECORDS_AT_ONCE = 50_000
LONGEST_ID = 255
LARGEST_ID = np.uint64(2**63 - 1)

# Faults of a line without an accepted row; the first four are those of the fields.
FIELDS = ("user", "item", "rating", "date")
USER, ITEM, RATING, DATE, COLUMNS, OFF_SCALE, NO_ITEM, BLANK, ITEM_LINE, UNRATED = range(1, 11)
REASONS = {
    USER: "the user is not a whole number below 2^63",
    ITEM: "the item is not a whole number below 2^63",
    RATING: "the rating is not a number",
    DATE: "the date is not a valid date",
    COLUMNS: "the row has a different number of columns than the layout",
    OFF_SCALE: "the rating is not on the scale",
    NO_ITEM: "no line above names the item",
}

WHOLE, PADDED = "^[0-9]{1,19}$", "^0[0-9]"
DECIMAL = re.compile(rb"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
DECIMAL_COMMA = re.compile(rb"-?[0-9]+,[0-9]+")
ITEM_NAME = re.compile(rb"([0-9]{1,17}):")
LONE_RETURN = re.compile(rb"\r(?!\n)")
MARK = b"\xef\xbb\xbf"  # of UTF-8
# One of these replaces a separator of several bytes.
CONTROLS = [bytes([code]) for code in (31, 30, 29, 28, *range(1, 9))]
UNDECODABLE = "\ufffd"

Codes = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Layout:
    """The layout of a file of ratings.

    Parameters
    ----------
    columns
        What each column of a row holds, in order: one of `FIELDS`, or "" if it is not needed.
    separator
        Text between two columns.
    dates
        One of `cfmf.data.dates.UNITS` since 1970, "iso" or a format of `strptime`.
    item_lines
        Whether the item is in a line of its own, `8:`, above the rows that rate it.
    text_ids
        Whether users and items are identified by any text; otherwise by whole numbers.
    quoted, escape
        As of `cfmf.data.text.Dialect`.
    decimal
        Decimal mark of ratings, "." or ",".
    unrated
        Numbers in the column of ratings that mean that there is none.
    undated
        Whether an empty date means that there is none.
    declared
        Whether the layout is that of the config's `table`, so that reasons name its keys.
    """

    columns: tuple[str, ...]
    separator: str = ","
    dates: str = "iso"
    item_lines: bool = False
    text_ids: bool = False
    quoted: bool = False
    escape: str = ""
    decimal: str = "."
    unrated: tuple[float, ...] = ()
    undated: bool = False
    declared: bool = False

    @property
    def dialect(self) -> Dialect:
        """How a line is divided into fields."""
        return Dialect(self.separator, self.quoted, self.escape)


@dataclass(frozen=True)
class Scale:
    """The possible ratings: minimum, minimum + step, … maximum; with step 0 all in between."""

    minimum: float = 1.0
    maximum: float = 5.0
    step: float = 1.0

    def misses(self, rating: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each rating is outside the scale or between its steps."""
        off = ~((rating >= self.minimum) & (rating <= self.maximum))
        if self.step:
            steps = (np.where(off, self.minimum, rating) - self.minimum) / self.step
            off |= np.abs(steps - np.rint(steps)) > 1e-6
        return off


@dataclass
class Block:
    """Some consecutive lines of a file.

    Parameters
    ----------
    data
        The bytes of whole lines, the last one with its line feed; empty for a quoted file.
    lines
        Number of lines.
    first
        Number of rows of the file (lines, or records of a quoted file) before this block.
    records
        The rows of a quoted file.
    """

    data: bytes
    lines: int
    first: int
    records: list[Record] | None = None

    @property
    def rows(self) -> int:
        """Number of rows: lines, or records of a quoted file."""
        return self.lines if self.records is None else len(self.records)

    @property
    def size(self) -> int:
        """Approximate number of bytes."""
        return len(self.data) + sum(len(one.text) for one in self.records or [])

    @property
    def continuation_lines(self) -> int:
        """Number of lines that continue a record."""
        return sum(one.lines - 1 for one in self.records or [])

    @cached_property
    def _texts(self) -> list[bytes]:
        return self.data.split(b"\n")

    def place(self, row: int) -> tuple[int, bytes]:
        """Line number in the file (from 1) and the bytes of a row, without its line end."""
        if self.records is None:
            return self.first + row + 1, self._texts[row].removesuffix(b"\r")
        record = self.records[row]
        return record.number, record.text.rstrip("\r\n").encode("utf-8", "surrogateescape")


@dataclass
class Rows:
    """The accepted rows of a block, and its other lines.

    `user`, `item` and `date` (microseconds since 1970, `NO_DATE` if there is none) are int64,
    `rating` is float32. `rejected` holds the row number in the block and the fault of each line
    without an accepted row, in order. `last_item` is the item named last by a line of its own.
    `padded` has a whole-number id with leading zeros, as written, by field.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    rating: NDArray[np.float32]
    date: NDArray[np.int64]
    rejected: list[tuple[int, int]]
    last_item: int = -1
    padded: dict[str, str] = field(default_factory=dict)


def line_blocks(
    read: Callable[[int], bytes], name: str, size: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Blocks of about `size` bytes; a last line without a line feed is given one.

    Parameters
    ----------
    read
        Returns the next bytes of the file, up to a given number.
    name
        The file's name, for errors.

    Raises
    ------
    ValueError
        If a line is longer than a mebibyte: the file is not a table of ratings.
    """
    tail = b""
    first = 0
    while data := read(size):
        data = tail + data
        end = data.rfind(b"\n", max(0, len(data) - LONGEST_LINE)) + 1
        if not end and len(data) > LONGEST_LINE:
            raise long_line(name)
        tail = data[end:]
        if end:
            block = Block(data[:end], data.count(b"\n"), first)
            first += block.lines
            yield block
    if tail:
        yield Block(tail + b"\n", 1, first)


def record_blocks(text: TextIO, dialect: Dialect, name: str) -> Iterator[Block]:
    """Blocks of rows whose fields may be in quotes; see `line_blocks`.

    Raises
    ------
    ValueError
        If a line is longer than a mebibyte, or a quote is not closed.
    """
    lines = first = 0

    def counted() -> Iterator[str]:
        nonlocal lines
        for line in lines_of(text, name):
            lines += 1
            yield line

    found: list[Record] = []
    for record in records(counted(), dialect, name):
        found.append(record)
        if len(found) == RECORDS_AT_ONCE:
            yield Block(b"", lines, first, found)
            first += len(found)
            lines, found = 0, []
    if found:
        yield Block(b"", lines, first, found)


def parse_blocks(
    blocks: Iterable[Block],
    layout: Layout,
    scale: Scale,
    threads: int = 1,
    codes: Codes | None = None,
) -> Iterator[tuple[Block, Rows]]:
    """Parse blocks in order; several at a time unless a line depends on those before it.

    With `text_ids` each new text gets the next number, kept in `codes` by field.
    """
    if layout.item_lines or layout.text_ids or threads < 2:
        item = -2 if layout.item_lines else -1
        for block in blocks:
            rows = parse_block(block, layout, scale, codes, item)
            item = rows.last_item
            yield block, rows
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[Block, Future[Rows]]] = deque()
        for block in blocks:
            waiting.append((block, pool.submit(parse_block, block, layout, scale)))
            if len(waiting) > threads:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def parse_block(
    block: Block, layout: Layout, scale: Scale, codes: Codes | None = None, item: int = -1
) -> Rows:
    """Parse the rows of one block; `item` is the one named last, -2 if none was named yet."""
    codes = codes or {name: {} for name in FIELDS}
    columns, misfits = (_split if block.records is None else _split_records)(block, layout)
    values, faults = _checked(columns, layout, scale, codes)
    padded = {} if layout.text_ids or not layout.declared else _padded(columns)
    place = np.delete(np.arange(block.rows), misfits)
    fault = np.zeros(block.rows, np.int8)
    fault[place] = faults
    if misfits:
        short = _columns([_fields(block, row, layout) for row in misfits], layout)
        faults = _checked(short, layout, scale, codes)[1]
        fault[misfits] = np.where(np.isin(faults, (0, OFF_SCALE, UNRATED)), COLUMNS, faults)
    named: dict[int, int] = {}
    for row in np.flatnonzero((fault != 0) & (fault != UNRATED)).tolist():
        text = block.place(row)[1]
        if not text:
            fault[row] = BLANK
        elif layout.item_lines and text.endswith(b":"):
            match = ITEM_NAME.fullmatch(text)
            named[row] = int(match[1]) if match else -2
            fault[row] = ITEM_LINE if match else ITEM
    if layout.item_lines:
        names = np.array([item, *named.values()])
        values["item"] = names[np.searchsorted(list(named), place)]
        lost = (values["item"] < 0) & np.isin(fault[place], (0, OFF_SCALE))
        fault[place[lost]] = NO_ITEM
        item = int(names[-1])
    rejected = np.flatnonzero(fault)
    if len(rejected):
        values = {name: column[fault[place] == 0] for name, column in values.items()}
    pairs = list(zip(rejected.tolist(), fault[rejected].tolist(), strict=True))
    return Rows(**values, rejected=pairs, last_item=item, padded=padded)


def _padded(columns: Mapping[str, Any]) -> dict[str, str]:
    """An id with leading zeros of each column of ids that has one."""
    found = {}
    for name in ("user", "item"):
        texts = columns[name].dictionary
        if pc.any(pc.starts_with(texts, "0")).as_py():
            padded = texts.filter(pc.match_substring_regex(texts, PADDED))
            if len(padded):
                found[name] = padded[0].as_py().decode(errors="replace")[:LONGEST_ID]
    return found


def _split(block: Block, layout: Layout) -> tuple[dict[str, Any], list[int]]:
    """The needed columns of a block's rows, and the lines that have another number of columns."""
    data, separator = block.data, layout.separator.encode()
    if not data.isascii():
        data = data.decode(errors="replace").encode()  # as pyarrow decodes the misfits
    if data.count(b"\r") != data.count(b"\r\n"):
        data = LONE_RETURN.sub(b"\0", data)  # pyarrow would end a line there
    if len(separator) > 1:
        unused = next((sign for sign in CONTROLS if sign not in data), b"")
        if not unused:
            raise ValueError(
                "a file has every control character, so it is not a table of ratings; check that"
                " `folder` or `urls` in the config name the right file"
            )
        data, separator = data.replace(separator, unused), unused
    if data.startswith(MARK):
        data = MARK + data  # pyarrow would skip the one that is part of a row
    misfits: list[int] = []

    def note(row: csv.InvalidRow) -> str:
        misfits.append(row.number - 1)
        return "skip"

    # Most values are frequent, so each is converted once; times rarely repeat.
    kinds = {name: pa.dictionary(pa.int32(), pa.binary()) for name in layout.columns if name}
    if "date" in kinds and layout.dates in UNITS:
        kinds["date"] = pa.binary()
    table = csv.read_csv(
        pa.BufferReader(data),
        csv.ReadOptions(
            use_threads=False,
            block_size=len(data) + 1,
            column_names=[name or f"column {at}" for at, name in enumerate(layout.columns)],
        ),
        csv.ParseOptions(
            delimiter=separator.decode(),
            quote_char=False,
            ignore_empty_lines=False,
            invalid_row_handler=note,
        ),
        csv.ConvertOptions(
            check_utf8=False, column_types=kinds, null_values=[], include_columns=list(kinds)
        ),
    )
    if len(table) + len(misfits) != block.lines:
        raise RuntimeError(
            f"lines are lost: of {block.lines} pyarrow reads {len(table)} and {len(misfits)}"
        )
    return {name: table[name].combine_chunks() for name in kinds}, misfits


def _split_records(block: Block, layout: Layout) -> tuple[dict[str, Any], list[int]]:
    """`_split` of the rows of a quoted file."""
    fields = [record.fields for record in block.records or []]
    misfits = [row for row, one in enumerate(fields) if len(one) != len(layout.columns)]
    columns = _columns([one for one in fields if len(one) == len(layout.columns)], layout)
    return {name: column.dictionary_encode() for name, column in columns.items()}, misfits


def _fields(block: Block, row: int, layout: Layout) -> list[Any]:
    """All fields of a row."""
    if block.records is not None:
        return block.records[row].fields
    return list(block.place(row)[1].split(layout.separator.encode()))


def _columns(rows: list[list[Any]], layout: Layout) -> dict[str, Any]:
    """The needed columns of rows, with nulls where a row is too short."""
    return {
        name: pa.array([row[at] if at < len(row) else None for row in rows], pa.binary())
        for at, name in enumerate(layout.columns)
        if name
    }


def _checked(
    columns: dict[str, Any], layout: Layout, scale: Scale, codes: Codes
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int8]]:
    """Values of all `FIELDS` of each row, and the first fault of each row, 0 for none."""
    count = len(next(iter(columns.values())))
    faults = np.zeros(count, np.int8)
    values: dict[str, NDArray[Any]] = {name: np.full(count, NO_DATE) for name in FIELDS}
    for name, column in columns.items():
        repeated = isinstance(column, pa.DictionaryArray)
        distinct = column.dictionary if repeated else column
        found, good = _converted(name, distinct, layout, codes)
        if repeated:
            index = column.indices.to_numpy()
            found, good = found[index], good[index]
        values[name] = found
        bad = np.flatnonzero(~good & (faults == 0))
        if len(bad):
            missing = column.is_null().to_numpy(zero_copy_only=False)[bad]
            faults[bad] = np.where(missing, COLUMNS, FIELDS.index(name) + 1)
    if "rating" in columns:
        faults[np.isin(values["rating"], layout.unrated) & (faults == 0)] = UNRATED
        faults[scale.misses(values["rating"]) & (faults == 0)] = OFF_SCALE
    values["rating"] = values["rating"].astype(np.float32)
    return values, faults


def _converted(
    name: str, texts: Any, layout: Layout, codes: Codes
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values of the texts of a field, and which of them are valid."""
    if name == "rating":
        return _each(texts, partial(_rating, layout.decimal.encode()), np.float64)
    if name == "date":
        moments, good = converted(texts, layout.dates)
        if layout.undated:
            empty = pc.fill_null(pc.equal(pc.binary_length(texts), 0), False)
            empty = empty.to_numpy(zero_copy_only=False)
            moments, good = np.where(empty, NO_DATE, moments), good | empty
        return moments, good
    if layout.text_ids:
        return _each(texts, partial(_code, codes[name]), np.int64)
    good = pc.fill_null(pc.match_substring_regex(texts, WHOLE), False)
    ids = pc.if_else(good, texts, pa.scalar(b"0")).cast(pa.uint64()).to_numpy()
    return ids.astype(np.int64), good.to_numpy(zero_copy_only=False) & (ids <= LARGEST_ID)


def _each(
    texts: Any, convert: Callable[[bytes], float], kind: Any
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Converted texts, 0 for those that raise ValueError or are null; and which do not."""
    values, good = np.zeros(len(texts), kind), np.zeros(len(texts), bool)
    for at, text in enumerate(texts.to_pylist()):
        if text is not None:
            with suppress(ValueError):
                values[at] = convert(text)
                good[at] = True
    return values, good


def _rating(mark: bytes, text: bytes) -> float:
    """A number with the given decimal mark."""
    if mark != b".":
        text = b"x" if b"." in text else text.replace(mark, b".", 1)
    if not DECIMAL.fullmatch(text):
        raise ValueError
    return float(text)


def _code(known: dict[str, int], text: bytes) -> int:
    """The number of a text id; a new one gets the next number."""
    decoded = text.decode()
    if text_fault(decoded):
        raise ValueError
    return known.setdefault(decoded, len(known))


def text_fault(text: str) -> str:
    """Why a text is no id; empty if it is one."""
    if not text:
        return "is empty"
    if len(text) > LONGEST_ID:
        return f"is longer than {LONGEST_ID} characters"
    if "\0" in text:
        return "contains a zero byte"
    broken = UNDECODABLE in text or SURROGATE.search(text)
    return "has bytes that are not valid in the file's encoding" if broken else ""


def reason(fault: int, block: Block, row: int, layout: Layout) -> str:
    """Why a row of a block is refused, and the config key to set if the layout may be wrong."""
    if block.records is not None and block.records[row].reason:
        return block.records[row].reason
    fields = _fields(block, row, layout)
    name = FIELDS[fault - 1] if fault <= len(FIELDS) else ""
    at = layout.columns.index(name) if name in layout.columns else len(fields)
    text = fields[at] if at < len(fields) else b""
    text = text.encode() if isinstance(text, str) else text
    hint = ""
    if fault in (USER, ITEM) and layout.text_ids:
        if block.records is None and b"\r" in text:
            return f"the {name} contains a carriage return"
        return f"the {name} {text_fault(text.decode(errors='replace'))}"
    row_text = text if name else block.place(row)[1]
    if b'"' in row_text and not layout.quoted:
        hint = "set `table.quoted` to true if fields are in quotes"
    elif fault in (USER, ITEM) and text:
        hint = "set `table.ids` to text to read any id"
    elif fault == RATING and layout.decimal == "." and DECIMAL_COMMA.fullmatch(text):
        hint = 'set `table.decimal` to ","'
    elif fault == DATE and not text:
        hint = "set `table.undated` to true if a rating may lack its date"
    elif fault == DATE and likely(text) not in ("", f"`{layout.dates}`"):
        hint = f"it looks like {likely(text)}; `table.dates` is `{layout.dates}`"
    return f"{REASONS[fault]}; {hint}" if hint and layout.declared else REASONS[fault]
