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
from statsmodels.stats.oneway import anova_oneway

from cfmf.statistics.assumptions import equal_variances, normality
from cfmf.statistics.blocks import number
from cfmf.statistics.effects import anova_effects, kruskal_effects
from cfmf.statistics.rows import PUBLISHED, Row, about, test_row

ADDED = "not in the published battery; added for comparison"


def battery(runs: pd.DataFrame, family: str, alpha: float) -> tuple[list[Row], list[Row]]:
    """The whole battery on runs grouped by k.

    Parameters
    ----------
    runs
        Columns k (text) and value (RMSE), one row a run.
    family
        Name of the family for the tables.
    alpha
        Level of the checks.

    Returns
    -------
    Rows of the `tests` table and rows of the `assumptions` table.
    """
    groups = grouped(runs)
    checks = [row for k, values in groups.items() for row in normality(values, alpha, f"k={k}")]
    checks += equal_variances(list(groups.values()), alpha)
    context = {"family": family, "design": PUBLISHED}
    rows = [*one_way(groups), *kruskal(groups), *dunn(runs), *tukey(groups)]
    return (
        about(rows, estimand="as published", factor="k", **context),
        about(checks, **context),
    )


def grouped(runs: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Values of the runs by k, in order of k."""
    levels = sorted((str(k) for k in runs["k"].unique()), key=number)
    return {k: runs.loc[runs["k"] == k, "value"].to_numpy(dtype=np.float64) for k in levels}


def one_way(groups: dict[str, NDArray[np.float64]]) -> list[Row]:
    """One-way analysis of variance with its sums of squares and effects, and Welch's beside it."""
    size = sum(values.size for values in groups.values())
    spread = [np.ptp(values) for values in groups.values() if values.size > 1]
    if len(groups) < 2 or not spread or max(spread) < 1e-12 or size <= len(groups):
        return [test_row("one-way ANOVA", "", n_obs=size, note="not computed: no runs to compare")]
    found = stats.f_oneway(*groups.values())
    df1, df2 = len(groups) - 1, size - len(groups)
    ss = sums_of_squares(groups)
    effects = anova_effects(ss["between"], ss["within"], df1, df2)
    rows = [
        test_row(
            "one-way ANOVA",
            "scipy.stats.f_oneway",
            n_obs=size,
            stat_name="F",
            stat=float(found.statistic),
            df1=df1,
            df2=df2,
            p_raw=float(found.pvalue),
            effect_name="eta squared",
            effect=effects["eta squared"],
        )
    ]
    degrees = {"between": df1, "within": df2, "total": df1 + df2}
    rows += [
        test_row(
            "one-way ANOVA, sum of squares",
            "cfmf.statistics.published.sums_of_squares",
            n_obs=size,
            stat_name=f"SS {source}",
            stat=value,
            df1=degrees[source],
        )
        for source, value in ss.items()
    ]
    rows += [
        test_row(
            "effect size",
            "cfmf.statistics.effects.anova_effects",
            n_obs=size,
            effect_name=name,
            effect=effects[name],
        )
        for name in ("omega squared", "epsilon squared")
    ]
    if min(values.size for values in groups.values()) > 1 and min(spread) > 1e-12:
        welch = anova_oneway(list(groups.values()), use_var="unequal")
        rows.append(
            test_row(
                "Welch ANOVA",
                "statsmodels.stats.oneway.anova_oneway",
                n_obs=size,
                stat_name="F",
                stat=float(welch.statistic),
                df1=float(welch.df[0]),
                df2=float(welch.df[1]),
                p_raw=float(welch.pvalue),
                note=ADDED,
            )
        )
    return rows


def sums_of_squares(groups: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Sums of squares between groups, within them, and in total."""
    everything = np.concatenate(list(groups.values()))
    within = sum(float(np.sum(np.square(v - v.mean()))) for v in groups.values())
    total = float(np.sum(np.square(everything - everything.mean())))
    return {"between": total - within, "within": within, "total": total}


def kruskal(groups: dict[str, NDArray[np.float64]]) -> list[Row]:
    """Kruskal-Wallis test of equal distributions (not of equal medians), with its effects."""
    size = sum(values.size for values in groups.values())
    everything = np.concatenate(list(groups.values()))
    if len(groups) < 2 or size <= len(groups) or np.ptp(everything) == 0:
        return [test_row("Kruskal-Wallis", "", n_obs=size, note="not computed: no runs to compare")]
    found = stats.kruskal(*groups.values())
    effects = kruskal_effects(float(found.statistic), len(groups), size)
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
        ),
        test_row(
            "effect size",
            "cfmf.statistics.effects.kruskal_effects",
            n_obs=size,
            effect_name="eta squared of H",
            effect=effects["eta squared of H"],
        ),
    ]


def dunn(runs: pd.DataFrame) -> list[Row]:
    """Dunn's comparisons of every pair of k; Holm adjusts them with their family.

    z has the sign of the first's mean rank less the second's.
    """
    if runs["k"].nunique() < 2 or np.ptp(runs["value"]) == 0:
        return [test_row("Dunn", "", n_obs=len(runs), note="not computed: no runs to compare")]
    found = scikit_posthocs.posthoc_dunn(runs, val_col="value", group_col="k")
    mean_rank = runs.assign(rank=runs["value"].rank()).groupby("k")["rank"].mean()
    rows = []
    for a, b in itertools.combinations(grouped(runs), 2):
        p, difference = float(found.loc[a, b]), float(mean_rank[a] - mean_rank[b])
        rows.append(
            test_row(
                "Dunn",
                "scikit_posthocs.posthoc_dunn",
                group_a=a,
                group_b=b,
                n_obs=len(runs),
                stat_name="z",
                stat=float(np.sign(difference) * stats.norm.isf(p / 2)),
                p_raw=p,
                effect_name="difference of mean ranks",
                effect=difference,
            )
        )
    return rows


def tukey(groups: dict[str, NDArray[np.float64]]) -> list[Row]:
    """Tukey's comparisons of every pair of means, whose p-values are adjusted by construction."""
    if len(groups) < 2 or min(values.size for values in groups.values()) < 2:
        return []
    if max(np.ptp(values) for values in groups.values()) < 1e-12:
        return []
    found = stats.tukey_hsd(*groups.values())
    interval = found.confidence_interval()
    difference, p = np.atleast_2d(found.statistic), np.atleast_2d(found.pvalue)
    low, high = np.atleast_2d(interval.low), np.atleast_2d(interval.high)
    names = list(groups)
    return [
        test_row(
            "Tukey",
            "scipy.stats.tukey_hsd",
            group_a=names[i],
            group_b=names[j],
            n_obs=sum(values.size for values in groups.values()),
            stat_name="difference of means",
            stat=float(difference[i, j]),
            p_adj=float(p[i, j]),
            adj_method="Tukey",
            family_size=len(names) * (len(names) - 1) // 2,
            effect_name="difference of RMSE",
            effect=float(difference[i, j]),
            ci_low=float(low[i, j]),
            ci_high=float(high[i, j]),
            ci_level=0.95,
            ci_method="studentized range",
            note=ADDED,
        )
        for i, j in itertools.combinations(range(len(names)), 2)
    ]


def medians(runs: pd.DataFrame, arm: str, method: str) -> list[Row]:
    """Rows of the `medians` table for runs grouped by k, in order of the medians."""
    rows = [
        {
            "arm": arm,
            "method": method,
            "k": k,
            "n": values.size,
            "median": float(np.median(values)),
            "mean": float(values.mean()),
            "minimum": float(values.min()),
            "maximum": float(values.max()),
        }
        for k, values in grouped(runs).items()
    ]
    return sorted(rows, key=lambda row: row["median"])
