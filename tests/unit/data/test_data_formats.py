"""Layouts, checks and policies, on small files that each show one thing, and on the real ones."""

import csv
import gzip
import json
import shutil
import tarfile
import tracemalloc
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfmf.data.audit import Checks
from cfmf.data.formats import parse, read
from cfmf.data.layouts import NETFLIX_TITLES
from cfmf.data.sources import retrieve
from cfmf.data.text import Dialect, records
from cfmf.data.titles import TitleLayout, read_titles
from cfmf.files import DamagedError


def reasons(parsed):
    return [(file, line, text) for (file, line, text), _ in parsed.refused]


def test_rows_users_and_items_of_the_study_s_layout(subset):
    parsed = subset()
    assert parsed.users["user_id"].tolist() == [3, 7, 9]
    assert parsed.items["item_id"].tolist() == [2, 5]
    assert parsed.items["title"].tolist() == ["Café, or So", "Nil"]
    assert parsed.items["year"].tolist() == [1999, pd.NA]
    ratings = parsed.ratings
    assert ratings["user"].tolist() == [1, 1, 2, 2, 0]
    assert ratings["item"].tolist() == [0, 1, 0, 1, 0]
    assert ratings["rating"].tolist() == [3, 4, 1, 5, 2]
    assert ratings["part"].tolist() == ["train"] * 3 + ["test"] * 2
    assert ratings["date"].dt.strftime("%Y-%m-%d").tolist()[:2] == ["2005-01-01", "2005-01-02"]
    assert {name: str(kind) for name, kind in ratings.dtypes.items()} == {
        "user": "int32",
        "item": "int32",
        "rating": "float32",
        "date": "datetime64[us]",
        "part": "category",
    }


def test_audit_has_the_figures_that_the_study_publishes(subset):
    audit = subset().audit
    assert (audit["rows_read"], audit["rows_kept"], audit["rows_refused"]) == (5, 5, 0)
    assert audit["overlap"] == {
        "users": {"train": 2, "test": 2, "intersection": 1, "union": 3},
        "items": {"train": 2, "test": 2, "intersection": 2, "union": 2},
    }
    files = audit["files"]
    assert files["netflix_train.txt"]["shape"] == [3, 4]
    assert files["users.txt"]["shape"] == [3, 1]
    assert files["movie_titles.txt"]["shape"] == [3, 3]
    assert files["netflix_train.txt"]["head"][0] == [7, 2, 3.0, "2005-01-01"]
    assert files["users.txt"]["head"] == [[7], [3], [9]]
    assert files["movie_titles.txt"]["head"][1] == [5, None, "Nil"]
    assert files["movie_titles.txt"]["missing_years"] == 1


def test_refused_rows_are_listed_with_their_line_and_bytes(subset, drop_all):
    train = (
        b"x\n\n" + subset.files["train"] + b"7 2 5 2005-03-01\n8 2 3 2005-01-01\n7 6 9 2005-01-01\n"
    )
    parsed = subset(train=train, audit=drop_all)
    name = "netflix_train.txt"
    assert reasons(parsed) == [
        (name, 1, b"x"),
        (name, 3, b"7 2 3 2005-01-01"),
        (name, 6, b"7 2 5 2005-03-01"),
        (name, 7, b"8 2 3 2005-01-01"),
        (name, 8, b"7 6 9 2005-01-01"),
    ]


def test_of_a_long_refused_row_the_beginning_is_kept(subset, drop_all):
    train = subset.files["train"] + b"x" * 100_000 + b"\n"
    assert reasons(subset(train=train, audit=drop_all)) == [("netflix_train.txt", 4, b"x" * 1000)]


def test_keep_last_keeps_the_latest_date_and_of_equal_ones_the_later_row(subset):
    train = b"7 2 1 2005-01-02\n7 2 2 2005-01-03\n7 2 3 2005-01-03\n7 2 4 2005-01-01\n"
    train += b"9 2 5 2005-01-01\n"
    parsed = subset(train=train, audit={"duplicates": "keep-last"})
    assert parsed.ratings["rating"].tolist()[:2] == [3, 5]
    assert [line for _, line, _ in reasons(parsed)] == [1, 2, 4]


