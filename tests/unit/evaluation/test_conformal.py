"""Intervals of predictions: the rank, coverage by simulation, equivariance, and the groups."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from cfmf.evaluation import conformal
from cfmf.evaluation.conformal import Radii, interval, joined, radius

ERRORS = arrays(np.float64, st.integers(1, 60), elements=st.floats(-4, 4, width=32))
COVERAGES = st.sampled_from([0.1, 0.5, 0.55, 0.7, 0.8, 0.9, 0.95])


@pytest.mark.parametrize(
    ("count", "coverage", "rank"),
    [
        (9, 0.9, 9),
        (10, 0.9, 10),
        (19, 0.9, 18),
        (99, 0.9, 90),
        (99, 0.55, 55),
        (9, 0.7, 7),
        (99, 0.07, 7),  # 0.07 · 100 is 7.000000000000001 in floating point
        (8, 0.9, None),
        (0, 0.5, None),
    ],
)
def test_the_rank_is_exact(count, coverage, rank):
    errors = np.random.default_rng(0).permutation(np.arange(1, count + 1)) * -1.0
    assert radius(errors, coverage) == (math.inf if rank is None else rank)


@pytest.mark.parametrize(
    ("errors", "coverage"), [([1, np.nan], 0.9), ([np.inf], 0.9), ([1], 0), ([1], 1), ([1], np.nan)]
)
def test_what_cannot_be_used_is_refused(errors, coverage):
    with pytest.raises(ValueError, match=r"coverage is|not finite"):
        radius(errors, coverage)


@given(ERRORS, COVERAGES, st.sampled_from([0.25, 2.0, 20.0]))
def test_the_radius_has_the_unit_of_the_ratings(errors, coverage, unit):
    assert radius(errors * unit, coverage) == unit * radius(errors, coverage)
    assert radius(errors[::-1], coverage) == radius(-errors, coverage)


@given(ERRORS, COVERAGES, COVERAGES)
def test_more_coverage_takes_no_smaller_radius(errors, one, other):
    assert radius(errors, min(one, other)) <= radius(errors, max(one, other))


@pytest.mark.parametrize("count", [9, 19, 37, 400])
@pytest.mark.parametrize("law", ["normal", "cauchy", "levels"])
def test_coverage_is_within_the_limits_of_chance(count, law):
    """Of one further error each in many repetitions: at least 90 %, and without ties not more."""
    rng, repeats = np.random.default_rng(count), 4000
    errors = {
        "normal": rng.standard_normal,
        "cauchy": rng.standard_cauchy,
        "levels": lambda shape: rng.integers(-4, 5, shape).astype(float),
    }[law]((repeats, count + 1))
    covered = sum(abs(row[-1]) <= radius(row[:-1], 0.9) for row in errors)
    exact = math.ceil((count + 1) * 0.9 - 1e-9) / (count + 1)
    assert covered >= stats.binom.ppf(1e-4, repeats, exact)
    if law != "levels":
        assert covered <= stats.binom.ppf(1 - 1e-4, repeats, exact)


@given(
    arrays(np.float32, 20, elements=st.floats(-3, 9, width=32)),
    st.one_of(st.just(math.inf), st.floats(0, 6)),
)
def test_an_interval_is_on_the_scale_and_holds_the_clipped_prediction(predictions, reach):
    low, high = interval(predictions, reach, (1, 5))
    assert (low >= 1).all()
    assert (high <= 5).all()
    clipped = np.clip(predictions, 1, 5)
    assert ((low <= clipped) & (clipped <= high)).all()


def test_an_interval_of_infinite_radius_is_the_scale():
    low, high = interval([3.0, 9.0], [math.inf, math.inf], (0.5, 5))
    assert low.tolist() == [0.5, 0.5]
    assert high.tolist() == [5, 5]


def simulated(rng, count):
    """Predictions, ratings on a wide scale and histories; short histories are harder to predict."""
    histories = np.exp(rng.uniform(0, np.log(700), count)).astype(int)
    predictions = rng.normal(size=count)
    return predictions, predictions + rng.normal(0, 3 / np.sqrt(histories + 1)), histories


def test_every_group_has_its_coverage():
    rng, scale = np.random.default_rng(5), (-100, 100)
    radii = Radii.learn(*simulated(rng, 20_000), scale)
    predictions, ratings, histories = simulated(rng, 20_000)
    low, high = interval(predictions, radii.of(histories), scale)
    covered = (low <= ratings) & (ratings <= high)
    for group in np.unique(places := conformal.group_of(histories, radii.lowest)):
        own = covered[places == group]
        # Both the radius and the coverage of the new ratings are by chance.
        assert own.mean() == pytest.approx(0.9, abs=4 * math.sqrt(0.09 * 2 / len(own)))
    alone = radius(predictions - ratings)
    assert (np.abs(predictions - ratings) <= alone)[histories < 10].mean() < 0.8


@given(st.lists(st.integers(0, 250), min_size=1, max_size=8))
def test_groups_are_neighbours_with_enough_ratings(counts):
    counts = np.array(counts)
    groups = joined(counts)
    assert [place for group in groups for place in group] == list(range(len(counts)))
    enough = [counts[group].sum() >= conformal.ENOUGH for group in groups]
    assert all(enough) or len(groups) == 1


def test_any_history_has_a_radius():
    few = Radii.learn([3.0, 4.0], [4.0, 4.0], [20, 30], (1, 5), 0.5)
    assert few.lowest == (0,)
    assert few.of([0, 5, 10_000]).tolist() == [1, 1, 1]


def test_predictions_are_clipped_before_they_are_compared():
    found = Radii.learn(np.full(99, 7.0), np.full(99, 5.0), np.full(99, 3), (1, 5))
    assert found.of([3]).tolist() == [0]
