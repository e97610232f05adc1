"""The part of the ratings that a study uses: most active, most rated, and with enough ratings."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfmf.data.audit import choose_subset

EVERY = {"users": 0, "items": 0, "minimum_ratings": {"user": 0, "item": 0, "repeat": True}}


def subset(user=0, item=0, repeat=True, **numbers):
    return EVERY | numbers | {"minimum_ratings": {"user": user, "item": item, "repeat": repeat}}


def arrays(pairs):
    user, item = np.array(pairs, np.int32).reshape(-1, 2).T
    return np.ascontiguousarray(user), np.ascontiguousarray(item)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60),
    st.integers(0, 4),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
@settings(max_examples=200, deadline=None)
def test_a_core_is_what_pandas_leaves_after_any_number_of_filters(pairs, least, fewest, random):
    user, item = arrays(pairs)
    keep = np.array([random.random() < 0.9 for _ in pairs])
    chosen, left_out = choose_subset(user, item, keep, subset(least, fewest))
    table = pd.DataFrame({"user": user, "item": item})[keep]
    kept = table
    while True:
        enough = kept.groupby("user")["item"].transform("size") >= least
        kept = kept[enough]
        enough_items = kept.groupby("item")["user"].transform("size") >= fewest
        kept = kept[enough_items]
        if enough.all() and enough_items.all():
            break
    assert np.flatnonzero(chosen).tolist() == kept.index.tolist()
    assert left_out["ratings"] == len(table) - len(kept)
    assert left_out["users"] == table["user"].nunique() - kept["user"].nunique()
    assert left_out["items"] == table["item"].nunique() - kept["item"].nunique()


def test_without_repeating_both_sides_are_counted_once():
    # User 0 has 3 ratings, 1 and 2 have 2, 3 has one; item 0 has 4, items 1 and 2 have 2.
    user, item = arrays([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 2), (3, 0)])
    keep = np.ones(8, bool)
    chosen, left_out = choose_subset(user, item, keep, subset(2, 3, repeat=False))
    assert np.flatnonzero(chosen).tolist() == [0, 3, 5]
    assert left_out == {"ratings": 5, "users": 1, "items": 2, "rounds": 1}
    chosen, left_out = choose_subset(user, item, keep, subset(2, 3))
    assert not chosen.any()


def test_the_minimum_holds_among_the_most_active_and_most_rated():
    rng = np.random.default_rng(2)
    user, item = (rng.integers(0, size, 3000).astype(np.int32) for size in (200, 90))
    keep = np.ones(3000, bool)
    chosen, _ = choose_subset(user, item, keep, subset(8, 14, users=150, items=80))
    assert 0 < np.count_nonzero(chosen) < 3000
    for side, least in ((user, 8), (item, 14)):
        counts = np.bincount(side[chosen])
        assert counts[counts > 0].min() >= least


@pytest.mark.parametrize("block", [subset(), subset(1, 1)])
def test_nothing_is_left_out_unasked(block):
    user, item = arrays([(0, 0), (1, 1)])
    chosen, left_out = choose_subset(user, item, np.ones(2, bool), block)
    assert chosen.all()
    assert left_out == {"ratings": 0, "users": 0, "items": 0, "rounds": 0}
