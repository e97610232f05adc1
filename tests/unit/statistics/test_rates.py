"""Exact rates of rejection against every ranking and every pattern of signs, by scipy's tests."""

import itertools

import numpy as np
import pytest
from scipy import stats

from cfmf.statistics.rates import iman_davenport_rate, least_p, signed_rank_rate


@pytest.mark.parametrize(("folds", "levels"), [(5, 3), (3, 4)])
def test_friedman_rejects_its_share_of_all_rankings(folds, levels):
    """The first fold's ranking is the same in all: the levels are alike."""
    ranks = [*itertools.permutations(range(levels))]
    rejected = 0
    for rest in itertools.product(ranks, repeat=folds - 1):
        statistic = stats.friedmanchisquare(*zip(ranks[0], *rest, strict=True)).statistic
        left = folds * (levels - 1) - statistic
        ratio = (folds - 1) * statistic / left if left > 1e-9 else np.inf
        rejected += stats.f.sf(ratio, levels - 1, (folds - 1) * (levels - 1)) <= 0.05
    exact = rejected / len(ranks) ** (folds - 1)
    assert iman_davenport_rate(folds, levels, 0.05) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("nominal", [0.05, 0.05 / 3, 0.001])
def test_signed_rank_rejects_its_share_of_all_signs(nominal):
    signs = itertools.product([-1, 1], repeat=8)
    rejected = [stats.wilcoxon(np.arange(1, 9) * one).pvalue <= nominal for one in signs]
    assert signed_rank_rate(8, nominal) == pytest.approx(np.mean(rejected), abs=1e-12)


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_least_p_is_that_of_differences_of_one_sign(folds):
    assert least_p(folds) == pytest.approx(stats.wilcoxon(range(1, folds + 1)).pvalue)
