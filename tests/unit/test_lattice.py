"""The rule by which a search grows: on functions of known optimum, and on any numbers at all."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfmf import selection
from cfmf.lattice import Axis, axes, lattice, missing, open_ends
from cfmf.methods.base import Method, plain, setting, text_parts

K = lattice([4, 16], 4, (1, 256), whole=True)
REG = lattice([0.1, 0.2], 2, (0.0125, 1.6))
AXES = (Axis("k", K, (False, True)), Axis("reg", REG))
START = [f"k={k} reg={reg}" for k, reg in product((4, 16), (0.1, 0.2))]


def errors_of(function, texts, folds=("f1",)):
    """A `trials` table: an error of every setting on every fold; NaN where it is missing."""
    rows = [
        {"dataset": "d", "fold": fold, "method": "made", "trial": number, "setting": text,
         "metric": "validation_rmse", "value": function(fold, text_parts(text))}
        for fold in folds
        for number, text in enumerate(texts)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    return table.assign(state=np.where(table["value"].isna(), "OUT_OF_TIME", "COMPLETE"))


def grown(function, along=AXES, start=START, limit=100, folds=("f1",)):
    """The texts tried, in order, and the `selection` table of the search at its end."""
    tried = list(start)
    while True:
        trials = errors_of(function, tried, folds)
        further = selection.further_trials(trials, along, limit)
        if not further:
            return tried, selection.choose_trial(trials, {"made": along})
        assert not set(further) & set(tried)
        tried += further


def bowl(k, reg):
    """An error that grows with the distance, in powers of two, from the optimum."""
    return lambda fold, parts: (
        0.9 + 0.01 * (abs(np.log2(float(parts["k"]) / k)) + abs(np.log2(float(parts["reg"]) / reg)))
    )


@pytest.mark.parametrize(
    ("listed", "step", "limits", "whole", "expected"),
    [
        ([4, 16], 4, (1, 64), True, [1, 4, 16, 64]),
        ([16], 4, (1, 100), True, [1, 4, 16, 64, 100]),
        ([1, 64], 4, (1, 64), True, [1, 4, 16, 64]),
        ([20, 80], 2, (5, 160), True, [5, 10, 20, 40, 80, 160]),
        ([3], 1.2, (1, 6), True, [1, 2, 3, 4, 5, 6]),
        ([0.15], 1.5, (0.05, 0.4), False, [0.05, 0.067, 0.1, 0.15, 0.22, 0.33, 0.4]),
        ([0, 10], 3, (1, 40), True, [0, 10, 30, 40]),
        ([0], 3, (1, 9), False, [0, 1, 3, 9]),
        ([500], 4, (1, 100), True, [2, 8, 31, 125, 500]),
        ([0.15, 0.16], 2, (0.1, 0.2), False, [0.1, 0.15, 0.16, 0.2]),
    ],
)
def test_lattice_holds_the_list_and_steps_up_to_the_limits(listed, step, limits, whole, expected):
    found = lattice(listed, step, limits, whole)
    assert set(listed) <= set(found)
    assert list(found) == [1.0, *expected] if listed == [500] else list(found) == expected


@given(
    st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5, unique=True),
    st.floats(1.2, 10),
    st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)).map(sorted),
    st.booleans(),
)
def test_lattice_is_finite_ordered_and_within_its_limits(listed, step, limits, whole):
    if whole:
        listed = sorted({max(round(value), 1) for value in listed})
        limits = [max(round(value), 1) for value in limits]
    found = lattice(listed, step, tuple(limits), whole)
    assert list(found) == sorted(set(found))
    added = set(found) - set(map(float, listed))
    low, high = min(*listed, limits[0]), max(*listed, limits[1])
    assert all(low <= value <= high for value in added)
    assert not whole or all(value == round(value) for value in added)
    assert found[0] <= max(limits[0], min(listed))
    assert found[-1] >= min(limits[1], max(listed))


@pytest.mark.parametrize(
    ("optimum", "expected", "edge"),
    [
        ((4, 0.1), "k=4 reg=0.1", ""),
        ((16, 0.2), "k=16 reg=0.2", ""),
        ((64, 0.2), "k=64 reg=0.2", ""),
        ((4, 0.8), "k=4 reg=0.8", ""),
        ((64, 0.025), "k=64 reg=0.025", ""),
        ((1, 0.1), "k=1 reg=0.1", ""),  # no fewer factors are possible
        ((1024, 0.1), "k=256 reg=0.1", "k=highest-limit"),
        ((16, 9), "k=16 reg=1.6", "reg=highest-limit"),
        ((1024, 1e-4), "k=256 reg=0.013", "k=highest-limit;reg=lowest-limit"),
    ],
)
def test_known_optimum_is_found(optimum, expected, edge):
    if "0.013" in expected:
        expected = f"k=256 reg={plain(REG[0])}"
    tried, chosen = grown(bowl(*optimum))
    assert chosen[["setting", "edge"]].to_numpy().tolist() == [[expected, edge]]
    assert len(tried) == len(set(tried))


def test_every_fold_gets_what_it_wants():
    optima = {"f1": (1, 0.1), "f2": (64, 0.2), "f3": (4, 0.8)}
    _, chosen = grown(lambda fold, parts: bowl(*optima[fold])(fold, parts), folds=list(optima))
    expected = [f"k={k} reg={reg}" for k, reg in optima.values()]
    assert chosen["setting"].tolist() == expected
    assert set(chosen["edge"]) == {""}


def test_ties_go_to_the_simpler_setting_and_end():
    _, chosen = grown(lambda fold, parts: 0.9)
    assert chosen["setting"].tolist() == ["k=1 reg=1.6"]
    assert chosen["edge"].tolist() == ["reg=highest-limit"]


@pytest.mark.parametrize("limit", [0, 4, 5, 6])
def test_budget_holds_and_what_it_leaves_open_is_told_from_a_limit(limit):
    tried, chosen = grown(bowl(1024, 9), limit=limit)
    assert len(tried) == max(limit, len(START))
    assert "budget" in chosen["edge"].iloc[0]
    assert "limit" not in chosen["edge"].iloc[0]


def test_what_most_folds_want_comes_first():
    chosen = ["k=16 reg=0.1", "k=4 reg=0.2", "k=4 reg=0.2"]
    assert missing(chosen, START, AXES, 1) == ["k=1 reg=0.2"]
    assert missing(chosen, START, AXES, 9) == ["k=1 reg=0.2", "k=4 reg=0.4", "k=16 reg=0.05"]
    assert missing(chosen, START, AXES, -1) == []


def test_larger_models_wait_for_the_other_neighbours():
    tried = [*START, "k=16 reg=0.05"]
    assert missing(["k=16 reg=0.1"], START, AXES, 9) == ["k=16 reg=0.05"]
    assert missing(["k=16 reg=0.1"], tried, AXES, 9) == ["k=64 reg=0.1"]
    # With a far penalty, the factors that are not needed are never trained on the way to it.
    way, chosen = grown(bowl(16, 1.6))
    assert chosen["setting"].tolist() == ["k=16 reg=1.6"]
    assert [one for one in way if one.startswith("k=64")] == ["k=64 reg=1.6"]


def test_missing_errors_are_passed_over_and_never_tried_again():
    def broken(fold, parts):
        return np.nan if float(parts["k"]) > 16 else bowl(1024, 0.1)(fold, parts)

    tried, chosen = grown(broken)
    assert chosen["setting"].tolist() == ["k=16 reg=0.1"]
    assert chosen["edge"].tolist() == [""]  # 64 was tried, and failed
    assert tried.count("k=64 reg=0.1") == 1
    trials = errors_of(lambda fold, parts: np.nan, START)
    assert selection.further_trials(trials, AXES, 100) == []


def test_words_have_no_neighbours():
    along = (Axis("neighbours", (10, 20, 40)),)
    start = [f"similarity={one} neighbours=20" for one in ("cosine", "pearson")]
    tried, _ = grown(lambda fold, parts: parts["similarity"] == "cosine", along, start)
    # 10 are as good as 20 and simpler; 40 are not beside them.
    assert tried == [*start, "similarity=pearson neighbours=10"]


@given(st.dictionaries(st.sampled_from(["f1", "f2", "f3"]), st.integers(0, 2**32), min_size=1),
       st.integers(0, 60), st.floats(0, 0.5))  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_any_search_ends_repeats_nothing_and_is_inside_or_flagged(seeds, limit, missing_share):
    values = {}
    for fold, seed in seeds.items():
        rng = np.random.default_rng(seed)
        for k, reg in product(K, REG):
            value = rng.random() if rng.random() >= missing_share else np.nan
            values[fold, f"k={plain(k)} reg={plain(reg)}"] = value
    for fold in seeds:  # one setting of the start always has an error
        values[fold, START[0]] = 1.0

    def function(fold, parts):
        return values[fold, f"k={parts['k']} reg={parts['reg']}"]

    tried, chosen = grown(function, limit=limit, folds=list(seeds))
    assert len(tried) == len(set(tried)) <= max(limit, len(START))
    for row in chosen.to_dict("records"):
        least = np.nanmin([values[row["fold"], text] for text in tried])
        assert row["validation_rmse"] == least
        assert row["edge"] == open_ends(row["setting"], tried, AXES)
        around = {one for axis in AXES for one in axis.around(row["setting"])}
        inside = around - {None} <= set(tried)
        assert inside or "budget" in row["edge"]
        assert "budget" not in row["edge"] or len(tried) >= limit


class Made(Method):
    """A method with an axis, a fixed grid, and words."""

    name = "made"
    label = "made"
    family = "baseline"

    k: int = setting(4, "Size.", grid=[4], step=4, search=(1, 64), ge=1)
    power: float = setting(1.0, "A power.", grid=[0.5, 1], step=2, search=(0.25, 2), le=1)
    weight: float = setting(1.0, "A weight.", grid=[4], step=4, search=(1, 16), ge=0)
    fixed: float = setting(1.0, "Fixed.", grid=[1, 2, 3])
    kind: str = setting("a", "A word.", grid=["a", "b"])


def test_axes_of_a_method_start_from_what_the_config_lists():
    k, power, weight = axes(Made, {"k": [2, 8], "fixed": [1, 2]})
    assert (k.name, k.values, k.possible) == ("k", (1, 2, 8, 32, 64), (False, True))
    # What a field forbids is no limit of the search, but impossible.
    assert (power.name, power.values, power.possible) == ("power", (0.25, 0.5, 1), (True, False))
    assert (weight.values, weight.possible) == ((0, 1, 4, 16), (False, True))


def test_found_settings_are_made_from_their_texts():
    text = "k=64 power=0.25 weight=4 fixed=2 kind=b"
    found = Made.named({"k": [4]}, text)
    assert (found.k, found.power, found.fixed, found.kind) == (64, 0.25, 2.0, "b")
    for wrong in ("k=64", text.replace("64", "6.5"), text.replace("64", "064")):
        with pytest.raises(ValueError, match="made"):
            Made.named({}, wrong)


@pytest.mark.parametrize(
    "given_",
    [{"step": 2}, {"step": 1.1, "grid": [1], "search": (1, 2)}, {"step": 2, "grid": [1]},
     {"step": 2, "grid": [1], "search": (0, 2)}, {"step": 2, "grid": [1], "search": (3, 2)}],
)  # fmt: skip
def test_a_step_that_leads_nowhere_is_refused(given_):
    with pytest.raises(ValueError, match="a step must be at least"):
        setting(1, "x", **given_)
