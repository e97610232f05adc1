"""What the tests assume, checked. A check annotates a result; it never chooses the test.

A check that finds no violation does not show that the assumption holds.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.diagnostic import lilliefors

from cfmf.statistics.blocked import greenhouse_geisser, residuals
from cfmf.statistics.results import Check

RATIO = 2.0
"""Largest over smallest variance from which variances count as unequal: a rule of thumb."""
EPSILON = 0.75
"""Greenhouse & Geisser's ε up to which sphericity counts as violated."""
FUNCTIONS = {
    "shapiro_wilk": "scipy.stats.shapiro",
    "lilliefors": "statsmodels.stats.diagnostic.lilliefors",
    "bartlett": "scipy.stats.bartlett",
    "brown_forsythe": "scipy.stats.levene",
}


def normality(values: NDArray[np.float64], alpha: float, group: str) -> list[Check]:
    """Shapiro-Wilk and Lilliefors of one sample."""
    known: dict[str, Any] = {"group": group, "n": values.size}
    if values.size < 4 or np.ptp(values) < 1e-12:
        names = ("shapiro_wilk", "lilliefors")
        return [Check(name, note="needs_four_different_values", **known) for name in names]
    shapiro = _tested("shapiro_wilk", "W", stats.shapiro(values), alpha, **known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # p outside the table's range: it is clipped, and noted
        distance, p = lilliefors(values)
    note = "p_at_end_of_table" if p in (0.001, 0.2) or p > 0.99 else ""
    return [shapiro, _tested("lilliefors", "D", (distance, p), alpha, note=note, **known)]


def _tested(name: str, statistic: str, found: Any, alpha: float, **known: Any) -> Check:
    """A check that is a test: its statistic and p."""
    value, p = found
    return Check(
        name,
        FUNCTIONS[name],
        stat_name=statistic,
        stat=float(value),
        p_value=float(p),
        threshold=alpha,
        violation=bool(p < alpha),
        **known,
    )


def equal_variances(groups: list[NDArray[np.float64]], alpha: float) -> list[Check]:
    """Variance ratio, Bartlett and Brown-Forsythe of several samples."""
    known: dict[str, Any] = {"group": "all", "n": sum(group.size for group in groups)}
    variances = [float(np.var(group, ddof=1)) if group.size > 1 else 0.0 for group in groups]
    if len(groups) < 2 or min(variances) <= 0:
        return [Check("equal_variances", note="needs_two_varying_groups", **known)]
    # SciPy's Bartlett loses digits on integers.
    bartlett = stats.bartlett(*(group.astype(np.float64) for group in groups))
    brown_forsythe = stats.levene(*groups, center="median")
    ratio = max(variances) / min(variances)
    return [
        Check(
            "variance_ratio",
            "numpy.var",
            stat_name="ratio",
            stat=ratio,
            threshold=RATIO,
            violation=ratio >= RATIO,
            note="rule_of_thumb",
            **known,
        ),
        _tested("bartlett", "T", bartlett, alpha, **known),
        _tested("brown_forsythe", "W", brown_forsythe, alpha, **known),
    ]


def of_blocks(table: pd.DataFrame, alpha: float) -> list[Check]:
    """Checks of the residuals of blocks and levels, and of sphericity."""
    left = residuals(table)
    found = normality(left.to_numpy().ravel(), alpha, "residuals")
    found += equal_variances([left[name].to_numpy() for name in left.columns], alpha)
    if len(table) > 1:
        epsilon = greenhouse_geisser(table)
        found.append(
            Check(
                "sphericity",
                "cfmf.statistics.blocked.greenhouse_geisser",
                group="all",
                n=table.size,
                stat_name="epsilon",
                stat=epsilon,
                threshold=EPSILON,
                violation=epsilon <= EPSILON,
                note="lowest_epsilon",
                note_value=1 / (table.shape[1] - 1),
            )
        )
    return found
