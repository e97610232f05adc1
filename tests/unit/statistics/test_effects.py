"""Effect sizes against closed forms, and their intervals against the distributions they invert."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cfmf.evaluation.bootstrap import Resampling
from cfmf.statistics import assumptions, blocked, blocks, contrasts, effects, names
from cfmf.statistics.families import adjust
from cfmf.statistics.results import Analysis
from tests.settings import BLOCK

RESAMPLING = Resampling.of(BLOCK)
values = st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=1, max_size=12)


def test_rank_biserial_is_the_balance_of_the_signed_ranks():
    assert effects.rank_biserial([1, 2, -3]) == 0
    assert effects.rank_biserial([0, 0.1, 5]) == 1
    assert effects.rank_biserial([-4, 1, 1]) == pytest.approx((-3 + 1.5 + 1.5) / 6)
    assert np.isnan(effects.rank_biserial([0, 0]))


def test_interval_of_partial_eta_squared_inverts_the_noncentral_f():
    f, df1, df2 = 8.427170, 3, 56
    for share, tail in zip(
        effects.partial_eta_interval(f, df1, df2, 0.9), (0.95, 0.05), strict=True
    ):
        noncentrality = share * (df1 + df2 + 1) / (1 - share)
        assert stats.ncf.cdf(f, df1, df2, noncentrality) == pytest.approx(tail, abs=1e-4)


def test_interval_of_concordance_inverts_the_noncentral_chi2():
    chi2, blocks, groups = 14.0, 20, 4
    low, high = effects.concordance_interval(chi2, blocks, groups, 0.9)
    for share, tail in ((low, 0.95), (high, 0.05)):
        noncentrality = share * blocks * (groups - 1)
        assert stats.ncx2.cdf(chi2, groups - 1, noncentrality) == pytest.approx(tail, abs=1e-4)


@given(st.floats(0, 1), st.integers(2, 30), st.integers(3, 11))
def test_interval_of_concordance_holds_its_estimate(w, blocks, groups):
    low, high = effects.concordance_interval(w * blocks * (groups - 1), blocks, groups, 0.95)
    assert 0 <= low <= w + 1e-9
    assert w - 1e-9 <= high <= 1 + 1e-9


@pytest.mark.parametrize("blocks", [2, 5])
def test_full_agreement_of_ranks_rejects_nothing_that_has_no_error(blocks):
    """p = 0 would be certainty from as few as two blocks; what has an error is judged by it."""
    sure = pd.DataFrame(np.arange(4.0) + np.arange(blocks)[:, None], columns=list("abcd"))
    rows = blocked.friedman(sure, 0.95) + blocked.rank_comparisons(sure, 0.05, 0.95)
    tests = Analysis(adjust(rows, 0.05)).tables()["tests"]
    without = tests[tests["test"].isin(["friedman_iman_davenport", names.CONOVER])]
    assert (without["note"] == blocked.AGREE).all()
    assert without[["p_raw", "p_adj"]].isna().all(axis=None)
    assert not without["reject"].eq(True).any()
    (friedman,) = tests.loc[tests["test"] == names.FRIEDMAN, "p_raw"]
    assert friedman == pytest.approx(stats.chi2.sf(3 * blocks, 3))


def test_epsilon_is_one_under_sphericity_and_least_when_one_contrast_has_all():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(6, 1))
    one = pd.DataFrame(noise @ np.array([[1.0, -1.0, 0.0, 0.0]]))
    assert blocked.greenhouse_geisser(one) == pytest.approx(1 / 3)
    many = pd.DataFrame(rng.normal(size=(20_000, 4)))
    assert blocked.greenhouse_geisser(many) == pytest.approx(1, abs=0.01)


def test_sums_of_squares_add_up():
    table = pd.DataFrame(np.random.default_rng(1).normal(size=(5, 4)))
    found = blocked.sums_of_squares(table)
    assert sum(found.values()) == pytest.approx(table.to_numpy().var() * table.size)
    assert found["error"] == pytest.approx((blocked.residuals(table) ** 2).to_numpy().sum())


def test_mixed_model_equals_anova_with_one_run_a_cell():
    """A balanced additive model with positive variances: the Wald F is the ANOVA's."""
    rng = np.random.default_rng(4)
    table = pd.DataFrame(
        rng.normal(0, 1, (8, 1)) + rng.normal(0, 0.3, (8, 4)), columns=list("abcd")
    )
    frame = table.reset_index(names="fold").melt("fold", var_name="k").assign(seed="1")
    (mixed,) = blocked.mixed_model(frame, "k", 0.95)
    (anova,) = blocked.shared_anova(table, 0.0, 0.95)
    assert mixed.converged
    assert mixed.stat == pytest.approx(anova.stat, rel=1e-3)
    epsilon = anova.note_value
    assert (mixed.df1 * epsilon, mixed.df2 * epsilon) == pytest.approx((anova.df1, anova.df2))


