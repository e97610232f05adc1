"""The published study's analysis of a data set: its tests, its medians and its best rows by k.

No design supports these p-values; the corrected ones are made by `cfmf.statistics.analysis`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cfmf.evaluation.bootstrap import Resampling
from cfmf.published import SEARCHED, keys, unblocked
from cfmf.published.keys import ALL_TRIALS, COMPLETE_TRIALS, GRID
from cfmf.statistics.analysis import best_rows, complete_grids, medians
from cfmf.statistics.blocks import grouped, number
from cfmf.statistics.families import adjust
from cfmf.statistics.results import Analysis, Family, Row
from cfmf.verdict import Message, message


def analyse(
    metrics: pd.DataFrame, block: Mapping[str, Any], search: pd.DataFrame | None = None
) -> Analysis:
    """The published study's tests, on the trials of its search and on complete grids.

    Parameters
    ----------
    metrics
        `metrics` table of all methods.
    block
        The `statistics` block of the config, with the schema's defaults filled in.
    search
        Trials of the published search, the frame of `cfmf.published.search.search`: columns
        params_k, params_lmd, value, state. Without it the tests run on the grids only.
    """
    grids, _ = complete_grids(metrics)
    found = Analysis(best_rows=(*_best_rows(grids, search),))
    samples = {}
    if search is not None:
        runs = trial_runs(search)
        samples[ALL_TRIALS, SEARCHED] = runs
        complete = runs[runs["state"] == "COMPLETE"]
        found += Analysis(medians=(*medians(complete, COMPLETE_TRIALS, SEARCHED),))
    for method in dict.fromkeys(["mf-published", block["primary"]]):
        if method in grids:
            samples[GRID, method] = grids[method].rename(columns={"test": "value"})
    for (arm, method), runs in samples.items():
        family = Family(f"published_{arm}", method, keys.PUBLISHED, keys.UNBLOCKED, "k")
        tests, checks = unblocked.tests_of(runs, family, block["alpha"], Resampling.of(block))
        of_k = medians(runs, arm, method)
        found += Analysis(adjust(tests, block["alpha"]), (*checks,), (*of_k,))
    return found


def trial_runs(search: pd.DataFrame) -> pd.DataFrame:
    """Trials that have a value, pruned ones too, as runs: columns k (text), reg, value, state."""
    kept = search.dropna(subset=["value"])
    return pd.DataFrame(
        {
            "k": kept["params_k"].astype(int).astype(str),
            "reg": kept["params_lmd"].map("{:.9g}".format),
            "value": kept["value"].astype(float),
            "state": kept["state"].astype(str),
        }
    ).reset_index(drop=True)


def _best_rows(grids: Mapping[str, pd.DataFrame], search: pd.DataFrame | None) -> list[Row]:
    """The row of lowest RMSE on test for each k, as the study chose it."""
    rows: list[Row] = []
    if search is not None:
        runs = trial_runs(search)
        for k in grouped(runs):
            lowest = runs[runs["k"] == k].nsmallest(1, "value").rename(columns={"value": "test"})
            rows += best_rows(keys.SEARCH_ON_TEST, SEARCHED, lowest)
    for method, cells in grids.items():
        lowest = cells.loc[cells.groupby("k")["test"].idxmin()]
        lowest = lowest.sort_values("k", key=lambda s: s.map(number))
        rows += best_rows(keys.GRID_ON_TEST, method, lowest)
    return rows


def order_of_k(found: Analysis, primary: str) -> tuple[list[str], list[Message]]:
    """Order of k by its published medians, lowest first, and the messages that report it.

    The medians are those of the search or, without one, of a grid.
    """
    arms = [(ALL_TRIALS, SEARCHED), (GRID, "mf-published"), (GRID, primary)]
    for arm, method in arms:
        rows = [row for row in found.medians if (row["arm"], row["method"]) == (arm, method)]
        if not rows:
            continue
        order = [row["k"] for row in sorted(rows, key=lambda row: row["median"])]
        said = [message("order_published", arm=arm, method=method, order=order)]
        if arm == ALL_TRIALS:
            runs = sum(row["n"] for row in rows)
            complete = sum(row["n"] for row in found.medians if row["arm"] == COMPLETE_TRIALS)
            said.append(message("pruned", runs=runs, pruned=runs - complete))
        return order, said
    return [], []
