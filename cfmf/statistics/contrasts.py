"""Two levels against each other, paired by fold: by how much, and what could be detected.

Folds share most of their training ratings, so their differences are not independent and the plain
paired t is far too liberal. Nadeau & Bengio (2003) replace the variance s²/J of the mean
difference of J folds by s²(1/J + n_test/n_train). The same t comes from the plain formula when the
differences are moved away from their mean by √(1 + J·n_test/n_train); the libraries' t, interval
and equivalence test of those widened differences are then the corrected ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from cfmf.evaluation import bootstrap
from cfmf.evaluation.bootstrap import Resampling
from cfmf.statistics import names
from cfmf.statistics.blocked import inflation
from cfmf.statistics.effects import cliff_delta, deviation_factors, rank_biserial
from cfmf.statistics.intervals import LEAST_FOLDS, interval, no_interval, resampled
from cfmf.statistics.power import detectable_effect, power_of_t
from cfmf.statistics.rates import least_p
from cfmf.statistics.results import Result


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


def paired_contrast(
    first: pd.Series,
    second: pd.Series,
    ratio: float,
    block: Mapping[str, float],
    comparisons: int = 1,
) -> list[Result]:
    """Every paired analysis of two levels.

    A difference is the first's RMSE minus the second's, so that a negative one speaks for the
    first.

    Parameters
    ----------
    first, second
        RMSE by fold, in the same folds; their names are the levels' names.
    ratio
        Test ratings over train ratings of a fold.
    block
        alpha, ci_level, margin, rope, power, bootstrap_repeats and seed, as in the
        `statistics` block of the config.
    comparisons
        Contrasts of the family that Holm adjusts together. Power is that at alpha over their
        number, Holm's strictest step: of any other step it is a lower bound.
    """
    groups: dict[str, Any] = {"group_a": str(first.name), "group_b": str(second.name)}
    d = first.to_numpy(dtype=np.float64) - second.to_numpy(dtype=np.float64)
    known: dict[str, Any] = {**groups, "n_blocks": d.size, "n_obs": 2 * d.size}
    if d.size < 2 or np.ptp(d) < 1e-12:
        why = "needs_two_folds" if d.size < 2 else "same_difference_in_every_fold"
        effect: dict[str, Any] = {"effect_name": names.DIFFERENCE, "effect": float(d.mean())}
        return [
            Result(names.CORRECTED_T, **known, **effect, interval=no_interval(why), note=why),
        ]
    wide, resampling = widened(d, ratio), Resampling.of(block)
    results = [
        _corrected_t(wide, ratio, block["ci_level"]),
        *_bayesian(wide, block["rope"], block["ci_level"]),
        _equivalence(wide, block["margin"], block["alpha"]),
        _power(wide, block, comparisons),
        _wilcoxon(d, resampling),
        _cliff(first, second, resampling),
    ]
    return [replace(one, **known) for one in results]


def _corrected_t(wide: NDArray[np.float64], ratio: float, level: float) -> Result:
    found = stats.ttest_1samp(wide, 0.0)
    ends = found.confidence_interval(level)
    return Result(
        names.CORRECTED_T,
        "scipy.stats.ttest_1samp of cfmf.statistics.contrasts.widened",
        stat_name="t",
        stat=float(found.statistic),
        df1=wide.size - 1,
        p_raw=float(found.pvalue),
        effect_name=names.DIFFERENCE,
        effect=float(wide.mean()),
        interval=interval(ends.low, ends.high, level, "corrected_t"),
        note="test_train_ratio",
        note_value=ratio,
    )


def _bayesian(wide: NDArray[np.float64], rope: float, level: float) -> list[Result]:
    """The Bayesian correlated t (Corani & Benavoli 2015, eq. 8): a result for each probability.

    The posterior of the mean difference is a t distribution about the mean with the corrected
    standard error; with no rope, its lower tail is the one-sided p of the corrected t.
    """
    posterior = stats.t(wide.size - 1, loc=wide.mean(), scale=stats.sem(wide))
    below, above = float(posterior.cdf(-rope)), float(posterior.sf(rope))
    shares = {
        names.LOWER: below,
        names.WITHIN: max(1 - below - above, 0.0),
        names.HIGHER: above,
    }
    return [
        Result(
            names.BAYESIAN_T,
            "scipy.stats.t",
            stat_name=name,
            stat=share,
            df1=wide.size - 1,
            effect_name=names.DIFFERENCE,
            effect=float(wide.mean()),
            interval=interval(*posterior.interval(level), level, "posterior"),
            margin=rope,
        )
        for name, share in shares.items()
    ]


def _equivalence(wide: NDArray[np.float64], margin: float, alpha: float) -> Result:
    found = DescrStatsW(wide)
    p, lower, upper = found.ttost_mean(-margin, margin)
    weaker = lower if lower[1] >= upper[1] else upper
    low, high = found.tconfint_mean(alpha=2 * alpha)
    return Result(
        names.EQUIVALENCE,
        "statsmodels DescrStatsW.ttost_mean of cfmf.statistics.contrasts.widened",
        stat_name="t_of_weaker_side",
        stat=float(weaker[0]),
        df1=wide.size - 1,
        p_raw=float(p),
        effect_name=names.DIFFERENCE,
        effect=float(wide.mean()),
        interval=interval(low, high, 1 - 2 * alpha, "corrected_t"),
        margin=margin,
        note="rejecting_shows_equivalence",
    )


def _power(wide: NDArray[np.float64], block: Mapping[str, float], comparisons: int) -> Result:
    """Minimum difference that the corrected t can detect at the wanted power; power at the margin.

    With the spread of the differences as found; a larger design can detect smaller ones. The
    interval of the minimum detectable difference is that of the spread.
    """
    spread = float(wide.std(ddof=1))
    alpha = block["alpha"] / comparisons
    least = detectable_difference(spread, wide.size, alpha, block["power"])
    level = block["ci_level"]
    low, high = (least * factor for factor in deviation_factors(wide.size - 1, level))
    return Result(
        names.POWER,
        "cfmf.statistics.power.power_of_t",
        stat_name="power_at_margin",
        stat=power_of_t(block["margin"] / spread, wide.size, alpha),
        family_size=comparisons,
        margin=block["margin"],
        effect_name=names.DETECTABLE,
        effect=least,
        interval=interval(low, high, level, "chi2_of_standard_deviation"),
        note="at_power_of_one" if comparisons == 1 else "at_power_of_several",
        note_value=block["power"],
    )


def detectable_difference(spread: float, folds: int, alpha: float, power: float) -> float:
    """Minimum difference that a two-sided paired t of `folds` differences detects with `power`."""
    return spread * detectable_effect(folds, alpha, power)


def _wilcoxon(d: NDArray[np.float64], resampling: Resampling) -> Result:
    found = stats.wilcoxon(d, method="auto")
    return Result(
        names.WILCOXON,
        "scipy.stats.wilcoxon",
        stat_name="W",
        stat=float(found.statistic),
        p_raw=float(found.pvalue),
        effect_name="rank_biserial",
        effect=float(rank_biserial(d)),
        interval=resampled([d], rank_biserial, resampling, "folds", least=LEAST_FOLDS)[0],
        note="folds_taken_as_independent;lowest_p",
        note_value=least_p(d.size),
    )


def _cliff(first: pd.Series, second: pd.Series, resampling: Resampling) -> Result:
    a, b = (side.to_numpy(dtype=np.float64) for side in (first, second))
    return Result(
        names.EFFECT_SIZE,
        "cfmf.statistics.effects.cliff_delta",
        effect_name="cliff_delta",
        effect=float(cliff_delta(a, b)),
        interval=resampled([a, b], cliff_delta, resampling, "folds", paired=True)[0],
    )


def pooled_difference(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """RMSE of the first minus that of the second.

    Parameters
    ----------
    sums
        … × 3: sums over users of the squared errors of the first and of the second, and number of
        test ratings.
    """
    first, second, n = np.moveaxis(sums, -1, 0)
    return np.sqrt(first / n) - np.sqrt(second / n)


def user_bootstrap(errors: pd.DataFrame, first: str, second: str, resampling: Resampling) -> Result:
    """Difference of pooled RMSE with an interval from resampling users, who bring all their rows.

    What varies here is who the users are, with the fitted models as they are; what varies in the
    tests between folds is the training and test ratings.

    Parameters
    ----------
    errors
        Columns fold, method, user, n, squared_error.
    first, second
        Methods; only folds that both have are used.
    resampling
        Number of resamples of users, seed, and level of the percentile interval.
    """
    sums = paired_users(errors, first, second)[["first", "second", "n"]].to_numpy(np.float64)
    drawn = pooled_difference(bootstrap.resampled(sums, resampling))
    (low,), (high,) = bootstrap.interval(drawn[:, None], np.array([len(sums)]), resampling)
    repeats = resampling.repeats
    below, above = np.sum(drawn <= 0), np.sum(drawn >= 0)
    return Result(
        names.USER_BOOTSTRAP,
        "cfmf.statistics.contrasts.user_bootstrap",
        group_a=first,
        group_b=second,
        n_obs=len(sums),
        stat_name="standard_error",
        stat=float(drawn.std()),
        p_raw=min(1.0, 2 * (min(int(below), int(above)) + 1) / (repeats + 1)),
        effect_name="difference_of_pooled_rmse",
        effect=float(pooled_difference(sums.sum(axis=0))),
        interval=interval(low, high, resampling.level, "percentile_users", repeats),
        note="models_held_fixed",
    )


def paired_users(errors: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Sums over folds of each user's squared errors under two methods, and of the test ratings.

    Returns
    -------
    Index user; columns first, second, n.

    Raises
    ------
    ValueError
        If the methods were not scored on the same users and numbers of ratings.
    """
    sides = []
    for method in (first, second):
        rows = errors[errors["method"] == method]
        sides.append(rows.set_index(["fold", "user"])[["n", "squared_error"]])
    folds = set(sides[0].index.unique("fold")) & set(sides[1].index.unique("fold"))
    sides = [side[side.index.isin(folds, level="fold")] for side in sides]
    both = sides[0].add_suffix("_first").join(sides[1].add_suffix("_second"), how="outer")
    if not len(both) or not (both["n_first"] == both["n_second"]).all():
        raise ValueError(
            f"{first} and {second} were not scored on the same test ratings; run evaluate again"
        )
    sums = both.groupby("user").sum()
    return pd.DataFrame(
        {
            "first": sums["squared_error_first"],
            "second": sums["squared_error_second"],
            "n": sums["n_first"],
        }
    )
