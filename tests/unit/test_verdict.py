"""Sentences by rule: each case of a contrast, and the orders of k."""

import string

import pandas as pd
import pytest

from cfmf import verdict
from cfmf.statistics import contrasts
from cfmf.statistics.rows import adjust
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
    assert all(
        sentence["text"].startswith(("a ", "The ", "That ", "Whether ")) for sentence in found
    )


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


def test_probability_is_never_certainty():
    assert verdict.percent(0.999999) == "over 99%"
    assert verdict.percent(0.0) == "under 1%"
    assert verdict.percent(0.42) == "42%"


def test_reversed_order_is_counted_in_pairs():
    corrected = pd.Series({"1": 0.95, "4": 0.93, "16": 0.92, "64": 0.91})
    found = verdict.of_orders(["4", "1", "16", "64"], corrected, "mf")
    assert found[0]["numbers"]["order"] == "64 < 16 < 4 < 1"
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


def test_departures_are_counted():
    (told,) = verdict.of_design(10, 3, [True, False, False])
    assert told["numbers"] == {"failed": 1, "checks": 3}


def test_every_text_is_made_of_what_its_sentence_holds():
    """A translation can rely on the names: no template has one that is not a plain word."""
    for key, text in verdict.ENGLISH.items():
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name]
        assert all(name.isidentifier() for name in names), key


def test_unknown_contrast_says_why():
    rows = adjust(
        contrasts.paired_contrast(*(pd.Series([0.9], name=n) for n in "ab"), 1.0, BLOCK), 0.05
    )
    (sentence,) = verdict.of_contrast(rows, "a", "b", 0.05)
    assert sentence["key"] == "no_test"
    assert "needs two folds" in sentence["text"]
