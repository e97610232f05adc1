"""How much of the spread of a complete grid each of its factors makes: an exact decomposition."""

from __future__ import annotations

import pandas as pd


def grid_importances(cells: pd.DataFrame, value: str = "test") -> pd.DataFrame:
    """Shares of the variance of the grid's means that k, reg and their interaction hold.

    Parameters
    ----------
    cells
        Complete grid: columns k, reg, fold, seed and the value, as `cfmf.statistics.blocks.grid`
        returns it. Folds and seeds are averaged first.
    value
        Column to decompose.

    Returns
    -------
    Columns parameter (`k`, `reg`, `k × reg`), evaluator, value; the values add up to one. It is
    the functional analysis of variance (Hutter et al. 2014, eq. 9) of the grid itself, with no
    model between.

    Raises
    ------
    ValueError
        If the grid has a hole.
    """
    table = cells.pivot_table(index="k", columns="reg", values=value, aggfunc="mean")
    if table.isna().any(axis=None):
        raise ValueError("the grid lacks a combination of k and reg; train it to the end")
    values = table.to_numpy()
    total = values.var()
    of_k, of_reg = values.mean(axis=1).var(), values.mean(axis=0).var()
    shares = {"k": of_k, "reg": of_reg, "k × reg": max(total - of_k - of_reg, 0.0)}
    rows = [(name, "exact, on the grid", part / total) for name, part in shares.items() if total]
    return pd.DataFrame(rows, columns=["parameter", "evaluator", "value"])
