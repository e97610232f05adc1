"""Paired analyses against complete enumeration and closed forms."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from cfmf.evaluation import bootstrap
from cfmf.evaluation.bootstrap import Resampling
from cfmf.statistics import contrasts, intervals
from tests.settings import BLOCK

# Squared errors of two methods and numbers of ratings, a row a user.
SUMS = np.array([[4, 3, 3], [1, 1.5, 1], [9, 7, 5], [2, 2, 2]])


def pooled(sums):
    """RMSE of the first method minus that of the second, over the users of each resample."""
    first, second, n = np.moveaxis(sums, -1, 0)
    return np.sqrt(first / n) - np.sqrt(second / n)


def test_resampled_users_come_near_all_resamples():
    """Mean and standard error over all 256 resamples of four users are known."""
    drawn = np.array(list(itertools.product(range(4), repeat=4)))
    every = pooled(SUMS[drawn].sum(axis=1))
    assert every.mean() == pytest.approx(0.0819306, abs=5.1e-8)
    assert every.std() == pytest.approx(0.0628688, abs=5.1e-8)
    found = pooled(bootstrap.resampled(SUMS, Resampling(20_000)))
    assert found.mean() == pytest.approx(0.0819306, abs=0.002)
    assert found.std() == pytest.approx(0.0628688, rel=0.03)
    ends = [0.025, 0.975]
    assert np.quantile(found, ends) == pytest.approx(np.quantile(every, ends), abs=0.01)


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    fold = rng.normal(0.93, 0.01, 10)
    a = pd.Series(fold + rng.normal(-0.004, 0.003, 10), name="a")
    return a, pd.Series(fold, name="b")


def test_bayesian_tail_is_the_one_sided_p(pair):
    rows = contrasts.paired_contrast(*pair, ratio=1 / 9, block=BLOCK | {"margin": 1e-12})
    t = next(row for row in rows if row.test == "corrected_t")
    lower = next(row for row in rows if row.test == "bayesian_t")
    assert lower.stat_name == "p_first_lower"
    one_sided = stats.t.cdf(t.stat, 9)
    assert 1 - lower.stat == pytest.approx(one_sided, abs=1e-9)


def test_corrected_t_is_the_formula_of_nadeau_and_bengio(pair):
    d = (pair[0] - pair[1]).to_numpy()
    ratio = 1 / 9
    expected = d.mean() / np.sqrt(d.var(ddof=1) * (1 / 10 + ratio))
    t = contrasts.paired_contrast(*pair, ratio=ratio, block=BLOCK)[0]
    assert t.stat == pytest.approx(expected, rel=1e-12)
    assert t.p_raw == pytest.approx(2 * stats.t.sf(abs(expected), 9), rel=1e-9)
    half = stats.t.ppf(0.975, 9) * np.sqrt(d.var(ddof=1) * (1 / 10 + ratio))
    assert t.interval.high - t.effect == pytest.approx(half, rel=1e-9)


@pytest.mark.parametrize("margin", [0.001, 0.004, 0.006, 0.007, 0.01])
@pytest.mark.parametrize("comparisons", [1, 3])
def test_equivalence_is_that_of_two_one_sided_tests(pair, margin, comparisons):
    """The inner interval is within the margin where statsmodels' TOST rejects at alpha/m."""
    block = BLOCK | {"margin": margin}
    t = contrasts.paired_contrast(*pair, 1 / 9, block, comparisons)[0]
    wide = intervals.widened((pair[0] - pair[1]).to_numpy(), 1 / 9)
    p, *_ = DescrStatsW(wide).ttost_mean(-margin, margin)
    low, high = contrasts.inner_interval(t, 0.05)
    found = DescrStatsW(wide).tconfint_mean(alpha=2 * 0.05 / comparisons)
    assert (low, high) == pytest.approx(found, rel=1e-9)
    assert (-margin < low and high < margin) == (comparisons * p < 0.05)
    assert (t.verdict in ("equivalent", "better_below_margin")) == (comparisons * p < 0.05)


def test_minimum_detectable_difference_is_detected_with_the_wanted_power():
    """By simulation: independent folds, the difference at its least, 80 % of t tests reject."""
    rng = np.random.default_rng(11)
    least = contrasts.detectable_difference(spread=1.0, folds=10, alpha=0.05, power=0.8)
    d = rng.normal(least, 1.0, (20_000, 10))
    share = np.mean(stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05)
    assert share == pytest.approx(0.8, abs=0.01)
