"""Ratings of a data frame, numbered; against pandas' own factorize, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from cfmf.data.frames import number_ratings
from cfmf.data.matrices import fold_matrices
from cfmf.data.splits import split

RULE = {"kind": "kfold", "folds": 3, "validation": 0.2, "seed": 1}


def frame(rows=60):
    pairs = np.random.default_rng(3).permutation(120)[:rows]
    return pd.DataFrame(
        {
            "who": [f"user {pair // 12}" for pair in pairs],
            "what": pairs % 12 * 7,
            "stars": np.tile([1.0, 2.5, 4.0], rows // 3),
        }
    )


def test_numbers_are_those_of_sorted_ids():
    table = frame()
    found = number_ratings(table, "who", "what", "stars")
    for name, column in (("user", "who"), ("item", "what")):
        codes, ids = pd.factorize(table[column], sort=True)
        assert list(found.ratings[name]) == list(codes)
        assert list(getattr(found, f"{name}s")) == list(ids)
    assert found.ratings["rating"].dtype == np.float32
    assert found.shape == (table["who"].nunique(), table["what"].nunique())


def test_every_rating_is_tested_once():
    found = number_ratings(frame(), "who", "what", "stars")
    tested = np.zeros(found.shape)
    for fold in split(found.ratings, RULE).values():
        parts = dict(fold_matrices(found.ratings, fold, *found.shape))
        whole = parts["train"] + parts["test"]
        assert whole.nnz == parts["train"].nnz + parts["test"].nnz == len(found.ratings)
        assert (parts["fit"] + parts["validation"] != parts["train"]).nnz == 0
        tested += (parts["test"] != 0).toarray()
    expected = np.zeros(found.shape)
    expected[found.ratings["user"], found.ratings["item"]] = 1
    np.testing.assert_array_equal(tested, expected)


def test_numbers_as_dates_are_seconds():
    when = pd.to_datetime(["2005-12-31 23:59:59"] * len(frame()))
    seconds = when.astype("datetime64[s]").astype("int64")
    for column in (when, seconds, when.astype(str)):
        table = frame().assign(when=column)
        found = number_ratings(table, "who", "what", "stars", "when").ratings["date"]
        assert set(found) == {pd.Timestamp("2005-12-31 23:59:59")}


def test_dates_with_an_offset_are_in_utc_and_fractions_are_kept():
    when = ["2005-12-31 23:59:59.25+02:00"] * len(frame())
    for column in (when, pd.to_datetime(when)):
        table = frame().assign(when=column)
        found = number_ratings(table, "who", "what", "stars", "when").ratings["date"]
        assert set(found) == {pd.Timestamp("2005-12-31 21:59:59.25")}


@pytest.mark.parametrize(
    ("dates", "reason"),
    [
        (1_672_531_200_000, r"is not a number of seconds since 1970; convert .* unit ms"),
        (1_672_531_200_000_000.0, r"is not a number of seconds since 1970"),
        ("1672531200", r"column 'when' is not one of dates"),
        ("yesterday or so", r"column 'when' is not one of dates"),
    ],
)
def test_dates_of_an_unknown_unit_or_form_are_refused(dates, reason):
    with pytest.raises(ValueError, match=reason):
        number_ratings(frame().assign(when=dates), "who", "what", "stars", "when")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.drop(columns="stars"), "no column stars"),
        (lambda t: t.assign(who=t["who"].where(t.index > 0)), "is missing"),
        (lambda t: t.assign(stars=np.inf), "finite"),
        (lambda t: pd.concat([t, t.head(2)]), "2 ratings are of a pair already rated above"),
    ],
)
def test_unusable_tables_are_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        number_ratings(change(frame()), "who", "what", "stars")