def test_test_pairs_in_train_are_taken_out_of_train(subset):
    test = subset.files["test"] + b"7 5 1 2005-03-01\n"
    parsed = subset(test=test, audit={"test_in_train": "drop"})
    assert reasons(parsed) == [("netflix_train.txt", 2, b"7 5 4 2005-01-02")]
    assert parsed.ratings["rating"].tolist() == [3, 1, 5, 2, 1]


def test_users_and_items_only_in_test_are_counted_and_can_be_left_out(subset):
    parsed = subset()
    assert parsed.audit["checks"]["test_only"] == {
        "count": 1,
        "policy": "keep",
        "meaning": "test rating of a user or item that the train part does not have",
    }
    parsed = subset(audit={"test_only": "drop"})
    assert reasons(parsed) == [("netflix_test.txt", 2, b"3 2 2 2005-02-02")]
    assert parsed.users["user_id"].tolist() == [3, 7, 9]


def test_items_without_a_title_are_kept_by_default(subset):
    train = subset.files["train"] + b"7 8 3 2005-01-01\n"
    parsed = subset(train=train)
    assert parsed.audit["checks"]["unknown_item"]["count"] == 1
    assert parsed.items["title"].isna().tolist() == [False, False, True]
    assert len(subset(train=train, audit={"unknown_item": "drop"}).refused) == 1


def test_subset_takes_the_most_active_users_and_the_most_rated_items_by_count_then_id(subset):
    parsed = subset(subset={"users": 2, "items": 1})
    assert parsed.users["user_id"].tolist() == [7, 9]
    assert parsed.items["item_id"].tolist() == [2]
    assert parsed.ratings["rating"].tolist() == [3, 1]
    assert parsed.audit["rows_kept"] == 5
    assert parsed.audit["ratings"] == 2


def test_parse_writes_all_files_and_notices_a_changed_raw_file(tiny, dataset, tmp_path):
    block = dataset(source="synthetic")
    raw = tmp_path / "raw"
    shutil.copytree(tiny, raw)
    audit = parse(raw, block, tmp_path / "out")
    assert json.loads((tmp_path / "out/audit.json").read_text("utf-8")) == audit
    parsed = read(raw, block)
    ratings = pd.read_parquet(tmp_path / "out/ratings.parquet")
    pd.testing.assert_frame_equal(
        ratings.astype({"date": "datetime64[us]"}), parsed.ratings, check_categorical=False
    )
    for name in ("users", "items"):
        table = pd.read_parquet(tmp_path / f"out/{name}.parquet")
        pd.testing.assert_frame_equal(table, getattr(parsed, name), check_dtype=False)
    assert (tmp_path / "out/refused.tsv").read_text() == "file\tline\treason\tbytes\n"
    first = (tmp_path / "out/ratings.parquet").read_bytes()
    parse(raw, block, tmp_path / "out", threads=2)
    assert (tmp_path / "out/ratings.parquet").read_bytes() == first
    with open(raw / "users.txt", "ab") as file:
        file.write(b"1\r\n")
    with pytest.raises(
        DamagedError, match=r"users\.txt was changed since it was retrieved"
    ) as error:
        parse(raw, block, tmp_path / "out")
    assert error.value.path == raw
    (raw / "users.txt").unlink()
    with pytest.raises(DamagedError, match=r"users\.txt is missing"):
        parse(raw, block, tmp_path / "out")
    (raw / "manifest.json").write_text("[]")
    with pytest.raises(DamagedError, match=r"no readable manifest\.json"):
        parse(raw, block, tmp_path / "out")


IDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\ufeff\ufffd"), min_size=1, max_size=6
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.tuples(IDS, IDS),
        st.tuples(st.integers(2, 10), st.datetimes(min_value=datetime(1950, 1, 1))),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_text_table_written_by_pandas_is_read_back_unchanged(
    tmp_path, dataset, values, separator, encoding
):
    table = pd.DataFrame(
        [(*pair, half / 2, time) for pair, (half, time) in values.items()],
        columns=["who", "what", "stars", "when"],
    )
    when = [time.strftime("%d.%m.%Y %H:%M:%S.%f").rjust(26, "0") for time in table["when"]]
    table.assign(when=when, extra="a\tb").to_csv(
        tmp_path / "t.csv", sep=separator, encoding=encoding, index=False, quoting=csv.QUOTE_ALL
    )
    parsed = read(
        tmp_path,
        dataset(
            source="table",
            scale={"minimum": 1, "maximum": 5, "step": 0.5},
            table={
                "ratings": "t.csv",
                "separator": separator,
                "quoted": True,
                "ids": "text",
                "encoding": "" if encoding == "utf-16" else encoding,
                "columns": {"user": "who", "item": "what", "rating": "stars", "date": "when"},
                "dates": "%d.%m.%Y %H:%M:%S.%f",
            },
        ),
    )
    ratings = parsed.ratings
    assert parsed.users["user_id"].tolist() == sorted(set(table["who"]))
    assert parsed.users["user_id"].iloc[ratings["user"]].tolist() == table["who"].tolist()
    assert parsed.items["item_id"].iloc[ratings["item"]].tolist() == table["what"].tolist()
    assert ratings["rating"].tolist() == table["stars"].tolist()
    assert ratings["date"].tolist() == table["when"].tolist()


def read_table(tmp_path, dataset, content, scale=None, **table):
    (tmp_path / "ratings.csv").write_bytes(content)
    return read(tmp_path, dataset(source="table", scale=scale or {}, table=table))


def test_a_table_s_columns_are_found_by_name_or_position(tmp_path, dataset):
    content = b"when,item,who,rating\n5,1,2,3\n6,2,2,4\n"
    named = {"user": "who", "date": "when"}
    parsed = read_table(tmp_path, dataset, content, columns=named)
    numbered = read_table(
        tmp_path,
        dataset,
        content.split(b"\n", 1)[1],
        columns={"user": 2, "item": 1, "rating": 3, "date": 0},
        header=False,
    )
    assert parsed.ratings["date"].astype("int64").tolist() == [5_000_000, 6_000_000]
    assert parsed.ratings["rating"].tolist() == [3, 4]
    pd.testing.assert_frame_equal(parsed.ratings, numbered.ratings)


@pytest.mark.parametrize("separator", ["-", ".", "7", "::", "z", "§"])
def test_any_text_may_separate_columns(tmp_path, dataset, separator):
    lines = ["user", "item", "x", "rating"], ["1", "2", "a:b", "3"], ["3", "2", "", "5"]
    content = "\n".join(separator.join(line) for line in lines).encode()
    parsed = read_table(tmp_path, dataset, content, separator=separator)
    assert parsed.ratings["user"].tolist() == [0, 1]
    assert parsed.ratings["rating"].tolist() == [3, 5]


def test_rows_of_a_quoted_table_are_listed_by_the_number_of_their_line(tmp_path, dataset, drop_all):
    content = b'user,item,rating\n"a\nb",x,3\nc,"x",three\n"d"e,x,3\n'
    (tmp_path / "ratings.csv").write_bytes(content)
    block = dataset(source="table", table={"quoted": True, "ids": "text"}, audit=drop_all)
    parsed = read(tmp_path, block)
    assert parsed.users["user_id"].tolist() == ["a\nb"]
    assert reasons(parsed) == [("ratings.csv", 4, b'c,"x",three'), ("ratings.csv", 5, b'"d"e,x,3')]


