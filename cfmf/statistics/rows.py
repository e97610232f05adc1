"""Rows of the `tests` and `assumptions` tables, and the adjustment of p-values in a family."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from cfmf.tables import COLUMNS

Row = dict[str, Any]

NUMBERS = {
    *("n_blocks", "n_obs", "stat", "df1", "df2", "p_raw", "p_adj", "family_size"),
    *("effect", "ci_low", "ci_high", "ci_level", "margin"),
}
FAMILY = ["family", "estimand", "design", "test", "stat_name"]


def test_row(test: str, function: str, **known: Any) -> Row:
    """One row of the `tests` table; what is not `known` is empty or, for numbers, NaN.

    Parameters
    ----------
    test
        Name of the test or estimate.
    function
        The function that computed it, with its package.
    known
        Values of further columns.

    Raises
    ------
    ValueError
        If a name in `known` is not a column.
    """
    empty = {name: math.nan if name in NUMBERS else "" for name in COLUMNS["tests"]}
    return _filled(empty, {"test": test, "function": function, **known})


def check_row(check: str, function: str, **known: Any) -> Row:
    """One row of the `assumptions` table, filled as `test_row` does."""
    numbers = {"n", "stat", "p_value"}
    empty = {name: math.nan if name in numbers else "" for name in COLUMNS["assumptions"]}
    return _filled(empty, {"check": check, "function": function, **known})


def _filled(empty: Row, known: Mapping[str, Any]) -> Row:
    unknown = set(known) - set(empty)
    if unknown:
        raise ValueError(f"{sorted(unknown)} are not columns; the columns are {list(empty)}")
    return {**empty, **known}


def about(rows: Iterable[Row], **context: Any) -> list[Row]:
    """The rows with family, estimand, design or factor set to those of `context`."""
    return [{**row, **context} for row in rows]


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values adjusted by Holm's method."""
    # statsmodels calls for a garbage collection here every time, which takes most of the time of
    # an analysis unless what was made so far is set aside from it.
    gc.freeze()
    try:
        return np.asarray(multipletests(p, method="holm")[1])
    finally:
        gc.unfreeze()


def adjust(rows: list[Row], alpha: float) -> pd.DataFrame:
    """The `tests` table: p-values adjusted by Holm inside each family, and what is rejected.

    A family is the comparisons that one test makes of the levels of one factor for one estimand;
    an omnibus test is a family of one. Different tests of the same hypothesis are different views
    of it and do not adjust each other.

    Parameters
    ----------
    rows
        Rows made by `test_row`; one with `p_adj` but no `p_raw` was adjusted by its own test.
    alpha
        Level at which an adjusted p-value rejects.
    """
    table = pd.DataFrame(rows, columns=COLUMNS["tests"])
    table["reject"] = table["reject"].astype(object)
    with_p = table[table["p_raw"].notna()]
    for _, family in with_p.groupby(FAMILY, sort=False, dropna=False):
        p = family["p_raw"].to_numpy()
        table.loc[family.index, "p_adj"] = holm(p) if len(p) > 1 else p
        table.loc[family.index, "family_size"] = len(family)
        table.loc[family.index, "adj_method"] = "holm" if len(family) > 1 else "none"
    judged = table["p_adj"].notna()
    table.loc[judged, "reject"] = (table.loc[judged, "p_adj"] < alpha).astype(object)
    return table
