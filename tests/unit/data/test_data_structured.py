"""Parquet and JSON lines give what the same ratings give as delimited text, or a refusal."""

import datetime
import gzip
import io
import json
import struct
from contextlib import suppress

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfmf.data.formats import read
from cfmf.data.sources import retrieve
from tests.unit.data.hostile import answer, answering

ROWS = [
    ("ann", "Heat", 4.5, 1387670400),
    ("bob", "Été", 2.0, 1387670401),
    ("ann", "Up", 5.0, 1387670402),
    ("cid", "Heat", 0.5, 1387670399),
]
COLUMNS = ("who", "what", "stars", "when")
TABLE = {
    "ids": "text",
    "columns": {"user": "who", "item": "what", "rating": "stars", "date": "when"},
}
SCALE = {"minimum": 0.5, "step": 0.5}


def parquet(columns, **options):
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


def json_lines(rows=ROWS):
    return "".join(
        json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in rows
    ).encode()


def columns_of(rows=ROWS):
    return dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))


@pytest.fixture
def mine(tmp_path, dataset):
    """Reads a file of ratings, and perhaps one of titles, by name."""

    def read_mine(audit=(), table=TABLE, **files):
        names = {name: name.replace("_", ".") for name in files}
        for name, content in files.items():
            (tmp_path / names[name]).write_bytes(content)
        table = table | {"ratings": names[next(iter(files))]}
        return read(tmp_path, dataset(source="table", table=table, scale=SCALE, audit=dict(audit)))

    return read_mine


def text(rows=ROWS, names=COLUMNS):
    lines = [",".join(map(str, row)) for row in (names, *rows)]
    return ("\n".join(lines) + "\n").encode()


def same(found, wanted):
    for name in ("ratings", "users", "items"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(wanted, name))


TIMES = pa.array([row[3] for row in ROWS], pa.int64())
FORMS = {
    "integers and doubles": columns_of(),
    "float32 ratings": columns_of() | {"stars": pa.array([4.5, 2, 5, 0.5], pa.float32())},
    "decimals": columns_of() | {"stars": pa.array([4.5, 2, 5, 0.5]).cast(pa.decimal128(3, 2))},
    "texts throughout": {name: list(map(str, one)) for name, one in columns_of().items()},
    "dictionaries": columns_of() | {"who": pa.array(columns_of()["who"]).dictionary_encode()},
    "large texts": columns_of() | {"what": pa.array(columns_of()["what"], pa.large_string())},
    "times in seconds": columns_of() | {"when": TIMES.cast(pa.timestamp("s"))},
    "times in nanoseconds": columns_of()
    | {"when": TIMES.cast(pa.timestamp("s")).cast(pa.timestamp("ns"))},
    "times of a zone": columns_of() | {"when": TIMES.cast(pa.timestamp("ms", "Asia/Tokyo"))},
    "further columns": columns_of() | {"notes": [[1, 2], [], None, [3]]},
    "another order": dict(reversed(columns_of().items())),
}
FORMS["times of a zone"]["when"] = pa.array(
    [one * 1000 for one in columns_of()["when"]], pa.timestamp("ms", "Asia/Tokyo")
)


@pytest.mark.parametrize("name", FORMS)
def test_parquet_reads_like_text(mine, name):
    same(mine(ratings_parquet=parquet(FORMS[name])), mine(ratings_csv=text()))


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "json"])
def test_json_lines_read_like_text(mine, ending):
    content = b"\xef\xbb\xbf" + json_lines() + b"\n"
    found = mine(**{f"ratings_{ending}": content})
    same(found, mine(ratings_csv=text()))
    facts = found.audit["files"][f"ratings.{ending}"]
    assert (facts["lines"], facts["blank_lines"], facts["rows_kept"]) == (5, 1, 4)


def test_whole_numbers_and_days(mine):
    table = {"columns": {**TABLE["columns"], "date": "when"}}
    days = [datetime.date(2024, 1, 1 + n) for n in range(3)]
    columns = {"who": [7, 2**40, 7], "what": [1.0, 2.0, 3.0], "stars": [1, 2, 3], "when": days}
    found = mine(table=table, ratings_parquet=parquet(columns))
    assert found.users["user_id"].tolist() == [7, 2**40]
    assert found.items["item_id"].tolist() == [1, 2, 3]
    assert found.ratings["date"].dt.date.tolist() == days


def test_fractions_of_seconds_are_kept(mine):
    moments = pd.to_datetime(["2024-01-01 00:00:00.000001", "2024-01-01 00:00:00.5"])
    columns = {"who": ["a", "b"], "what": ["x", "x"], "stars": [1.0, 2.0], "when": moments}
    found = mine(ratings_parquet=parquet(columns))
    assert found.ratings["date"].tolist() == list(moments)