def test_a_stray_quote_takes_no_row_with_it(tmp_path, dataset, drop_all):
    rows = [f"u{number},i,3" for number in range(30_000)]
    for stray, cause in (
        ('a,"x,3', "field larger than field limit"),
        ('a,"x,3\nb,"y",3', "',' expected after '\"'"),
    ):
        content = "\n".join(["user,item,rating", *rows[:3], stray, *rows[3:]])
        (tmp_path / "ratings.csv").write_text(content + "\n")
        block = dataset(source="table", table={"quoted": True, "ids": "text"}, audit=drop_all)
        with pytest.raises(ValueError, match=rf"ratings\.csv line 5: 'a,\"x,3.*{cause}"):
            read(tmp_path, block)
    (tmp_path / "ratings.csv").write_text("\n".join(["user,item,rating", *rows, 'a,"x,3']))
    parsed = read(tmp_path, block)
    assert reasons(parsed) == [("ratings.csv", 30_002, b'a,"x,3')]
    assert parsed.audit["rows_kept"] == 30_000


def test_a_stray_quote_among_titles_takes_no_title_with_it(tmp_path):
    (tmp_path / "t.csv").write_text('1,"Heat,1995\n2,Alien,1979\n3,"Up",2009\n')
    with pytest.raises(ValueError, match=r"t\.csv line 1: .* opens a quote"):
        read_titles(tmp_path / "t.csv", TitleLayout(Dialect(quoted=True), year=2))


def test_years_written_as_fractions_are_years_and_odd_ones_are_counted(tmp_path, dataset):
    (tmp_path / "ratings.csv").write_bytes(b"user,item,rating\n1,1,3\n1,2,3\n1,3,3\n1,4,3\n")
    titles = "item,title,year\n1,Heat,1995.0\n2,Up,\n3,Alien (1979),soon\n4,Big,1988.5\n"
    (tmp_path / "titles.csv").write_text(titles)
    titles_file = {"file": "titles.csv", "year": "year"}
    parsed = read(tmp_path, dataset(source="table", table={"titles": titles_file}))
    assert parsed.items["year"].tolist() == [1995, pd.NA, 1979, pd.NA]
    facts = parsed.audit["files"]["titles.csv"]
    assert (facts["missing_years"], facts["odd_years"], facts["rows_refused"]) == (2, 2, 0)


def test_every_line_of_a_file_is_accounted_for(tmp_path, dataset, drop_all):
    content = b'user,item,rating\n\n"a\nb",x,3\r\nc,x,three\n\n"d\n\ne",x,4'
    (tmp_path / "ratings.csv").write_bytes(content)
    block = dataset(source="table", table={"quoted": True, "ids": "text"}, audit=drop_all)
    facts = read(tmp_path, block).audit["files"]["ratings.csv"]
    assert {key: one for key, one in facts.items() if "rows" in key or "lines" in key} == {
        "rows_read": 3,
        "rows_kept": 2,
        "rows_refused": 1,
        "lines": 9,
        "header_lines": 1,
        "item_lines": 0,
        "blank_lines": 2,
        "continuation_lines": 3,
    }


@pytest.mark.parametrize("lost", ["lines", "rows_kept", "refused"])
def test_a_line_lost_in_reading_stops_the_run(tmp_path, dataset, drop_all, monkeypatch, lost):
    (tmp_path / "ratings.csv").write_bytes(b"user,item,rating\na,x,3\nb,x,3\nc,x,9\n")
    block = dataset(source="table", table={"ids": "text"}, audit=drop_all)
    if lost == "lines":
        block = dataset(source="table", table={"ids": "text", "quoted": True}, audit=drop_all)
        monkeypatch.setattr("cfmf.data.lines.records", lambda *rest: list(records(*rest))[:-1])
    elif lost == "rows_kept":
        apply = Checks.apply

        def forgetful(checks, check, rows, keep):
            apply(checks, check, rows, keep)
            keep[0] = False

        monkeypatch.setattr(Checks, "apply", forgetful)
    else:
        monkeypatch.setattr(Checks, "refuse", lambda *_: None)
    with pytest.raises(RuntimeError, match=r"ratings\.csv: lines were lost in reading"):
        read(tmp_path, block)


