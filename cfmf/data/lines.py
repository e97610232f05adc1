"""The fast path: lines of delimited numbers and dates, read in blocks by a compiled kernel.

A file is never held whole. Blocks that end on a line's end are parsed by one pass over their
bytes that checks every field; rows it cannot accept come back with their line number, their bytes
and the reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

import numba
import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 16 << 20
LONGEST_LINE = 1 << 20
USER, ITEM, RATING, DATE, SKIP = range(5)
DATE_KINDS = {"none": 0, "iso": 1, "epoch": 2}
BLANK, ITEM_LINE = 1, 2
OFF_SCALE, COLUMNS, BAD_USER, BAD_ITEM, BAD_RATING, BAD_DATE, BAD_COLUMN, NO_ITEM = range(3, 11)
REASONS = {
    OFF_SCALE: "the rating is not on the scale",
    COLUMNS: "the number of columns is not that of the layout",
    BAD_USER: "the user is not a whole number below 2^63",
    BAD_ITEM: "the item is not a whole number below 2^63",
    BAD_RATING: "the rating is not a number",
    BAD_DATE: "the date is not a date",
    BAD_COLUMN: "the number of columns is not that of the layout",
    NO_ITEM: "no line that names the item comes before",
}
RETURN, FEED, MINUS, POINT, COLON = (np.uint8(ord(sign)) for sign in "\r\n-.:")
# Unsigned, as mixing them with signed numbers would make floats of both.
NONE, ONE, NINE, TEN, NINETEEN, ZERO, THOUSAND, LARGEST = (
    np.uint64(number) for number in (0, 1, 9, 10, 19, ord("0"), 1000, 2**63 - 1)
)
NO_DATE = np.iinfo(np.int64).min
_LATEST = 253_402_300_800  # the first second of the year 10000
_MONTH_DAYS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_DAYS_SINCE_MARCH = np.array([306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275])

compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
inlined = numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")


@dataclass(frozen=True)
class Layout:
    """How a file of ratings is laid out.

    Parameters
    ----------
    columns
        Role of each column of a row, in order: SKIP, USER, ITEM, RATING or DATE.
    separator
        Text between two columns.
    dates
        "none", "iso" (2005-12-31) or "epoch" (whole seconds since 1970).
    item_lines
        Whether the item stands in a line of its own, `8:`, above the rows that rate it.
    """

    columns: tuple[int, ...]
    separator: str = ","
    dates: str = "none"
    item_lines: bool = False


@dataclass(frozen=True)
class Scale:
    """The ratings that exist: minimum, minimum + step, … maximum; step 0 for all between."""

    minimum: float = 1.0
    maximum: float = 5.0
    step: float = 1.0


@dataclass
class Block:
    """Whole lines of a file.

    Parameters
    ----------
    buffer
        uint8, ends with a line feed.
    lines
        Number in the file and bytes of each line, where `buffer` is not the file's own bytes.
    """

    buffer: NDArray[np.uint8]
    lines: list[tuple[int, bytes]] | None = None


@dataclass
class Rows:
    """What a block holds: accepted rows, and the lines that are none.

    `user`, `item` and `date` (seconds since 1970) are int64, `rating` float32. `bad` holds line
    number, reason and bytes of each line that is no row, in order.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    rating: NDArray[np.float32]
    date: NDArray[np.int64]
    lines: int
    bad: list[tuple[int, int, bytes]]
    item_line: int


@inlined
def _digit(buffer, at):  # type: ignore[no-untyped-def]
    """Value of the digit at `at`; being unsigned, whatever is none is above nine."""
    return np.uint64(buffer[at]) - ZERO


@inlined
def _whole_number(buffer, at):  # type: ignore[no-untyped-def]
    """Digits from `at` on: whether they are a number below 2^63, its value, where they end."""
    start = at
    value = NONE
    digit = _digit(buffer, at)
    while digit <= NINE:
        value = value * TEN + digit
        at += ONE
        digit = _digit(buffer, at)
    digits = at - start
    # Nineteen digits stay below 2^64, so that the value tells whether it is below 2^63.
    return NONE < digits < NINETEEN or (digits == NINETEEN and value <= LARGEST), value, at


@inlined
def _decimal_number(buffer, at):  # type: ignore[no-untyped-def]
    """A number like 3, -2 or 4.5 from `at` on: whether there is one, its value, where it ends."""
    negative = buffer[at] == MINUS
    if negative:
        at += ONE
    good, whole, end = _whole_number(buffer, at)
    value = float(whole)
    if good and buffer[end] == POINT:
        start = end + ONE
        good, decimals, end = _whole_number(buffer, start)
        value += float(decimals) / 10.0 ** float(end - start)
    return good, (-value if negative else value), end


