"""Methods against the item mean: values, simultaneous intervals and merged levels."""

from itertools import chain

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats

from cfmf.evaluation import item_mean
from cfmf.evaluation.bootstrap import LevelSums

LEVELS = ["0", "1-9"]


def sums(n, squared):
    return LevelSums(n, squared, squared)


def test_means_of_items():
    train = sparse.csr_array(np.array([[1, 0, 2], [4, 0, 0]], "f4"))
    assert item_mean.item_means(train) == pytest.approx([2.5, 7 / 3, 2])


def made_up(rng, users, ahead=0.0):
    """Errors of a method and of the item mean, some users being harder to predict than others."""
    n = rng.integers(0, 9, (users, len(LEVELS))).astype(float)
    hard = rng.gamma(3, 1 / 3, (users, 1))
    first, second = (n * hard * rng.gamma(9, mean / 9, n.shape) for mean in (1 - ahead, 1))
    return sums(n, first), sums(n, second)


def test_difference_and_its_interval_are_those_of_resampling():
    method, mean = made_up(np.random.default_rng(1), 300, 0.2)
    rows = item_mean.over_item_mean(method, mean, LEVELS, 0.9)
    order = np.random.default_rng(2).integers(0, 300, (2000, 300))

    def values(chosen):
        n = method.n[chosen].sum(0)
        first, second = (np.sqrt(one.squared[chosen].sum(0) / n) for one in (method, mean))
        return first - second

    spread = np.std([values(chosen) for chosen in order], axis=0)
    assert rows["value"].to_numpy() == pytest.approx(values(np.arange(300)), rel=1e-12)
    half = (rows["ci_high"] - rows["value"]).to_numpy()
    users = rows["users"].to_numpy()
    assert half == pytest.approx(spread * stats.t.isf(0.05, users - 1), rel=0.1)
    assert rows["level"].tolist() == LEVELS
    assert (rows["n"] == method.n.sum(0)).all()


def test_nothing_differs_from_itself_and_one_user_shows_no_spread():
    method, _ = made_up(np.random.default_rng(1), 50)
    rows = item_mean.over_item_mean(method, method, LEVELS, 0.95)
    assert (rows[["value", "ci_low", "ci_high"]] == 0).all(axis=None)
    one = sums(np.array([[3.0, 0.0]]), np.array([[2.0, 0.0]]))
    rows = item_mean.over_item_mean(one, one, LEVELS, 0.95)
    assert rows["level"].tolist() == ["0"]
    assert rows["ci_low"].isna().all()


def test_simultaneous_intervals_hold_together():
    """Of eight methods that are as good as the item mean, at most about 5 % of studies lead."""
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(300):
        rows = []
        for number in range(8):
            method, mean = made_up(rng, 80)
            found = item_mean.over_item_mean(method, mean, LEVELS, 0.95)
            rows.append(found.assign(slice="s", method=str(number)))
        found = item_mean.simultaneous(pd.concat(rows, ignore_index=True))
        wrong += ((found["ci_low"] > 0) | (found["ci_high"] < 0)).any()
    assert wrong <= stats.binom.isf(1e-4, 300, 0.05)
    assert wrong > 0


def test_only_differences_are_widened():
    row = {"slice": "s", "users": 40, "value": 1.0, "ci_low": 0.5, "ci_high": 1.5, "ci_level": 0.95}
    rows = pd.DataFrame([row | {"metric": metric} for metric in ("rmse", item_mean.OVER) * 3])
    found = item_mean.simultaneous(rows)
    half = 0.5 * stats.t.isf(0.025 / 3, 39) / stats.t.isf(0.025, 39)
    assert found["ci_high"].to_numpy() == pytest.approx([1.5, 1 + half] * 3)
    assert found["ci_low"].to_numpy() == pytest.approx([0.5, 1 - half] * 3)


@given(st.lists(st.integers(0, 70), min_size=1, max_size=9))
def test_merged_levels_have_enough_users_and_all_ratings(counts):
    """Levels of disjoint users; those without any are in none."""
    n = np.zeros((sum(counts) + 1, len(counts)))
    n[np.arange(sum(counts)), np.repeat(np.arange(len(counts)), counts)] = 2
    errors = sums(n, 3 * n)
    places = item_mean.wide_enough(errors)
    assert [*chain.from_iterable(places)] == [place for place, count in enumerate(counts) if count]
    found = item_mean.merged(places, errors)
    users = np.count_nonzero(found.n, axis=0)
    assert found.n.sum() == n.sum()
    assert (users >= item_mean.LEAST_USERS).all() or len(users) <= 1
    assert users.tolist() == [sum(counts[place] for place in one) for one in places]
