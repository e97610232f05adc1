"""The hierarchical model of several data sets, against limits that are known in closed form."""

import numpy as np
import pytest
from scipy import stats

from cfmf.statistics.hierarchical import next_data_set


def made_up(rng, sets, folds, mean, between, within):
    means = mean + between * rng.standard_normal(sets)
    return [one + within * rng.standard_normal(folds) for one in means]


@pytest.mark.parametrize(("sets", "folds"), [(2, 10), (5, 2), (0, 0)])
def test_too_few_are_refused(sets, folds):
    with pytest.raises(ValueError, match="too few for a hierarchical model"):
        next_data_set([np.zeros(folds)] * sets, [0.25] * sets)


def test_probabilities_follow_the_sign_and_the_unit():
    differences = made_up(np.random.default_rng(3), 6, 5, -0.01, 0.005, 0.003)
    below, within, above = next_data_set(differences, [0.25] * 6).probabilities(0.01)
    assert below + within + above == pytest.approx(1)
    assert below > above
    turned = next_data_set([-one for one in differences], [0.25] * 6).probabilities(0.01)
    assert turned == pytest.approx((above, within, below), abs=0.02)
    scaled = next_data_set([20 * one for one in differences], [0.25] * 6).probabilities(0.2)
    assert scaled == pytest.approx((below, within, above), abs=1e-9)
    again = next_data_set(differences, [0.25] * 6)
    assert again.probabilities(0.01) == (below, within, above)


def test_many_data_sets_show_what_they_are_drawn_from():
    """With 300 data sets the posterior is near the truth: P(N(0.004, 0.01²) below -0.01, …)."""
    truth, rng = stats.norm(0.004, 0.01), np.random.default_rng(4)
    means = truth.ppf((np.arange(300) + 0.5) / 300)
    differences = [mean + 0.002 * rng.standard_normal(10) for mean in means]
    found = next_data_set(differences, [1 / 9] * 300)
    assert found.mean.mean() == pytest.approx(0.004, abs=0.002)
    expected = truth.cdf(-0.01), truth.cdf(0.01) - truth.cdf(-0.01), truth.sf(0.01)
    assert found.probabilities(0.01) == pytest.approx(expected, abs=0.03)


def test_equal_differences_leave_nothing_open():
    found = next_data_set([np.full(5, -0.02)] * 6, [0.25] * 6)
    assert found.probabilities(0.01)[0] > 0.99


def test_data_sets_of_different_numbers_of_folds():
    rng = np.random.default_rng(5)
    differences = [made_up(rng, 1, folds, 0.0, 0.001, 0.001)[0] for folds in (3, 5, 10, 30)]
    assert next_data_set(differences, [0.5, 0.25, 1 / 9, 1 / 9]).probabilities(0.01)[1] > 0.8
