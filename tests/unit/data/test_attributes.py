"""Attributes of users and items: read, refused where broken, and made columns of 0 and 1."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfmf.data import attributes
from cfmf.data.attributes import Column, encoded, read_side
from cfmf.data.catalogue import source_of
from cfmf.data.formats import read
from cfmf.data.matrices import day_matrix
from cfmf.files import sha256
from cfmf.workflow.config import completed

USERS = "1|24|M|technician|85711\n2|53|F|other|94043\n3|23|M|writer|32067\n"
FLAGS = "|".join("0" * 19)


def movielens(folder):
    folder.mkdir()
    (folder / "u.data").write_text("1\t1\t5\t881250949\n2\t1\t3\t881350949\n2\t2\t1\t881250949\n")
    (folder / "u.user").write_text(USERS)
    comedy = FLAGS[:10] + "1" + FLAGS[11:]
    items = f"1|Toy Story (1995)|01-Jan-1995||http|{comedy}\n2|Odd|||http|1{FLAGS[1:]}\n"
    (folder / "u.item").write_text(items, encoding="latin_1")
    return {"source": "movielens-100k", "folder": str(folder), "split": {"kind": "kfold"}}


def read_attributes(block, users=(1, 2), items=(1, 2), years=(1995, None)):
    """What `read_side` gives of a block of the config, whose files are in its folder."""
    block = completed(block)
    raw = Path(block["folder"])
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in raw.iterdir()
        if path.name != "manifest.json"
    }
    (raw / "manifest.json").write_text(json.dumps({"files": files}))
    ratings = pd.DataFrame({"user": [0, 1, 1], "item": [0, 0, 1]})
    ratings["date"] = pd.to_datetime(["1997-12-04", "1997-12-05", None])
    of_items = pd.DataFrame({"item_id": list(items), "year": pd.array(years, "Int32")})
    return read_side(raw, block, ratings, pd.DataFrame({"user_id": list(users)}), of_items)


def held(matrix, names):
    """The names of the columns that each row has."""
    return [[names[at] for at in np.flatnonzero(row)] for row in matrix.toarray()]


def test_movielens_100k_of_the_package(tmp_path):
    block = movielens(tmp_path / "given")
    folder = tmp_path / "given"
    (folder / "u.user").unlink()
    (folder / "u.item").unlink()
    (folder / "ml-100k.user").write_text(
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t24\tM\ttechnician\t85711\n"
    )
    (folder / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "1\tToy Story\t1995\tAnimation Children's Comedy\n"
    )
    side, *_ = read_attributes(block)
    assert held(side.users, side.user_names)[0] == ["age=24", "sex=M", "occupation=technician"]
    assert held(side.items, side.item_names)[0] == [
        "genre=Animation", "genre=Children's", "genre=Comedy", "year=1995",
    ]  # fmt: skip


def test_movielens_100k(tmp_path):
    side, facts, refused = read_attributes(movielens(tmp_path / "given"))
    assert held(side.users, side.user_names) == [
        ["age=24", "sex=M", "occupation=technician"],
        ["age=53", "sex=F", "occupation=other"],
    ]
    assert held(side.items, side.item_names) == [["genre=Comedy", "year=1995"], []]
    assert side.days.toarray().tolist() == [[1, 0], [2, 0]]
    assert facts["dated"] == 2
    assert facts["users"]["attributes"]["age"] == {"kind": "number", "columns": 2, "known": 2}
    assert facts["items"]["attributes"]["genre"]["known"] == 1
    assert refused == []


def test_movielens_1m(tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "ratings.dat").write_text("1::1::5::978300760\n")
    (folder / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    (folder / "movies.dat").write_text("1::Heat (1995)::Action|Crime\n2::B::(no genres listed)\n")
    side, *_ = read_attributes({"source": "movielens-1m", "folder": str(folder)})
    assert held(side.users, side.user_names) == [
        ["age=1", "sex=F", "occupation=10"],
        ["age=56", "sex=M", "occupation=16"],
    ]
    assert held(side.items, side.item_names) == [["genre=Action", "genre=Crime", "year=1995"], []]


def test_quoted_movies_csv(tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n1,"Heat, The (1995)",Action|Crime\n2,B,(no genres listed)\n'
    )
    side, facts, _ = read_attributes({"source": "movielens-latest-small", "folder": str(folder)})
    assert held(side.items, side.item_names) == [["genre=Action", "genre=Crime", "year=1995"], []]
    assert side.users is None
    assert facts["items"]["file"] == "movies.csv"


def test_netflix_has_the_years_of_its_titles(tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    side, facts, _ = read_attributes({"source": "netflix-prize", "folder": str(folder)})
    assert held(side.items, side.item_names) == [["year=1995"], []]
    assert "file" not in facts["items"]


@pytest.mark.parametrize(
    ("source", "name"),
    [("100k", "u.user"), ("100k", "ml-100k.user"), ("1m", "users.dat"), ("10m", "movies.dat")],
)
def test_files_of_attributes_are_retrieved_where_there_are_any(source, name):
    found = source_of({"source": f"movielens-{source}"})
    assert found.place(name) == name
    assert name not in found.lacks([]) or name == "movies.dat"


def test_a_folder_without_the_users_file_has_no_attributes_of_users(tmp_path):
    block = movielens(tmp_path / "given")
    (tmp_path / "given/u.user").unlink()
    side, facts, _ = read_attributes(block)
    assert side.users is None
    assert facts["users"] == {"rows": 2, "attributes": {}}


BROKEN = {
    "a user of four columns": ("2|53|F|other\n", "has 4 columns instead of 5"),
    "an age in letters": ("2|old|F|other|9\n", "the age is not a number"),
    "an infinite age": ("2|1e999|F|other|9\n", "the age is not a number"),
    "a user in letters": ("two|53|F|other|9\n", "the id is not a whole number"),
    "attributes of a user twice": ("1|53|F|other|9\n", "the id already has attributes"),
    "a zero byte in an occupation": ("2|53|F|ot\0her|9\n", "the occupation contains a zero byte"),
    "an occupation of 999 letters": (
        f"2|53|F|{'x' * 999}|9\n",
        "the occupation is longer than 255",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_row_stops_the_run_or_is_left_out(tmp_path, case):
    line, why = BROKEN[case]
    block = movielens(tmp_path / "given")
    (tmp_path / "given/u.user").write_text(USERS.splitlines(keepends=True)[0] + line)
    with pytest.raises(ValueError, match=rf"malformed: 1 .*u\.user line 2.*{why}"):
        read_attributes(block)
    block["audit"] = {"malformed": "drop"}
    side, facts, refused = read_attributes(block)
    assert held(side.users, side.user_names)[1] == []
    [((name, number, _), reason)] = refused
    assert (name, number) == ("u.user", 2)
    assert why in reason
    assert (facts["users"]["rows_kept"], facts["users"]["rows_refused"]) == (1, 1)


def declared(folder, name, text, **layout):
    folder.mkdir()
    (folder / "ratings.csv").write_text("user,item,rating\na,x,3\nb,x,4\nb,y,5\n")
    if isinstance(text, str):
        (folder / name).write_text(text, encoding="utf-8")
    else:
        pd.DataFrame(text).to_parquet(folder / name)
    columns = {"town": {}, "likes": {"kind": "categories", "separator": ";"}}
    columns["height"] = {"kind": "number", "column": "cm"}
    users = {"file": name, "id": "who", "columns": columns, **layout}
    return {
        "source": "table",
        "folder": str(folder),
        "table": {"ids": "text", "attributes": {"users": users}},
    }


FILES = {
    "users.csv": "cm,who,town,likes\n170,a,Linz,art;chess\n,b,Wien,chess; \n",
    "users.tsv": "who\ttown\tlikes\tcm\r\na\tLinz\tart;chess\t170\r\n\r\nb\tWien\tchess\tNULL\r\n",
    "users.jsonl": "".join(
        json.dumps(one) + "\n"
        for one in (
            {"who": "a", "town": "Linz", "likes": "art;chess", "cm": 170},
            {"who": "b", "town": "Wien", "likes": "chess"},
        )
    ),
    "users.parquet": {
        "who": ["a", "b"],
        "town": ["Linz", "Wien"],
        "likes": ["art;chess", "chess"],
        "cm": [170.0, None],
    },
}


@pytest.mark.parametrize("name", FILES)
def test_declared_columns_of_any_file(tmp_path, name):
    layout = {"separator": "\t"} if name.endswith("tsv") else {}
    block = declared(tmp_path / "given", name, FILES[name], **layout)
    side, facts, _ = read_attributes(block, users=("a", "b"), items=("x", "y"))
    assert held(side.users, side.user_names) == [
        ["town=Linz", "likes=art", "likes=chess", "height=170"],
        ["town=Wien", "likes=chess"],
    ]
    assert facts["users"]["file"] == name


def test_what_the_file_has_not_is_named(tmp_path):
    block = declared(tmp_path / "given", "users.csv", "who,town,likes\na,Linz,art\n")
    with pytest.raises(ValueError, match=r"the attribute height should be in column 'cm'"):
        read_attributes(block, users=("a", "b"))


def test_an_attribute_as_good_as_an_id_is_refused(monkeypatch):
    monkeypatch.setattr(attributes, "MOST_VALUES", 3)
    with pytest.raises(ValueError, match="the attribute town has 4 values; at most 3 are used"):
        encoded({Column("town", 0, "category"): list("abcd")}, 4)


numbers = st.lists(st.one_of(st.just(""), st.integers(-50, 50).map(str)), min_size=1, max_size=80)


@settings(max_examples=60, deadline=None)
@given(numbers)
def test_ranges_of_a_number_have_each_known_row_once_and_in_order(texts):
    found = encoded({Column("n", 0, "number"): texts}, len(texts))
    known = [text != "" for text in texts]
    if found.matrix is None:
        assert not any(known)
        return
    assert found.matrix.sum(axis=1).tolist() == known
    assert len(found.names) <= attributes.RANGES
    assert found.facts["n"] == {"kind": "number", "columns": len(found.names), "known": sum(known)}
    last = -np.inf
    for column in found.matrix.toarray().T:
        inside = [float(text) for text, one in zip(texts, column, strict=True) if one]
        assert last < min(inside)
        last = max(inside)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["", "NULL", "a", "b|a", "b", "c|", "|"]), min_size=1, max_size=20))
def test_categories_are_the_parts_of_the_text(texts):
    found = encoded({Column("n", 0, "categories"): texts}, len(texts))
    wanted = [sorted({one for one in text.split("|") if one} - {"NULL"}) for text in texts]
    rows = [[]] * len(texts) if found.matrix is None else held(found.matrix, found.names)
    assert [[name.removeprefix("n=") for name in row] for row in rows] == wanted


UNDATED = {
    "ratings.csv": b"user,item,rating,when\n1,1,3,2001-01-02\n1,2,4,\n2,1,5,2001-01-01\n",
    "ratings.jsonl": b'{"user": 1, "item": 1, "rating": 3, "when": "2001-01-02"}\n'
    b'{"user": 1, "item": 2, "rating": 4, "when": null}\n'
    b'{"user": 2, "item": 1, "rating": 5, "when": "2001-01-01"}\n',
    "ratings.parquet": {
        "user": [1, 1, 2],
        "item": [1, 2, 1],
        "rating": [3, 4, 5],
        "when": pd.to_datetime(["2001-01-02", None, "2001-01-01"]),
    },
}


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("name", UNDATED)
def test_a_rating_may_lack_its_date_where_the_config_says_so(tmp_path, dataset, name, quoted):
    content = UNDATED[name]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        pd.DataFrame(content).to_parquet(tmp_path / name)
    table = {"ratings": name, "columns": {"date": "when"}, "dates": "iso", "quoted": quoted}
    with pytest.raises(ValueError, match=r"malformed: 1 .*set `table\.undated` to true"):
        read(tmp_path, dataset(source="table", table=table))
    ratings = read(tmp_path, dataset(source="table", table={**table, "undated": True})).ratings
    assert ratings["date"].isna().tolist() == [False, True, False]
    days = day_matrix(ratings, 2, 2)
    assert days.toarray().tolist() == [[2, 0], [1, 0]]


def test_a_date_that_is_none_is_no_missing_one(tmp_path, dataset):
    (tmp_path / "ratings.csv").write_bytes(UNDATED["ratings.csv"].replace(b"4,\n", b"4,soon\n"))
    table = {"columns": {"date": "when"}, "dates": "iso", "undated": True}
    with pytest.raises(ValueError, match="the date is not a valid date"):
        read(tmp_path, dataset(source="table", table=table))