@inlined
def _two_digits(buffer, at):  # type: ignore[no-untyped-def]
    """Number of two digits at `at`; 1000 and more if they are none."""
    tens, units = _digit(buffer, at), _digit(buffer, at + ONE)
    return tens * TEN + units if tens <= NINE and units <= NINE else THOUSAND


@inlined
def _iso_date(buffer, at):  # type: ignore[no-untyped-def]
    """A date like 2005-12-31 at `at`: whether it exists, its seconds since 1970, where it ends."""
    if at + TEN >= np.uint64(len(buffer)):
        return False, 0, at
    century = np.int64(_two_digits(buffer, at))
    year = century * 100 + np.int64(_two_digits(buffer, at + np.uint64(2)))
    month = np.int64(_two_digits(buffer, at + np.uint64(5)))
    day = np.int64(_two_digits(buffer, at + np.uint64(8)))
    if buffer[at + np.uint64(4)] != MINUS or buffer[at + np.uint64(7)] != MINUS:
        return False, 0, at
    if not (1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= _MONTH_DAYS[month - 1]):
        return False, 0, at
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return False, 0, at
    # Days since 1970 with the year starting in March, so that the leap day comes last.
    shifted = year - (1 if month <= 2 else 0)
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400
    days += _DAYS_SINCE_MARCH[month - 1] + day - 719_469
    return True, days * 86_400, at + TEN


@compiled
def _epoch(buffer, at):  # type: ignore[no-untyped-def]
    """Seconds since 1970 at `at`: whether they are a date, their value, where they end."""
    before_1970 = buffer[at] == MINUS
    good, value, end = _whole_number(buffer, at + ONE if before_1970 else at)
    seconds = np.int64(value)
    return good and seconds < _LATEST, (-seconds if before_1970 else seconds), end


@inlined
def _is_separator(buffer, at, separator):  # type: ignore[no-untyped-def]
    """Whether the separator stands at `at`."""
    for place in range(len(separator)):  # noqa: SIM110 - a loop is what compiles well
        if buffer[at + np.uint64(place)] != separator[place]:
            return False
    return True


@inlined
def _is_line_end(buffer, at):  # type: ignore[no-untyped-def]
    """Whether a line feed, or CR LF, stands at `at`."""
    return buffer[at] == FEED or (buffer[at] == RETURN and buffer[at + ONE] == FEED)


@compiled
def _parse_row(buffer, at, columns, separator, dates):  # type: ignore[no-untyped-def]
    """One row from `at` on: why it is none (0 if it is one), its fields, where the next starts."""
    user = item = NONE
    rating = 0.0
    date = np.int64(NO_DATE)
    last = len(columns) - 1
    for column in range(len(columns)):
        role = columns[column]
        good = True
        if role == USER:
            good, user, at = _whole_number(buffer, at)
        elif role == ITEM:
            good, item, at = _whole_number(buffer, at)
        elif role == RATING:
            good, rating, at = _decimal_number(buffer, at)
        elif role == DATE and dates == 1:
            good, date, at = _iso_date(buffer, at)
        elif role == DATE:
            good, date, at = _epoch(buffer, at)
        else:
            while not _is_line_end(buffer, at) and not _is_separator(buffer, at, separator):
                at += ONE
        if column < last and good and _is_separator(buffer, at, separator):
            at += np.uint64(len(separator))
        elif column == last and good and _is_line_end(buffer, at):
            at += ONE if buffer[at] == FEED else np.uint64(2)
        else:
            # A field that is none, or goes on like "3x", or a line that ends too early or late.
            wrong_end = _is_line_end(buffer, at) or _is_separator(buffer, at, separator)
            reason = COLUMNS if good and wrong_end else BAD_USER + role
            return reason, user, item, rating, date, at
    return 0, user, item, rating, date, at


@inlined
def _off_scale(rating, minimum, maximum, step):  # type: ignore[no-untyped-def]
    """Whether a rating is not on the scale."""
    if not minimum <= rating <= maximum:
        return True
    steps = (rating - minimum) / step if step > 0 else 0.0
    return abs(steps - np.rint(steps)) > 1e-6


