"""The published study's tests, as published: every run a sample of its own.

None of these p-values has a design behind it: runs of one fold share their ratings, the runs of a
search are chosen one after the other, and a search's pruned trials are not even trained. The
column `design` of their rows is `unblocked`; the corrected tests are in `cfmf.statistics`.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scikit_posthocs
from numpy.typing import NDArray
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.oneway import (
    anova_oneway,
    convert_effectsize_fsqu,
    effectsize_oneway,
)

from cfmf.evaluation.bootstrap import Resampling
from cfmf.published import keys
from cfmf.statistics import names
from cfmf.statistics.assumptions import equal_variances, normality
from cfmf.statistics.blocks import grouped
from cfmf.statistics.effects import anova_effects, kruskal_effects, partial_eta_interval
from cfmf.statistics.intervals import error_behind, interval, resampled, within
from cfmf.statistics.results import Check, Family, Result, of_family

ADDED = "added_for_comparison"
"""Not among the published tests."""


def tests_of(
    runs: pd.DataFrame, family: Family, alpha: float, resampling: Resampling
) -> tuple[list[Result], list[Check]]:
    """All published tests of runs grouped by k, and their checks.

    Parameters
    ----------
    runs
        Columns k (text) and value (RMSE), one row a run.
    family
        The family of all of them.
    alpha
        Level of the checks.
    resampling
        How the runs of each k are resampled for intervals, and the level of all intervals.
    """
    groups = grouped(runs)
    checks = [one for k, values in groups.items() for one in normality(values, alpha, f"k={k}")]
    checks += equal_variances(list(groups.values()), alpha)
    tests = [
        *one_way(groups, resampling.level),
        *kruskal(groups, resampling),
        *dunn(runs, resampling.level),
        *tukey(groups, resampling.level),
    ]
    return of_family(tests, family), of_family(checks, family)


def one_way(groups: dict[str, NDArray[np.float64]], level: float) -> list[Result]:
    """One-way analysis of variance with its sums of squares and effects, and Welch's in addition.

    η², ω² and ε² estimate one share of the population and so have one interval, of this level.
    """
    size = sum(values.size for values in groups.values())
    spread = [np.ptp(values) for values in groups.values() if values.size > 1]
    if len(groups) < 2 or not spread or max(spread) < 1e-12 or size <= len(groups):
        return [Result(keys.ONE_WAY, n_obs=size, note="no_runs_to_compare")]
    found = stats.f_oneway(*groups.values())
    f = float(found.statistic)
    df1, df2 = len(groups) - 1, size - len(groups)
    ss = sums_of_squares(groups)
    ends = interval(*partial_eta_interval(f, df1, df2, level), level, "noncentral_f")
    plain, *others = (
        Result(
            names.EFFECT_SIZE,
            "cfmf.statistics.effects.anova_effects",
            n_obs=size,
            effect_name=name,
            effect=effect,
            interval=ends,
        )
        for name, effect in anova_effects(ss["between"], ss["within"], df1, df2).items()
    )
    degrees = {"between": df1, "within": df2, "total": df1 + df2}
    squares = [
        Result(
            keys.SUM_OF_SQUARES,
            "statsmodels.stats.anova.anova_lm",
            n_obs=size,
            stat_name=f"ss_{source}",
            stat=value,
            df1=degrees[source],
        )
        for source, value in ss.items()
    ]
    tested: dict[str, Any] = {"stat_name": "F", "stat": f, "df1": df1, "df2": df2}
    tested |= {"function": "scipy.stats.f_oneway", "p_raw": float(found.pvalue)}
    rows = [replace(plain, test=keys.ONE_WAY, **tested), *squares, *others]
    varied = len(spread) == len(groups) and min(spread) > 1e-12
    return [*rows, _welch(groups, size, level)] if varied else rows


def _welch(groups: dict[str, NDArray[np.float64]], size: int, level: float) -> Result:
    samples = list(groups.values())
    found = anova_oneway(samples, use_var="unequal")
    f, (df1, df2) = float(found.statistic), (float(df) for df in found.df)
    moments = [[v.mean() for v in samples], [v.var(ddof=1) for v in samples]]
    signal = effectsize_oneway(*moments, np.array([v.size for v in samples]), use_var="unequal")
    return Result(
        keys.WELCH,
        "statsmodels.stats.oneway.anova_oneway",
        n_obs=size,
        stat_name="F",
        stat=f,
        df1=df1,
        df2=df2,
        p_raw=float(found.pvalue),
        effect_name="eta_squared_unequal_variances",
        effect=float(convert_effectsize_fsqu(f2=signal).eta2),
        interval=interval(*partial_eta_interval(f, df1, df2, level, size), level, "noncentral_f"),
        note=ADDED,
    )


def sums_of_squares(groups: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Sums of squares between groups, within them, and in total."""
    runs = pd.DataFrame(
        {
            "k": np.repeat(list(groups), [values.size for values in groups.values()]),
            "value": np.concatenate(list(groups.values())),
        }
    )
    found = anova_lm(ols("value ~ C(k)", runs).fit())["sum_sq"]
    return {"between": found["C(k)"], "within": found["Residual"], "total": found.sum()}


