"""The ready configs of public data sets read files of the shape of each, up to the folds."""

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import yaml
from snakemake.utils import update_config

from cfmf.data.formats import parse
from cfmf.data.sources import retrieve
from cfmf.data.splits import split
from cfmf.imports import ROOT
from cfmf.workflow.config import check

USERS, ITEMS = 30, 20
PAIRS = [(user, item) for user in range(USERS) for item in range(ITEMS) if (user + item) % 3]
REAL = {"movietweetings": "movietweetings"}


def amazon():
    rows = [
        f"AG{user:026d},B00{item:07d},{1 + (user * item) % 5}.0,{1_452_647_382_123 + 1000 * item}"
        for user, item in PAIRS
    ]
    rows.append(f"AG{0:026d},B00{1:07d},5.0,1600000000000")  # the pair once more, later
    rows += [f"AG{99:026d},B00{item:07d},1.0,1452647382000" for item in range(3)]  # too few
    return {"Video_Games.csv": "\n".join(["user_id,parent_asin,rating,timestamp", *rows, ""])}


def book_crossing():
    rows = [
        f'"{276700 + user}";"{item:09d}X";"{1 + (user * item) % 10}"\r\n' for user, item in PAIRS
    ]
    rows.insert(7, '"276700";"000000019X";"0"\r\n')
    books = [
        f'"{item:09d}X";"Caf\xe9 \\"{item}\\"; a Novel";"X";"{1990 + item}"'
        for item in range(ITEMS)
    ]
    ratings = '"User-ID";"ISBN";"Book-Rating"\r\n' + "".join(rows)
    titles = "\r\n".join(['"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication"', *books, ""])
    return {
        "BX-Book-Ratings.csv": ratings.encode("iso-8859-1"),
        "BX-Books.csv": titles.encode("iso-8859-1"),
    }


def goodreads():
    rows = [f"{user},{item},1,{1 + (user * item) % 5},0" for user, item in PAIRS]
    rows += [f"{user},{item},0,0,0" for user in range(USERS) for item in range(ITEMS, ITEMS + 9)]
    return {
        "goodreads_interactions.csv": "\n".join(
            ["user_id,book_id,is_read,rating,is_reviewed", *rows, ""]
        )
    }


def movietweetings():
    ratings = [
        f"{user}::{item:07d}::{(user * item) % 11}::{1365029107 + item}" for user, item in PAIRS
    ]
    movies = [f"{item:07d}::L'ombre é {item} ({1915 + item})::Crime|Drama" for item in range(ITEMS)]
    return {"ratings.dat": "\n".join([*ratings, ""]), "movies.dat": "\n".join([*movies, ""])}


def jester():
    rows = [f"{user}\t\t{item}\t\t{((user * item) % 41 - 20) * 0.4975:.3f}" for user, item in PAIRS]
    return {"jester_ratings.dat": "\n".join([*rows, ""])}


def train_test():
    rows = [f"u{user},i{item},{1 + (user * item) % 5}" for user, item in PAIRS]
    return {
        name: "\n".join(["user,item,rating", *part, ""])
        for name, part in (("train.csv", rows[::2] + rows[1::4]), ("test.csv", rows[3::4]))
    }


def netflix_kaggle():
    lines = {1: [], 2: []}
    for item in range(1, ITEMS):
        lines[1 + item % 2].append(f"{item}:")
        lines[1 + item % 2] += [
            f"{1488844 + user},{1 + (user * item) % 5},2005-09-{1 + item:02d}"
            for user, other in PAIRS
            if other == item
        ]
    probe = []
    for item in range(1, ITEMS):
        users = [f"{1488844 + user}\n" for user, other in PAIRS[::7] if other == item]
        probe += [f"{item}:\n", *users]
    titles = "".join(
        f"{item},{1990 + item},Title, Part \xe9 {item}\n" for item in range(1, ITEMS + 5)
    )
    files = {f"combined_data_{n}.txt": "\n".join([*rows, ""]) for n, rows in lines.items()}
    return files | {"movie_titles.csv": titles.encode("iso-8859-1"), "probe.txt": "".join(probe)}


