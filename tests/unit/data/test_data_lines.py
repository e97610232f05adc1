"""The parser against Python's own int, float and datetime."""

import io
import re
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from cfmf.data.dates import NO_DATE
from cfmf.data.lines import (
    BLANK,
    COLUMNS,
    DATE,
    FIELDS,
    ITEM,
    ITEM_LINE,
    NO_ITEM,
    OFF_SCALE,
    RATING,
    USER,
    Layout,
    Scale,
    line_blocks,
    parse_blocks,
)


def parsed(text, layout, scale=None, size=1 << 16, threads=1):
    """Rows as tuples, and (line number, reason) of the lines that are none."""
    blocks = line_blocks(io.BytesIO(text).read, "test", size)
    rows, bad = [], []
    for block, one in parse_blocks(blocks, layout, scale or Scale(0, 5, 0), threads):
        rows += zip(
            one.user.tolist(),
            one.item.tolist(),
            one.rating.tolist(),
            one.date.tolist(),
            strict=True,
        )
        bad += [(block.place(row)[0], fault) for row, fault in one.rejected]
    return rows, bad


def microseconds(day):
    return (day - date(1970, 1, 1)).days * 86_400_000_000


@settings(deadline=None)
@given(st.dates(min_value=date(1, 1, 1)))
def test_dates_are_those_of_the_calendar(day):
    text = b"1 2 3 " + day.isoformat().encode() + b"\n"
    rows, bad = parsed(text, Layout(FIELDS, " ", "iso"))
    assert rows == [(1, 2, 3.0, microseconds(day))]
    assert not bad


@pytest.mark.parametrize(
    "text",
    "2005-02-29 1900-02-29 2005-04-31 2005-13-01 2005-00-10 2005-01-00 0000-01-01 2005-1-01"
    " 2005/01/01 05-01-01 2005-01-1x".split(),
)
def test_days_that_do_not_exist_are_refused(text):
    _, bad = parsed(b"1 2 3 " + text.encode() + b"\n", Layout(FIELDS, " ", "iso"))
    assert bad == [(1, DATE)]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**63 - 1),
            st.integers(0, 2**63 - 1),
            st.integers(0, 50),
            st.integers(-(10**9), 10**10),
        ),
        min_size=1,
    ),
    st.sampled_from(["\t", ",", "::", " ", ";;;"]),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.sampled_from([7, 64, 1 << 16]),
    st.sampled_from([1, 2]),
)
def test_valid_rows_come_back_unchanged(values, separator, end, last_end, size, threads):
    lines = [
        separator.join((str(user), str(item), str(tenths / 10), str(time))).encode()
        for user, item, tenths, time in values
    ]
    text = end.join(lines) + (end if last_end else b"")
    rows, bad = parsed(text, Layout(FIELDS, separator, "epoch"), size=size, threads=threads)
    assert not bad
    assert rows == [
        (user, item, float(np.float32(tenths / 10)), time * 1_000_000)
        for user, item, tenths, time in values
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", BLANK),
        (b"1,2,3", COLUMNS),
        (b"1,2,3,4,5", COLUMNS),
        (b"1;2;3;4", USER),
        (b",2,3,4", USER),
        (b"-1,2,3,4", USER),
        (b"1.0,2,3,4", USER),
        (b"9223372036854775808,2,3,4", USER),
        (b"99999999999999999999,2,3,4", USER),
        (b"1,x,3,4", ITEM),
        (b"1,18446744073709551617,3,4", ITEM),
        (b"1,2,three,4", RATING),
        (b"1,2,3.,4", RATING),
        (b"1,2,.5,4", RATING),
        (b"1,2,3e,4", RATING),
        (b"1,2,3e+,4", RATING),
        (b"1,2,e3,4", RATING),
        (b"1,2,3e0.5,4", RATING),
        (b"1,2,+3,4", RATING),
        (b"1,2,0x3,4", RATING),
        (b"1,2,3.000000000000000000x,4", RATING),
        (b"1,2,3e9999,4", OFF_SCALE),
        (b"1,2,nan,4", RATING),
        (b"1,2,,4", RATING),
        (b"1,2,--3,4", RATING),
        (b"1,2,3,", DATE),
        (b"1,2,3,2005-01-01", DATE),
        (b"1,2,3,978300760000000", DATE),
        (b"1,2,3,4 ", DATE),
        (b"1,2,6,4", OFF_SCALE),
        (b"1,2,-1,4", OFF_SCALE),
        (b"1,\x002,3,4", ITEM),
        (b"\xef\xbb\xbf1,2,3,4", USER),
        ("１,2,3,4".encode(), USER),
    ],
)
def test_each_fault_has_its_reason_and_the_rows_around_it_are_kept(line, reason):
    text = b"7,8,1,0\n" + line + b"\n8,7,2,1\n"
    rows, bad = parsed(text, Layout(FIELDS, ",", "epoch"))
    assert rows == [(7, 8, 1.0, 0), (8, 7, 2.0, 1_000_000)]
    assert bad == [(2, reason)]