def kruskal(groups: dict[str, NDArray[np.float64]], resampling: Resampling) -> list[Result]:
    """Kruskal-Wallis test of equal distributions (not of equal medians), with its effects.

    Their intervals come from resampling the runs of each group.
    """
    samples = list(groups.values())
    size = sum(values.size for values in samples)
    if len(groups) < 2 or size <= len(groups) or np.ptp(np.concatenate(samples)) == 0:
        return [Result(keys.KRUSKAL, n_obs=size, note="no_runs_to_compare")]
    found = stats.kruskal(*samples)
    effects = kruskal_effects(float(found.statistic), len(groups), size)

    def resampled_effects(*drawn: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        h = stats.kruskal(*drawn, axis=axis).statistic
        return np.stack(list(kruskal_effects(h, len(groups), size).values()))

    epsilon, eta = resampled(samples, resampled_effects, resampling, "runs")
    return [
        Result(
            keys.KRUSKAL,
            "scipy.stats.kruskal",
            n_obs=size,
            stat_name="H",
            stat=float(found.statistic),
            df1=len(groups) - 1,
            p_raw=float(found.pvalue),
            effect_name=keys.EPSILON_H,
            effect=float(effects[keys.EPSILON_H]),
            interval=epsilon,
        ),
        Result(
            names.EFFECT_SIZE,
            "cfmf.statistics.effects.kruskal_effects",
            n_obs=size,
            effect_name=keys.ETA_H,
            effect=float(effects[keys.ETA_H]),
            interval=eta,
        ),
    ]


def dunn(runs: pd.DataFrame, level: float) -> list[Result]:
    """Dunn's comparisons of every pair of k; Holm adjusts them with their family.

    z has the sign of the first's mean rank minus the second's. The interval of that difference, of
    this level, is that of z: its standard error is the one that it has under equal distributions.
    """
    if runs["k"].nunique() < 2 or np.ptp(runs["value"]) == 0:
        return [Result(keys.DUNN, n_obs=len(runs), note="no_runs_to_compare")]
    found = scikit_posthocs.posthoc_dunn(runs, val_col="value", group_col="k")
    ranked = runs.assign(rank=runs["value"].rank()).groupby("k")["rank"].agg(["mean", "size"])
    pairs = list(itertools.combinations(grouped(runs), 2))
    p = np.array([found.loc[pair] for pair in pairs])
    differences = np.array([ranked["mean"][a] - ranked["mean"][b] for a, b in pairs])
    # A difference has the standard error of all others times this.
    scales = np.array([np.sqrt(1 / ranked["size"][a] + 1 / ranked["size"][b]) for a, b in pairs])
    error = error_behind(differences / scales, p, stats.norm.isf)
    halves = stats.norm.isf((1 - level) / 2) * error * scales
    return [
        Result(
            keys.DUNN,
            "scikit_posthocs.posthoc_dunn",
            group_a=a,
            group_b=b,
            n_obs=len(runs),
            stat_name="z",
            stat=float(np.sign(differences[i]) * stats.norm.isf(p[i] / 2)),
            p_raw=float(p[i]),
            effect_name="difference_of_mean_ranks",
            effect=float(differences[i]),
            interval=within(
                float(differences[i]),
                float(halves[i]),
                len(runs) - (ranked["size"][a] + ranked["size"][b]) / 2,
                level,
                "normal",
            ),
        )
        for i, (a, b) in enumerate(pairs)
    ]


def tukey(groups: dict[str, NDArray[np.float64]], level: float) -> list[Result]:
    """Tukey's comparisons of every pair of means, whose p-values are adjusted by construction.

    So are its intervals, of this level.
    """
    if len(groups) < 2 or min(values.size for values in groups.values()) < 2:
        return []
    if max(np.ptp(values) for values in groups.values()) < 1e-12:
        return []
    found = stats.tukey_hsd(*groups.values())
    ends = found.confidence_interval(level)
    difference, p = np.atleast_2d(found.statistic), np.atleast_2d(found.pvalue)
    low, high = np.atleast_2d(ends.low), np.atleast_2d(ends.high)
    levels = list(groups)
    return [
        Result(
            keys.TUKEY,
            "scipy.stats.tukey_hsd",
            group_a=levels[i],
            group_b=levels[j],
            n_obs=sum(values.size for values in groups.values()),
            stat_name="difference_of_means",
            stat=float(difference[i, j]),
            p_adj=float(p[i, j]),
            adj_method="tukey",
            family_size=len(levels) * (len(levels) - 1) // 2,
            effect_name=names.DIFFERENCE,
            effect=float(difference[i, j]),
            interval=interval(low[i, j], high[i, j], level, "studentized_range"),
            note=ADDED,
        )
        for i, j in itertools.combinations(range(len(levels)), 2)
    ]
