"""Dates of ratings as microseconds since 1970: numbers of a unit, ISO 8601, or strptime formats."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, localcontext
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NO_DATE = np.iinfo(np.int64).min
LONGEST_DATE = 64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND

# Microseconds of a unit: a multiple, or a fraction of one.
UNITS = {"epoch": (1_000_000, 1), "epoch-ms": (1000, 1), "epoch-us": (1, 1), "epoch-ns": (1, 1000)}
# The unit in which a number of this size or above is a date between 1973 and 5138.
SIZES = ((1e17, "epoch-ns"), (1e14, "epoch-us"), (1e11, "epoch-ms"), (1e8, "epoch"))
WHOLE = "^-?(?:[0-9]{1,18}|[1-8][0-9]{18})$"
PLAIN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?)?$"
NUMBER = re.compile(rb"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
ISO = re.compile(
    rb"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?"  # ASCII digits
)
DAY_FIRST = re.compile(rb"\d{1,2}([./-])\d{1,2}\1(\d{4}).*", re.DOTALL)


def converted(texts: Any, form: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Microseconds since 1970 of dates, 0 where a text is none, and which texts are dates.

    Digits beyond the microsecond are cut off, which keeps the order. A date without an offset is
    in UTC.

    Parameters
    ----------
    texts
        Binary array of pyarrow; nulls are no dates.
    form
        A key of `UNITS`, "iso" or a format of `strptime`.
    """
    if form == "iso":
        moments, known = _plain(texts)
        return (moments, known) if known.all() else _one_by_one(texts, _iso, moments, known)
    nothing = np.zeros(len(texts), np.int64)
    if form not in UNITS:
        return _one_by_one(texts, partial(_formatted, form), nothing, nothing.astype(bool))
    multiple, fraction = UNITS[form]
    good = pc.fill_null(pc.match_substring_regex(texts, WHOLE), False)
    if not pc.all(good).as_py():
        texts = pc.replace_substring_regex(texts, r"\.0+$", "")
        good = pc.fill_null(pc.match_substring_regex(texts, WHOLE), False)
    numbers = pc.if_else(good, texts, pa.scalar(b"0")).cast(pa.int64()).to_numpy()
    good = good.to_numpy(zero_copy_only=False)
    within = (numbers >= FIRST * fraction // multiple) & (numbers <= LAST * fraction // multiple)
    numbers = np.where(within, numbers, 0) * multiple // fraction
    if good.all():
        return numbers, within
    return _one_by_one(texts, partial(_number, form), numbers, good & within)


def check_format(form: str) -> None:
    """Raise ValueError if a value of `table.dates` does not fix at least the year of a date."""
    if form in UNITS or form == "iso":
        return
    example = datetime(2004, 2, 29, 13, 45, 59, tzinfo=UTC)
    try:
        fixed = datetime.strptime(example.strftime(form), form).year == example.year
    except ValueError:
        fixed = False
    if not fixed or "%Z" in form:
        raise ValueError(
            f"{form!r} under `table.dates` is not a format of dates: it should be one of"
            f" {', '.join(UNITS)}, iso, or a format of Python's strptime with a year, such as"
            " %d.%m.%Y %H:%M:%S (%z for an offset; %Z, the name of a time zone, cannot be read)"
        )


def likely(text: bytes) -> str:
    """The value of `table.dates` that reads a text, in words; empty if none is likely."""
    if NUMBER.fullmatch(text) and len(text) <= LONGEST_DATE:
        size = abs(float(text))
        return next((f"`{unit}`" for least, unit in SIZES if size >= least), "")
    if ISO.fullmatch(text):
        return "`iso`"
    if match := DAY_FIRST.fullmatch(text[:LONGEST_DATE]):
        mark = match[1].decode()
        return f"a format such as `%d{mark}%m{mark}%Y` or `%m{mark}%d{mark}%Y`"
    return ""


def likely_unit(latest: int, form: str) -> str:
    """The likely unit if the latest date shows that the declared one is too small; else empty.

    Parameters
    ----------
    latest
        The latest date of all, in microseconds since 1970.
    form
        The declared value of `table.dates`.
    """
    if form not in UNITS or latest >= 366 * 86_400_000_000:
        return ""
    multiple, fraction = UNITS[form]
    unit = likely(str(latest * fraction // multiple).encode())
    return "" if unit == f"`{form}`" else unit


def _plain(texts: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """`converted` of dates without an offset, all at once; of none if one does not exist."""
    good = pc.fill_null(pc.match_substring_regex(texts, PLAIN), False)
    plain = pc.if_else(good, texts, pa.scalar(b"1970-01-01")).cast(pa.string())
    try:
        moments = plain.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), bool)
    return moments, good.to_numpy(zero_copy_only=False) & (moments >= FIRST)


def _one_by_one(
    texts: Any,
    convert: Callable[[bytes], int],
    known: NDArray[np.int64],
    good: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """`converted`, where those that are `good` are `known`."""
    values, good = np.where(good, known, 0), good.copy()
    others = np.flatnonzero(~good)
    for at, text in zip(others.tolist(), texts.take(pa.array(others)).to_pylist(), strict=True):
        if text is None or len(text) > LONGEST_DATE:
            continue
        try:
            value = convert(text)
        except ValueError:
            continue
        if FIRST <= value <= LAST:
            values[at], good[at] = value, True
    return values, good


def _number(form: str, text: bytes) -> int:
    """Microseconds of a number with a fraction or an exponent, without rounding of the number."""
    if not NUMBER.fullmatch(text):
        raise ValueError
    multiple, fraction = UNITS[form]
    with localcontext() as context:
        context.prec = 4 * LONGEST_DATE
        value = Decimal(text.decode()) * multiple / fraction
        if not FIRST <= value <= LAST:
            raise ValueError
        return int(value.to_integral_value(ROUND_FLOOR))


def _iso(text: bytes) -> int:
    if not ISO.fullmatch(text):
        raise ValueError
    return _microseconds(datetime.fromisoformat(text.decode()))


def _formatted(form: str, text: bytes) -> int:
    return _microseconds(datetime.strptime(text.decode(), form))


def _microseconds(moment: datetime) -> int:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND
