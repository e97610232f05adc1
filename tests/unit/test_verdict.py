"""Sentences by rule: each case of a contrast, and the orders of k."""

import pandas as pd
import pytest

from cfmf import verdict
from cfmf.statistics import contrasts
from cfmf.statistics.results import Check, adjust
from tests.settings import BLOCK

WOBBLE = [-0.002, 0.001, 0.0, -0.001, 0.002]


def of_difference(mean, wobble=1.0, **other):
    block = BLOCK | other
    b = pd.Series([0.95, 0.94, 0.93, 0.96, 0.95], name="b")
    a = (b + mean + wobble * pd.Series(WOBBLE)).rename("a")
    tests = adjust(contrasts.paired_contrast(a, b, 0.25, block), 0.05)
    return verdict.of_contrast(tests, "a", "b", 0.05)


@pytest.mark.parametrize(
    ("mean", "wobble", "keys"),
    [
        (-0.03, 1, ["lower"]),
        (0.03, 1, ["higher"]),
        (-0.005, 0.3, ["lower", "small"]),
        (0.0, 1, ["equivalent"]),
        (0.003, 10, ["undecided"]),
    ],
)
def test_rule(mean, wobble, keys):
    found = of_difference(mean, wobble)
    assert [sentence["key"] for sentence in found] == keys


def test_interval_is_told_as_a_size():
    numbers = of_difference(-0.03)[0]["numbers"]
    assert 0 < numbers["low"] < numbers["size"] < numbers["high"]


@pytest.mark.parametrize("mean", [-0.005, 0.005])
def test_interval_over_zero_keeps_its_sign(mean):
    """At p < .05 an interval of 99 % may reach over zero: that end is no size."""
    (found, *_) = of_difference(mean, 1.2, ci_level=0.99)
    numbers = found["numbers"]
    assert found["key"] == ("lower" if mean < 0 else "higher")
    assert numbers["low"] < 0 < numbers["size"] < numbers["high"]
    assert numbers["low"] + numbers["high"] == pytest.approx(2 * numbers["size"])


def test_reversed_order_is_counted_in_pairs():
    corrected = {"1": 0.95, "4": 0.93, "16": 0.92, "64": 0.91}
    found = verdict.of_orders(["4", "1", "16", "64"], corrected, "mf")
    assert found[0]["numbers"]["order"] == ["64", "16", "4", "1"]
    assert found[1]["numbers"] == {"method": "mf", "pairs": 5, "all_pairs": 6}
    same = verdict.of_orders(["64", "16", "4", "1"], corrected, "mf")
    assert same[1]["key"] == "order_same"


@pytest.mark.parametrize(
    ("folds", "seeds", "keys"),
    [
        (1, 3, ["one_fold"]),
        (5, 3, ["few_runs"]),
        (10, 2, ["few_runs"]),
        (10, 3, []),
        (5, None, ["few_folds"]),
        (10, None, []),
    ],
)
def test_too_few_folds_or_seeds_are_told(folds, seeds, keys):
    assert [one["key"] for one in verdict.of_design(folds, seeds, [])] == keys


def test_violations_are_counted():
    (told,) = verdict.of_design(10, 3, [Check("c", violation=v) for v in (True, False, None)])
    assert told["numbers"] == {"violations": 1, "checks": 2}


def test_unknown_contrast_says_why():
    rows = adjust(
        contrasts.paired_contrast(*(pd.Series([0.9], name=n) for n in "ab"), 1.0, BLOCK), 0.05
    )
    (sentence,) = verdict.of_contrast(rows, "a", "b", 0.05)
    assert sentence["key"] == "no_test"
    assert sentence["numbers"]["why"] == "needs_two_folds"


def test_edges_are_told_by_what_ended_the_search():
    edges = ["k=highest-limit;reg=lowest-budget", "", "k=highest-limit", "reg=lowest"]
    chosen = pd.DataFrame({"method": "mf", "edge": edges})
    found = {said["key"]: said["numbers"] for said in verdict.of_edges(chosen)}
    assert {key: (said["folds"], said["where"]) for key, said in found.items()} == {
        "edge": (1, [["reg", "lowest"]]),
        "edge_budget": (1, [["reg", "lowest-budget"]]),
        "edge_limit": (2, [["k", "highest-limit"]]),
    }
    assert all(said["all_folds"] == 4 for said in found.values())
    assert not verdict.of_edges(chosen.assign(edge=""))
