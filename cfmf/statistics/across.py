"""The methods over several data sets, and the same ratings split at random and by time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cfmf.evaluation.data_sets import independent, pairs_of_schemes, side_by_side
from cfmf.statistics import blocked, blocks, hierarchical, names
from cfmf.statistics.analysis import pairs_of_methods
from cfmf.statistics.families import adjust
from cfmf.statistics.intervals import interval, no_interval
from cfmf.statistics.names import DATASETS, E3, FRIEDMAN
from cfmf.statistics.results import Family, Result, of_family

LEAST = 2
"""Data sets of different ratings from which Friedman's test is made."""
METHODS = 3
"""Methods from which orders are compared."""


@dataclass(frozen=True)
class OfFolds:
    """What the folds of one data set found.

    Attributes
    ----------
    selected
        Its `selected` table.
    ratio
        Test ratings over train ratings of a fold.
    width
        Of its rating scale.
    """

    selected: pd.DataFrame
    ratio: float
    width: float

    def table(self) -> pd.DataFrame:
        """Folds × methods, with the best of each family: RMSE as a share of the scale's width."""
        both = [
            blocks.table(rows, "method")
            for rows in (blocks.of_methods(self.selected), blocks.composites(self.selected))
            if len(rows)
        ]
        return pd.concat(both, axis="columns") / self.width


def across(
    table: pd.DataFrame, folds: Mapping[str, OfFolds], block: Mapping[str, Any]
) -> tuple[Result, ...]:
    """The methods compared over data sets: Friedman, comparisons, critical difference; next ones.

    Each data set is a block; the value of a method is the mean of its folds (Demšar 2006). The two
    split schemes of the same ratings are compared by Kendall's τ of their orders.

    Parameters
    ----------
    table
        A `datasets` table.
    folds
        By data set.
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
        found += _next({name: folds[name] for name in wide.index}, block)
    family = Family(names.ACROSS, "", E3, DATASETS, "method")
    of_schemes = replace(family, key=names.SCHEMES, design="")
    results = of_family(found, family) + of_family(_schemes(table), of_schemes)
    return adjust(results, block["alpha"])


def _next(folds: Mapping[str, OfFolds], block: Mapping[str, Any]) -> list[Result]:
    """The primary comparisons on a data set not yet seen, in shares of the scale's width."""
    held = [one.selected["fold"].nunique() for one in folds.values()]
    if min(len(held), *held) < hierarchical.LEAST:
        return [Result(names.HIERARCHICAL, note="too_few_data_sets_or_folds", n_blocks=len(folds))]
    tables = [one.table() for one in folds.values()]
    shared = pd.concat(tables, join="inner")
    ratios = [one.ratio for one in folds.values()]
    found = []
    for first, second in pairs_of_methods(shared, block)[names.PRIMARY]:
        differences = [(one[first] - one[second]).to_numpy() for one in tables]
        posterior = hierarchical.next_data_set(differences, ratios, block["seed"])
        chances = posterior.probabilities(block["margin"])
        tails = [(1 - block["ci_level"]) / 2, (1 + block["ci_level"]) / 2]
        low, high = map(float, np.quantile(posterior.mean, tails))
        found += [
            Result(
                names.HIERARCHICAL,
                "cfmf.statistics.hierarchical.next_data_set",
                group_a=first,
                group_b=second,
                n_blocks=len(folds),
                n_obs=sum(map(len, differences)),
                stat_name=name,
                stat=chance,
                effect_name=names.SHARE_OF_SCALE,
                effect=float(posterior.mean.mean()),
                interval=interval(low, high, block["ci_level"], "posterior"),
                margin=block["margin"],
            )
            for name, chance in zip((names.LOWER, names.WITHIN, names.HIGHER), chances, strict=True)
        ]
    return found


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
