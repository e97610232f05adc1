"""Dates against Python's own datetime and Decimal, and the unit that a message proposes."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from math import floor

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfmf.data.dates import (
    FIRST,
    LAST,
    UNITS,
    check_format,
    converted,
    likely,
    likely_unit,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1))


def read(text, form):
    """Microseconds since 1970 of one text, None if it is no date."""
    values, good = converted(pa.array([text.encode(), None], pa.binary()), form)
    assert not good[1]
    return int(values[0]) if good[0] else None


def microseconds(moment):
    return (moment - EPOCH) // timedelta(microseconds=1)


@settings(deadline=None)
@given(st.sampled_from(sorted(UNITS)), st.integers(-(10**19), 10**19), st.sampled_from(["", ".0"]))
def test_whole_numbers_are_read_in_their_unit(form, number, end):
    multiple, fraction = UNITS[form]
    exact = Fraction(number * multiple, fraction)
    expected = floor(exact) if FIRST <= exact <= LAST else None
    assert read(f"{number}{end}", form) == expected


@settings(deadline=None)
@given(
    st.sampled_from(sorted(UNITS)),
    st.decimals(-(10**18), 10**18, allow_nan=False, places=9) | st.floats(0, 2e18).map(Decimal),
    st.sampled_from(["f", "e", "E"]),
)
def test_fractions_are_cut_off_at_the_microsecond(form, number, style):
    text = format(number, f".12{style}")
    multiple, fraction = UNITS[form]
    exact = Fraction(text) * multiple / fraction
    expected = floor(exact) if FIRST <= exact <= LAST else None
    assert read(text, form) == expected


@settings(deadline=None)
@given(MOMENTS, st.sampled_from(["T", " "]), OFFSETS | st.none(), st.integers(0, 999))
def test_iso_8601_is_read_as_python_reads_it(moment, mark, offset, beyond):
    aware = moment.replace(tzinfo=offset or UTC)
    text = (aware if offset else moment).isoformat(mark)
    assert read(text, "iso") == microseconds(aware)
    if offset is None:
        assert read(text + "Z", "iso") == microseconds(aware)
        if moment.microsecond:
            assert read(f"{text}{beyond:03}", "iso") == microseconds(aware)


@settings(deadline=None)
@given(MOMENTS.filter(lambda moment: moment.year >= 1000), OFFSETS)
def test_formats_keep_the_offset_and_the_fraction(moment, offset):
    aware = moment.replace(tzinfo=offset)
    form = "%d/%m/%Y %H.%M.%S.%f %z"
    assert read(aware.strftime(form), form) == microseconds(aware)


@pytest.mark.parametrize(
    "text",
    [
        *"20230101 2023-W01-1 2023-001 2023-01-01T 2023-01-01T10 2023-01-01t10:00 2023-01-01T10:00z"
        " 2023-01-01T10:00:60 2023-01-01T24:01 2023-01-01T10:00:00.1234567890 2023-02-30T10:00"
        " 0001-01-01T00:00+01:00 9999-12-31T23:59:59-01:00 2023-01-01T10:00+2".split(),
        *[
            "",
            " 2023-01-01",
            "2023-01-01 ",
            "2023-01-01\n",
            "２０２３-01-01",
            "2023-01-01" + " " * 99,
        ],
    ],
)
def test_what_is_not_iso_8601_is_no_date(text):
    assert read(text, "iso") is None


@pytest.mark.parametrize(
    "text", ["", "1.", ".5", "1e", "0x5", "1_000", "+5", " 5", "5 ", "nan", "inf", "1" * 65, "٣"]
)
@pytest.mark.parametrize("form", UNITS)
def test_what_is_no_number_is_no_date(form, text):
    assert read(text, form) is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("1387670400", "`epoch`"),
        ("1387670400.0", "`epoch`"),
        ("1.3876704e+09", "`epoch`"),
        ("1387670400000", "`epoch-ms`"),
        ("1387670400000000", "`epoch-us`"),
        ("1387670400000000000", "`epoch-ns`"),
        ("2013-12-22", "`iso`"),
        ("2013-12-22T01:02:03.5+01:00", "`iso`"),
        ("22.12.2013 10:00", "a format such as `%d.%m.%Y` or `%m.%d.%Y`"),
        ("17", ""),
        ("yesterday", ""),
    ],
)
def test_the_likely_form_of_a_date_is_named(text, form):
    assert likely(text.encode()) == form


@pytest.mark.parametrize("form", ["epoch-ms", "epoch-us", "epoch-ns"])
def test_a_unit_that_is_too_small_is_noticed(form):
    seconds = 1_387_670_400
    for unit, (multiple, fraction) in UNITS.items():
        number = seconds * 1_000_000 * fraction // multiple
        latest = read(str(number), form)
        too_small = latest is not None and latest < seconds * 1_000_000
        if latest is not None:
            assert likely_unit(latest, form) == (f"`{unit}`" if too_small else "")


@pytest.mark.parametrize("form", ["", "date", "%d", "%H:%M", "%s", "%Q", "%Y %Z", "epoch-s", "%"])
def test_what_is_no_format_is_refused(form):
    with pytest.raises(ValueError, match=r"under `table\.dates` is not a format of dates"):
        check_format(form)


@pytest.mark.parametrize("form", ["%Y", "%d.%m.%y", "%Y-%m-%dT%H:%M:%S.%f%z", "%c", "%b %d, %Y"])
def test_formats_with_a_year_are_known(form):
    check_format(form)