@pytest.mark.parametrize("quoted", [True, False])
def test_an_invalid_text_id_is_refused(tmp_path, dataset, drop_all, quoted):
    long = "x" * 256
    content = f"user,item,rating\n{long},y,3\n{long[1:]},y,3\na,{long},3\n,y,3\n"
    (tmp_path / "ratings.csv").write_text(content)
    table = {"quoted": quoted, "ids": "text"}
    parsed = read(tmp_path, dataset(source="table", table=table, audit=drop_all))
    assert parsed.users["user_id"].tolist() == [long[1:]]
    assert [reason for _, reason in parsed.refused] == [
        "the user is longer than 255 characters",
        "the item is longer than 255 characters",
        "the user is empty",
    ]


def test_ids_that_only_leading_zeros_tell_apart(tmp_path, dataset):
    content = b"user,item,rating\n1,003,3\n1,3,4\n01,4,5\n"
    with pytest.raises(ValueError, match=r"^duplicates: 2 .*leading zeros, so set `table\.ids`"):
        read_table(tmp_path, dataset, content)
    parsed = read_table(tmp_path, dataset, content, ids="text")
    assert parsed.users["user_id"].tolist() == ["01", "1"]
    assert parsed.items["item_id"].tolist() == ["003", "3", "4"]
    parsed = read_table(tmp_path, dataset, content.replace(b"1,3,4", b"2,3,4"))
    facts = parsed.audit["files"]["ratings.csv"]
    assert facts["leading_zeros"] == {"item": "003", "user": "01"}


