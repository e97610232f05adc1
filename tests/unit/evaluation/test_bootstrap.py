"""Intervals from resampling users, against every possible resample and a known spread."""

import itertools

import numpy as np
import pytest

from cfmf.evaluation import bootstrap
from cfmf.evaluation.bootstrap import Resampling

# Four users whose 256 resamples are all counted in tests/oracle: squared errors and ratings.
SQUARED = np.array([4.0, 1, 9, 2])
RATINGS = np.array([3.0, 1, 5, 2])


def test_all_resamples_of_four_users_give_the_quantiles():
    every = [
        np.sqrt(SQUARED[list(some)].sum() / RATINGS[list(some)].sum())
        for some in itertools.product(range(4), repeat=4)
    ]
    rows = bootstrap.ratio_intervals(
        SQUARED[:, None], RATINGS[:, None], Resampling(40_000, 1, 0.9), root=True
    )
    row = rows.iloc[0]
    assert row["value"] == pytest.approx(np.sqrt(16 / 11))
    assert row["users"] == 4
    low, high = np.quantile(every, [0.05, 0.95])
    assert row["ci_low"] == pytest.approx(low, abs=0.01)
    assert row["ci_high"] == pytest.approx(high, abs=0.01)


def test_batches_do_not_change_what_is_drawn(monkeypatch):
    sums = np.random.default_rng(0).random((30, 4))
    whole = bootstrap.resampled(sums, Resampling(101, 5))
    monkeypatch.setattr(bootstrap, "BATCH", 300)
    np.testing.assert_allclose(bootstrap.resampled(sums, Resampling(101, 5)), whole)


def test_kept_counts_do_not_change_what_is_drawn():
    sums = np.random.default_rng(0).random((30, 4))
    first = bootstrap.resampled(sums, Resampling(101, 5))
    other = bootstrap.resampled(sums, Resampling(101, 6))
    assert not np.array_equal(other, first)
    np.testing.assert_array_equal(bootstrap.resampled(sums, Resampling(101, 5)), first)


def test_many_users_are_resampled_in_groups_of_equal_size(monkeypatch):
    monkeypatch.setattr(bootstrap, "GROUPS", 500)
    rng = np.random.default_rng(3)
    values = np.column_stack([rng.lognormal(size=5003), rng.random(5003) < 0.1])
    drawn = bootstrap.resampled(values, Resampling(4000))
    assert drawn.shape == (4000, 2)
    np.testing.assert_allclose(drawn.mean(0), values.sum(0), rtol=0.01)
    # of 500 groups: 3%; of 4000 resamples: 1%
    np.testing.assert_allclose(drawn.std(0), values.std(0) * np.sqrt(5003), rtol=0.1)
    sizes = bootstrap._in_groups(np.ones((5003, 1)), 1)
    assert set(sizes.ravel()) == {10, 11}


def test_interval_of_a_mean_covers_as_often_as_it_says():
    rng = np.random.default_rng(7)
    covered = 0
    for repeat in range(200):
        values = rng.normal(2.0, 1.0, (60, 1))
        rows = bootstrap.ratio_intervals(values, np.ones((60, 1)), Resampling(300, repeat, 0.9))
        covered += rows["ci_low"].iloc[0] <= 2 <= rows["ci_high"].iloc[0]
    assert 0.82 <= covered / 200 <= 0.96


def test_one_user_has_no_interval():
    numerators = np.array([[1.0, 2.0], [0.0, 3.0]])
    denominators = np.array([[1.0, 2.0], [0.0, 2.0]])
    rows = bootstrap.ratio_intervals(numerators, denominators, Resampling(100))
    assert rows["users"].tolist() == [1, 2]
    assert rows["ci_low"].isna().tolist() == [True, False]
    assert rows["value"].tolist() == [1.0, 1.25]


def test_level_sums_leave_out_what_has_no_level():
    sums = bootstrap.level_sums(
        np.array([0, 0, 2, 2]),
        np.array([1, 0, 1, -1]),
        np.array([1.0, 4.0, 9.0, 16.0]),
        np.array([1.0, 2.0, 3.0, 4.0]),
        (3, 2),
    )
    assert sums.n.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert sums.squared.tolist() == [[4, 1], [0, 0], [0, 9]]
    assert (sums + sums).absolute.tolist() == [[4, 2], [0, 0], [0, 6]]
