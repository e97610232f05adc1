"""Rating matrices of the parts of a fold."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.data.parallel import even_groups, side_by_side
from cfmf.data.splits import Fold


def build_matrix(
    ratings: pd.DataFrame, rows: NDArray[np.int64], n_users: int, n_items: int, threads: int = 1
) -> sparse.csr_array:
    """Users × items matrix of some of the ratings.

    Two stable counting sorts, by item and then by user; time and memory O(rows).

    Parameters
    ----------
    ratings
        Columns user and item (dense int32 indices) and rating.
    rows
        Numbers of the rows of `ratings` that are wanted, int64.
    n_users, n_items
        Shape of the matrix, the same for all parts of all folds.
    threads
        Cores to use; the result does not depend on it.

    Returns
    -------
    CSR, float32 data, sorted int32 indices; the stored entries are the observed pairs.

    Raises
    ------
    ValueError
        If a pair occurs twice among the rows, or an index is outside the shape.
    """
    user, item = (ratings[name].to_numpy(np.int32).view(np.uint32) for name in ("user", "item"))
    bits = ratings["rating"].to_numpy(np.float32).view(np.uint32)
    for name, index, size in (("user", user, n_users), ("item", item, n_items)):
        if len(rows) and index.max() >= size:
            raise ValueError(
                f"{name} indices go up to {index.max()}, but the matrix has {size} {name}s; parse"
                " the data set again"
            )
    pieces = np.array_split(rows.view(np.uint64), threads)
    by_item = np.empty(len(rows), np.uint64)
    counts = side_by_side(threads, lambda piece: _count(piece, item, n_items), pieces)
    item_start, places = _starts(counts)
    side_by_side(threads, partial(_sort_by_item, user, item, bits, by_item), pieces, places)

    groups = even_groups(item_start, threads)
    by_user = np.empty(len(rows), np.uint64)
    counts = side_by_side(
        threads, lambda group: _count_users(by_item[slice(*item_start[[*group]])], n_users), groups
    )
    user_start, places = _starts(counts)
    side_by_side(threads, partial(_sort_by_user, by_item, item_start, by_user), groups, places)

    items, values = by_item.view(np.uint32).reshape(2, -1)
    groups = even_groups(user_start, threads)
    twice = side_by_side(threads, partial(_take_apart, by_user, user_start, items, values), groups)
    if max(twice) >= 0:
        place = max(twice)
        of_user = int(np.searchsorted(user_start, place, side="right")) - 1
        raise ValueError(
            f"the pair of user {of_user} and item {items[place]} occurs twice; ratings are never"
            " summed, so parse the data set again with audit.duplicates set"
        )
    if len(rows) < 1 << 31:
        user_start = user_start.astype(np.int32)
    matrix = (values.view(np.float32), items.view(np.int32), user_start)
    return sparse.csr_array(matrix, shape=(n_users, n_items))


def fold_matrices(
    ratings: pd.DataFrame, fold: Fold, n_users: int, n_items: int
) -> Iterator[tuple[str, sparse.csr_array]]:
    """The four parts of a fold, one at a time: fit, validation, train (both of them) and test.

    See `build_matrix` for the arguments and for what is refused.
    """
    rows = {
        "fit": fold.fit,
        "validation": fold.validation,
        "train": np.sort(np.concatenate([fold.fit, fold.validation])),
        "test": fold.test,
    }
    for part, chosen in rows.items():
        yield part, build_matrix(ratings, chosen, n_users, n_items)


# What moves is one number of 64 bits, an index above the bits of a rating: places are far apart,
# and each costs a miss of the cache. Every thread sorts a piece, which has places of its own.


def _starts(counts: list[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Place at which each key's rows begin (and the last end), and at which those of each piece do.

    Parameters
    ----------
    counts
        Rows of each key, for each piece.
    """
    table = np.array(counts)
    start = np.zeros(table.shape[1] + 1, np.int64)
    np.cumsum(table.sum(axis=0), out=start[1:])
    return start, start[:-1] + np.cumsum(table, axis=0) - table


@numba.njit(nogil=True, cache=True)
def _count(rows, key, size):  # type: ignore[no-untyped-def]
    """Rows of each key."""
    counts = np.zeros(size, np.int64)
    for row in rows:
        counts[key[row]] += 1
    return counts


@numba.njit(nogil=True, cache=True)
def _count_users(pairs, size):  # type: ignore[no-untyped-def]
    """Pairs of each user, which is their upper half."""
    counts = np.zeros(size, np.int64)
    for pair in pairs:
        counts[pair >> np.uint64(32)] += 1
    return counts


@numba.njit(nogil=True, cache=True)
def _sort_by_item(user, item, bits, by_item, rows, places):  # type: ignore[no-untyped-def]
    """Put the user and the rating of each row at the next place of its item."""
    for row in rows:
        place = np.uint64(places[item[row]])
        places[item[row]] += 1
        by_item[place] = (np.uint64(user[row]) << np.uint64(32)) | np.uint64(bits[row])


@numba.njit(nogil=True, cache=True)
def _sort_by_user(by_item, item_start, by_user, group, places):  # type: ignore[no-untyped-def]
    """Put the item and the rating of each pair of some items at the next place of its user."""
    for item in range(group[0], group[1]):
        for row in range(item_start[item], item_start[item + 1]):
            pair = by_item[np.uint64(row)]
            user = pair >> np.uint64(32)
            place = np.uint64(places[user])
            places[user] += 1
            low = pair & np.uint64(0xFFFFFFFF)
            by_user[place] = (np.uint64(item) << np.uint64(32)) | low


@numba.njit(nogil=True, cache=True)
def _take_apart(by_user, user_start, items, bits, group):  # type: ignore[no-untyped-def]
    """Items and ratings of a group of users; the place of a pair that is there twice, or -1."""
    twice = np.int64(-1)
    for user in range(group[0], group[1]):
        for row in range(user_start[user], user_start[user + 1]):
            place = np.uint64(row)
            items[place] = np.uint32(by_user[place] >> np.uint64(32))
            bits[place] = np.uint32(by_user[place] & np.uint64(0xFFFFFFFF))
            if row > user_start[user] and items[place] == items[place - np.uint64(1)]:
                twice = np.int64(row)
    return twice