def test_one_long_text_id_takes_no_memory_in_other_rows(tmp_path, dataset):
    rows = "".join(f"u{row % 300},i{row // 300},3\n" for row in range(60_000))
    peaks = []
    for longest in ("u", "u" * 255):
        tracemalloc.start()
        read_table(
            tmp_path, dataset, f"user,item,rating\n{longest},i,3\n{rows}".encode(), ids="text"
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_text_table_of_one_endless_line_is_refused(tmp_path, dataset):
    (tmp_path / "ratings.csv").write_bytes(b"user,item,rating\n" + b"x" * (3 << 20))
    with pytest.raises(ValueError, match=r"ratings\.csv has a line of more than 1,048,576 bytes"):
        read(tmp_path, dataset(source="table", table={"ids": "text"}))


@pytest.mark.parametrize(
    ("source", "ratings", "titles"),
    [
        (
            "movielens-10m",
            b"1::122::5::838985046\n1::185::4.5::838983525\n",
            "122::Amélie (Fabuleux destin, Le) (2001)::Comedy\n185::Old::\n",
        ),
        (
            "movielens-latest-small",
            b"userId,movieId,rating,timestamp\n1,122,5.0,838985046\n1,185,4.5,838983525\n",
            'movieId,title,genres\n122,"Amélie (Fabuleux destin, Le) (2001)",Comedy\n185,Old,\n',
        ),
    ],
)
def test_the_other_movielens_layouts(tmp_path, dataset, source, ratings, titles):
    suffix = "dat" if source == "movielens-10m" else "csv"
    (tmp_path / f"ratings.{suffix}").write_bytes(ratings)
    (tmp_path / f"movies.{suffix}").write_text(titles, "utf-8")
    parsed = read(tmp_path, dataset(source=source, scale={"minimum": 0.5, "step": 0.5}))
    assert parsed.ratings["rating"].tolist() == [5, 4.5]
    assert parsed.ratings["date"].astype("datetime64[s]").astype("int64").tolist() == [
        838985046,
        838983525,
    ]
    assert parsed.items["title"].tolist() == ["Amélie (Fabuleux destin, Le)", "Old"]
    assert parsed.items["year"].tolist() == [2001, pd.NA]


def test_a_header_that_is_not_the_layout_s_is_refused(tmp_path, dataset):
    (tmp_path / "ratings.csv").write_bytes(b"user,movie,rating,time\n1,2,3,4\n")
    with pytest.raises(ValueError, match="the first line is 'user,movie,rating,time' instead of"):
        read(tmp_path, dataset(source="movielens-25m"))


# --- the Netflix Prize in its three forms ---


MOVIES = {
    1: b"1:\n7,3,2005-01-01\n9,4,2005-01-02\n",
    2: b"2:\n9,5,2005-01-03\n3,1,2005-01-04\n",
}


@pytest.fixture
def prize(tmp_path):
    folder = tmp_path / "prize"
    folder.mkdir()
    (folder / "movie_titles.txt").write_bytes(b"1,2003,One\n2,2004,Two\n")
    (folder / "probe.txt").write_bytes(b"1:\n9\n2:\n3\n")
    return folder


def write_movies(folder, kind):
    if kind == "combined":
        (folder / "combined_data_1.txt").write_bytes(MOVIES[1])
        (folder / "combined_data_2.txt").write_bytes(MOVIES[2])
        return
    files = folder / "training_set"
    files.mkdir()
    for movie, content in MOVIES.items():
        (files / f"mv_{movie:07d}.txt").write_bytes(content)
    if kind == "tar":
        with tarfile.open(folder / "training_set.tar", "w") as file:
            file.add(files, "training_set")
        shutil.rmtree(files)


@pytest.mark.parametrize("kind", ["tar", "files", "combined"])
def test_probe_is_the_test_part_in_every_form_of_the_netflix_prize(prize, dataset, tmp_path, kind):
    write_movies(prize, kind)
    block = dataset(source="netflix-prize", folder=str(prize))
    retrieve(block, tmp_path / "raw")
    parsed = read(tmp_path / "raw", block)
    assert parsed.users["user_id"].tolist() == [3, 7, 9]
    assert parsed.ratings["user"].tolist() == [1, 2, 2, 0]
    assert parsed.ratings["item"].tolist() == [0, 0, 1, 1]
    assert parsed.ratings["rating"].tolist() == [3, 4, 5, 1]
    assert parsed.ratings["part"].tolist() == ["train", "test", "train", "test"]
    assert parsed.audit["rows_read"] == 4


@pytest.mark.parametrize("kind", ["tar", "files", "combined"])
def test_encoding_of_the_netflix_prize_is_detected(prize, dataset, kind, caplog, monkeypatch):
    caplog.set_level("INFO")
    plain = {movie: content.decode("ascii") for movie, content in MOVIES.items()}
    for encoding in ("utf-8-sig", "utf-16"):
        for movie, text in plain.items():
            monkeypatch.setitem(MOVIES, movie, text.encode(encoding))
        shutil.rmtree(prize / "training_set", ignore_errors=True)
        write_movies(prize, kind)
        if encoding == "utf-16":
            with pytest.raises(ValueError, match="is in utf-16, which is not supported"):
                read(prize, dataset(source="netflix-prize"))
            continue
        (prize / "probe.txt").write_bytes("1:\n9\n2:\n3\n".encode(encoding))
        parsed = read(prize, dataset(source="netflix-prize"))
        assert (parsed.ratings["part"] == "test").sum() == 2
        assert parsed.audit["rows_refused"] == 0
        kinds = parsed.audit["files"].values()
        assert {one["encoding"] for one in kinds if one["kind"] == "ratings"} == {"utf_8_sig"}
        assert "probe.txt: encoding utf_8_sig" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged or not a tar archive"),
        (gzip.compress(bytes(10240)), "it is a gzip file"),
        (b"<html>no</html>", "it is a web page"),
        (bytes(10240), r"has no file mv_\*\.txt"),
    ],
)
def test_a_training_set_that_is_no_archive_is_named(prize, dataset, content, message):
    (prize / "training_set.tar").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(prize, dataset(source="netflix-prize"))


def test_a_probe_without_pairs_is_an_error(prize, dataset):
    write_movies(prize, "combined")
    for content in (b"", b"\n"):
        (prize / "probe.txt").write_bytes(content)
        with pytest.raises(ValueError, match=r"probe\.txt has no pairs"):
            read(prize, dataset(source="netflix-prize"))


def test_a_subset_without_ratings_is_an_error(subset, drop_all):
    with pytest.raises(ValueError, match=r"no rating of .* is kept"):
        subset(drop_all, {"users": 1, "items": 0}, users=b"100\r\n101\r\n")


