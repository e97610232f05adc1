"""The methods over several data sets, and the same ratings split at random and by time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from scipy import stats

from cfmf.evaluation.data_sets import independent, pairs_of_schemes, side_by_side
from cfmf.statistics import blocked, names
from cfmf.statistics.families import adjust
from cfmf.statistics.intervals import no_interval
from cfmf.statistics.names import DATASETS, E3, FRIEDMAN
from cfmf.statistics.results import Family, Result, of_family

LEAST = 2
"""Data sets of different ratings from which Friedman's test is made."""
METHODS = 3
"""Methods from which orders are compared."""


def across(table: pd.DataFrame, block: Mapping[str, Any]) -> tuple[Result, ...]:
    """The methods compared over data sets: Friedman, comparisons, critical difference.

    Each data set is a block; the value of a method is the mean of its folds (Demšar 2006). The two
    split schemes of the same ratings are compared by Kendall's τ of their orders.

    Parameters
    ----------
    table
        A `datasets` table.
    block
        The `statistics` block of the config.
    """
    wide = independent(table)
    size: dict[str, Any] = {"n_blocks": len(wide), "n_obs": wide.size}
    if E3 not in block["estimands"]:
        found = [Result(FRIEDMAN, note="estimand_not_declared", **size)]
    elif len(wide) < LEAST or wide.shape[1] < METHODS:
        found = [Result(FRIEDMAN, note="too_few_data_sets_or_methods", **size)]
    else:
        found = [
            *blocked.friedman(wide, block["ci_level"]),
            *blocked.rank_comparisons(wide, block["alpha"], block["ci_level"]),
        ]
        if block["control"] in wide.columns:
            found += blocked.many_to_one(wide, block["control"], block["ci_level"])
    family = Family(names.ACROSS, "", E3, DATASETS, "method")
    of_schemes = replace(family, key=names.SCHEMES, design="")
    results = of_family(found, family) + of_family(_schemes(table), of_schemes)
    return adjust(results, block["alpha"])


def _schemes(table: pd.DataFrame) -> list[Result]:
    found = []
    for first, second in pairs_of_schemes(table):
        both = side_by_side(table, first, second)
        known: dict[str, Any] = {"group_a": first, "group_b": second, "n_obs": len(both)}
        if len(both) < METHODS:
            found.append(Result(names.KENDALL, note="too_few_methods_in_both", **known))
            continue
        tau = stats.kendalltau(both["first"], both["second"])
        found.append(
            Result(
                names.KENDALL,
                "scipy.stats.kendalltau",
                **known,
                stat_name="tau",
                stat=float(tau.statistic),
                effect_name="mean_difference_of_rmse",
                effect=float(both["difference"].mean()),
                interval=no_interval("methods_are_no_sample"),
                note="methods_are_no_sample",
            )
        )
    return found
