"""Rating matrices of the parts of a fold."""

from __future__ import annotations

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
    bits = rating.astype(np.float32, copy=False).view(np.uint32)
    user, item = (index.astype(np.int32, copy=False).view(np.uint32) for index in (user, item))
    user_start, item_start = _starts(user, n_users), _starts(item, n_items)
    by_item = _scatter(item, user, bits, item_start[:-1].copy())
    items, bits = _gather(by_item, item_start, user_start[:-1].copy())
    again = np.flatnonzero(items[1:] == items[:-1]) + 1
    again = again[~np.isin(again, user_start)]
    if len(again):
        of_user = int(np.searchsorted(user_start, again[0], side="right")) - 1
        raise ValueError(
            f"the pair of user {of_user} and item {items[again[0]]} occurs twice; ratings are never"
            " summed, so parse the data set again with audit.duplicates set"
        )
    if len(rows) < 1 << 31:
        user_start = user_start.astype(np.int32)
    values = bits.view(np.float32)
    return sparse.csr_array((values, items.view(np.int32), user_start), shape=(n_users, n_items))


# Two stable counting sorts, by item and then by user. What moves is one number of 64 bits, an index
# above the bits of a rating: places are far apart, and each costs a miss of the cache.


@numba.njit(nogil=True, cache=True)
def _starts(key, size):  # type: ignore[no-untyped-def]
    """Place at which each key's rows begin when sorted, and the end of the last."""
    start = np.zeros(size + 1, np.int64)
    for row in range(len(key)):
        start[np.uint64(key[row]) + np.uint64(1)] += 1
    return np.cumsum(start)


@numba.njit(nogil=True, cache=True)
def _scatter(key, index, bits, fill):  # type: ignore[no-untyped-def]
    """Sort pairs of an index and bits by their key, of which `fill` has the first places."""
    packed = np.empty(len(key), np.uint64)
    for row in range(len(key)):
        place = fill[key[row]]
        fill[key[row]] = place + 1
        packed[np.uint64(place)] = (np.uint64(index[row]) << np.uint64(32)) | np.uint64(bits[row])
    return packed


@numba.njit(nogil=True, cache=True)
def _gather(by_item, item_start, fill):  # type: ignore[no-untyped-def]
    """Sort what is sorted by item by its user; returns items and bits apart."""
    packed = np.empty(len(by_item), np.uint64)
    for item in range(len(item_start) - 1):
        for row in range(item_start[item], item_start[item + 1]):
            pair = by_item[row]
            user = pair >> np.uint64(32)
            place = fill[user]
            fill[user] = place + 1
            low = pair & np.uint64(0xFFFFFFFF)
            packed[np.uint64(place)] = (np.uint64(item) << np.uint64(32)) | low
    items = np.empty(len(packed), np.uint32)
    bits = np.empty(len(packed), np.uint32)
    for row in range(len(packed)):
        items[row] = np.uint32(packed[row] >> np.uint64(32))
        bits[row] = np.uint32(packed[row] & np.uint64(0xFFFFFFFF))
    return items, bits
