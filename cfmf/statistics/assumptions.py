"""What the tests assume, checked. A check annotates a result; it never chooses the test.

A check finds a departure or finds none; that it found none does not show that the assumption holds.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.diagnostic import lilliefors

from cfmf.statistics.blocked import greenhouse_geisser, residuals
from cfmf.statistics.rows import Row, check_row

RULE_OF_THUMB = 2.0  # largest over smallest variance, as the published study judges it


def normality(values: NDArray[np.float64], alpha: float, group: str) -> list[Row]:
    """Shapiro-Wilk and Lilliefors of one sample: rows of the `assumptions` table."""
    known = {"group": group, "n": values.size}
    if values.size < 4 or np.ptp(values) < 1e-12:
        why = "not computed: needs four values that differ"
        return [
            check_row(name, function, **known, note=why)
            for name, function in (
                ("Shapiro-Wilk", "scipy.stats.shapiro"),
                ("Lilliefors", "statsmodels.stats.diagnostic.lilliefors"),
            )
        ]
    shapiro = stats.shapiro(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # p outside the table's range: it is clipped, and so told
        distance, p = lilliefors(values)
    clipped = "p is at the end of the library's table" if p in (0.001, 0.2) or p > 0.99 else ""
    return [
        check_row(
            "Shapiro-Wilk",
            "scipy.stats.shapiro",
            **known,
            stat_name="W",
            stat=float(shapiro.statistic),
            p_value=float(shapiro.pvalue),
            departure=bool(shapiro.pvalue < alpha),
        ),
        check_row(
            "Lilliefors",
            "statsmodels.stats.diagnostic.lilliefors",
            **known,
            stat_name="D",
            stat=float(distance),
            p_value=float(p),
            departure=bool(p < alpha),
            note=clipped,
        ),
    ]


def equal_variances(groups: list[NDArray[np.float64]], alpha: float) -> list[Row]:
    """Variance ratio, Bartlett and Brown-Forsythe of several samples."""
    known = {"group": "all", "n": sum(group.size for group in groups)}
    variances = [float(np.var(group, ddof=1)) if group.size > 1 else 0.0 for group in groups]
    if len(groups) < 2 or min(variances) <= 0:
        why = "not computed: needs two groups that vary"
        return [check_row("equal variances", "", **known, note=why)]
    # SciPy's Bartlett loses digits on integers.
    bartlett = stats.bartlett(*(group.astype(np.float64) for group in groups))
    brown_forsythe = stats.levene(*groups, center="median")
    ratio = max(variances) / min(variances)
    return [
        check_row(
            "variance ratio",
            "numpy.var",
            **known,
            stat_name="largest/smallest",
            stat=ratio,
            departure=ratio >= RULE_OF_THUMB,
            note=f"rule of thumb: below {RULE_OF_THUMB:g}",
        ),
        *(
            check_row(
                name,
                function,
                **known,
                stat_name=stat_name,
                stat=float(found.statistic),
                p_value=float(found.pvalue),
                departure=bool(found.pvalue < alpha),
            )
            for name, function, stat_name, found in (
                ("Bartlett", "scipy.stats.bartlett", "T", bartlett),
                ("Brown-Forsythe", "scipy.stats.levene", "W", brown_forsythe),
            )
        ),
    ]


def of_blocks(table: pd.DataFrame, alpha: float) -> list[Row]:
    """Checks of the residuals of blocks and levels, and of sphericity."""
    left = residuals(table)
    rows = normality(left.to_numpy().ravel(), alpha, "residuals")
    rows += equal_variances([left[name].to_numpy() for name in left.columns], alpha)
    if len(table) > 1:
        epsilon = greenhouse_geisser(table)
        rows.append(
            check_row(
                "sphericity",
                "cfmf.statistics.blocked.greenhouse_geisser",
                group="all",
                n=table.size,
                stat_name="Greenhouse-Geisser epsilon",
                stat=epsilon,
                departure=epsilon <= 0.75,
                note=f"1 is sphericity, {1 / (table.shape[1] - 1):.3g} the worst; judged at 0.75",
            )
        )
    return rows