def test_half_stars_are_only_on_a_scale_of_half_stars():
    text = b"1,2,3.5\n1,3,4\n1,4,4.25\n"
    layout = Layout(("user", "item", "rating"), ",")
    rows, bad = parsed(text, layout, Scale(0.5, 5, 0.5))
    assert rows == [(1, 2, 3.5, NO_DATE), (1, 3, 4.0, NO_DATE)]
    assert bad == [(3, OFF_SCALE)]
    assert parsed(text, layout, Scale(1, 5, 1))[1] == [(1, OFF_SCALE), (3, OFF_SCALE)]


def test_columns_that_are_not_needed_may_hold_anything():
    text = b"a b!,2,,1,5\n\xff,3,x,2,4\n"
    rows, bad = parsed(text, Layout(("", "item", "", "user", "rating"), ","))
    assert rows == [(1, 2, 5.0, NO_DATE), (2, 3, 4.0, NO_DATE)]
    assert not bad


def test_ratings_may_have_any_number_of_digits_and_an_exponent():
    written = [b"0.30000000000000004", b"1e-05", b"3e0", b"4." + b"0" * 400, b"0." + b"1" * 700]
    text = b"".join(b"1,2," + one + end for one in written for end in (b"\n", b"\r\n"))
    rows, bad = parsed(text, Layout(("user", "item", "rating"), ","))
    assert not bad
    assert [row[2] for row in rows[::2]] == [float(np.float32(float(one))) for one in written]
    assert rows[::2] == rows[1::2]
    assert parsed(
        b"1,2,3e0\n1,3,3.0000000000000000001\n", Layout(("user", "item", "rating"), ","), Scale()
    )[0] == [(1, 2, 3.0, NO_DATE), (1, 3, 3.0, NO_DATE)]


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("unwanted", [1, 8, 40])
def test_rows_are_short_where_unwanted_columns_are_empty(unwanted, separator):
    layout = Layout(("user", "item", "rating", *[""] * unwanted), separator)
    line = separator.join(["1", "2", "3", *[""] * unwanted]).encode()
    rows, bad = parsed((line + b"\n") * 1000, layout)
    assert rows == [(1, 2, 3.0, NO_DATE)] * 1000
    assert not bad


@pytest.mark.parametrize("size", [12, 1 << 16])
def test_bytes_that_pyarrow_treats_specially_do_not_shift_a_line(size):
    """A mark at the start of a block, a lone carriage return, and bytes that are not UTF-8."""
    good = b"1::2::3\n"
    odd = [
        b"\xef\xbb\xbf1::2::3\n",
        b"1::2::3\r1::2::3\n",
        b"1::\x8b\n",
        b"1::2::3\x1f\n",
        b"'\"'\n",
    ]
    rows, bad = parsed(b"".join(good + line for line in odd), Layout(FIELDS[:3], "::"), size=size)
    assert rows == [(1, 2, 3.0, NO_DATE)] * len(odd)
    assert [line for line, _ in bad] == [2, 4, 6, 8, 10]