def test_titles_in_both_forms(mine):
    rows = [("Heat", "Heat", 1995), ("Été", "Un été", None), ("Up", "Up!", 2009)]
    names = ("what", "title", "year")
    titles = {"item": "what", "title": "title", "year": "year"}
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    files = {
        "titles_parquet": parquet(pd.DataFrame(rows, columns=list(names)).to_dict("list")),
        "titles_jsonl": "".join(json.dumps(one) + "\n" for one in objects).encode(),
    }
    for name, content in files.items():
        table = TABLE | {"titles": titles | {"file": name.replace("_", ".")}}
        found = mine(table=table, ratings_csv=text(), **{name: content})
        known = found.items.set_index("item_id")
        assert known["title"].to_dict() == {"Heat": "Heat", "Été": "Un été", "Up": "Up!"}
        assert known["year"].fillna(0).to_dict() == {"Heat": 1995, "Été": 0, "Up": 2009}


GOOD = json_lines([("zoe", "Up", 3.0, 1387670403)]).decode().strip()
# A fifth line of a file of JSON lines, and the reason why it is refused.
LINES = {
    "no JSON": ("zoe,Up,3,1387670403", "the line is not a JSON object (Expecting value"),
    "half an object": (GOOD[:-9], "the line is not a JSON object"),
    "an array": ('["zoe", "Up", 3.0]', "the line is not a JSON object; each line"),
    "two objects in a line": (GOOD + GOOD, "the line is not a JSON object (Extra data"),
    "nested too deeply": ("[" * 50_000, "the line is not a JSON object"),
    "a key that is missing": (GOOD.replace("stars", "grade"), "no key 'stars' for the rating"),
    "a rating that is null": (GOOD.replace("3.0", "null"), "the rating is not a number"),
    "a rating that is true": (GOOD.replace("3.0", "true"), "the rating is neither a text nor"),
    "a rating in a list": (GOOD.replace("3.0", "[3.0]"), "the rating is neither a text nor"),
    "NaN": (GOOD.replace("3.0", "NaN"), "the rating is not a number"),
    "a huge rating": (GOOD.replace("3.0", "1e999"), "the rating is not on the scale"),
    "an empty user": (GOOD.replace("zoe", ""), "the user is empty"),
    "a line feed in an id": (GOOD.replace("zoe", "z\\noe"), "the user contains a control"),
    "a zero byte in an id": (GOOD.replace("zoe", "z\\u0000oe"), "the user contains a control"),
    "a tab in an id": (GOOD.replace("Up", "U\\tp"), "the item contains a control character"),
    "half a surrogate pair": (GOOD.replace("zoe", "\\ud800"), "not valid UTF-8"),
    "an id of 300 characters": (GOOD.replace("zoe", "z" * 300), "longer than 255 characters"),
}


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_of_json_is_refused_with_its_reason(mine, drop_all, name):
    line, reason = LINES[name]
    content = json_lines() + line.encode() + b"\n"
    with pytest.raises(ValueError, match=r"ratings\.jsonl line 5") as stopped:
        mine(ratings_jsonl=content)
    assert reason in str(stopped.value)
    found = mine(drop_all, ratings_jsonl=content)
    assert (len(found.ratings), found.audit["rows_refused"]) == (4, 1)
    assert reason in found.refused[0][1]
    assert found.refused[0][0][:2] == ("ratings.jsonl", 5)


def test_bytes_that_are_not_utf_8_are_refused_as_they_are(mine, drop_all):
    line = GOOD.encode().replace(b"zoe", b"z\xe9")
    found = mine(drop_all, ratings_jsonl=json_lines() + line + b"\n")
    assert [place for place, _ in found.refused] == [("ratings.jsonl", 5, line)]


def replaced(**values):
    """The columns with another last value each."""
    columns = columns_of()
    return {
        name: [*one[:-1], values[name]] if name in values else one for name, one in columns.items()
    }


# A last row of a Parquet file, and the reason why it is refused.
PARQUET_ROWS = {
    "a user that is missing": (replaced(who=None), "the user is empty"),
    "a rating that is missing": (replaced(stars=None), "the rating is not a number"),
    "a rating that is NaN": (replaced(stars=np.nan), "the rating is not a number"),
    "an infinite rating": (replaced(stars=np.inf), "the rating is not a number"),
    "a rating off the scale": (replaced(stars=7.0), "the rating is not on the scale"),
    "a line feed in an id": (replaced(who="b\no"), "the user has bytes that are not valid"),
    "a carriage return in an id": (replaced(who="b\ro"), "the user has bytes that are not valid"),
    "a zero byte in an id": (replaced(what="b\0o"), "the item has bytes that are not valid"),
    "the inner separator in an id": (replaced(what="b\x1fo"), "the item has bytes"),
    "a time that is missing": (replaced(when=None), "the date is not a valid date"),
}


