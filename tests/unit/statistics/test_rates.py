"""The lowest p of the signed-rank test, by scipy's."""

import pytest
from scipy import stats

from cfmf.statistics.rates import least_p


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_least_p_is_that_of_differences_of_one_sign(folds):
    assert least_p(folds) == pytest.approx(stats.wilcoxon(range(1, folds + 1)).pvalue)