def test_a_line_that_pyarrow_loses_stops_the_run(monkeypatch):
    read_csv = csv.read_csv
    monkeypatch.setattr("cfmf.data.lines.csv.read_csv", lambda *rest: read_csv(*rest).slice(1))
    with pytest.raises(RuntimeError, match="lines are lost: of 2 pyarrow reads 1 and 0"):
        parsed(b"1,2,3\n1,3,3\n", Layout(FIELDS[:3]))


@pytest.mark.parametrize("size", [3, 10, 1 << 16])
def test_lines_that_name_the_item_hold_until_the_next(size):
    text = b"5,1,2005-01-01\n8:\n1,3,2005-01-01\r\n2,4,2005-01-02\n\nx:\n3,5,2005-01-03\n9:\n"
    text += b"1,1,2005-01-01"
    layout = Layout(("user", "rating", "date"), ",", "iso", item_lines=True)
    rows, bad = parsed(text, layout, size=size)
    assert [row[:3] for row in rows] == [(1, 8, 3.0), (2, 8, 4.0), (1, 9, 1.0)]
    assert bad == [
        (1, NO_ITEM),
        (2, ITEM_LINE),
        (5, BLANK),
        (6, ITEM),
        (7, NO_ITEM),
        (8, ITEM_LINE),
    ]


def test_all_of_many_faults_are_found():
    text = b"x\n" * 10_000 + b"1,2,3,4\n"
    rows, bad = parsed(text, Layout(FIELDS, ",", "epoch"))
    assert len(rows) == 1
    assert [line for line, _ in bad] == list(range(1, 10_001))


def test_a_file_without_lines_is_refused_before_it_fills_the_memory():
    with pytest.raises(ValueError, match=r"test has a line of more than 1,048,576 bytes"):
        parsed(b"\0" * (3 << 20), Layout(FIELDS, ","))


def as_python_reads(user, item, rating, day):
    """The row by Python's own int, float and date, or None where one of them is none."""
    try:
        ids = [int(one) for one in (user, item) if re.fullmatch(rb"[0-9]{1,19}", one)]
        known = re.fullmatch(rb"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", rating)
        stars = float(rating) if known else None
        known = re.fullmatch(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}", day)
        moment = microseconds(date.fromisoformat(day.decode())) if known else None
    except ValueError:
        return None
    if len(ids) < 2 or max(ids) >= 2**63 or stars is None or moment is None:
        return None
    return (*ids, float(np.float32(stars)), moment)


FIELD = st.binary(max_size=12) | st.text("0123456789.-/:\x80\xff", max_size=12).map(
    lambda text: text.encode("latin-1")
)
NUMBER = st.integers(0, 10**19).map(lambda number: str(number).encode())
WRITTEN = st.sampled_from(
    [b"1", b"5", b"3.5", b"04", b"10", b"5.", b"-1", b"1e-05", b"3E0", b"2e+1"]
)
STARS = WRITTEN | st.floats(-(10**17), 10**17).map(lambda stars: repr(stars).encode())
DAY = st.dates(min_value=date(1, 1, 1)).map(lambda day: day.isoformat().encode())
ALMOST = st.tuples(DAY, st.integers(0, 9), st.sampled_from(b"0129-/:;\x00\x80\xff")).map(
    lambda one: one[0][: one[1]] + bytes([one[2]]) + one[0][one[1] + 1 :]
)


@settings(deadline=None, max_examples=400)
@given(
    st.lists(
        st.tuples(NUMBER | FIELD, NUMBER | FIELD, STARS | FIELD, DAY | ALMOST | FIELD), min_size=1
    ).filter(lambda rows: not any(set(b"\r\n ") & set(one) for row in rows for one in row)),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_any_bytes_are_a_row_where_python_reads_one(rows, end):
    text = b"".join(b" ".join(row) + end for row in rows) + b"1 2 3 2005-01-01\n" * 3
    found, bad = parsed(text, Layout(FIELDS, " ", "iso"), Scale(-(10**17), 10**17, 0))
    expected = [as_python_reads(*row) for row in rows]
    assert found[:-3] == [row for row in expected if row is not None]
    assert [line for line, _ in bad] == [n for n, row in enumerate(expected, 1) if row is None]
