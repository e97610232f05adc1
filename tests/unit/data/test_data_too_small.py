"""Ratings that are too few or too alike to study are named at the audit or by the split.

The cases are in docs/bad-input.md too. That no library's own message comes first is checked on
every small table.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cfmf.data.formats import parse
from cfmf.data.sources import retrieve
from cfmf.data.splits import fewest_ratings, split

GRID = [(user, item, 1 + (user * item) % 5) for user in range(6) for item in range(5)]
DATES = "2001-02-03"
# Rows of user, item and rating, the changes of the data set's block, and the message.
SMALL = {
    "ratings that are all equal": (
        [(user, item, 4) for user, item, _ in GRID],
        {},
        "all 30 ratings are 4: every method predicts them without error",
    ),
    "one user": (
        [(0, item, 1 + item % 5) for item in range(40)],
        {},
        "all 40 ratings are by one user, but a study needs at least 2 users",
    ),
    "one item": (
        [(user, 0, 1 + user % 5) for user in range(40)],
        {},
        "all 40 ratings are of one item, but a study needs at least 2 items",
    ),
    "one rating": ([(1, 1, 5)], {}, "all 1 ratings are by one user"),
    "a subset of one user": (
        GRID,
        {"subset": {"users": 1}},
        "by one user, but a study needs at least 2 users",
    ),
    "a core that nothing is left of": (
        GRID,
        {"subset": {"minimum_ratings": {"user": 6}}},
        "is kept; see the policies under `audit` and the numbers under `subset`",
    ),
    "fewer ratings than folds": (
        [(0, 0, 1), (1, 1, 2), (2, 0, 3)],
        {"split": {"kind": "kfold", "folds": 5}},
        "5 folds of kfold with split.validation 0.1 need at least 5 ratings, and there are 3",
    ),
    "no rating left to fit": (
        [(0, 0, 1), (1, 1, 2), (2, 0, 3)],
        {"split": {"kind": "kfold", "folds": 2}},
        "need at least 4 ratings, and there are 3",
    ),
    "nothing left by a large validation part": (
        GRID,
        {"split": {"kind": "kfold", "folds": 2, "validation": 0.99}},
        "need at least 102 ratings, and there are 30",
    ),
    "users without a rating to hold out": (
        [(user, item, 1 + item) for user in range(9) for item in range(2)],
        {"split": {"kind": "leave-last", "leave": 1}},
        "a user needs at least 3 ratings to have some in every part, and the most active one has 2",
    ),
}


def studied(rows, dataset, folder, **changes):
    """The audit and the folds of a table."""
    source = folder / "mine"
    source.mkdir()
    lines = [f"{user},{item},{rating},{DATES}\n" for user, item, rating in rows]
    (source / "ratings.csv").write_text("user,item,rating,date\n" + "".join(lines))
    table = {"columns": {"date": "date"}, "dates": "iso"}
    block = dataset(source="table", folder=str(source), table=table, **changes)
    retrieve(block, folder / "raw")
    audit = parse(folder / "raw", block, folder)
    return audit, split(pd.read_parquet(folder / "ratings.parquet"), block["split"])


@pytest.mark.parametrize("name", SMALL)
def test_ratings_too_few_or_too_alike_are_named_before_anything_trains(name, dataset, tmp_path):
    rows, changes, words = SMALL[name]
    with pytest.raises(ValueError, match=re.escape(words)):
        studied(rows, dataset, tmp_path, **changes)


def test_equal_ratings_are_kept_and_counted_where_asked(dataset, tmp_path):
    rows, _, _ = SMALL["ratings that are all equal"]
    audit, folds = studied(rows, dataset, tmp_path, audit={"constant": "keep"})
    assert audit["checks"]["constant"]["count"] == 30
    assert json.loads((tmp_path / "audit.json").read_text()) == audit
    assert len(folds) == 5


def test_what_is_left_out_is_in_the_audit(dataset, tmp_path):
    rows = [*GRID, (7, 0, 1), (7, 1, 2), (8, 0, 3)]
    minimum = {"minimum_ratings": {"user": 2, "item": 0}}
    audit, _ = studied(rows, dataset, tmp_path, subset=minimum)
    assert audit["left_out"] == {"ratings": 1, "users": 1, "items": 0, "rounds": 2}
    assert audit["ratings"] == audit["rows_kept"] - 1 == 32


# Shares that leave half a rating of a whole number of them are rounded up or down.
@given(st.integers(2, 12), st.floats(0.01, 0.97) | st.integers(2, 40).map(lambda n: 1 - 0.5 / n))
@settings(max_examples=200, deadline=None)
@example(2, 0.95)
def test_so_many_ratings_are_enough_and_one_fewer_are_not(folds, validation):
    rule = {"kind": "kfold", "folds": folds, "seed": 1, "validation": validation}
    least = fewest_ratings(rule)
    for count, enough in ((least, True), (least - 1, False)):
        rows = np.arange(count, dtype=np.int32)
        ratings = pd.DataFrame({"user": rows, "item": rows})
        if enough:
            assert len(split(ratings, rule)) == folds
        else:
            with pytest.raises(ValueError, match=f"at least {least:,} ratings"):
                split(ratings, rule)


RULES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["kfold", "kfold-per-user", "leave-last", "timeline"]),
        "folds": st.integers(2, 7),
        "validation": st.sampled_from([0.01, 0.1, 0.5, 0.9]),
        "leave": st.integers(1, 3),
        "test": st.sampled_from([0.05, 0.2, 0.9]),
        "seed": st.just(1),
    }
)
PAIRS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)),
    min_size=1, max_size=12, unique_by=lambda one: one[:2],
)  # fmt: skip


@given(PAIRS, RULES)
@settings(max_examples=400, deadline=None)
@example([(0, 0, 0)], {"kind": "kfold", "folds": 2, "validation": 0.1, "seed": 1})
def test_a_few_ratings_are_divided_or_refused_in_words(rows, rule):
    user, item, day = np.array(rows).T
    ratings = pd.DataFrame({"user": user.astype(np.int32), "item": item.astype(np.int32)})
    ratings["date"] = (day * 86_400).astype("datetime64[s]")
    try:
        folds = split(ratings, rule)
    except ValueError as error:
        assert re.search("(is|an) empty.*([Ss]et|lower) ", str(error))  # noqa: PT017
        return
    for fold in folds.values():
        assert all(len(part) for part in (fold.fit, fold.validation, fold.test))


@pytest.mark.parametrize("quoted", [False, True])
def test_numbers_that_mean_no_rating_are_left_out_and_counted(dataset, tmp_path, quoted):
    rows = [*GRID, (0, 7, 0), (8, 1, 99), (9, 2, 0)]
    source = tmp_path / "mine"
    source.mkdir()
    lines = "".join(f"{user},{item},{rating}\n" for user, item, rating in rows)
    (source / "ratings.csv").write_text("user,item,rating\n" + lines + "5,9,7\n")
    block = dataset(
        source="table",
        folder=str(source),
        table={"unrated": [0, 99], "quoted": quoted},
        audit={"off_scale": "drop"},
    )
    retrieve(block, tmp_path / "raw")
    audit = parse(tmp_path / "raw", block, tmp_path)
    facts = audit["files"]["ratings.csv"]
    assert (facts["unrated_lines"], facts["rows_kept"], facts["rows_refused"]) == (3, 30, 1)
    assert (audit["users"], audit["items"]) == (6, 5)
    refused = pd.read_csv(tmp_path / "refused.tsv", sep="\t")
    assert refused[["line", "reason"]].to_numpy().tolist() == [
        [35, "the rating is not on the scale"]
    ]
