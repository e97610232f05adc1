"""Compiled loops over observed pairs, one row a task: what ALS and Gibbs sampling share.

Rows are independent, so results do not depend on the number of threads. Factors are rows × c with
c a multiple of 8, the width of the vector registers that the loops fill.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import njit, prange
from scipy import sparse

ROWS_AT_A_TIME = 32  # what a thread takes at once: rows differ in length


def solve_rows(
    ratings: sparse.csr_array,
    design: np.ndarray,
    offsets: np.ndarray,
    alpha: float,
    precision: np.ndarray,
    pull: np.ndarray,
    active: int,
    noise: np.ndarray | None = None,
) -> np.ndarray:
    """Regress every row's ratings on the rows of `design` that it rated: the exact solution.

    For a row with ratings x_j of columns j it solves A p = h, where
    A = diag(precision) + alpha Σ_j d_j d_jᵀ and h = pull + alpha Σ_j d_j (x_j - offset_j).

    Parameters
    ----------
    ratings
        Rows × columns, CSR.
    design
        Columns × c; c is a multiple of 8.
    offsets
        One a column: what is subtracted from its ratings.
    alpha
        Weight of an observed pair.
    precision, pull
        Rows × c; the penalty's or prior's part of A and h. `precision` is positive.
    active
        How many columns take part; p is zero in those after.
    noise
        Rows × c standard normal numbers z; then p is a draw from N(A⁻¹ h, A⁻¹).

    Returns
    -------
    Rows × c, of the dtype of `design`.

    Raises
    ------
    FloatingPointError
        If a row's matrix is not positive definite.
    """
    noise = np.zeros((0, design.shape[1]), design.dtype) if noise is None else noise
    found = np.empty(precision.shape, design.dtype)
    with numba.parallel_chunksize(ROWS_AT_A_TIME):
        failed = _solve_rows(
            ratings.indptr,
            ratings.indices,
            ratings.data.astype(design.dtype, copy=False),
            design,
            offsets.astype(design.dtype, copy=False),
            design.dtype.type(alpha),
            precision,
            pull,
            noise,
            active,
            found,
        )
    if failed:
        raise FloatingPointError(f"{failed} rows have no unique solution: raise reg")
    return found


def inner_products(pattern: sparse.csr_array, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left_u · right_i of the stored entries, in their order, of the dtype of `left`."""
    found = np.empty(pattern.nnz, left.dtype)
    with numba.parallel_chunksize(ROWS_AT_A_TIME):
        _inner_products(pattern.indptr, pattern.indices, left, right, found)
    return found


def root_mean_square_error(
    ratings: sparse.csr_array, left: np.ndarray, right: np.ndarray, mean: float
) -> float:
    """Of the predictions mean + left_u · right_i over the stored entries; sums in float64."""
    totals = np.empty(len(left), np.float64)
    with numba.parallel_chunksize(ROWS_AT_A_TIME):
        _square_errors(
            ratings.indptr,
            ratings.indices,
            ratings.data.astype(left.dtype, copy=False),
            left,
            right,
            left.dtype.type(mean),
            totals,
        )
    return float(np.sqrt(totals.sum() / ratings.nnz)) if ratings.nnz else np.nan


def _compile(**options: Any) -> Any:
    # Sums may be reassociated, for vector registers; NaN and infinity keep their meaning.
    return njit(fastmath={"reassoc", "contract", "nsz", "arcp"}, cache=True, **options)


@_compile(parallel=True)
def _solve_rows(  # type: ignore[no-untyped-def]
    indptr, indices, data, design, offsets, alpha, precision, pull, noise, active, found
):
    rows, c = found.shape
    failed = 0
    for row in prange(rows):
        matrix = np.zeros((c, c), design.dtype)
        vector = np.zeros(c, design.dtype)
        _accumulate(indptr[row], indptr[row + 1], indices, data, design, offsets, matrix, vector)
        for a in range(active):
            vector[a] = alpha * vector[a] + pull[row, a]
            for b in range(a + 1):
                matrix[a, b] *= alpha
            matrix[a, a] += precision[row, a]
        failed += _factorize(matrix, active)
        _solve_lower(matrix, vector, active)
        if len(noise):
            for a in range(active):
                vector[a] += noise[row, a]
        _solve_upper(matrix, vector, active)
        for a in range(c):
            found[row, a] = vector[a] if a < active else 0
    return failed


@_compile()
def _accumulate(start, end, indices, data, design, offsets, matrix, vector):  # type: ignore[no-untyped-def]
    """Lower triangle of Σ d dᵀ, and Σ d (x - offset), four pairs at a time."""
    c = design.shape[1]
    j = start
    while j + 4 <= end:
        i0, i1, i2, i3 = indices[j], indices[j + 1], indices[j + 2], indices[j + 3]
        d0, d1, d2, d3 = design[i0], design[i1], design[i2], design[i3]
        for a in range(c):
            x0, x1, x2, x3 = d0[a], d1[a], d2[a], d3[a]
            # whole vector registers: a few products above the diagonal cost less than a remainder
            for b in range(((a >> 3) + 1) << 3):
                matrix[a, b] += x0 * d0[b] + x1 * d1[b] + x2 * d2[b] + x3 * d3[b]
        t0, t1 = data[j] - offsets[i0], data[j + 1] - offsets[i1]
        t2, t3 = data[j + 2] - offsets[i2], data[j + 3] - offsets[i3]
        for a in range(c):
            vector[a] += t0 * d0[a] + t1 * d1[a] + t2 * d2[a] + t3 * d3[a]
        j += 4
    while j < end:
        d0 = design[indices[j]]
        t0 = data[j] - offsets[indices[j]]
        for a in range(c):
            x0 = d0[a]
            for b in range(((a >> 3) + 1) << 3):
                matrix[a, b] += x0 * d0[b]
            vector[a] += t0 * x0
        j += 1


