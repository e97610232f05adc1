"""Power of the paired t against the definition of the noncentral t, integrated numerically."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from cfmf.statistics.power import detectable_effect, power_of_t

PAIRS = (2, 3, 5, 10, 30, 100)
ALPHAS = (0.05, 0.005, 0.0005)
EFFECTS = (0.0, 0.1, 0.5, 1.0, 2.0, 3.09, 5.0, 8.0, 12.0, 20.0)


def integrated(effect: float, pairs: int, alpha: float) -> float:
    """P(|Z + effect·√pairs| > t·S): S = √(χ²/df) and the normal Z are independent."""
    df, shift = pairs - 1, effect * np.sqrt(pairs)
    critical = stats.t.isf(alpha / 2, df)

    def density(s: float) -> float:
        given_s = stats.norm.sf(critical * s - shift) + stats.norm.cdf(-critical * s - shift)
        return stats.chi.pdf(s * np.sqrt(df), df) * np.sqrt(df) * given_s

    ends = (0, 0.1, 1, 3, 60)
    pieces = [integrate.quad(density, *one, epsabs=1e-12, limit=500) for one in pairwise(ends)]
    return sum(value for value, _ in pieces)


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_power_is_that_of_the_definition(pairs, alpha):
    found = [power_of_t(effect, pairs, alpha) for effect in EFFECTS]
    expected = [integrated(effect, pairs, alpha) for effect in EFFECTS]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("power", [0.5, 0.8, 0.99])
def test_the_detectable_effect_has_the_power(pairs, alpha, power):
    found = detectable_effect(pairs, alpha, power)
    assert integrated(found, pairs, alpha) == pytest.approx(power, abs=1e-6)


def test_five_folds_of_ten_pairs_as_the_report_has_them():
    """statsmodels 0.15 answers NaN, which was printed as 1, and 3.092 for the exact 3.155."""
    assert power_of_t(3.09, 5, 0.005) == pytest.approx(0.785, abs=0.01)
    assert detectable_effect(5, 0.005, 0.8) == pytest.approx(3.155, abs=0.001)


def test_every_effect_has_a_power_of_alpha():
    assert detectable_effect(5, 0.05, 0.05) == detectable_effect(5, 0.05, 0.01) == 0.0
