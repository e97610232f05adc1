"""Power of the paired t and of the test of equivalence, exact; the least difference detected.

statsmodels' `TTestPower` answers NaN for large effects, and its `solve_power` misses there: both
subtract two tails of the noncentral t, of which the far one is not computed.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats

NODES = 200
"""Of the Gauss–Legendre quadrature over the estimated error."""


def power_of_t(effect: float, pairs: float, alpha: float) -> float:
    """Probability that a two-sided paired t rejects.

    Parameters
    ----------
    effect
        Mean difference over the standard deviation of the differences.
    pairs
        Number of differences, at least 2; of other designs the degrees of freedom plus one.
    alpha
        Level of the test.

    Notes
    -----
    P(abs(T) > t) of the noncentral t with `pairs` - 1 degrees of freedom and noncentrality
    effect·√pairs (Cohen 1988, ch. 2). Where the far tail vanishes SciPy answers NaN; it counts as
    0.
    """
    df, noncentrality = pairs - 1, abs(effect) * np.sqrt(pairs)
    critical = stats.t.isf(alpha / 2, df)
    near = stats.nct.sf(critical, df, noncentrality)
    far = np.nan_to_num(stats.nct.cdf(-critical, df, noncentrality))
    return float(min(near + far, 1.0))


def detectable_effect(pairs: float, alpha: float, power: float) -> float:
    """The effect, as of `power_of_t`, at which the test rejects with probability `power`, below 1.

    It is 0 where alpha reaches `power`: without any effect the test rejects as often.
    """
    if power <= alpha:
        return 0.0
    end = 1.0
    while power_of_t(end, pairs, alpha) < power:
        end *= 2
    return float(optimize.brentq(lambda effect: power_of_t(effect, pairs, alpha) - power, 0.0, end))


def power_of_equivalence(margin: float, df: float, alpha: float, effect: float = 0.0) -> float:
    """Probability that two one-sided t tests (TOST) show equivalence.

    Parameters
    ----------
    margin, effect
        Margin of equivalence and true difference, over the standard error of the difference.
    df
        Degrees of freedom of the standard error.
    alpha
        Level of each one-sided test.

    Notes
    -----
    The estimate is normal and independent of its estimated error, whose square is χ²/df; the
    probability of the estimate is integrated over that of the error (Phillips 1990; Owen's Q
    function).
    """
    critical = stats.t.isf(alpha, df)
    ends = np.sqrt(stats.chi2.ppf([1e-12, 1 - 1e-12], df) / df)
    # Of a larger error no estimate is inside the margin.
    low, high = np.minimum(ends, margin / critical)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    errors = low + (nodes + 1) / 2 * (high - low)
    density = stats.chi.pdf(errors * np.sqrt(df), df) * np.sqrt(df) * (high - low) / 2
    half = margin - critical * errors
    inside = stats.norm.cdf(half - effect) - stats.norm.cdf(-half - effect)
    return float(min(max(weights @ (density * inside), 0.0), 1.0))
