"""Ratings of one's own are the same in whatever form they come; what cannot be read is refused."""

import numpy as np
import pandas as pd
import pytest

from cfmf.inputs import Layout, of_frame, read_pairs, read_ratings
from cfmf.workflow.config import completed

FRAME = pd.DataFrame(
    {
        "user": ["anna", "anna", "bob", "carl, jr.", "bob"],
        "item": [7, 12, 7, 12, 3],
        "rating": [4.0, 2.5, 1.0, 5.0, 3.0],
    }
)
WRITERS = {
    "ratings.csv": lambda frame, path: frame.to_csv(path, index=False),
    "ratings.tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "ratings.csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "no-heading.txt": lambda frame, path: frame.to_csv(path, index=False, header=False, sep=";"),
    "ratings.parquet": lambda frame, path: frame.to_parquet(path),
    "ratings.jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}


def dense(ratings):
    table = ratings.frame()
    return {(str(user), str(item)): rating for user, item, rating in table.to_numpy()}


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_of_a_table_is_the_same_ratings(name, tmp_path):
    WRITERS[name](FRAME, tmp_path / name)
    found = read_ratings(tmp_path / name)
    assert dense(found) == dense(of_frame(FRAME))
    assert found.scale == (1, 5)
    assert sorted(found.names.items) == [3, 7, 12]
    assert list(read_pairs(tmp_path / name)["user"].astype(str)) == list(FRAME["user"])


@pytest.mark.parametrize("rating", ["rating", "Score", "STARS"])
@pytest.mark.parametrize("item", ["movieId", "item_id", "isbn", "Book ID"])
def test_common_names_of_columns_are_understood(item, rating):
    renamed = FRAME.rename(columns={"item": item, "rating": rating})[[rating, item, "user"]]
    assert dense(of_frame(renamed)) == dense(of_frame(FRAME))


def test_columns_can_be_named():
    renamed = FRAME.set_axis(["a", "b", "c"], axis=1)
    with pytest.raises(ValueError, match="cannot be found; name them, as in user=reader"):
        of_frame(renamed)
    layout = Layout({"user": "a", "item": "b", "rating": "2"})
    assert dense(of_frame(renamed, layout)) == dense(of_frame(FRAME))


def test_titles_are_read_beside_the_ratings(tmp_path):
    FRAME.to_csv(tmp_path / "ratings.csv", index=False)
    titles = pd.DataFrame({"item": [3, 7], "title": ["Heat (1995)", "=1+1, and more"]})
    titles.to_csv(tmp_path / "titles.csv", index=False)
    found = read_ratings(tmp_path / "ratings.csv", Layout(titles=tmp_path / "titles.csv"))
    named = {item: found.names.title(at) for at, item in enumerate(found.names.items)}
    assert named == {3: "Heat (1995)", 7: "=1+1, and more", 12: "12"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "columns"),
        ("user,item,rating\n", "no rating that can be read"),
        ("user,item,rating\na,b,3\na,c,good\n", "a,c,good"),
        ("user,item,rating\na,b,3\na,c\n", "number of columns"),
        ("user,item,rating\na,b,3\na,b,4\na,c,1\n", "a,b,4"),
        ("user,item,rating\na,b,3\na,c,3\n", "all ratings are 3"),
        ("x,y\n1,2\n", "cannot be found"),
        ("user,item,rating\na,b,nan\na,c,1\n", "nan"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(content, why, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=why) as caught:
        read_ratings(path)
    assert "/tmp/tmp" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rating": np.nan}, "row 2 of the data frame: the rating is not a finite number"),
        ({"user": None}, "row 2 of the data frame: the user or the item is missing"),
        ({"user": "anna"}, "rates the same item by the same user again"),
    ],
)
def test_a_frame_that_cannot_be_used_is_refused_by_row(change, why):
    frame = FRAME.copy()
    for name, value in change.items():
        frame.loc[2, name] = value
    with pytest.raises(ValueError, match=why):
        of_frame(frame)


def test_a_missing_file_and_a_folder_of_something_else_are_reported(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        read_ratings(tmp_path / "nothing.csv")
    with pytest.raises(ValueError, match="files of MovieLens"):
        read_ratings(tmp_path)
    with pytest.raises(ValueError, match="outside the scale"):
        of_frame(FRAME, Layout(scale=(1, 4)))


def test_ratings_that_are_there_twice_can_be_left_out(tmp_path):
    (tmp_path / "r.csv").write_text("user,item,rating\na,b,3\na,b,4\na,c,1\nb,c,2\n")
    layout = Layout(duplicates="drop")
    for found in (
        read_ratings(tmp_path / "r.csv", layout),
        of_frame(pd.read_csv(tmp_path / "r.csv"), layout),
    ):
        assert dense(found) == {("a", "c"): 1, ("b", "c"): 2}


def test_the_description_of_a_table_has_every_key_of_the_config(monkeypatch, tmp_path):
    """What the schema adds to tables must be added here."""
    seen = {}
    FRAME.to_csv(tmp_path / "ratings.csv", index=False)
    original = __import__("cfmf.inputs", fromlist=["read"]).read

    def read(folder, block, threads):
        seen.update(block)
        return original(folder, block, threads)

    monkeypatch.setattr("cfmf.inputs.read", read)
    read_ratings(tmp_path / "ratings.csv")
    whole = completed({"source": "table"})
    assert set(seen["audit"]) == set(whole["audit"])
    assert set(whole["subset"]) == set(seen["subset"])
    assert set(whole["table"]) - set(seen["table"]) == {"attributes"}
