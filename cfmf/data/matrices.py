"""Rating matrices of the parts of a fold."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse


def build_matrix(
    ratings: pd.DataFrame, rows: NDArray[np.int64], n_users: int, n_items: int
) -> sparse.csr_array:
    """Users × items matrix of some of the ratings.

    Parameters
    ----------
    ratings
        Columns user and item (dense int32 indices) and rating.
    rows
        Numbers of the rows of `ratings` that are wanted, int64.
    n_users, n_items
        Shape of the matrix, the same for all parts of all folds.

    Returns
    -------
    CSR, float32 data, sorted int32 indices; the stored entries are the observed pairs.

    Raises
    ------
    ValueError
        If a pair occurs twice among the rows, or an index is outside the shape.
    """
    user, item, rating = (ratings[name].to_numpy()[rows] for name in ("user", "item", "rating"))
    for name, index, size in (("user", user, n_users), ("item", item, n_items)):
        if len(index) and not 0 <= index.min() <= index.max() < size:
            raise ValueError(
                f"{name} indices go from {index.min()} to {index.max()}, but the matrix has {size}"
                f" {name}s; parse the data set again"
            )
    start, items, values, twice = _by_user_and_item(
        user, item, rating.astype(np.float32, copy=False), n_users, n_items
    )
    if twice >= 0:
        of_user = int(np.searchsorted(start, twice, side="right")) - 1
        raise ValueError(
            f"the pair of user {of_user} and item {items[twice]} occurs twice; ratings are never"
            " summed, so parse the data set again with audit.duplicates set"
        )
    if len(rows) < 1 << 31:
        start = start.astype(np.int32)
    return sparse.csr_array((values, items, start), shape=(n_users, n_items))


@numba.njit(nogil=True, cache=True)
def _by_user_and_item(user, item, rating, n_users, n_items):  # type: ignore[no-untyped-def]
    """Sort ratings by user, then item: two stable counting sorts, the lesser key first.

    Returns the CSR arrays, and where in them a pair is for the second time (-1 for nowhere).
    """
    item_start = np.zeros(n_items + 1, np.int64)
    user_start = np.zeros(n_users + 1, np.int64)
    for row in range(len(user)):
        item_start[item[row] + 1] += 1
        user_start[user[row] + 1] += 1
    item_start, user_start = np.cumsum(item_start), np.cumsum(user_start)
    order = np.empty(len(user), np.int64)
    fill = item_start.copy()
    for row in range(len(user)):
        order[fill[item[row]]] = row
        fill[item[row]] += 1
    items = np.empty(len(user), np.int32)
    values = np.empty(len(user), np.float32)
    fill = user_start.copy()
    twice: Any = -1
    for index in range(len(order)):
        row = order[index]
        place = fill[user[row]]
        items[place] = item[row]
        values[place] = rating[row]
        fill[user[row]] += 1
        if place > user_start[user[row]] and items[place - 1] == item[row]:
            twice = place
    return user_start, items, values, twice
