"""Compiled loops of Gibbs sampling over observed pairs: errors by row, and sums of predictions.

No loop makes an array as long as the pairs. Rows are independent and their sums are added in order,
so results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import prange
from scipy import sparse

from cfmf.kernels.compiled import compiled

ROWS_AT_A_TIME = 32  # what a thread takes at once: rows differ in length

_compiled: Any = compiled(nogil=True)  # other Python threads run beside it
_parallel: Any = compiled(parallel=True)


def row_squares(
    pattern: sparse.csr_array,
    means: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    serial: bool = False,
) -> np.ndarray:
    """Σ_i weight_i (mean - target)² over the stored entries of every row, float64.

    Parameters
    ----------
    means, targets
        In the order of the stored entries.
    weights
        One a column, float64.
    serial
        Whether to use one core and leave the others to other Python threads.
    """
    found = np.empty(pattern.shape[0])
    given = pattern.indptr, pattern.indices, means, targets, weights, found
    if serial:
        _row_squares_from(0, len(found), *given)
        return found
    with numba.parallel_chunksize(ROWS_AT_A_TIME):
        _row_squares(*given)
    return found


def column_squares(
    pattern: sparse.csr_array, means: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """As `row_squares` of the transpose: Σ_u weight_u (mean - target)² of every column."""
    found = np.zeros(pattern.shape[1])
    _column_squares(pattern.indptr, pattern.indices, means, targets, weights, found)
    return found


def add_moments(
    part: sparse.csr_array,
    means: np.ndarray,
    variances: tuple[np.ndarray, np.ndarray],
    totals: np.ndarray,
    squares: np.ndarray,
    count: int,
    serial: bool = False,
) -> tuple[float, float]:
    """Add to `totals` the means, and to `squares` what they give as second moments.

    Parameters
    ----------
    part
        Ratings, CSR.
    means
        Of its stored entries, in their order.
    variances
        One a row and one a column, float64, whose product is the variance of an entry.
    totals, squares
        float64, in the order of the stored entries; changed.
    count
        How many means `totals` then is the sum of.

    Returns
    -------
    Sums of the squared errors of the means, and of `totals` / `count`.
    """
    errors = np.empty((part.shape[0], 2))
    given = part.indptr, part.indices, part.data, means, *variances, totals, squares, 1 / count
    if serial:
        _add_moments_from(0, len(errors), *given, errors)
    else:
        with numba.parallel_chunksize(ROWS_AT_A_TIME):
            _add_moments(*given, errors)
    own, together = errors.sum(axis=0)
    return float(own), float(together)


@_parallel
def _row_squares(indptr, indices, means, targets, weights, found):  # type: ignore[no-untyped-def]
    for row in prange(len(found)):
        _row_squares_from(row, row + 1, indptr, indices, means, targets, weights, found)


@_compiled
def _row_squares_from(  # type: ignore[no-untyped-def]
    begin, end, indptr, indices, means, targets, weights, found
):
    for row in range(begin, end):
        total = 0.0
        for j in range(indptr[row], indptr[row + 1]):
            error = np.float64(means[j]) - np.float64(targets[j])
            total += weights[indices[j]] * (error * error)
        found[row] = total


@_compiled
def _column_squares(indptr, indices, means, targets, weights, found):  # type: ignore[no-untyped-def]
    for row in range(len(indptr) - 1):
        for j in range(indptr[row], indptr[row + 1]):
            error = np.float64(means[j]) - np.float64(targets[j])
            found[indices[j]] += weights[row] * (error * error)


@_parallel
def _add_moments(  # type: ignore[no-untyped-def]
    indptr, indices, data, means, of_row, of_column, totals, squares, share, errors
):
    for row in prange(len(errors)):
        _add_moments_from(
            row,
            row + 1,
            indptr,
            indices,
            data,
            means,
            of_row,
            of_column,
            totals,
            squares,
            share,
            errors,
        )


@_compiled
def _add_moments_from(  # type: ignore[no-untyped-def]
    begin, end, indptr, indices, data, means, of_row, of_column, totals, squares, share, errors
):
    for row in range(begin, end):
        own, together = 0.0, 0.0
        for j in range(indptr[row], indptr[row + 1]):
            mean, rating = np.float64(means[j]), np.float64(data[j])
            totals[j] += mean
            squares[j] += mean * mean + of_row[row] * of_column[indices[j]]
            own += (mean - rating) ** 2
            together += (totals[j] * share - rating) ** 2
        errors[row, 0], errors[row, 1] = own, together
