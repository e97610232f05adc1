"""P-values adjusted for all that a family compares."""

from __future__ import annotations

import gc
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from cfmf.statistics.results import Result


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values adjusted by Holm's method."""
    # statsmodels collects garbage here every time, which takes most of the time of an analysis
    # unless the objects made so far are exempt.
    gc.freeze()
    try:
        return np.asarray(multipletests(p, method="holm")[1])
    finally:
        gc.unfreeze()


def adjust(results: Iterable[Result], alpha: float) -> tuple[Result, ...]:
    """The results with p-values adjusted by Holm inside each family, and what is rejected.

    A family here is the comparisons that one test makes of the levels of one factor for one
    estimand; an omnibus test is a family of one. Different tests of the same hypothesis are
    different views of it and do not adjust each other. A result with `p_adj` was adjusted by its
    own test.

    Parameters
    ----------
    results
        Results as the tests made them.
    alpha
        Level at which an adjusted p-value rejects.
    """
    found = list(results)
    families = defaultdict(list)
    for place, one in enumerate(found):
        if not math.isnan(one.p_raw) and math.isnan(one.p_adj):
            families[one.family, one.test, one.stat_name].append(place)
    for places in families.values():
        p = np.array([found[place].p_raw for place in places])
        several = len(places) > 1
        method = "holm" if several else "none"
        for place, value in zip(places, holm(p) if several else p, strict=True):
            found[place] = replace(
                found[place], p_adj=float(value), family_size=len(places), adj_method=method
            )
    return tuple(
        one if math.isnan(one.p_adj) else replace(one, reject=bool(one.p_adj < alpha))
        for one in found
    )