def test_users_may_be_in_any_encoding(subset):
    plain = subset()
    wide = subset(users=subset.files["users"].decode().encode("utf-16"))
    pd.testing.assert_frame_equal(wide.ratings, plain.ratings)
    assert plain.audit["files"]["users.txt"]["encoding"] == "utf_8"  # so is ASCII
    assert wide.audit["files"]["users.txt"]["encoding"] == "utf_16"


def test_probe_pairs_without_a_rating_stop_the_run_or_are_listed(prize, dataset, drop_all):
    write_movies(prize, "combined")
    (prize / "probe.txt").write_bytes(b"1:\n9\n3\n2:\n3\n")
    with pytest.raises(ValueError, match=r"^unmatched_probe: .*probe\.txt line 3: b'3'"):
        read(prize, dataset(source="netflix-prize"))
    parsed = read(prize, dataset(source="netflix-prize", audit=drop_all))
    assert reasons(parsed) == [("probe.txt", 3, b"3")]
    assert parsed.audit["rows_refused"] == 0


def test_probe_is_in_the_audit_and_a_pair_listed_twice_is_a_duplicate(prize, dataset, drop_all):
    write_movies(prize, "combined")
    (prize / "probe.txt").write_bytes(b"1:\n9\n9\n4\nx\n\n2:\n3\n")
    block = dataset(source="netflix-prize", audit=drop_all | {"malformed": "error"})
    with pytest.raises(ValueError, match=r"^malformed: .*probe\.txt line 5"):
        read(prize, block)
    block = dataset(source="netflix-prize", audit=drop_all | {"duplicates": "error"})
    with pytest.raises(ValueError, match=r"^duplicates: .*probe\.txt line 3: b'9', the pair is"):
        read(prize, block)
    parsed = read(prize, dataset(source="netflix-prize", audit=drop_all))
    assert parsed.audit["files"]["probe.txt"] == {
        "kind": "probe",
        "encoding": "utf_8",
        "shape": [5, 2],
        "rows_read": 5,
        "rows_kept": 2,
        "rows_refused": 3,
        "lines": 8,
        "header_lines": 0,
        "item_lines": 2,
        "blank_lines": 1,
        "continuation_lines": 0,
        "head": [[9, 1], [9, 1], [4, 1], [3, 2]],
    }
    counts = {name: one["count"] for name, one in parsed.audit["checks"].items()}
    assert (counts["duplicates"], counts["unmatched_probe"], counts["malformed"]) == (1, 1, 1)
    assert (parsed.ratings["part"] == "test").sum() == 2


# --- real files ---


def test_both_forms_of_movielens_100k_give_the_same_titles(real_data, dataset, tmp_path):
    """`ml-100k.item` as its package ships it: title and year apart, with its two oddities."""
    own = read(real_data / "ml-100k", dataset(source="movielens-100k"))
    assert (len(own.users), len(own.items), len(own.ratings)) == (943, 1682, 100_000)
    assert own.items.loc[0, ["title", "year"]].tolist() == ["Toy Story", 1995]
    assert own.items["year"].isna().sum() == 1
    lines = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    for row in (real_data / "ml-100k/u.item").read_text("latin-1").splitlines():
        item, title = row.split("|")[:2]
        body, _, rest = title.rpartition(" (")
        lines.append(f"{item}\t{body}\t{rest[:4].rstrip(')')}\tDrama")
    lines[267] = "267\tunkonwn\tunkonwn\tunknown"
    assert lines[1412].split("\t")[1:3] == [
        "Land Before Time III: The Time of the Great Giving (1995)",
        "V",
    ]
    shutil.copyfile(real_data / "ml-100k/u.data", tmp_path / "u.data")
    (tmp_path / "ml-100k.item").write_text("\n".join(lines) + "\n", "utf-8")
    other = read(tmp_path, dataset(source="movielens-100k"))
    pd.testing.assert_frame_equal(own.items, other.items)
    pd.testing.assert_frame_equal(own.ratings, other.ratings)


