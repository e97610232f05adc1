"""Two levels against each other, paired by fold: by how much, and what could be detected.

Folds share most of their training ratings, so their differences are not independent and the plain
paired t is far too liberal. Nadeau & Bengio (2003) replace the variance s²/J of the mean
difference of J folds by s²(1/J + n_test/n_train). The same t comes from the plain formula when the
differences are moved away from their mean by √(1 + J·n_test/n_train); the plain t, interval and
equivalence test of those widened differences are then the corrected ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cfmf.evaluation.bootstrap import Resampling
from cfmf.statistics import names
from cfmf.statistics.effects import deviation_factors, rank_biserial
from cfmf.statistics.intervals import LEAST_FOLDS, interval, no_interval, resampled, widened
from cfmf.statistics.populations import Difference
from cfmf.statistics.power import detectable_effect, power_of_t
from cfmf.statistics.rates import least_p
from cfmf.statistics.results import Result

Ends = tuple[float, float]


def paired_contrast(
    first: pd.Series,
    second: pd.Series,
    ratio: float,
    block: Mapping[str, float],
    comparisons: int = 1,
) -> list[Result]:
    """Two levels compared: the corrected t with its verdict, a rank test, a posterior probability.

    A difference is the first's RMSE minus the second's, so that a negative one speaks for the
    first. All p-values are multiplied by the number of comparisons of the family (Bonferroni).

    Parameters
    ----------
    first, second
        RMSE by fold, in the same folds; their names are the levels' names.
    ratio
        Test ratings over train ratings of a fold.
    block
        alpha, ci_level, margin (in rating units), bootstrap_repeats and seed, as in the
        `statistics` block of the config.
    comparisons
        Contrasts of the family.
    """
    d = first.to_numpy(dtype=np.float64) - second.to_numpy(dtype=np.float64)
    known = _known(first, second)
    if d.size < 2 or np.ptp(d) < 1e-12:
        why = "needs_two_folds" if d.size < 2 else "same_difference_in_every_fold"
        effect: dict[str, Any] = {"effect_name": names.DIFFERENCE, "effect": float(d.mean())}
        return [
            Result(names.CORRECTED_T, **known, **effect, interval=no_interval(why), note=why),
        ]
    wide = widened(d, ratio)
    error = float(stats.sem(wide))
    t = difference(float(d.mean()), error, d.size - 1, block, comparisons)
    results = [
        replace(t, population=names.NEW_RATINGS, note="test_train_ratio", note_value=ratio),
        _wilcoxon(d, Resampling.of(block), comparisons),
        _bayesian(wide, block["margin"], block["ci_level"]),
    ]
    return [replace(one, **known) for one in results]


def _known(first: pd.Series, second: pd.Series) -> dict[str, Any]:
    groups = {"group_a": str(first.name), "group_b": str(second.name)}
    return {**groups, "n_blocks": first.size, "n_obs": 2 * first.size}


def difference(
    value: float, error: float, df: float, block: Mapping[str, float], comparisons: int = 1
) -> Result:
    """A difference of RMSE with its simultaneous interval, adjusted p and verdict.

    The interval of level 1 - α/m of each of m comparisons makes them hold together with probability
    1 - α, however they depend on each other (Dunn 1961), and leaves out zero where m·p is below α.

    Parameters
    ----------
    value, error, df
        (`value` - truth)/`error` is taken as Student's t with `df` degrees of freedom.
    block
        alpha, and margin in rating units.
    comparisons
        Contrasts of the family.
    """
    alpha = block["alpha"]
    found = stats.t(df, loc=value, scale=error)
    ends, inner = (found.interval(1 - sides * alpha / comparisons) for sides in (1, 2))
    p = float(2 * stats.t.sf(abs(value) / error, df))
    return Result(
        names.CORRECTED_T,
        "scipy.stats.t",
        stat_name="t",
        stat=value / error,
        df1=df,
        **_bonferroni(p, comparisons),
        effect_name=names.DIFFERENCE,
        effect=value,
        interval=interval(*ends, 1 - alpha, "simultaneous_t"),
        margin=block["margin"],
        verdict=verdict_on(ends, inner, block["margin"]),
    )


def of_population(
    found: Difference, pair: tuple[str, str], block: Mapping[str, float], comparisons: int = 1
) -> list[Result]:
    """A difference for a population, as `difference` has it; none where it is known to be 0."""
    if not found.error:
        return []
    result = difference(found.value, found.error, found.df, block, comparisons)
    known: dict[str, Any] = {"group_a": pair[0], "group_b": pair[1]}
    function = "cfmf.statistics.populations.differences"
    return [
        replace(
            result, test=names.CLUSTERED_T, function=function, population=found.population, **known
        )
    ]


def verdict_on(ends: Ends, inner: Ends, margin: float) -> str:
    """The verdict on a pair, one of `names.VERDICTS`.

    Parameters
    ----------
    ends
        Interval of the difference at level 1 - α: beyond the margin, one is better and it matters.
    inner
        Interval at level 1 - 2α: within ±margin, the two one-sided tests of equivalence reject
        (Schuirmann 1987). Then the verdict is that one is better by less than the margin if `ends`
        leaves out zero, else that the two are equivalent. All else is inconclusive.
    margin
        Difference from which on it matters.
    """
    low, high = ends
    if low > margin or high < -margin:
        return names.MATTERS
    if -margin < inner[0] and inner[1] < margin:
        return names.SMALL if low > 0 or high < 0 else names.EQUIVALENT
    return names.INCONCLUSIVE


def inner_interval(found: Result, alpha: float) -> Ends:
    """The interval at level 1 - 2α that the verdict on a difference rests on, simultaneous too."""
    share = alpha / found.family_size
    error = (found.interval.high - found.effect) / stats.t.isf(share / 2, found.df1)
    half = error * float(stats.t.isf(share, found.df1))
    return found.effect - half, found.effect + half


def _bonferroni(p: float, comparisons: int) -> dict[str, Any]:
    method = "bonferroni" if comparisons > 1 else "none"
    adjusted = {"p_adj": min(comparisons * p, 1.0), "adj_method": method}
    return {"p_raw": p, **adjusted, "family_size": comparisons}


def _bayesian(wide: NDArray[np.float64], margin: float, level: float) -> Result:
    """The Bayesian correlated t (Corani & Benavoli 2015, eq. 8) on the side of the mean.

    The posterior of the mean difference is a t distribution about the mean with the corrected
    standard error. The result is its probability beyond the margin on the side where the mean is.
    """
    mean = float(wide.mean())
    posterior = stats.t(wide.size - 1, loc=mean, scale=stats.sem(wide))
    higher = mean > 0
    return Result(
        names.BAYESIAN_T,
        "scipy.stats.t",
        stat_name=names.HIGHER if higher else names.LOWER,
        stat=float(posterior.sf(margin) if higher else posterior.cdf(-margin)),
        df1=wide.size - 1,
        effect_name=names.DIFFERENCE,
        effect=mean,
        interval=interval(*posterior.interval(level), level, "posterior"),
        margin=margin,
        population=names.NEW_RATINGS,
    )


def power(
    first: pd.Series,
    second: pd.Series,
    ratio: float,
    block: Mapping[str, float],
    comparisons: int = 1,
) -> list[Result]:
    """Minimum difference that the corrected t can detect at the wanted power; power at the margin.

    With the spread of the differences as found; a larger design can detect smaller ones. The
    interval of the minimum detectable difference is that of the spread. The parameters are those of
    `paired_contrast`, and power in `block`. None where the folds do not show the spread.
    """
    d = first.to_numpy(dtype=np.float64) - second.to_numpy(dtype=np.float64)
    if d.size < 2 or np.ptp(d) < 1e-12:
        return []
    spread = float(widened(d, ratio).std(ddof=1))
    alpha = block["alpha"] / comparisons
    least = detectable_difference(spread, d.size, alpha, block["power"])
    level = block["ci_level"]
    low, high = (least * factor for factor in deviation_factors(d.size - 1, level))
    return [
        Result(
            names.POWER,
            "cfmf.statistics.power.power_of_t",
            **_known(first, second),
            stat_name="power_at_margin",
            stat=power_of_t(block["margin"] / spread, d.size, alpha),
            family_size=comparisons,
            margin=block["margin"],
            effect_name=names.DETECTABLE,
            effect=least,
            interval=interval(low, high, level, "chi2_of_standard_deviation"),
            population=names.NEW_RATINGS,
            note="at_power_of_one" if comparisons == 1 else "at_power_of_several",
            note_value=block["power"],
        )
    ]


def detectable_difference(spread: float, folds: int, alpha: float, power: float) -> float:
    """Minimum difference that a two-sided paired t of `folds` differences detects with `power`."""
    return spread * detectable_effect(folds, alpha, power)


def _wilcoxon(d: NDArray[np.float64], resampling: Resampling, comparisons: int) -> Result:
    found = stats.wilcoxon(d, method="auto")
    return Result(
        names.WILCOXON,
        "scipy.stats.wilcoxon",
        stat_name="W",
        stat=float(found.statistic),
        **_bonferroni(float(found.pvalue), comparisons),
        effect_name="rank_biserial",
        effect=float(rank_biserial(d)),
        interval=resampled([d], rank_biserial, resampling, "folds", least=LEAST_FOLDS)[0],
        population=names.NEW_RATINGS,
        note="folds_taken_as_independent;lowest_p",
        note_value=least_p(d.size),
    )
