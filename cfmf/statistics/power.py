"""Power of the paired t, exact, and the least difference that it detects.

statsmodels' `TTestPower` answers NaN for large effects, and its `solve_power` misses there: both
subtract two tails of the noncentral t, of which the far one is not computed.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats


def power_of_t(effect: float, pairs: int, alpha: float) -> float:
    """Probability that a two-sided paired t rejects.

    Parameters
    ----------
    effect
        Mean difference over the standard deviation of the differences.
    pairs
        Number of differences, at least 2.
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


def detectable_effect(pairs: int, alpha: float, power: float) -> float:
    """The effect, as of `power_of_t`, at which the test rejects with probability `power`, below 1.

    It is 0 where alpha reaches `power`: without any effect the test rejects as often.
    """
    if power <= alpha:
        return 0.0
    end = 1.0
    while power_of_t(end, pairs, alpha) < power:
        end *= 2
    return float(optimize.brentq(lambda effect: power_of_t(effect, pairs, alpha) - power, 0.0, end))
