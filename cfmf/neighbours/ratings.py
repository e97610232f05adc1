"""What every neighbour method asks of a rating matrix: checks, means and pair lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse


def checked(ratings: sparse.csr_array) -> sparse.csr_array:
    """The matrix as float32 CSR with sorted indices; its stored entries are the observed pairs.

    Raises
    ------
    ValueError
        If it holds no rating, holds a pair twice, or holds a value that is not finite.
    """
    ratings = sparse.csr_array(ratings)
    if not ratings.nnz:
        raise ValueError("the rating matrix holds no rating; check the split that made it")
    if not ratings.has_canonical_format:
        ratings = ratings.copy()
        ratings.sort_indices()
        if not ratings.has_canonical_format:
            raise ValueError("the rating matrix holds a pair twice; settle duplicates when parsing")
    if not np.isfinite(ratings.data).all():
        raise ValueError("the rating matrix holds a value that is not finite; check the parsing")
    return ratings.astype(np.float32, copy=False)


def checked_pairs(
    users: ArrayLike, items: ArrayLike, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two index arrays of one length, inside `shape`.

    Raises
    ------
    ValueError
        If the lengths differ, or a user or item is outside the matrix that the method knows.
    """
    indices = np.atleast_1d(np.asarray(users)), np.atleast_1d(np.asarray(items))
    if indices[0].shape != indices[1].shape or indices[0].ndim != 1:
        raise ValueError(
            f"users {indices[0].shape} and items {indices[1].shape} must be lists of one length"
        )
    for name, index, size in zip(("user", "item"), indices, shape, strict=True):
        if index.size and not (index.min() >= 0 and index.max() < size):
            raise ValueError(
                f"{name} numbers reach from {index.min()} to {index.max()},"
                f" but the training matrix has {size} {name}s"
            )
    return indices[0].astype(np.int64), indices[1].astype(np.int64)


def means(
    groups: NDArray[np.integer], values: NDArray[np.floating], size: int
) -> NDArray[np.float64]:
    """Mean value of each of `size` groups, float64; the mean of all values where one is empty."""
    counts = np.bincount(groups, minlength=size)
    totals = np.bincount(groups, weights=values, minlength=size)
    return np.where(counts, totals / np.maximum(counts, 1), np.mean(values, dtype=np.float64))
