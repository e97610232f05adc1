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
from typing import Any, BinaryIO

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

BLOCK_BYTES = 4 << 20
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
RETURN, FEED, MINUS, PLUS, POINT, COLON = (np.uint8(ord(sign)) for sign in "\r\n-+.:")
SMALL_E, LARGE_E = (np.uint8(ord(sign)) for sign in "eE")
# Unsigned, as mixing them with signed numbers would make floats of both.
NONE, ONE, TWO, NINE, TEN, TWELVE, NINETEEN, ZERO, HUNDRED = (
    np.uint64(number) for number in (0, 1, 2, 9, 10, 12, 19, ord("0"), 100)
)
TEN_THOUSAND, THIRTY_ONE, SIXTY_THREE = (np.uint64(number) for number in (10_000, 31, 63))
LARGEST, MANY, ISO_DASHES = (np.uint64(number) for number in (2**63 - 1, 10**17, 2**4 | 2**7))
NO_DATE = np.iinfo(np.int64).min
_LATEST = np.uint64(253_402_300_800)  # seconds to the year 10000
_POWERS = 10.0 ** np.arange(32)
# Day on which every month from the year 0 to 10000 begins.
_MONTH_STARTS = np.arange("0000-01", "10000-02", dtype="datetime64[M]").astype("datetime64[D]")
_MONTH_STARTS = _MONTH_STARTS.astype(np.int64)

compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


# Eight bytes as one number, the first lowest: each "0", each the high bit.
ZEROS, HIGH_BITS = (np.uint64(byte * 0x0101010101010101) for byte in (48, 128))
# What carries a byte's digit into its high bit unless it is 0 to 9.
TO_HIGH = np.uint64(118 * 0x0101010101010101)
THREE, FOUR, EIGHT, SIXTEEN, TWENTY_FOUR, THIRTY_TWO, FORTY, SIXTY_FOUR, BYTE, THOUSAND = (
    np.uint64(number) for number in (3, 4, 8, 16, 24, 32, 40, 64, 255, 1000)
)
# Pairs, fours and eights of digits joined by multiplying.
PAIRS, EVEN_WEIGHTS, ODD_WEIGHTS = (
    np.uint64(number) for number in (0x000000FF000000FF, 0x000F424000000064, 0x0000271000000001)
)
# "-00-00", the high bits of its digits, and its dashes.
DASHED, DASHED_HIGH = np.uint64(0x30302D30302D), np.uint64(0x808000808000)
DASHES, SIX_BYTES = np.uint64(0x0000FF0000FF), np.uint64(0xFFFFFFFFFFFF)


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


@compiled
def _is_whole(value, marks, length):  # type: ignore[no-untyped-def]
    """Whether a field is a whole number below 2^63; of nineteen digits its value tells."""
    return marks == NONE and (NONE < length < NINETEEN or (length == NINETEEN and value <= LARGEST))


@compiled
def _decimal(value, dashes, points, point, length):  # type: ignore[no-untyped-def]
    """Whether a field is a number like 3 or -4.5 of up to 15 digits, and that number, exactly."""
    first = NONE if dashes == NONE else ONE
    good = dashes <= ONE and first < length <= SIXTEEN
    number = float(value)
    if points != NONE:
        good = good and points == ONE and first < point < length - ONE
        number /= _POWERS[(length - ONE - point) & THIRTY_ONE]
    return good, (number if dashes == NONE else -number)


# C's function, which rounds as Python's float does: address of a text, and where to put its end.
_strtod: Any = types.ExternalFunction("strtod", types.float64(types.uintp, types.uintp))


@compiled
def _behind_digits(buffer, at):  # type: ignore[no-untyped-def]
    """The first byte from `at` on that is no digit."""
    while np.uint64(buffer[at]) - ZERO <= NINE:
        at += ONE
    return at


