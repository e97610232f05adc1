"""Intervals of effects against printed tables, draws, enumeration and the tests they belong to."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.oneway import confint_noncentrality

from cfmf.evaluation.bootstrap import Resampling
from cfmf.published import unblocked as published
from cfmf.statistics import analysis, blocked, effects, intervals
from cfmf.statistics.results import Interval


@pytest.fixture
def table():
    """Ten blocks of four levels, of which some differ."""
    rng = np.random.default_rng(2)
    values = rng.normal([0.0, 0.4, 2.2, 2.4], 1.0, (10, 4)) + rng.normal(0, 1, (10, 1))
    return pd.DataFrame(values, columns=list("abcd"))


@pytest.mark.parametrize("f", [1638.0, 4149.0])
def test_interval_of_a_large_f_holds_its_share_of_draws(f):
    """Beyond the noncentrality of 10⁴ at which statsmodels' function ends."""
    df1, df2, draws = 10, 40, 100_000
    low, high = effects.partial_eta_interval(f, df1, df2, 0.95)
    assert low < effects.partial_eta_squared(f, df1, df2) < high
    rng = np.random.default_rng(0)
    for share, tail in ((low, 0.975), (high, 0.025)):
        nc = share * (df1 + df2 + 1) / (1 - share)
        drawn = rng.noncentral_chisquare(df1, nc, draws) / df1
        drawn /= rng.chisquare(df2, draws) / df2
        assert np.mean(drawn < f) == pytest.approx(tail, abs=0.002)


@pytest.mark.parametrize("f", [0.2, 1.8, 8.4])
def test_interval_of_a_small_f_is_that_of_statsmodels(f):
    nc = np.nan_to_num(confint_noncentrality(f, (3, 56), alpha=0.1))
    assert effects.partial_eta_interval(f, 3, 56, 0.9) == pytest.approx(nc / (nc + 60), abs=1e-5)


def test_standard_deviation_of_ten_values_has_the_interval_of_the_printed_chi2_table():
    # χ² with 9 degrees of freedom: 2.700 and 19.023 at 2.5 % and 97.5 %.
    expected = (np.sqrt(9 / 19.023), np.sqrt(9 / 2.700))
    assert effects.deviation_factors(9, 0.95) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_an_interval_of_ranks_leaves_out_zero_where_its_test_rejects(table, level):
    rows = blocked.rank_comparisons(table, 0.05, level) + blocked.many_to_one(table, "a", level)
    groups = table.melt(var_name="k").drop(index=[0, 1, 2])  # groups of two sizes
    rows += published.dunn(groups, level)
    rejected = []
    for row in rows:
        if row.effect_name:
            p = row.p_adj if row.test == "nemenyi" else row.p_raw
            outside = not row.interval.low <= 0 <= row.interval.high
            assert outside == (p < 1 - level), row
            rejected.append((row.test, outside))
    for test in ("conover", "nemenyi", "ranks_against_control", "dunn"):
        assert {outside for name, outside in rejected if name == test} == {True, False}


def test_dunn_interval_has_the_printed_standard_error():
    """Dunn (1964): N(N+1)/12 (1/n₁ + 1/n₂), where there are no ties."""
    sizes = {"1": 5, "4": 7, "16": 9}
    n = sum(sizes.values())
    order = np.random.default_rng(3).permutation(n).astype(float)
    runs = pd.DataFrame({"k": np.repeat(list(sizes), list(sizes.values())), "value": order})
    for row in published.dunn(runs, 0.95):
        shares = 1 / sizes[row.group_a] + 1 / sizes[row.group_b]
        half = stats.norm.ppf(0.975) * np.sqrt(n * (n + 1) / 12 * shares)
        assert row.interval.high - row.effect == pytest.approx(half, rel=1e-9)


def test_interval_of_ranks_stays_where_ranks_can_be():
    sure = pd.DataFrame(np.arange(12.0).reshape(3, 4), columns=list("abcd"))
    rows = blocked.rank_comparisons(sure, 0.05, 0.95) + blocked.many_to_one(sure, "a", 0.95)
    for row in rows:
        if row.test == "conover":
            assert np.isnan(row.p_raw)
            assert row.note == blocked.AGREE
            assert row.interval.method == f"none_{blocked.AGREE}"
        elif row.effect_name:
            assert -3 <= row.interval.low <= row.effect <= row.interval.high <= 3


def test_resampling_comes_near_all_resamples():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    drawn = np.array(list(itertools.product(values, repeat=4))).mean(axis=1)
    many = Resampling(repeats=20_000, seed=1, level=0.8)
    (row,) = intervals.resampled([values], np.mean, many, "folds")
    assert row.low == pytest.approx(np.quantile(drawn, 0.1), abs=0.26)
    assert row.high == pytest.approx(np.quantile(drawn, 0.9), abs=0.26)
    assert (row.method, row.resamples) == ("percentile_folds", 20000)
    assert row == intervals.resampled([values], np.mean, many, "folds")[0]


def test_without_interval_the_reason_is_told():
    few = Resampling(repeats=50)
    (same,) = intervals.resampled([np.ones(5)], effects.rank_biserial, few, "folds")
    assert same == Interval("none_folds_all_equal")
    rows = intervals.resampled([np.ones(1), np.ones(3)], _two_effects, few, "runs")
    assert rows == [Interval("none_needs_two")] * 2
    (few_folds,) = intervals.resampled([np.arange(5.0)], np.mean, few, "folds", least=10)
    assert few_folds == Interval("none_too_few_blocks")
    for half in (float("nan"), float("inf")):
        assert intervals.within(1.0, half, 3, 0.95, "t") == Interval("none_not_finite")


def _two_effects(first, second, axis=-1):
    return np.stack([first.mean(axis=axis), second.mean(axis=axis)])


def test_many_samples_at_once_are_each_alone():
    d = np.random.default_rng(4).integers(-3, 4, (50, 6)).astype(float)
    d[0] = 0
    one_by_one = [effects.rank_biserial(row) for row in d]
    np.testing.assert_array_equal(effects.rank_biserial(d), one_by_one)


def test_interquartile_mean_of_the_textbook_example():
    """Mean of the middle six of twelve: (5 + 6 + 6 + 7 + 7 + 8)/6, as printed in encyclopaedias."""
    values = [5.0, 8, 4, 38, 8, 6, 9, 7, 7, 3, 1, 6]
    (row,) = analysis.medians(pd.DataFrame({"k": "1", "value": values}), "arm", "mf")
    assert row["interquartile_mean"] == 6.5
