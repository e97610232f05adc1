"""Rating matrices of the parts of a fold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.data.parallel import ROWS_AT_ONCE, even_groups, in_threads, key_starts, rows_of
from cfmf.data.splits import Fold


def build_matrix(
    ratings: pd.DataFrame, rows: NDArray[np.int64], n_users: int, n_items: int, threads: int = 1
) -> sparse.csr_array:
    """Users × items matrix of some of the ratings, sorted by SciPy; time and memory O(rows).

    Parameters
    ----------
    ratings
        Columns user and item (dense int32 indices) and rating.
    rows
        Numbers of the rows of `ratings` to use, int64.
    n_users, n_items
        Shape of the matrix, the same for all parts of all folds.
    threads
        Cores to use.

    Returns
    -------
    CSR, float32 data, sorted int32 indices; the stored entries are the observed pairs.

    Raises
    ------
    ValueError
        If a pair occurs twice among the rows, or an index is outside the shape.
    """
    user, item = (ratings[name].to_numpy(np.int32) for name in ("user", "item"))
    rating = ratings["rating"].to_numpy(np.float32)
    _check_range("user", user, n_users)
    _check_range("item", item, n_items)
    of_user = user[rows]
    start = key_starts(of_user, n_users)
    values, indices = np.empty(len(rows), np.float32), np.empty(len(rows), np.int32)

    # One group of users after another takes little memory beyond the result.
    def fill(users: tuple[int, int]) -> None:
        first, end = users
        here = rows_of(of_user, users)
        mine, local = rows[here], of_user[here] - np.int32(first)
        shape = (end - first, n_items)
        group = sparse.coo_array((rating[mine], (local, item[mine])), shape).tocsr()
        if group.nnz < len(mine):
            raise _repeated(user[mine], item[mine])
        place = slice(start[first], start[end])
        values[place], indices[place] = group.data, group.indices

    groups = even_groups(start, max(threads, -(-len(rows) // (4 * ROWS_AT_ONCE))))
    in_threads(threads, fill, groups)
    if len(rows) < 1 << 31:
        start = start.astype(np.int32)
    return sparse.csr_array((values, indices, start), shape=(n_users, n_items))


def day_matrix(ratings: pd.DataFrame, n_users: int, n_items: int) -> sparse.csr_array | None:
    """The day of every dated rating, users × items, int32, sorted; None where no rating has a date.

    Days are those of UTC, counted from 1 on that of the first rating.

    Parameters
    ----------
    ratings
        Columns user and item, as `build_matrix` takes them, and date; no pair twice.
    """
    dated = ratings[ratings["date"].notna()]
    if not len(dated):
        return None
    days = dated["date"].to_numpy("datetime64[D]").astype(np.int64)
    days = (days - days.min() + 1).astype(np.int32)
    place = (dated["user"].to_numpy(np.int32), dated["item"].to_numpy(np.int32))
    found = sparse.csr_array((days, place), shape=(n_users, n_items))
    found.sort_indices()
    return found


def _check_range(name: str, index: NDArray[np.int32], size: int) -> None:
    """Check that indices are within the shape."""
    if index.max(initial=-1) >= size:
        raise ValueError(
            f"{name} indices go up to {index.max()}, but the matrix has {size} {name}s; parse the"
            " data set again"
        )


def _repeated(user: NDArray[np.int32], item: NDArray[np.int32]) -> ValueError:
    """The error about the first pair that occurs twice."""
    pairs = pd.DataFrame({"user": user, "item": item})
    twice = pairs[pairs.duplicated()].iloc[0]
    return ValueError(
        f"the pair of user {twice['user']} and item {twice['item']} occurs twice; ratings are never"
        " summed, so parse the data set again with audit.duplicates set"
    )


def fold_matrices(
    ratings: pd.DataFrame, fold: Fold, n_users: int, n_items: int
) -> Iterator[tuple[str, sparse.csr_array]]:
    """The four parts of a fold, one at a time: fit, validation, train (both of them) and test.

    See `build_matrix` for the arguments and the errors raised.
    """
    rows = {
        "fit": fold.fit,
        "validation": fold.validation,
        "train": np.sort(np.concatenate([fold.fit, fold.validation])),
        "test": fold.test,
    }
    for part, chosen in rows.items():
        yield part, build_matrix(ratings, chosen, n_users, n_items)