def test_mixed_model_averages_runs_where_a_cell_has_one():
    """Runs of a fold are no replicates of it: beside a level with one run they count as one."""
    rng = np.random.default_rng(7)
    cells = rng.normal(0, 1, (8, 1, 1)) + rng.normal(0, 1, (8, 4, 1))
    runs = cells + rng.normal(0, 0.1, (8, 4, 3))
    index = pd.MultiIndex.from_product([range(8), list("abcd"), range(3)])
    frame = pd.Series(runs.ravel(), index.set_names(["fold", "k", "seed"]), name="value")
    frame = frame.reset_index()
    frame = frame[(frame["k"] != "a") | (frame["seed"] == 0)]
    (mixed,) = blocked.mixed_model(frame, "k", 0.95)
    (anova,) = blocked.shared_anova(blocks.table(frame, "k"), 0.0, 0.95)
    assert mixed.note == "folds_random_runs_averaged"
    assert mixed.n_obs == 8 * 4
    assert mixed.stat == pytest.approx(anova.stat, rel=1e-3)


def test_contrast_is_antisymmetric():
    rng = np.random.default_rng(8)
    block = BLOCK | {"margin": 0.002}
    a, b = (pd.Series(rng.normal(0.93, 0.01, 6), name=name) for name in "ab")
    there = contrasts.paired_contrast(a, b, 0.2, block)
    back = contrasts.paired_contrast(b, a, 0.2, block)
    for one, other in zip(there, back, strict=True):
        if one.test == "corrected_t":
            assert one.interval.low == pytest.approx(-other.interval.high)
            assert one.stat == pytest.approx(-other.stat)
        if np.isfinite(one.p_raw):
            assert one.p_raw == pytest.approx(other.p_raw)
    lower = [row.stat for row in there if row.stat_name == "p_first_lower"]
    higher = [row.stat for row in back if row.stat_name == "p_first_higher"]
    assert lower == pytest.approx(higher)


def test_too_small_samples_are_told_and_not_tested():
    rows = assumptions.normality(np.array([1.0, 2.0, 3.0]), 0.05, "k=1")
    assert [row.violation for row in rows] == [None, None]
    assert all(row.note and not row.function for row in rows)
    (row,) = assumptions.equal_variances([np.ones(4), np.arange(4.0)], 0.05)
    assert row.note
    assert not row.function


def test_a_check_that_rejects_is_a_violation():
    skewed = np.exp(3 * np.random.default_rng(0).normal(size=40))
    assert assumptions.normality(skewed, 0.05, "k=1")[0].violation is True
    plain = stats.norm.ppf(np.linspace(0.02, 0.98, 40))
    assert [row.violation for row in assumptions.normality(plain, 0.05, "k=1")] == [False] * 2
    ratio = assumptions.equal_variances([plain, 3 * plain], 0.05)[0]
    assert ratio.violation is True


def test_anova_for_shared_ratings_is_the_square_of_the_corrected_t():
    """Of two levels F is t², before and after the correction of Nadeau and Bengio."""
    rng = np.random.default_rng(6)
    table = pd.DataFrame(rng.normal([0.9, 0.904], 0.01, (6, 2)), columns=["a", "b"])
    (row,) = blocked.shared_anova(table, 0.2, 0.95)
    t = contrasts.paired_contrast(table["a"], table["b"], 0.2, BLOCK)[0]
    assert row.stat == pytest.approx(t.stat**2, rel=1e-9)
    assert row.p_raw == pytest.approx(t.p_raw, rel=1e-9)
