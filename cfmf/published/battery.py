"""The published study's battery of tests, as published: every run a sample of its own.

None of these p-values has a design behind it: runs of one fold share their ratings, the runs of a
search are chosen one after the other, and a search's pruned trials are not even trained. The rows
say so in `design`; the corrected tests are in the other modules of this package.
"""

from __future__ import annotations

import itertools

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
from cfmf.statistics import names
from cfmf.statistics.assumptions import equal_variances, normality
from cfmf.statistics.blocks import grouped
from cfmf.statistics.effects import anova_effects, kruskal_effects, partial_eta_interval
from cfmf.statistics.intervals import error_told, interval, resampled, within
from cfmf.statistics.rows import Row, about, test_row

ADDED = "not in the published battery; added for comparison"


def battery(
    runs: pd.DataFrame, family: str, alpha: float, resampling: Resampling
) -> tuple[list[Row], list[Row]]:
    """The whole battery on runs grouped by k.

    Parameters
    ----------
    runs
        Columns k (text) and value (RMSE), one row a run.
    family
        Name of the family for the tables.
    alpha
        Level of the checks.
    resampling
        How the runs of each k are resampled for intervals, and the level of all intervals.

    Returns
    -------
    Rows of the `tests` table and rows of the `assumptions` table.
    """
    groups = grouped(runs)
    checks = [row for k, values in groups.items() for row in normality(values, alpha, f"k={k}")]
    checks += equal_variances(list(groups.values()), alpha)
    context = {"family": family, "design": names.PUBLISHED}
    rows = [
        *one_way(groups, resampling.level),
        *kruskal(groups, resampling),
        *dunn(runs, resampling.level),
        *tukey(groups, resampling.level),
    ]
    return (
        about(rows, estimand=names.AS_PUBLISHED, factor="k", **context),
        about(checks, **context),
    )


def one_way(groups: dict[str, NDArray[np.float64]], level: float) -> list[Row]:
    """One-way analysis of variance with its sums of squares and effects, and Welch's beside it.

    η², ω² and ε² estimate one share of the population and so have one interval, of this level.
    """
    size = sum(values.size for values in groups.values())
    spread = [np.ptp(values) for values in groups.values() if values.size > 1]
    if len(groups) < 2 or not spread or max(spread) < 1e-12 or size <= len(groups):
        return [test_row("one-way ANOVA", "", n_obs=size, note="not computed: no runs to compare")]
    found = stats.f_oneway(*groups.values())
    f = float(found.statistic)
    df1, df2 = len(groups) - 1, size - len(groups)
    ss = sums_of_squares(groups)
    effects = anova_effects(ss["between"], ss["within"], df1, df2)
    ends = interval(*partial_eta_interval(f, df1, df2, level), level, "noncentral F")
    rows = [
        test_row(
            "one-way ANOVA",
            "scipy.stats.f_oneway",
            n_obs=size,
            stat_name="F",
            stat=f,
            df1=df1,
            df2=df2,
            p_raw=float(found.pvalue),
            effect_name="eta squared",
            effect=effects["eta squared"],
            **ends,
        )
    ]
    degrees = {"between": df1, "within": df2, "total": df1 + df2}
    rows += [
        test_row(
            "one-way ANOVA, sum of squares",
            "statsmodels.stats.anova.anova_lm",
            n_obs=size,
            stat_name=f"SS {source}",
            stat=value,
            df1=degrees[source],
        )
        for source, value in ss.items()
    ]
    rows += [
        test_row(
            names.EFFECT_SIZE,
            "cfmf.statistics.effects.anova_effects",
            n_obs=size,
            effect_name=name,
            effect=effects[name],
            **ends,
        )
        for name in ("omega squared", "epsilon squared")
    ]
    if min(values.size for values in groups.values()) > 1 and min(spread) > 1e-12:
        rows.append(_welch(groups, size, level))
    return rows


