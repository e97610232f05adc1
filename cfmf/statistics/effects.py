"""Effect sizes, and their intervals where a closed form or a library has one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats
from statsmodels.stats.oneway import confint_noncentrality

Interval = tuple[float, float]


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
        "eta squared": ss_between / total,
        "omega squared": excess / (total + mean_square),
        "epsilon squared": excess / total,
    }


def kruskal_effects(h: float, groups: int, n: int) -> dict[str, float]:
    """ε²_H = H/(n-1) and η²_H = (H-K+1)/(n-K) of a Kruskal-Wallis H (Tomczak & Tomczak 2014)."""
    return {
        "epsilon squared of H": h / (n - 1),
        "eta squared of H": (h - groups + 1) / (n - groups),
    }


def cliff_delta(a: ArrayLike, b: ArrayLike) -> float:
    """P(a > b) - P(a < b) over all pairs of a value of `a` and one of `b` (Cliff 1993)."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    u = stats.mannwhitneyu(first, second, method="asymptotic").statistic
    return float(2 * u / (first.size * second.size) - 1)


def rank_biserial(differences: ArrayLike) -> float:
    """Matched rank-biserial correlation: (R⁺ - R⁻)/(R⁺ + R⁻) of the signed ranks (Kerby 2014).

    Zero differences are left out, as in Wilcoxon's test; NaN when all are zero.
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[d != 0]
    if not d.size:
        return float("nan")
    ranks = stats.rankdata(np.abs(d))
    return float(np.sum(np.sign(d) * ranks) / ranks.sum())


def partial_eta_squared(f: float, df1: float, df2: float) -> float:
    """Partial η² of an F statistic: F·df1/(F·df1 + df2)."""
    return f * df1 / (f * df1 + df2)


def partial_eta_interval(f: float, df1: float, df2: float, level: float) -> Interval:
    """Interval of partial η² by inverting the noncentral F distribution (Steiger 2004, eq. 21)."""
    if not np.isfinite(f):
        return float("nan"), float("nan")
    nc = np.maximum(np.nan_to_num(confint_noncentrality(f, (df1, df2), alpha=1 - level)), 0)
    low, high = np.sort(nc / (nc + df1 + df2 + 1))
    return float(low), float(high)


def concordance_interval(chi2: float, blocks: int, groups: int, level: float) -> Interval:
    """Interval of Kendall's W by inverting the noncentral χ² of Friedman's statistic.

    The noncentrality takes the place of the statistic in W = χ²/(J(K-1)), after which both ends
    are kept in [0, 1]. With few blocks the χ² is an approximation, and so is this.
    """
    if not np.isfinite(chi2):
        return float("nan"), float("nan")
    df = groups - 1
    tail = (1 - level) / 2
    nc = special.chndtrinc(chi2, df, np.array([1 - tail, tail]))
    low, high = np.clip((np.nan_to_num(nc) + df) / (blocks * df), 0, 1)
    return float(low), float(high)