@compiled
def _parse(  # type: ignore[no-untyped-def]
    buffer, first, columns, separator, dates, item_line, scale, user, item, rating, date, bad
):
    """Parse lines from byte `first` until the buffer or one of the outputs is at its end.

    `item_line` is -1 where rows hold their item, else the item named last (-2 for none yet).
    `bad` takes line number, reason, first byte and end of lines that are no rows. Returns the
    next byte, the lines read, the rows and bad lines written and the item named last.

    Positions are unsigned: NumPy's negative indices would cost a comparison at every byte.
    """
    minimum, maximum, step = scale
    lines = rows = bads = 0
    at, stop = np.uint64(first), np.uint64(len(buffer))
    while at < stop and rows < len(user) and bads < len(bad):
        start = at
        reason, this_user, this_item, this_rating, this_date, at = _parse_row(
            buffer, at, columns, separator, dates
        )
        if item_line != -1:
            this_item = np.uint64(item_line)
        if reason == 0:
            if item_line == -2:
                reason = NO_ITEM
            elif _off_scale(this_rating, minimum, maximum, step):
                reason = OFF_SCALE
        if reason == 0:
            user[rows] = this_user
            item[rows] = this_item
            rating[rows] = this_rating
            date[rows] = this_date
            rows += 1
        else:
            end = start
            while not _is_line_end(buffer, end):
                end += ONE
            at = end + (ONE if buffer[end] == FEED else np.uint64(2))
            if end == start:
                reason = BLANK
            elif item_line != -1 and buffer[end - ONE] == COLON:
                good, named, after = _whole_number(buffer, start)
                item_line = np.int64(named) if good and after == end - ONE else -2
                reason = ITEM_LINE if item_line >= 0 else BAD_ITEM
            bad[bads] = (lines, reason, np.int64(start), np.int64(end))
            bads += 1
        lines += 1
    return at, lines, rows, bads, item_line


def parse_block(block: Block, layout: Layout, scale: Scale, item_line: int = -1) -> Rows:
    """Parse the lines of one block; line numbers count from 0 at the block's first line."""
    buffer = block.buffer
    columns = np.array(layout.columns, np.int64)
    separator = np.frombuffer(layout.separator.encode(), np.uint8)
    # A column takes two bytes at least; memory that is not written to is not taken.
    most = len(buffer) // (2 * len(columns)) + 1
    user, item, date = (np.empty(most, np.int64) for _ in range(3))
    rating = np.empty(most, np.float32)
    bad_lines = np.empty((4096, 4), np.int64)
    bad: list[tuple[int, int, bytes]] = []
    at = lines = rows = 0
    while at < len(buffer):
        at, new_lines, new_rows, bads, item_line = _parse(
            buffer,
            at,
            columns,
            separator,
            DATE_KINDS[layout.dates],
            item_line,
            (scale.minimum, scale.maximum, scale.step),
            user[rows:],
            item[rows:],
            rating[rows:],
            date[rows:],
            bad_lines,
        )
        for line, reason, start, stop in bad_lines[:bads].tolist():
            bad.append((lines + line, reason, buffer[start:stop].tobytes()))
        lines += new_lines
        rows += new_rows
    return Rows(user[:rows], item[:rows], rating[:rows], date[:rows], lines, bad, item_line)


def file_blocks(stream: BinaryIO, name: str, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """Blocks of about `size` bytes of a stream; a last line without its line feed is given one.

    `name` is the file's, for errors.

    Raises
    ------
    ValueError
        If a line is longer than a mebibyte: the file is not a table of ratings.
    """
    tail = np.zeros(0, np.uint8)
    while True:
        buffer = np.empty(len(tail) + size, np.uint8)
        buffer[: len(tail)] = tail
        got = stream.readinto(buffer[len(tail) :].data)  # type: ignore[attr-defined]
        buffer = buffer[: len(tail) + got]
        if not got:
            break
        feeds = np.flatnonzero(buffer[-LONGEST_LINE:] == FEED)
        if not len(feeds):
            if len(buffer) > LONGEST_LINE:
                raise ValueError(
                    f"{name} has a line of more than {LONGEST_LINE:,} bytes, so it is no table of"
                    " ratings; check that `folder` or `urls` in the config name the right file"
                )
            tail = buffer
            continue
        cut = max(0, len(buffer) - LONGEST_LINE) + int(feeds[-1]) + 1
        yield Block(buffer[:cut])
        tail = buffer[cut:]
    if len(tail):
        yield Block(np.append(tail, FEED))


def parse_blocks(
    blocks: Iterable[Block], layout: Layout, scale: Scale, threads: int = 1
) -> Iterator[tuple[Block, Rows]]:
    """Parse blocks in order; several at a time where a line means the same wherever it stands."""
    if layout.item_lines or threads < 2:
        item_line = -2 if layout.item_lines else -1
        for block in blocks:
            rows = parse_block(block, layout, scale, item_line)
            item_line = rows.item_line
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


def numbered_lines(stream: BinaryIO, wanted: set[int]) -> dict[int, bytes]:
    """Bytes of the lines with the wanted numbers (from 1), without their line ends."""
    found = {}
    for number, line in enumerate(stream, 1):
        if number in wanted:
            found[number] = line.rstrip(b"\r\n")
            if len(found) == len(wanted):
                break
    return found
