"""Effect sizes, and their intervals where a closed form or a library has one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

Interval = tuple[float, float]
Numbers = float | NDArray[np.float64]


def anova_effects(
    ss_between: float, ss_within: float, df_between: int, df_within: int
) -> dict[str, float]:
    """η², ω² and ε² of a one-way analysis of variance, from its sums of squares.

    Source: Olejnik & Algina (2003), eq. 1; Kelley (1935) for ε²; Hays (1963) for ω².
    """
    mean_square = ss_within / df_within
    total = ss_between + ss_within
    excess = ss_between - df_between * mean_square
    return {
        "eta_squared": ss_between / total,
        "omega_squared": excess / (total + mean_square),
        "epsilon_squared": excess / total,
    }


def kruskal_effects(h: Numbers, groups: int, n: int) -> dict[str, Numbers]:
    """ε²_H = H/(n-1) and η²_H = (H-K+1)/(n-K) of a Kruskal-Wallis H (Tomczak & Tomczak 2014)."""
    return {
        "epsilon_squared_of_h": h / (n - 1),
        "eta_squared_of_h": (h - groups + 1) / (n - groups),
    }


def rank_biserial(differences: ArrayLike, axis: int = -1) -> Numbers:
    """Matched rank-biserial correlation: (R⁺ - R⁻)/(R⁺ + R⁻) of the signed ranks (Kerby 2014).

    Zero differences are left out, as in Wilcoxon's test; NaN when all are zero.
    """
    d = np.asarray(differences, dtype=np.float64)
    zeros = np.sum(d == 0, axis=axis, keepdims=True)
    # Zeros have the first ranks: without them every other rank is less by their number.
    ranks = np.where(d == 0, 0, stats.rankdata(np.abs(d), axis=axis) - zeros)
    with np.errstate(invalid="ignore"):
        return np.sum(np.sign(d) * ranks, axis=axis) / np.sum(ranks, axis=axis)


def partial_eta_squared(f: float, df1: float, df2: float) -> float:
    """Partial η² of an F statistic: F·df1/(F·df1 + df2)."""
    return f * df1 / (f * df1 + df2)


def partial_eta_interval(
    f: float, df1: float, df2: float, level: float, nobs: int | None = None
) -> Interval:
    """Interval of partial η² by inverting the noncentral F distribution (Steiger 2004, eq. 21).

    Of a one-way analysis this is the interval of η²; ω² and ε² estimate the same share of the
    population, so theirs too. `nobs` is the number of observations, df1 + df2 + 1 unless given.
    """
    if not np.isfinite(f):
        return float("nan"), float("nan")
    n = df1 + df2 + 1 if nobs is None else nobs
    tail = (1 - level) / 2
    low, high = (noncentrality(f, df1, df2, share) for share in (1 - tail, tail))
    return low / (low + n), high / (high + n)


def noncentrality(f: float, df1: float, df2: float, share: float) -> float:
    """The noncentrality at which an F distribution has this share below `f`; 0 where none has.

    statsmodels' `confint_noncentrality` rests on a function of SciPy that ends at 10⁴, which the F
    of methods that differ in every fold exceeds.
    """

    def excess(nc: float) -> float:
        return float(stats.ncf.cdf(f, df1, df2, nc)) - share

    if excess(0.0) <= 0:
        return 0.0
    end = f * df1 + 1.0
    while excess(end) > 0:
        end *= 2
    return float(optimize.brentq(excess, 0.0, end))


def concordance_interval(chi2: float, blocks: int, groups: int, level: float) -> Interval:
    """Interval of Kendall's W by inverting the noncentral χ² of Friedman's statistic.

    The noncentrality takes the place of the statistic in W = χ²/(J(K-1)), and the upper end is at
    most 1. Blocks that agree less than by chance have no noncentrality to match: the upper end is
    then W itself. With few blocks the χ² is an approximation, and so is this.
    """
    if not np.isfinite(chi2):
        return float("nan"), float("nan")
    df = groups - 1
    tail = (1 - level) / 2
    nc = special.chndtrinc(chi2, df, np.array([1 - tail, tail]))
    low, high = np.nan_to_num(nc) / (blocks * df)
    return float(low), float(np.clip(high, chi2 / (blocks * df), 1))


def deviation_factors(df: float, level: float) -> Interval:
    """Ends of the interval of a normal standard deviation, as multiples of the one found.

    √(df/χ²) at both tails of χ² with `df` degrees of freedom.
    """
    tail = (1 - level) / 2
    low, high = np.sqrt(df / stats.chi2.ppf([1 - tail, tail], df))
    return float(low), float(high)