@pytest.mark.parametrize("name", PARQUET_ROWS)
def test_a_bad_row_of_parquet_is_refused_with_its_reason(mine, drop_all, name):
    columns, reason = PARQUET_ROWS[name]
    content = parquet(columns)
    with pytest.raises(ValueError, match=r"ratings\.parquet line 4") as stopped:
        mine(ratings_parquet=content)
    assert reason in str(stopped.value)
    found = mine(drop_all, ratings_parquet=content)
    assert (len(found.ratings), found.audit["rows_refused"]) == (3, 1)


WHOLE = parquet(columns_of())
# Files that are wrong as a whole: name, bytes, `columns`, the message.
FILES = {
    "truncated Parquet": ("ratings.parquet", WHOLE[:-60], {}, "is damaged or not a Parquet file"),
    "text named .parquet": ("ratings.parquet", text(), {}, "is damaged or not a Parquet file"),
    "Parquet whose footer is noise": (
        "ratings.parquet",
        WHOLE[:-120] + bytes(112) + struct.pack("<I", 112) + b"PAR1",
        {},
        "is damaged or not a Parquet file",
    ),
    "a gzip file named .parquet": ("ratings.parquet", b"\x1f\x8b\x08" + WHOLE, {}, "a gzip file"),
    "Parquet named .csv": ("ratings.csv", WHOLE, {}, "is a Parquet file, but a file of text"),
    "no column of that name": (
        "ratings.parquet",
        WHOLE,
        {"rating": "grade"},
        "has no column 'grade' among its columns ['who', 'what', 'stars', 'when']",
    ),
    "no column of that number": ("ratings.parquet", WHOLE, {"rating": 9}, "has no column 9"),
    "a column of lists": (
        "ratings.parquet",
        parquet(columns_of() | {"stars": [[1.0]] * 4}),
        {},
        "the column 'stars' is of type list",
    ),
    "a column of yes and no": (
        "ratings.parquet",
        parquet(columns_of() | {"stars": [True] * 4}),
        {},
        "the column 'stars' is of type bool",
    ),
    "Parquet without rows": (
        "ratings.parquet",
        parquet(pa.table(columns_of()).slice(0, 0).to_pydict()),
        {},
        "ratings.parquet has no rating",
    ),
    "JSON lines by position": (
        "ratings.jsonl",
        json_lines(),
        {"rating": 2},
        "objects of JSON have names and no order",
    ),
    "one JSON array": (
        "ratings.json",
        json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in ROWS]).encode(),
        {},
        "each line must be one of its own",
    ),
    "a line of two mebibytes": (
        "ratings.jsonl",
        b'{"who": "' + bytes(2 << 20),
        {},
        "line of more than 1,048,576 bytes",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_refused(mine, name):
    file, content, columns, message = FILES[name]
    table = TABLE | {"columns": TABLE["columns"] | columns}
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared
        mine(table=table, **{file.replace(".", "_"): content})
    assert message in str(error.value)


def test_altered_parquet_is_read_or_refused(mine, drop_all):
    rng = np.random.default_rng(1)
    for at in rng.integers(len(WHOLE), size=60):
        made = bytearray(WHOLE)
        made[at] ^= 1 << rng.integers(8)
        with suppress(ValueError):
            mine(drop_all, ratings_parquet=bytes(made))


def test_any_texts_come_back_or_are_refused(mine, drop_all):
    """Whatever the ids, no row shifts: each is kept with its own ids or refused."""
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6, unique=True))
    def check(pairs):
        rows = [("ann", "Heat", 4.5, 0)] + [(*pair, 3.0, 0) for pair in pairs]
        bad = [
            not (who and what) or any(ord(one) < 32 or ord(one) == 127 for one in who + what)
            for who, what in pairs
        ]
        wanted = [pair for pair, wrong in zip(pairs, bad, strict=True) if not wrong]
        for name, content in (
            ("ratings_parquet", parquet(columns_of(rows))),
            ("ratings_jsonl", json_lines(rows)),
        ):
            found = mine(drop_all, **{name: content})
            users, items = found.users["user_id"], found.items["item_id"]
            got = [
                (users[user], items[item])
                for user, item in found.ratings[["user", "item"]].to_numpy()
            ]
            kept = [pair for pair in wanted if "\ufffd" not in "".join(pair)]
            assert [pair for pair in got if "\ufffd" not in "".join(pair)] == [
                ("ann", "Heat"),
                *kept,
            ]

    check()


def test_parquet_within_an_archive_from_a_server(dataset, tmp_path):
    with answering(lambda *_: [answer("200 OK", gzip.compress(json_lines()))]) as (port, _):
        urls = [{"url": f"http://127.0.0.1:{port}/ratings.jsonl.gz"}]
        table = TABLE | {"ratings": "ratings.jsonl.gz"}
        block = dataset(source="table", table=table, urls=urls, scale=SCALE)
        retrieve(block, tmp_path / "raw")
    assert len(read(tmp_path / "raw", block).ratings) == 4