# Files of the shape, and the number of ratings that the study has of them.
SHAPES = {
    "amazon-reviews": (amazon, len(PAIRS)),
    "book-crossing": (book_crossing, len(PAIRS)),
    "goodreads": (goodreads, len(PAIRS)),
    "movietweetings": (movietweetings, len(PAIRS)),
    "jester": (jester, len(PAIRS)),
    "train-test": (train_test, len(PAIRS)),
    "netflix-kaggle": (netflix_kaggle, sum(item > 0 for _, item in PAIRS)),
}


def ready(name, folder):
    """The block of a ready config's data set, its files taken from a folder."""
    config = {}
    update_config(config, yaml.safe_load((ROOT / "config.yaml").read_text("utf-8")))
    update_config(config, yaml.safe_load((ROOT / f"config/{name}.yaml").read_text("utf-8")))
    check(config)
    assert config["published"]["enabled"] == name.startswith("netflix")
    block = config["datasets"][name]
    assert block["folder"].startswith("data/")
    # The hashes in `urls` are those of the real files.
    return block | {"folder": str(folder), "urls": []}


def studied(block, folder):
    """The tables, the audit and the folds."""
    retrieve(block, folder / "raw")
    audit = parse(folder / "raw", block, folder)
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("ratings", "items")}
    return tables, audit, split(tables["ratings"], block["split"])


@pytest.mark.parametrize("archived", [False, True], ids=["files", "archive"])
@pytest.mark.parametrize("name", SHAPES)
def test_files_of_the_shape_are_read(name, archived, tmp_path):
    shape, count = SHAPES[name]
    source = tmp_path / "mine"
    source.mkdir()
    files = {
        file: text if isinstance(text, bytes) else text.encode() for file, text in shape().items()
    }
    if archived:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for file, content in files.items():
                archive.writestr(f"inside/{file}", content)
        files = {"archive.zip": buffer.getvalue()}
    for file, content in files.items():
        (source / file).write_bytes(content)
    tables, audit, folds = studied(ready(name, source), tmp_path)
    ratings = tables["ratings"]
    assert len(ratings) == audit["ratings"] == count
    assert audit["rows_read"] == audit["rows_kept"] + audit["rows_refused"]
    tested = np.concatenate([fold.test for fold in folds.values()])
    assert len(np.unique(tested)) == len(tested)
    if name in ("book-crossing", "netflix-kaggle", "movietweetings"):
        assert tables["items"]["title"].str.contains("é").all()
        assert tables["items"]["year"].notna().all()
    if name == "amazon-reviews":
        assert ratings["date"].max() == pd.Timestamp("2020-09-13 12:26:40")
        assert audit["left_out"] == {"ratings": 3, "users": 1, "items": 0, "rounds": 2}
    if name == "book-crossing":
        assert tables["items"]["title"][0] == 'Café "0"; a Novel'
    if name == "jester":
        assert ratings["rating"].min() < -9
        assert len(ratings["rating"].unique()) > 30


def test_ready_tables_of_real_files(real_data, tmp_path):
    tables, audit, folds = studied(ready("movietweetings", real_data / "movietweetings"), tmp_path)
    assert (audit["rows_read"], audit["rows_kept"], audit["users"], audit["items"]) == (
        100_000, 100_000, 16_554, 10_506,
    )  # fmt: skip
    assert audit["files"]["movies.dat"]["rows_refused"] == 0
    assert tables["items"]["title"].notna().all()
    assert (tables["items"]["item_id"].str.len() == 7).all()
    assert sorted(folds) == ["f1", "f2", "f3", "f4", "f5"]
    assert json.loads((tmp_path / "audit.json").read_text())["served_by"] == "folder"