@compiled
def _any_decimal(buffer, field):  # type: ignore[no-untyped-def]
    """Whether a number like -2.5e-05 of any length begins at a byte, that number, and its end."""
    first = field + ONE if buffer[field] == MINUS else field
    end = _behind_digits(buffer, first)
    good = end > first
    if buffer[end] == POINT:
        first = end + ONE
        end = _behind_digits(buffer, first)
        good = good and end > first
    if buffer[end] in (SMALL_E, LARGE_E):
        first = end + (TWO if buffer[end + ONE] in (PLUS, MINUS) else ONE)
        end = _behind_digits(buffer, first)
        good = good and end > first
    number = _strtod(np.uintp(buffer.ctypes.data) + field, 0) if good else 0.0
    return good, number, end


@compiled
def _day(year, month, day):  # type: ignore[no-untyped-def]
    """Whether there is such a day, and its seconds since 1970; the year has four digits."""
    if not ONE <= month <= TWELVE:
        return False, 0
    index = year * TWELVE + month - ONE
    days = _MONTH_STARTS[index] + np.int64(day) - 1
    return year >= ONE <= day and days < _MONTH_STARTS[index + ONE], days * 86_400


@compiled
def _iso_date(value, dashes, points, length):  # type: ignore[no-untyped-def]
    """Whether a field like 2005-12-31 is a day that exists, and its seconds since 1970."""
    if length != TEN or dashes != ISO_DASHES or points != NONE:
        return False, 0
    return _day(value // TEN_THOUSAND, value // HUNDRED % HUNDRED, value % HUNDRED)


@compiled
def _epoch(value, dashes, points, length):  # type: ignore[no-untyped-def]
    """Whether a field is seconds since 1970, before the year 10000, and that number."""
    digits = length - dashes
    good = dashes <= ONE and points == NONE and NONE < digits < NINETEEN and value < _LATEST
    seconds = np.int64(value)
    return good, (seconds if dashes == NONE else -seconds)


@compiled
def _off_scale(rating, minimum, maximum, step):  # type: ignore[no-untyped-def]
    """Whether a rating is not on the scale."""
    steps = (rating - minimum) / step if step > 0 else 0.0
    return not minimum <= rating <= maximum or abs(steps - np.rint(steps)) > 1e-6


@intrinsic
def _trailing_zeros(typing_context, number):  # type: ignore[no-untyped-def]
    """How many of the lowest bits are 0; 64 for the number 0."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], context.get_constant(types.boolean, False))

    return types.uint64(types.uint64), generate


@compiled
def _eight_bytes(buffer, at):  # type: ignore[no-untyped-def]
    """Eight bytes as one number, the first one lowest; the compiler makes one load of it."""
    word = np.uint64(buffer[at])
    for place in range(1, 8):
        word |= np.uint64(buffer[at + np.uint64(place)]) << np.uint64(8 * place)
    return word


@compiled
def _leading_digits(word):  # type: ignore[no-untyped-def]
    """How many of eight bytes are digits before the first that is none, and their value.

    Of the digits moved to the high end, with zeros below, neighbours are joined to pairs, these to
    fours and these to eight: Lemire (2018), "Quickly parsing eight digits".
    """
    digits = word ^ ZEROS
    others = ((digits + TO_HIGH) | digits) & HIGH_BITS
    bits = _trailing_zeros(others) >> THREE << THREE  # type: ignore[call-arg]
    if bits == NONE:
        return NONE, NONE
    digits <<= SIXTY_FOUR - bits
    digits = digits * TEN + (digits >> EIGHT)
    value = (digits & PAIRS) * EVEN_WEIGHTS + ((digits >> SIXTEEN) & PAIRS) * ODD_WEIGHTS
    return bits >> THREE, value >> THIRTY_TWO


@compiled
def _iso_words(year, rest):  # type: ignore[no-untyped-def]
    """Whether eight bytes that begin with four digits, and those from the fifth on, are a day."""
    digits = (rest ^ DASHED) & SIX_BYTES
    others = ((digits + TO_HIGH) | digits) & DASHED_HIGH
    years = year ^ ZEROS
    good, seconds = _day(
        (years & BYTE) * THOUSAND
        + (years >> EIGHT & BYTE) * HUNDRED
        + (years >> SIXTEEN & BYTE) * TEN
        + (years >> TWENTY_FOUR & BYTE),
        (digits >> EIGHT & BYTE) * TEN + (digits >> SIXTEEN & BYTE),
        (digits >> THIRTY_TWO & BYTE) * TEN + (digits >> FORTY & BYTE),
    )
    return good and others | (digits & DASHES) == NONE, seconds


@compiled
def _parse(  # type: ignore[no-untyped-def]
    buffer, first, columns, separator, dates, item_line, scale, user, item, rating, date, bad
):
    """Parse lines from byte `first` until the buffer or one of the outputs is at its end.

    `item_line` is -1 where rows hold their item, else the item named last (-2 for none yet).
    `bad` takes line number, reason, first byte and end of lines that are no rows. Returns the
    next byte, the lines read, the rows and bad lines written and the item named last.

    Positions are unsigned, as NumPy's negative indices would cost a comparison at every byte.
    Fields are read here and not in a function of their own that takes the arrays, as counting
    references would cost more than the field.
    """
    minimum, maximum, step = scale
    lines = rows = bads = 0
    at, stop, width = np.uint64(first), np.uint64(len(buffer)), np.uint64(len(separator))
    while at < stop and rows < len(user) and bads < len(bad):
        start = at
        reason = 0
        this_rating = minimum
        date[rows] = NO_DATE
        if item_line != -1:
            item[rows] = item_line
        for column in range(len(columns)):
            role = columns[column]
            last = column == len(columns) - 1
            field = at
            # A field as most are: an id of up to seven digits, one digit of stars, a date. No loop
            # goes over its bytes, and a length that is known is added as a constant, so that the
            # next field's place does not wait for this one's value.
            if role != SKIP and at + TWENTY_FOUR <= stop:
                word = _eight_bytes(buffer, at)
                count, value = _leading_digits(word)
                if role in (USER, ITEM):
                    usual = NONE < count < EIGHT
                    at += count
                    if role == USER:
                        user[rows] = value
                    else:
                        item[rows] = value
                elif role == RATING:
                    usual = count == ONE
                    at += ONE
                    this_rating = float(value)
                    rating[rows] = this_rating
                elif dates == 1:
                    usual = False
                    if count == FOUR:
                        usual, date[rows] = _iso_words(word, _eight_bytes(buffer, at + FOUR))
                    at += TEN
                else:
                    more, rest = _leading_digits(_eight_bytes(buffer, at + EIGHT))
                    usual = count == EIGHT and ONE <= more <= TWO
                    date[rows] = value * (HUNDRED if more == TWO else TEN) + rest
                    at += EIGHT + more
                byte = buffer[at]
                if last:
                    if byte == RETURN:
                        at += ONE
                    ended = buffer[at] == FEED
                else:
                    ended = byte == separator[0]
                    for place in range(1, len(separator)):
                        ended = ended and buffer[at + np.uint64(place)] == separator[place]
                if usual and ended:
                    at += ONE if last else width
                    continue
                at = field
            value = dashes = points = point = NONE
            while True:
                byte = buffer[at]
                digit = np.uint64(byte) - ZERO  # above nine where it is none
                if digit <= NINE:
                    value = value * TEN + digit
                elif byte == MINUS:
                    dashes |= ONE << ((at - field) & SIXTY_THREE)
                elif byte == POINT:
                    points += ONE
                    point = at - field
                elif (
                    role != SKIP
                    or byte == FEED
                    or byte == separator[0]
                    or (byte == RETURN and buffer[at + ONE] == FEED)
                ):
                    break
                at += ONE
            length = at - field
            good: Any = True
            if role == USER:
                good = _is_whole(value, dashes | points, length)
                user[rows] = value
            elif role == ITEM:
                good = _is_whole(value, dashes | points, length)
                item[rows] = value
            elif role == RATING:
                good, this_rating = _decimal(value, dashes, points, point, length)
                if not good or byte in (SMALL_E, LARGE_E):
                    good, this_rating, at = _any_decimal(buffer, field)
                    byte = buffer[at]
                rating[rows] = this_rating
            elif role == DATE and dates == 1:
                good, date[rows] = _iso_date(value, dashes, points, length)
            elif role == DATE:
                good, date[rows] = _epoch(value, dashes, points, length)
            if last:
                ended = byte == FEED or (byte == RETURN and buffer[at + ONE] == FEED)
            else:
                ended = byte == separator[0]
                for place in range(1, len(separator)):
                    ended = ended and buffer[at + np.uint64(place)] == separator[place]
            if not (good and ended):
                # A field that is none, or goes on like "3x", or a line ending too early or late.
                other_end = byte == separator[0] if last else byte in (FEED, RETURN)
                reason = COLUMNS if good and other_end else BAD_USER + role
                break
            at += width if not last else (ONE if byte == FEED else TWO)
        if reason == 0 and item_line == -2:
            reason = NO_ITEM
        elif reason == 0 and _off_scale(this_rating, minimum, maximum, step):
            reason = OFF_SCALE
        if reason == 0:
            rows += 1
        else:
            end = start
            while buffer[end] != FEED:
                end += ONE
            at = end + ONE
            if end > start and buffer[end - ONE] == RETURN:
                end -= ONE
            if end == start:
                reason = BLANK
            elif item_line != -1 and buffer[end - ONE] == COLON:
                named = NONE
                for place in range(start, end - ONE):
                    digit = np.uint64(buffer[place]) - ZERO
                    named = named * TEN + digit if digit <= NINE and named < MANY else MANY
                good = named < MANY and end - start > ONE
                item_line = np.int64(named) if good else -2
                reason = ITEM_LINE if good else BAD_ITEM
            bad[bads] = (lines, reason, np.int64(start), np.int64(end))
            bads += 1
        lines += 1
    return at, lines, rows, bads, item_line


def parse_block(block: Block, layout: Layout, scale: Scale, item_line: int = -1) -> Rows:
    """Parse the lines of one block; line numbers count from 0 at the block's first line.

    Raises
    ------
    RuntimeError
        If the kernel reads no further line, which would go on for ever.
    """
    buffer = block.buffer
    columns = np.array(layout.columns, np.int64)
    separator = np.frombuffer(layout.separator.encode(), np.uint8)
    # An unwanted column may be empty; memory that is not written to is not taken.
    wanted = sum(role != SKIP for role in layout.columns)
    shortest = wanted + len(separator) * (len(columns) - 1) + 1
    most = len(buffer) // shortest + 1
    user, item, date = (np.empty(most, np.int64) for _ in range(3))
    rating = np.empty(most, np.float32)
    bad_lines = np.empty((4096, 4), np.int64)
    bad: list[tuple[int, int, bytes]] = []
    at = lines = rows = new_lines = 0
    while at < len(buffer):
        if at and not new_lines:
            raise RuntimeError(f"the parser stands still at byte {at} of a block of lines")
        at, new_lines, new_rows, bads, item_line = _parse(
            buffer,
            at,
            columns,
            separator,
            DATE_KINDS[layout.dates],
            item_line,
            (float(scale.minimum), float(scale.maximum), float(scale.step)),
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


def long_line(name: str) -> ValueError:
    """The error about a line that is too long for any row."""
    return ValueError(
        f"{name} has a line of more than {LONGEST_LINE:,} bytes, so it is no table of ratings;"
        " check that `folder` or `urls` in the config name the right file"
    )


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
                raise long_line(name)
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
