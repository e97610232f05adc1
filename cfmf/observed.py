"""Observed pairs of a rating matrix, and how far predictions of them are from the ratings."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse


def row_numbers(matrix: sparse.csr_array) -> NDArray[np.int32]:
    """Row of every stored entry, in CSR order."""
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))


def pairs(matrix: sparse.csr_array) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Users and items of the stored entries, in CSR order."""
    return row_numbers(matrix), matrix.indices


def check_pairs(
    users: ArrayLike, items: ArrayLike, shape: tuple[int, int]
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Users and items of queried pairs as arrays.

    Raises
    ------
    ValueError
        If their lengths differ or one is outside a matrix of this shape.
    """
    found = np.atleast_1d(users), np.atleast_1d(items)
    if len(found[0]) != len(found[1]):
        raise ValueError(f"{len(found[0])} users but {len(found[1])} items; give one of each")
    for numbers, size, what in zip(found, shape, ("user", "item"), strict=True):
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < size:
            outside = numbers[(numbers < 0) | (numbers >= size)][0]
            raise ValueError(f"there is no {what} {outside}; the model knows 0 to {size - 1}")
    return found


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


def accuracy(
    predictions: ArrayLike, ratings: ArrayLike, scale: tuple[float, float]
) -> dict[str, float]:
    """`rmse`, `rmse_clipped` and `mae` of predictions, NaN where there are none.

    Parameters
    ----------
    predictions, ratings
        One value for each pair, in the same order.
    scale
        Least and greatest rating that can be given; `rmse_clipped` is of predictions moved into
        it, the others of the predictions as they are.
    """
    predicted, observed = np.asarray(predictions, dtype=np.float64), np.asarray(ratings)
    absolute = np.abs(predicted - observed)
    return {
        "rmse": rmse(predicted, observed),
        "rmse_clipped": rmse(np.clip(predicted, *scale), observed),
        "mae": float(absolute.mean()) if len(absolute) else np.nan,
    }
