"""The methods over several data sets, and the same ratings split at random and by time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy import stats

from cfmf.evaluation.datasets import beside, independent, pairs_of_tracks
from cfmf.statistics import blocked
from cfmf.statistics.blocks import declared
from cfmf.statistics.intervals import no_interval
from cfmf.statistics.names import DATASETS, E3, FRIEDMAN
from cfmf.statistics.rows import Row, about, adjust, test_row

LEAST = 2
"""Data sets of different ratings from which Friedman's test is made."""
METHODS = 3
"""Methods from which orders are compared."""


def across(table: pd.DataFrame, block: Mapping[str, Any]) -> pd.DataFrame:
    """`tests` table of the methods over data sets: Friedman, comparisons, critical difference.

    Each data set is a block; the value of a method is the mean of its folds (Demšar 2006). The
    two tracks of the same ratings are set beside each other by Kendall's τ of their orders.

    Parameters
    ----------
    table
        A `datasets` table.
    block
        The `statistics` block of the config.
    """
    wide = independent(table)
    size = {"n_blocks": len(wide), "n_obs": wide.size}
    if E3 not in declared(block):
        why = "the config does not declare the estimand E3"
        rows: list[Row] = [test_row(FRIEDMAN, "", note=f"not computed: {why}", **size)]
    elif len(wide) < LEAST or wide.shape[1] < METHODS:
        why = f"needs {LEAST} data sets of different ratings and {METHODS} methods on all of them"
        rows = [test_row(FRIEDMAN, "", note=f"not computed: {why}", **size)]
    else:
        rows = [
            *blocked.friedman(wide, block["ci_level"]),
            *blocked.rank_comparisons(wide, block["alpha"], block["ci_level"]),
        ]
        if block["control"] in wide.columns:
            rows += blocked.many_to_one(wide, block["control"], block["ci_level"])
    context = {"estimand": E3, "factor": "method"}
    rows = about(rows, family="methods across data sets", design=DATASETS, **context)
    rows += about(_tracks(table), family="random and temporal track", **context)
    return adjust(rows, block["alpha"])


def _tracks(table: pd.DataFrame) -> list[Row]:
    rows = []
    for first, second in pairs_of_tracks(table):
        both = beside(table, first, second)
        known = {"group_a": first, "group_b": second, "n_obs": len(both)}
        if len(both) < METHODS:
            why = f"not computed: needs {METHODS} methods on both"
            rows.append(test_row("Kendall tau of the orders", "", note=why, **known))
            continue
        found = stats.kendalltau(both["first"], both["second"])
        rows.append(
            test_row(
                "Kendall tau of the orders",
                "scipy.stats.kendalltau",
                **known,
                stat_name="tau",
                stat=float(found.statistic),
                effect_name="mean difference of RMSE",
                effect=float(both["difference"].mean()),
                **no_interval("methods are no sample"),
                note="methods are no sample, so there is no p-value",
            )
        )
    return rows