def test_real_netflix_titles(real_data):
    titles = read_titles(real_data / "netflix/movie_titles.txt", NETFLIX_TITLES)
    table = titles.table.set_index("item_id")
    assert (titles.lines["lines"], len(table), titles.bad) == (17_770, 17_770, [])
    missing = [4388, 4794, 7241, 10782, 15918, 16678, 17667]
    assert table.index[table["year"].isna()].tolist() == missing
    assert table["title"].str.contains(",").sum() == 336
    assert table.loc[6483, "title"] == "Smokey Joe's Café"
    assert table.loc[72, "title"] == "At Home Among Strangers, A Stranger Among His Own"


def test_real_netflix_files_agree_where_they_overlap(real_data, dataset, tmp_path):
    netflix = real_data / "netflix"
    named = {"user": "UserID", "item": "MovieID", "rating": "Rating", "date": "Date"}
    table = {"ratings": "netflix-user-ratings-10k.csv", "columns": named, "dates": "iso"}
    blocks = {
        "files": dataset(source="netflix-prize"),
        "combined": dataset(source="netflix-prize"),
        "excerpt": dataset(source="table", table=table),
    }
    tables = {}
    for kind, block in blocks.items():
        raw = tmp_path / kind
        raw.mkdir()
        shutil.copyfile(netflix / "movie_titles.txt", raw / "movie_titles.txt")
        if kind == "files":
            shutil.copytree(netflix / "training_set_1-10", raw / "training_set")
        elif kind == "combined":
            shutil.copyfile(netflix / "combined_data_1_movies1-20.txt", raw / "combined_data_1.txt")
        else:
            shutil.copyfile(netflix / table["ratings"], raw / table["ratings"])
        parsed = read(raw, block)
        tables[kind] = pd.DataFrame(
            {
                "item": parsed.items["item_id"].to_numpy()[parsed.ratings["item"]],
                "user": parsed.users["user_id"].to_numpy()[parsed.ratings["user"]],
                "rating": parsed.ratings["rating"],
                "date": parsed.ratings["date"],
            }
        )
    combined = tables["combined"]
    assert (len(combined), combined["user"].nunique()) == (42_813, 38_152)
    first_ten = combined[combined["item"] <= 10].reset_index(drop=True)
    pd.testing.assert_frame_equal(tables["files"], first_ten)
    both = tables["excerpt"].merge(combined, on=["item", "user"])
    assert (len(tables["excerpt"]), len(both)) == (10_000, 5)
    assert (both["rating_x"] == both["rating_y"]).all()
    assert (both["date_x"] == both["date_y"]).all()


def test_real_movielens_1m_ratings(real_data, dataset, tmp_path):
    folder = real_data / "ml-1m"
    block = dataset(
        source="table",
        folder=str(folder),
        table={"ratings": "ml-1m_user_movie_rating.csv.gz", "columns": {"item": "movie"}},
    )
    retrieve(block, tmp_path / "csv")
    parsed = read(tmp_path / "csv", block, threads=2)
    assert (parsed.audit["rows_read"], parsed.audit["rows_refused"]) == (1_000_209, 0)
    assert (len(parsed.users), len(parsed.items)) == (6040, 3706)
    dat = tmp_path / "dat"
    dat.mkdir()
    shutil.copyfile(folder / "movies.dat", dat / "movies.dat")
    with gzip.open(folder / "ratings.dat.first487650.gz") as file:
        (dat / "ratings.dat").write_bytes(file.read())
    first = read(dat, dataset(source="movielens-1m"))
    assert len(first.ratings) == 487_650
    head = parsed.ratings.iloc[:487_650]
    np.testing.assert_array_equal(head["rating"], first.ratings["rating"])
    np.testing.assert_array_equal(
        parsed.items["item_id"].to_numpy()[head["item"]],
        first.items["item_id"].to_numpy()[first.ratings["item"]],
    )
    assert first.items["title"].notna().all()
    assert first.items.loc[0, ["title", "year"]].tolist() == ["Toy Story", 1995]
