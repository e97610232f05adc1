"""RMSE of the methods on several data sets, and on the same ratings split at random and by time."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cfmf.methods.registry import is_blend
from cfmf.tables import COLUMNS

RANDOM, TEMPORAL = "random", "temporal"


def errors(selected: pd.DataFrame, described: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """RMSE on test of every method on every data set: a `datasets` table.

    Parameters
    ----------
    selected
        `selected` tables of the data sets, one under the other.
    described
        For each data set its `ratings` (the first data set of the same ratings) and `split_scheme`
        (`random` or `temporal`).
    """
    rows = selected[(selected["metric"] == "rmse") & (selected["split"] == "test")]
    folds = rows.groupby(["dataset", "method", "fold"], sort=False)["value"].mean()
    table = folds.groupby(["dataset", "method"], sort=False).agg(["mean", "std", "size"])
    table.columns = ["rmse", "sd", "folds"]
    table = table.reset_index()
    for name in ("ratings", "split_scheme"):
        table[name] = [described[dataset][name] for dataset in table["dataset"]]
    return table[COLUMNS["datasets"]]


def independent(table: pd.DataFrame) -> pd.DataFrame:
    """Data sets × methods, one data set for each set of ratings: the random split where studied.

    The same ratings split twice are one data set, not two. Methods that one lacks are left out, and
    blends, which are made of the methods.
    """
    table = table[~table["method"].map(is_blend)]
    ranked = table.sort_values("split_scheme", key=lambda scheme: scheme != RANDOM, kind="stable")
    kept = ranked.drop_duplicates("ratings")["dataset"]
    rows = table[table["dataset"].isin(kept)]
    return rows.pivot_table(index="dataset", columns="method", values="rmse").dropna(axis="columns")


def pairs_of_schemes(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Data sets of the same ratings, one split at random and one by time."""
    rows = table[["dataset", "ratings", "split_scheme"]].drop_duplicates()
    random, temporal = rows[rows["split_scheme"] == RANDOM], rows[rows["split_scheme"] == TEMPORAL]
    both = random.merge(temporal, on="ratings", suffixes=("_first", "_second"))
    return list(zip(both["dataset_first"], both["dataset_second"], strict=True))


def side_by_side(table: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """RMSE of every method on both data sets: columns method, first, second, difference."""
    table = table[~table["method"].map(is_blend)]
    wide = table.pivot_table(index="method", columns="dataset", values="rmse")
    both = wide[[first, second]].dropna().set_axis(["first", "second"], axis="columns")
    both = both.assign(difference=both["second"] - both["first"])
    return both.sort_values("first").reset_index()
