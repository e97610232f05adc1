"""Rating matrices: checks, observed pairs, means, and how far predictions are from the ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

ROUNDS = 3
"""How many times `row_keys` passes on the numbers of users to items and back."""


def checked(ratings: sparse.csr_array) -> sparse.csr_array:
    """The matrix as float32 CSR with sorted indices; its stored entries are the observed pairs.

    Raises
    ------
    ValueError
        If it has no rating, has a pair twice, or has a value that is not finite.
    """
    ratings = sparse.csr_array(ratings)
    if not ratings.nnz:
        raise ValueError("the rating matrix has no rating; check the split that made it")
    if not ratings.has_canonical_format:
        ratings = ratings.copy()
        ratings.sort_indices()
        if not ratings.has_canonical_format:
            raise ValueError("the rating matrix has a pair twice; resolve duplicates when parsing")
    if not np.isfinite(ratings.data).all():
        raise ValueError("the rating matrix has a value that is not finite; check the parsing")
    return ratings.astype(np.float32, copy=False)


def stored_matrix(
    parts: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], shape: tuple[int, int]
) -> sparse.csr_array:
    """A CSR matrix of data, indices and indptr as a file holds them, fit for compiled loops.

    These check no index.

    Raises
    ------
    ValueError
        If the arrays are not those of a matrix of this shape with sorted columns, each once a row.
    """
    data, indices, indptr = parts
    if len(data) != len(indices) or indices.dtype.kind != "i" or indptr.dtype.kind != "i":
        raise ValueError("the arrays of a sparse matrix do not belong together")
    found = sparse.csr_array(parts, shape=shape)
    found.check_format(full_check=True)
    if found.nnz < len(data) or not found.has_canonical_format:
        raise ValueError("the columns of a sparse matrix are not sorted, or one is there twice")
    return found


def checked_new(ratings: sparse.csr_array, items: int) -> sparse.csr_array:
    """The ratings of new users as `checked` has them; there may be none.

    Raises
    ------
    ValueError
        If they are of other than `items` items, or as `checked`.
    """
    ratings = sparse.csr_array(ratings)
    if ratings.shape[1] != items:
        raise ValueError(
            f"the new ratings are of {ratings.shape[1]} items, and the model of {items}; number"
            " items as in training"
        )
    return checked(ratings) if ratings.nnz else ratings.astype(np.float32)


def checked_pairs(
    users: ArrayLike, items: ArrayLike, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Users and items of queried pairs as two int64 arrays of the same length.

    Raises
    ------
    ValueError
        If the lengths differ, or a user or item is outside `shape`.
    """
    indices = np.atleast_1d(np.asarray(users)), np.atleast_1d(np.asarray(items))
    if indices[0].shape != indices[1].shape or indices[0].ndim != 1:
        raise ValueError(
            f"users {indices[0].shape} and items {indices[1].shape} must be two lists of the same"
            " length"
        )
    for name, index, size in zip(("user", "item"), indices, shape, strict=True):
        if index.size and not (index.min() >= 0 and index.max() < size):
            raise ValueError(
                f"{name} numbers range from {index.min()} to {index.max()},"
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


def row_numbers(matrix: sparse.csr_array) -> NDArray[np.int32]:
    """Row of every stored entry, in CSR order."""
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))


def numbered(matrix: sparse.csr_array) -> sparse.csr_array:
    """The matrix with the place of every stored entry, in CSR order, as its value."""
    kind = np.int32 if matrix.nnz <= np.iinfo(np.int32).max else np.int64
    places = np.arange(matrix.nnz, dtype=kind)
    return sparse.csr_array((places, matrix.indices, matrix.indptr), matrix.shape)


def entries(ratings: sparse.csr_array, chosen: NDArray[np.bool_]) -> sparse.csr_array:
    """The matrix of the chosen stored entries alone, its shape unchanged; a mark for each."""
    before = np.concatenate([[0], np.cumsum(chosen)])
    starts = before[ratings.indptr].astype(ratings.indptr.dtype)
    kept = (ratings.data[chosen], ratings.indices[chosen], starts)
    return sparse.csr_array(kept, shape=ratings.shape)


def pairs(matrix: sparse.csr_array) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Users and items of the stored entries, in CSR order."""
    return row_numbers(matrix), matrix.indices


def overlap(train: NDArray[np.bool_], test: NDArray[np.bool_]) -> dict[str, int]:
    """How many users (or items) are in train, in test, in both and in either; a mark for each."""
    return {
        "train": int(train.sum()),
        "test": int(test.sum()),
        "intersection": int((train & test).sum()),
        "union": int((train | test).sum()),
    }


def root_mean_square(errors: NDArray[np.floating]) -> float:
    """Root of the mean square in float64, plain over all entries; NaN where there is none."""
    return float(np.sqrt(np.mean(np.square(errors, dtype=np.float64)))) if len(errors) else np.nan


def rmse(predictions: ArrayLike, ratings: ArrayLike) -> float:
    """Root mean square error, in float64, of predictions in the order of the ratings."""
    return root_mean_square(np.asarray(predictions, dtype=np.float64) - np.asarray(ratings))


def row_keys(train: sparse.csr_array) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """A number of every user and of every item, uint64, that only the ratings decide.

    It depends on which of the values each rating is (the lowest, the second lowest, …) and whose
    they are, as far as `ROUNDS` steps from rating to rating lead: the colours of Weisfeiler and
    Leman (1968). Two rows have one number if they cannot be told apart so, as users with the same
    ratings.
    """
    # Of a hundred million ratings with few values, far sooner than by sorting all of them.
    places, values = pd.factorize(train.data)
    ranks = np.argsort(np.argsort(values))
    codes = mixed(ranks.astype(np.uint64)) | np.uint64(1)
    coded = sparse.csr_array((codes[places], train.indices, train.indptr), train.shape)
    users, items = (np.zeros(size, np.uint64) for size in train.shape)
    for _ in range(ROUNDS):
        users, items = users + coded @ mixed(items), items + coded.T @ mixed(users)
    return users, items


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers whose every bit depends on all of the given ones: splitmix64 (Steele et al. 2014)."""
    found = numbers + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return found ^ (found >> np.uint64(31))
