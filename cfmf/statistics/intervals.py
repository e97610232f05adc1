"""Intervals of effect sizes.

Every result that has an effect has an interval by a named method, or the key of why it has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cfmf.evaluation.bootstrap import Resampling
from cfmf.statistics.results import Interval

LEAST_FOLDS = 10
"""Folds below which percentiles are not used: they come out too narrow, as so few folds resampled
vary less than folds drawn anew."""

Number = float | np.floating | NDArray[np.float64]


def interval(low: Number, high: Number, level: float, method: str, resamples: int = 0) -> Interval:
    """An interval by `method`, with its number of resamples if any; none without finite ends."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return no_interval("not_finite")
    return Interval(method, float(low), float(high), level, resamples or math.nan)


def no_interval(why: str) -> Interval:
    """No interval, and the key of the reason."""
    return Interval(f"none_{why}")


def within(effect: float, half: float, limit: float, level: float, method: str) -> Interval:
    """The interval effect ± half, kept within the ±`limit` that the effect can reach."""
    if not np.isfinite(half):
        return no_interval("not_finite")
    return interval(max(effect - half, -limit), min(effect + half, limit), level, method)


def error_behind(
    differences: NDArray[np.float64],
    p: NDArray[np.float64],
    quantile: Callable[[float], float],
) -> float:
    """Standard error of differences that a library gives p-values of, but not the errors.

    Parameters
    ----------
    differences
        Differences, in units in which all have one standard error.
    p
        Their two-sided p-values: those of difference/error.
    quantile
        Of the distribution of difference/error: the value with this share above it.

    Returns
    -------
    The standard error; NaN where no difference but 0 has a p above 0, so that it cannot be
    computed.
    """
    sizes = np.abs(differences)
    usable = np.flatnonzero((sizes > 0) & (p > 1e-100))
    if not usable.size:
        return float("nan")
    at = usable[np.argmin(sizes[usable])]
    return float(sizes[at] / quantile(p[at] / 2))


def resampled(
    samples: Sequence[NDArray[Any]],
    statistic: Callable[..., Any],
    resampling: Resampling,
    units: str,
    least: int = 2,
) -> list[Interval]:
    """Percentile intervals of one effect or several, by `scipy.stats.bootstrap`.

    The number of units limits what resampling can show: with 5 folds there are 126 different
    resamples, and the intervals are rough and too narrow. Where all resamples give the same, as of
    a share that is 1 in every fold, there is no interval.

    Parameters
    ----------
    samples
        Samples of units, such as folds; each is resampled on its own.
    statistic
        Takes as many arrays … × units as there are samples, and `axis`; returns effects × … or,
        for one effect, ….
    resampling
        Number of resamples, seed and level.
    units
        What is resampled: `folds` or `runs`.
    least
        Units of a sample below which there is no interval.

    Returns
    -------
    An interval for each effect.
    """
    smallest = min(len(sample) for sample in samples)
    if smallest < least:
        effects = np.size(statistic(*samples, axis=-1))
        return [no_interval("needs_two" if smallest < 2 else "too_few_blocks")] * effects
    with np.errstate(invalid="ignore", divide="ignore"):
        found = stats.bootstrap(
            samples,
            statistic,
            n_resamples=resampling.repeats,
            confidence_level=resampling.level,
            method="percentile",
            vectorized=True,
            rng=np.random.default_rng(resampling.seed),
        )
    lows, highs = (np.atleast_1d(end) for end in found.confidence_interval)
    return [_ends(*ends, resampling, units) for ends in zip(lows, highs, strict=True)]


def _ends(low: float, high: float, resampling: Resampling, units: str) -> Interval:
    if high - low < 1e-12:
        return no_interval(f"{units}_all_equal")
    return interval(low, high, resampling.level, f"percentile_{units}", resampling.repeats)


def inflation(folds: int, ratio: float) -> float:
    """Variance of a mean over folds, in units of what independent folds would have.

    Nadeau & Bengio (2003), eq. 10: 1/J + n_test/n_train in place of 1/J.

    Parameters
    ----------
    folds
        Their number J.
    ratio
        Test ratings over train ratings of a fold, n_test/n_train.
    """
    return 1 + folds * ratio


def widened(differences: ArrayLike, ratio: float) -> NDArray[np.float64]:
    """Differences whose plain t is the corrected t of Nadeau & Bengio (2003), eq. 10.

    Parameters
    ----------
    differences
        One a fold.
    ratio
        Test ratings over train ratings of a fold.
    """
    d = np.asarray(differences, dtype=np.float64)
    mean = d.mean()
    return mean + (d - mean) * np.sqrt(inflation(d.size, ratio))


def of_folds(differences: ArrayLike, ratio: float, level: float = 0.95) -> tuple[float, float]:
    """Ends of the interval of the corrected t of a mean difference; NaN of one fold.

    The parameters are those of `widened`, and the level.
    """
    wide = widened(differences, ratio)
    if wide.size < 2:
        return math.nan, math.nan
    found = stats.ttest_1samp(wide, 0).confidence_interval(level)
    return float(found.low), float(found.high)
