"""Sentences by rule: each case of a contrast, and the orders of k."""

import itertools

import numpy as np
import pandas as pd
import pytest

from cfmf import verdict
from cfmf.statistics import contrasts, names
from cfmf.statistics.families import adjust
from cfmf.statistics.results import Check
from tests.settings import BLOCK

WOBBLE = [-0.002, 0.001, 0.0, -0.001, 0.002]


def of_difference(mean, wobble=1.0, **other):
    block = BLOCK | other
    b = pd.Series([0.95, 0.94, 0.93, 0.96, 0.95], name="b")
    a = (b + mean + wobble * pd.Series(WOBBLE)).rename("a")
    tests = adjust(contrasts.paired_contrast(a, b, 0.25, block), block["alpha"])
    (found,) = verdict.of_contrast(tests, "a", "b", block["alpha"])
    return found


@pytest.mark.parametrize(
    ("mean", "wobble", "key"),
    [
        (-0.03, 1, "better"),
        (0.03, 1, "better"),
        (-0.005, 0.3, "better_small"),
        (0.0, 1, "equivalent"),
        (-0.009, 1, "undecided_size"),
        (0.003, 10, "undecided"),
    ],
)
def test_one_of_four_verdicts_and_an_interval_that_carries_it(mean, wobble, key):
    found = of_difference(mean, wobble)
    numbers = found["numbers"]
    assert found["key"] == key
    assert (numbers["first"], numbers["second"]) == (("b", "a") if mean > 0 else ("a", "b"))
    assert numbers["population"] == names.NEW_RATINGS
    low, high, margin = (numbers[name] for name in ("low", "high", "margin"))
    assert low < numbers["inner_low"] <= numbers["size"] <= numbers["inner_high"] < high
    assert numbers["size"] == pytest.approx(abs(mean))
    assert (low > margin) == (key == "better")
    within = -margin < numbers["inner_low"] and numbers["inner_high"] < margin
    assert within == (key in ("better_small", "equivalent"))
    assert (low > 0) == (key in ("better", "better_small", "undecided_size"))
    assert (numbers["p"] < 0.05) == (low > 0)


def test_only_pairs_whose_interval_leaves_out_zero_speak_for_an_order():
    block, rng = BLOCK, np.random.default_rng(2)
    means = {"1": 0.95, "4": 0.93, "16": 0.9301, "64": 0.91}
    table = pd.DataFrame({k: mean + rng.normal(0, 0.0005, 10) for k, mean in means.items()})
    pairs = list(itertools.combinations(table, 2))
    family = [
        one
        for a, b in pairs
        for one in contrasts.paired_contrast(table[a], table[b], 1 / 9, block, len(pairs))
    ]
    (found,) = verdict.of_order(["1", "4", "16", "64"], family, "mf")
    counts = {"pairs": 6, "confirmed": 0, "contradicted": 5, "open": 1}
    assert found["numbers"] == {"method": "mf", **counts}
    (found,) = verdict.of_order(["64", "4"], family, "mf")
    assert (found["numbers"]["confirmed"], found["numbers"]["pairs"]) == (1, 1)
    assert verdict.of_order([], family, "mf") == []
    (said,) = verdict.of_pairs_of_k(family, "mf")
    assert sum(said["numbers"][name] for name in names.VERDICTS) == said["numbers"]["pairs"] == 6


@pytest.mark.parametrize(
    ("folds", "seeds", "keys"),
    [
        (1, 3, ["one_fold"]),
        (5, 3, ["quick_study"]),
        (10, 2, ["quick_study"]),
        (10, 3, []),
        (5, None, ["quick_study_folds"]),
        (10, None, []),
    ],
)
def test_a_quick_study_says_once_what_it_can_show(folds, seeds, keys):
    assert [one["key"] for one in verdict.of_design(folds, seeds)] == keys


def test_violations_are_counted():
    (told,) = verdict.of_checks([Check("c", violation=v) for v in (True, False, None)])
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