@_compile()
def _factorize(matrix, active):  # type: ignore[no-untyped-def]
    """Cholesky factor in the lower triangle; 1 if the matrix is not positive definite."""
    failed = 0
    for a in range(active):
        for b in range(a + 1):
            total = matrix[a, b]
            for i in range(b):
                total -= matrix[a, i] * matrix[b, i]
            if a > b:
                matrix[a, b] = total / matrix[b, b]
            elif total > 0:
                matrix[a, a] = np.sqrt(total)
            else:
                matrix[a, a] = 1
                failed = 1
    return failed


@_compile()
def _solve_lower(factor, vector, active):  # type: ignore[no-untyped-def]
    for a in range(active):
        total = vector[a]
        for i in range(a):
            total -= factor[a, i] * vector[i]
        vector[a] = total / factor[a, a]


@_compile()
def _solve_upper(factor, vector, active):  # type: ignore[no-untyped-def]
    for a in range(active - 1, -1, -1):
        vector[a] /= factor[a, a]
        for i in range(a):
            vector[i] -= factor[a, i] * vector[a]


@_compile(parallel=True)
def _inner_products(indptr, indices, left, right, found):  # type: ignore[no-untyped-def]
    for row in prange(len(indptr) - 1):
        for j in range(indptr[row], indptr[row + 1]):
            total = left.dtype.type(0)
            other = right[indices[j]]
            for a in range(left.shape[1]):
                total += left[row, a] * other[a]
            found[j] = total


@_compile(parallel=True)
def _square_errors(indptr, indices, data, left, right, mean, totals):  # type: ignore[no-untyped-def]
    for row in prange(len(indptr) - 1):
        squares = 0.0
        for j in range(indptr[row], indptr[row + 1]):
            error = mean - data[j]
            other = right[indices[j]]
            for a in range(left.shape[1]):
                error += left[row, a] * other[a]
            squares += error * error
        totals[row] = squares


@_compile()
def draw_links(  # type: ignore[no-untyped-def]
    indptr, indices, weights, residuals, links, precision, prior, noise
):
    """One Gibbs pass over link vectors y_j in residual_u = p_u - Σ_j weight_u y_j.

    Parameters
    ----------
    indptr, indices
        CSR of links × rows: which rows each link reaches.
    weights
        One a row.
    residuals
        Rows × c; kept equal to what the links leave unexplained.
    links
        Links × c, replaced by the draws.
    precision, prior
        c each: of the residuals and of the links.
    noise
        Links × c standard normal numbers.
    """
    c = residuals.shape[1]
    for j in range(len(indptr) - 1):
        squares = weights.dtype.type(0)
        total = np.zeros(c, residuals.dtype)
        for place in range(indptr[j], indptr[j + 1]):
            row = indices[place]
            weight = weights[row]
            squares += weight * weight
            for a in range(c):
                total[a] += weight * residuals[row, a]
        for a in range(c):
            inverse = 1 / (prior[a] + precision[a] * squares)
            mean = precision[a] * (total[a] + squares * links[j, a]) * inverse
            drawn = mean + np.sqrt(inverse) * noise[j, a]
            total[a] = drawn - links[j, a]
            links[j, a] = drawn
        for place in range(indptr[j], indptr[j + 1]):
            row = indices[place]
            for a in range(c):
                residuals[row, a] -= weights[row] * total[a]


@_compile(parallel=True)
def descend(  # type: ignore[no-untyped-def]
    starts, diagonals, users, items, values, left, right, user_penalty, item_penalty, k, rate
):
    """One epoch of stochastic gradient descent over blocks of pairs.

    Parameters
    ----------
    starts
        Where each block's pairs start, and the end.
    diagonals
        Rows of block numbers that share neither users nor items.
    users, items, values
        Of each pair, block by block; values are ratings less their mean.
    left, right
        [U | b | 1 | 0] and [V | 1 | c | 0], replaced.
    user_penalty, item_penalty
        Rows × 2: a pair's penalty of its row's factors and bias.
    k, rate
        Number of factors, length of a step.
    """
    for diagonal in range(len(diagonals)):
        for place in prange(diagonals.shape[1]):
            block = diagonals[diagonal, place]
            for j in range(starts[block], starts[block + 1]):
                _step_pair(
                    left[users[j]],
                    right[items[j]],
                    values[j],
                    user_penalty[users[j]],
                    item_penalty[items[j]],
                    k,
                    rate,
                )


@_compile(inline="always")
def _step_pair(p, q, value, user_penalty, item_penalty, k, rate):  # type: ignore[no-untyped-def]
    error = value
    for a in range(len(p)):
        error -= p[a] * q[a]
    bias_p, bias_q = p[k], q[k + 1]
    move = rate * error
    keep_p, keep_q = 1 - rate * user_penalty[0], 1 - rate * item_penalty[0]
    for a in range(len(p)):
        old_p, old_q = p[a], q[a]
        p[a] = keep_p * old_p + move * old_q
        q[a] = keep_q * old_q + move * old_p
    p[k], p[k + 1] = bias_p - rate * user_penalty[1] * bias_p + move, 1
    q[k + 1], q[k] = bias_q - rate * item_penalty[1] * bias_q + move, 1
