"""The published study's analysis of a data set: its tests, its medians and its best rows by k.

No design supports these p-values; the corrected ones are made by `cfmf.statistics.analysis`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cfmf import verdict
from cfmf.evaluation.bootstrap import Resampling
from cfmf.published import SEARCHED, battery
from cfmf.statistics import names
from cfmf.statistics.analysis import Results, best, complete_grids, medians
from cfmf.statistics.blocks import grouped, number
from cfmf.statistics.names import COMPLETE, GRID, PRUNED
from cfmf.statistics.rows import Row


def analyse(
    metrics: pd.DataFrame, block: Mapping[str, Any], search: pd.DataFrame | None = None
) -> Results:
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
    grids, _ = complete_grids(metrics, [])
    tests: list[Row] = []
    checks: list[Row] = []
    rows: list[Row] = []
    samples = {}
    if search is not None:
        runs = trial_runs(search)
        samples[PRUNED, SEARCHED] = runs
        rows += medians(runs[runs["state"] == "COMPLETE"], COMPLETE, SEARCHED)
    for method in dict.fromkeys(["mf-published", block["primary"]]):
        if method in grids:
            samples[GRID, method] = grids[method].rename(columns={"test": "value"})
    for (arm, method), runs in samples.items():
        family = f"published: k of {method}, {arm.removeprefix('published: ')}"
        found = battery.battery(runs, family, block["alpha"], Resampling.of(block))
        tests += found[0]
        checks += found[1]
        rows += medians(runs, arm, method)
    return Results.of(tests, checks, rows, _best_rows(grids, search), block["alpha"])


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
            rows += best(names.SEARCH_ON_TEST, SEARCHED, lowest)
    for method, cells in grids.items():
        lowest = cells.loc[cells.groupby("k")["test"].idxmin()]
        lowest = lowest.sort_values("k", key=lambda s: s.map(number))
        rows += best(names.GRID_ON_TEST, method, lowest)
    return rows


def order_of_k(medians: pd.DataFrame, primary: str) -> tuple[list[str], list[verdict.Sentence]]:
    """Order of k by its published medians, lowest first, and the messages that report it.

    The medians are those of the search or, without one, of a grid.
    """
    searched = medians.loc[medians["arm"] == PRUNED, "method"].unique().tolist()
    arms = [(PRUNED, name) for name in searched]
    for arm, method in (*arms, (GRID, "mf-published"), (GRID, primary)):
        rows = medians[(medians["arm"] == arm) & (medians["method"] == method)]
        if rows.empty:
            continue
        order = [str(k) for k in rows.sort_values("median", kind="stable")["k"]]
        runs, label = int(rows["n"].sum()), arm.removeprefix("published: ")
        said = [
            verdict.sentence("order_published", arm=label, method=method, order=" < ".join(order))
        ]
        if arm == PRUNED:
            complete = int(medians.loc[medians["arm"] == COMPLETE, "n"].sum())
            said.append(verdict.sentence("pruned", runs=runs, pruned=runs - complete))
        return order, said
    return [], []
