"""Intervals contain the truth where it is known: benchmarks/coverage.py, and a small one."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import coverage
from benchmarks.common import matrix
from benchmarks.coverage import ROOT
from cfmf.statistics.names import POPULATIONS

LEVELS = {
    "baseline": ("baseline", {"reg_user": 2.0, "reg_item": 2.0}, 1),
    "baseline, 5": ("baseline", {"reg_user": 5.0, "reg_item": 5.0}, 1),
    "mean of the user": ("baseline", {"reg_user": 2.0, "reg_item": 1e6}, 1),
}
LIKE, UNLIKE = ("baseline, 5", "baseline"), ("mean of the user", "baseline")
DRAWS = 60


@pytest.fixture(scope="module")
def small():
    """60 draws in each of the three ways from 2,000 users, some of whom rate wildly."""
    rng = np.random.default_rng(1)
    users, items = np.nonzero(rng.random((2000, 300)) < 0.15)
    noise = rng.gamma(2, 0.4, 2000)[users] * rng.normal(0, 1, users.size)
    values = 3 + rng.normal(0, 0.5, 2000)[users] + rng.normal(0, 0.5, 300)[items] + noise
    whole = matrix(users, items, values.clip(1, 5), (2000, 300))
    return {
        population: [
            coverage.studied(coverage.drawn(whole, population, seed, 0.25), 5, seed, LEVELS)
            for seed in range(DRAWS)
        ]
        for population in POPULATIONS
    }


@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("pair", [LIKE, UNLIKE], ids=["like", "unlike"])
def test_intervals_contain_the_truth_of_their_population(small, population, pair):
    found = coverage.of_contrast(small[population], *pair, 0.25, 0.0)
    # 95 % of 60 draws have a standard error of 2.8 %.
    assert found[f"coverage_{population}"] >= 0.88
    assert found[f"equivalence_{population}"] <= 0.15
    assert found[f"error_{population}"] < 2 * found["sd"]


def test_folds_are_too_narrow_for_new_users(small):
    found = coverage.of_contrast(small["new_users"], *UNLIKE, 0.25, 0.0)
    assert found["error_new_ratings"] < found["error_new_users"]
    assert found["coverage_new_ratings"] <= found["coverage_new_users"]


def test_draws_are_of_real_size_and_differ():
    rng = np.random.default_rng(2)
    users, items = np.nonzero(rng.random((800, 1300)) < 0.05)
    whole = matrix(users, items, rng.integers(1, 6, users.size), (800, 1300))
    for population in POPULATIONS:
        first, again, other = (coverage.drawn(whole, population, seed) for seed in (0, 0, 1))
        assert (first != again).nnz == 0
        assert first.shape == other.shape
        assert first.nnz != other.nnz


def test_draws_are_kept_and_read_again(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(coverage, "LEVELS", LEVELS)
    monkeypatch.setattr(coverage, "drawn", lambda whole, *given: made.append(given) or whole)
    rng = np.random.default_rng(3)
    users, items = np.nonzero(rng.random((30, 20)) < 0.5)
    whole = matrix(users, items, rng.integers(1, 6, users.size), (30, 20))
    monkeypatch.setattr(
        coverage, "studied", lambda ratings, folds, seed: studied(ratings, folds, seed, LEVELS)
    )
    monkeypatch.setattr(coverage, "RESULTS", tmp_path)
    coverage.make(whole, 3, 2)
    first = coverage.kept("new_users", 3, 2)
    coverage.make(whole, 3, 3)
    again = coverage.kept("new_users", 3, 3)
    assert made == [(name, seed) for seed in range(3) for name in POPULATIONS]
    for one, other in zip(first, again, strict=False):
        assert one.levels == tuple(LEVELS)
        for name in coverage.ARRAYS:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


studied = coverage.studied


def test_deviations_are_those_of_an_endless_population():
    """Half of a finite population without replacement: the mean varies by √½ of the usual."""
    rng = np.random.default_rng(4)
    values = rng.normal(0, 1, 100)
    means = np.array([rng.permutation(values)[:50].mean() for _ in range(4000)])
    spread = coverage.corrected(means, means.mean(), 0.5).std()
    assert spread == pytest.approx(values.std(ddof=1) / np.sqrt(50), rel=0.05)


def test_committed_table_is_of_enough_draws_and_every_check():
    table = pd.read_csv(ROOT / "report/coverage.tsv", sep="\t")
    assert (table["draws"] >= 200).all()
    assert set(table["redrawn"]) == set(POPULATIONS)
    own = table[table["kind"] != "omnibus"]
    shares = [row[f"coverage_{row['redrawn']}"] for row in own.to_dict("records")]
    assert min(shares) > 0.85
    assert np.mean(shares) == pytest.approx(0.955, abs=0.025)