def _welch(groups: dict[str, NDArray[np.float64]], size: int, level: float) -> Row:
    samples = list(groups.values())
    found = anova_oneway(samples, use_var="unequal")
    f, (df1, df2) = float(found.statistic), (float(df) for df in found.df)
    moments = [[v.mean() for v in samples], [v.var(ddof=1) for v in samples]]
    signal = effectsize_oneway(*moments, np.array([v.size for v in samples]), use_var="unequal")
    return test_row(
        "Welch ANOVA",
        "statsmodels.stats.oneway.anova_oneway",
        n_obs=size,
        stat_name="F",
        stat=f,
        df1=df1,
        df2=df2,
        p_raw=float(found.pvalue),
        effect_name="eta squared, variances unequal",
        effect=float(convert_effectsize_fsqu(f2=signal).eta2),
        **interval(*partial_eta_interval(f, df1, df2, level, size), level, "noncentral F"),
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


def kruskal(groups: dict[str, NDArray[np.float64]], resampling: Resampling) -> list[Row]:
    """Kruskal-Wallis test of equal distributions (not of equal medians), with its effects.

    Their intervals come from resampling the runs of each group.
    """
    samples = list(groups.values())
    size = sum(values.size for values in samples)
    if len(groups) < 2 or size <= len(groups) or np.ptp(np.concatenate(samples)) == 0:
        return [test_row("Kruskal-Wallis", "", n_obs=size, note="not computed: no runs to compare")]
    found = stats.kruskal(*samples)
    effects = kruskal_effects(float(found.statistic), len(groups), size)

    def resampled_effects(*drawn: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        h = stats.kruskal(*drawn, axis=axis).statistic
        return np.stack(list(kruskal_effects(h, len(groups), size).values()))

    epsilon, eta = resampled(samples, resampled_effects, resampling, "runs")
    return [
        test_row(
            "Kruskal-Wallis",
            "scipy.stats.kruskal",
            n_obs=size,
            stat_name="H",
            stat=float(found.statistic),
            df1=len(groups) - 1,
            p_raw=float(found.pvalue),
            effect_name="epsilon squared of H",
            effect=effects["epsilon squared of H"],
            **epsilon,
        ),
        test_row(
            names.EFFECT_SIZE,
            "cfmf.statistics.effects.kruskal_effects",
            n_obs=size,
            effect_name="eta squared of H",
            effect=effects["eta squared of H"],
            **eta,
        ),
    ]


def dunn(runs: pd.DataFrame, level: float) -> list[Row]:
    """Dunn's comparisons of every pair of k; Holm adjusts them with their family.

    z has the sign of the first's mean rank less the second's. The interval of that difference, of
    this level, is that of z: its standard error is the one that it has under equal distributions.
    """
    if runs["k"].nunique() < 2 or np.ptp(runs["value"]) == 0:
        return [test_row("Dunn", "", n_obs=len(runs), note="not computed: no runs to compare")]
    found = scikit_posthocs.posthoc_dunn(runs, val_col="value", group_col="k")
    ranked = runs.assign(rank=runs["value"].rank()).groupby("k")["rank"].agg(["mean", "size"])
    pairs = list(itertools.combinations(grouped(runs), 2))
    p = np.array([found.loc[pair] for pair in pairs])
    differences = np.array([ranked["mean"][a] - ranked["mean"][b] for a, b in pairs])
    # A difference has the standard error of all others times this.
    scales = np.array([np.sqrt(1 / ranked["size"][a] + 1 / ranked["size"][b]) for a, b in pairs])
    error = error_told(differences / scales, p, stats.norm.isf)
    halves = stats.norm.isf((1 - level) / 2) * error * scales
    return [
        test_row(
            "Dunn",
            "scikit_posthocs.posthoc_dunn",
            group_a=a,
            group_b=b,
            n_obs=len(runs),
            stat_name="z",
            stat=float(np.sign(differences[i]) * stats.norm.isf(p[i] / 2)),
            p_raw=float(p[i]),
            effect_name="difference of mean ranks",
            effect=float(differences[i]),
            **within(
                float(differences[i]),
                float(halves[i]),
                len(runs) - (ranked["size"][a] + ranked["size"][b]) / 2,
                level,
                "normal",
            ),
        )
        for i, (a, b) in enumerate(pairs)
    ]


def tukey(groups: dict[str, NDArray[np.float64]], level: float) -> list[Row]:
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
        test_row(
            "Tukey",
            "scipy.stats.tukey_hsd",
            group_a=levels[i],
            group_b=levels[j],
            n_obs=sum(values.size for values in groups.values()),
            stat_name="difference of means",
            stat=float(difference[i, j]),
            p_adj=float(p[i, j]),
            adj_method="Tukey",
            family_size=len(levels) * (len(levels) - 1) // 2,
            effect_name="difference of RMSE",
            effect=float(difference[i, j]),
            **interval(low[i, j], high[i, j], level, "studentized range"),
            note=ADDED,
        )
        for i, j in itertools.combinations(range(len(levels)), 2)
    ]
