"""Compiled loops over observed pairs, one row a task: what ALS and Gibbs sampling share.

Rows are independent, so results do not depend on the number of threads; long sums have the order of
`lanes`, so neither do they depend on who compiled. Factors are rows × c with c a multiple of 8, the
lanes of a sum.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import prange
from scipy import sparse

from cfmf.kernels.compiled import compiled
from cfmf.kernels.lanes import (
    LANES,
    add_row,
    add_tile_4_16,
    add_tile_8_8,
    add_tile_8_16,
    copy_row,
    eliminate_2,
    eliminate_8,
    inner_product,
    take_tile_4_16,
    take_tile_8_8,
    take_tile_8_16,
    weigh_rows,
)
from cfmf.kernels.steps import move_pair, prefetch_row

ROWS_AT_A_TIME = 32  # what a thread takes at once: rows differ in length
PAIRS_AHEAD = 16  # whose rows are asked for while a pair is worked on
GOLDEN = (5**0.5 - 1) / 2
PAIRS_AT_A_TIME = 128  # gathered at once, so that they stay in the cache next to the processor


def solve_rows(
    ratings: sparse.csr_array,
    design: np.ndarray,
    offsets: np.ndarray,
    roots: np.ndarray,
    precision: np.ndarray,
    pull: np.ndarray,
    active: int,
    noise: np.ndarray | None = None,
    serial: bool = False,
) -> np.ndarray:
    """Regress every row's ratings on the rows of `design` that it rated: the exact solution.

    For a row with ratings x_j of columns j it solves A p = h, where
    A = diag(precision) + Σ_j r_j² d_j d_jᵀ and h = pull + Σ_j r_j² d_j (x_j - offset_j).

    Parameters
    ----------
    ratings
        Rows × columns, CSR.
    design
        Columns × c; c is a multiple of 8.
    offsets
        One a column: what is subtracted from its ratings.
    roots
        r, one a column: the roots of the weights of its ratings.
    precision, pull
        Rows × c; the penalty's or prior's part of A and h. `precision` is positive.
    active
        How many columns take part; p is zero in those after.
    noise
        Rows × c standard normal numbers z; then p is a draw from N(A⁻¹ h, A⁻¹).
    serial
        Whether to use one core and leave the others to other Python threads.

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
    given = (
        ratings.indptr,
        ratings.indices,
        ratings.data.astype(design.dtype, copy=False),
        design,
        offsets.astype(design.dtype, copy=False),
        roots.astype(design.dtype, copy=False),
        *(precision, pull, noise, active, found),
    )
    with numba.parallel_chunksize(1):
        failed = _solve_rows_from(0, len(found), *given) if serial else _solve_rows(*given)
    if failed:
        raise FloatingPointError(f"{failed} rows have no unique solution")
    return found


def solve_pairs(
    ratings: sparse.csr_array,
    third: np.ndarray,
    others: tuple[np.ndarray, np.ndarray],
    offsets: tuple[np.ndarray, np.ndarray],
    roots: tuple[np.ndarray, np.ndarray],
    columns: tuple[int, int, int],
    precision: np.ndarray,
    pull: np.ndarray,
    noise: np.ndarray,
    serial: bool = False,
) -> np.ndarray:
    """As `solve_rows`, where a rating is of three rows whose factors interact two by two.

    The design of a rating with rows f and s of the other kinds has the factors f + s and a 1 in the
    column of the bias; its offset is offset_f + offset_s + f · s, and its weight root_f² root_s².

    Parameters
    ----------
    ratings
        Rows × rows of the first other kind, CSR; a pair may be there twice.
    third
        The row of the second other kind of each rating, int32.
    others
        Rows × c of the first and of the second other kind, whose first columns are factors.
    offsets, roots
        One a row of each.
    columns
        Number of factors, column of the bias, and how many columns take part.

    Raises
    ------
    FloatingPointError
        If a row's matrix is not positive definite.
    """
    dtype = precision.dtype
    of_f, of_s, root_f, root_s = (one.astype(dtype, copy=False) for one in (*offsets, *roots))
    found = np.empty(precision.shape, dtype)
    given = (
        *(ratings.indptr, ratings.indices, third, ratings.data.astype(dtype, copy=False)),
        *others,
        *(of_f, of_s, root_f, root_s, columns, precision, pull, noise, found),
    )
    with numba.parallel_chunksize(1):
        failed = _solve_pairs_from(0, len(found), *given) if serial else _solve_pairs(*given)
    if failed:
        raise FloatingPointError(f"{failed} rows have no unique solution")
    return found


def inner_products(
    pattern: sparse.csr_array, left: np.ndarray, right: np.ndarray, serial: bool = False
) -> np.ndarray:
    """left_u · right_i of the stored entries, in their order, of the dtype of `left`.

    `serial` as `solve_rows` has it.

    Raises
    ------
    ValueError
        If the rows are not filled up to a multiple of 8 columns.
    """
    if left.shape[1] % LANES or left.shape[1] != right.shape[1]:
        raise ValueError(f"{left.shape[1]} and {right.shape[1]} columns; both must be 8, 16 or so")
    found = np.empty(pattern.nnz, left.dtype)
    given = pattern.indptr, pattern.indices, left, right, found
    if serial:
        _inner_products_from(0, len(left), *given)
        return found
    with numba.parallel_chunksize(ROWS_AT_A_TIME):
        _inner_products(*given)
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


_compiled: Any = compiled(nogil=True)  # other Python threads run beside it
_parallel: Any = compiled(parallel=True)


@_parallel
def _solve_rows(  # type: ignore[no-untyped-def]
    indptr, indices, data, design, offsets, roots, precision, pull, noise, active, found
):
    failed = 0
    for group in prange(-(-len(found) // ROWS_AT_A_TIME)):
        begin = group * ROWS_AT_A_TIME
        failed += _solve_rows_from(
            begin,
            min(begin + ROWS_AT_A_TIME, len(found)),
            indptr,
            indices,
            data,
            design,
            offsets,
            roots,
            precision,
            pull,
            noise,
            active,
            found,
        )
    return failed


@_compiled
def _solve_rows_from(  # type: ignore[no-untyped-def]
    begin, end, indptr, indices, data, design, offsets, roots, precision, pull, noise, active, found
):
    failed = 0
    rows, matrix, vector = _workspace(active, design)
    for row in range(begin, end):
        matrix[:] = 0
        for start in range(indptr[row], indptr[row + 1], PAIRS_AT_A_TIME):
            pairs = min(PAIRS_AT_A_TIME, indptr[row + 1] - start)
            for j in range(pairs):
                column = indices[start + j]
                copy_row(design, column, roots[column], rows, j)
                rows[j, active] = (data[start + j] - offsets[column]) * roots[column]
            _add_products(rows, pairs, active, matrix)
        failed += _solve_row(matrix, vector, precision, pull, noise, active, row, found)
    return failed


@_parallel
def _solve_pairs(  # type: ignore[no-untyped-def]
    indptr,
    first,
    second,
    values,
    f,
    s,
    of_f,
    of_s,
    root_f,
    root_s,
    columns,
    precision,
    pull,
    noise,
    found,
):
    failed = 0
    for group in prange(-(-len(found) // ROWS_AT_A_TIME)):
        begin = group * ROWS_AT_A_TIME
        failed += _solve_pairs_from(
            begin,
            min(begin + ROWS_AT_A_TIME, len(found)),
            indptr,
            first,
            second,
            values,
            f,
            s,
            of_f,
            of_s,
            root_f,
            root_s,
            columns,
            precision,
            pull,
            noise,
            found,
        )
    return failed


@_compiled
def _solve_pairs_from(  # type: ignore[no-untyped-def]
    begin,
    end,
    indptr,
    first,
    second,
    values,
    f,
    s,
    of_f,
    of_s,
    root_f,
    root_s,
    columns,
    precision,
    pull,
    noise,
    found,
):
    k, bias, active = columns
    failed = 0
    rows, matrix, vector = _workspace(active, f)
    for row in range(begin, end):
        matrix[:] = 0
        for start in range(indptr[row], indptr[row + 1], PAIRS_AT_A_TIME):
            pairs = min(PAIRS_AT_A_TIME, indptr[row + 1] - start)
            for j in range(pairs):
                x, y = first[start + j], second[start + j]
                root = root_f[x] * root_s[y]
                offset = of_f[x] + of_s[y]
                for a in range(k):
                    rows[j, a] = (f[x, a] + s[y, a]) * root
                    offset += f[x, a] * s[y, a]
                rows[j, bias] = root
                rows[j, active] = (values[start + j] - offset) * root
            _add_products(rows, pairs, active, matrix)
        failed += _solve_row(matrix, vector, precision, pull, noise, active, row, found)
    return failed


@_compiled
def _workspace(active, design):  # type: ignore[no-untyped-def]
    """Room for weighted rows of the design, a row's matrix and its solution.

    Column `active` is for the targets, and becomes h; those after stay 0.
    """
    c = max((active // LANES + 1) * LANES, design.shape[1])
    rows = np.zeros((PAIRS_AT_A_TIME, c), design.dtype)
    return rows, np.empty((c, c), design.dtype), np.zeros((1, c), design.dtype)


@_compiled
def _solve_row(matrix, vector, precision, pull, noise, active, row, found):  # type: ignore[no-untyped-def]
    """Fill a row of `found` from Σ d dᵀ and, in column `active`, Σ d target.

    Returns 1 if the matrix is not positive definite.
    """
    for a in range(active):
        matrix[a, active] += pull[row, a]
        matrix[a, a] += precision[row, a]
    failed = _factorize(matrix, active)
    vector[:] = 0
    for first in range((active - 1) // LANES * LANES, -1, -LANES):
        last = min(first + LANES, active)
        for a in range(first, last):
            total = inner_product(matrix, a, vector, 0, matrix.shape[1])
            matrix[a, active] -= total
            if len(noise):
                matrix[a, active] += noise[row, a]
        for a in range(last - 1, first - 1, -1):
            value = matrix[a, active] * matrix[a, a]
            vector[0, a] = value
            for b in range(first, a):
                matrix[b, active] -= matrix[b, a] * value
    for a in range(found.shape[1]):
        found[row, a] = vector[0, a] if a < active else 0
    return failed


@_compiled
def _add_products(rows, count, active, matrix):  # type: ignore[no-untyped-def]
    """Add to the upper triangle, and to the columns after it, what the first `count` rows give."""
    c = matrix.shape[1]
    for a in range(0, active, LANES):
        for b in range(a, c, 2 * LANES):
            if b + LANES == c:
                add_tile_8_8(rows, count, a, b, matrix)
            elif a + 4 < active:
                add_tile_8_16(rows, count, a, b, matrix)
            else:
                add_tile_4_16(rows, count, a, b, matrix)


@_compiled
def _factorize(matrix, active):  # type: ignore[no-untyped-def]
    """Replace [A | h] by [U | U⁻ᵀ h], with A = Uᵀ U, whose diagonal is then that of 1 / U.

    Returns 1 if A is not positive definite.
    """
    failed = 0
    c = matrix.shape[1]
    for a in range(0, active, LANES):
        for b in range(a, c if a else 0, 2 * LANES):
            if b + LANES == c:
                take_tile_8_8(matrix, a, a, b, matrix)
            elif a + 4 < active:
                take_tile_8_16(matrix, a, a, b, matrix)
            else:
                take_tile_4_16(matrix, a, a, b, matrix)
        count = active - a
        failed += eliminate_2(matrix, a, count) if count <= 2 else eliminate_8(matrix, a, count)
    return failed


@_compiled
def add_third(indptr, first, second, left, right, third, k, found):  # type: ignore[no-untyped-def]
    """Add to each pair's entry of `found` (left + right) · third over k factors.

    Parameters
    ----------
    indptr, first
        CSR: the rows of `left`, and the row of `right` of each pair.
    second
        The row of `third` of each pair.
    """
    for row in range(len(indptr) - 1):
        for j in range(indptr[row], indptr[row + 1]):
            total = left.dtype.type(0)
            for a in range(k):
                total += (left[row, a] + right[first[j], a]) * third[second[j], a]
            found[j] += total


@_parallel
def _inner_products(indptr, indices, left, right, found):  # type: ignore[no-untyped-def]
    for row in prange(len(indptr) - 1):
        _inner_products_from(row, row + 1, indptr, indices, left, right, found)


@_compiled
def _inner_products_from(  # type: ignore[no-untyped-def]
    begin, end, indptr, indices, left, right, found
):
    for row in range(begin, end):
        for j in range(indptr[row], indptr[row + 1]):
            found[j] = inner_product(left, row, right, indices[j], left.shape[1])


@_parallel
def _square_errors(indptr, indices, data, left, right, mean, totals):  # type: ignore[no-untyped-def]
    for row in prange(len(indptr) - 1):
        squares = 0.0
        for j in range(indptr[row], indptr[row + 1]):
            product = inner_product(left, row, right, indices[j], left.shape[1])
            error = mean - data[j] + product
            squares += error * error
        totals[row] = squares


@_compiled
def draw_links(  # type: ignore[no-untyped-def]
    indptr, indices, weights, residuals, links, precision, prior, noise
):
    """One Gibbs pass over link vectors y_j in residual_u = p_u - Σ_j weight_uj y_j.

    Parameters
    ----------
    indptr, indices
        CSR of links × rows: which rows each link reaches.
    weights
        Its values, one for each stored entry.
    residuals
        Rows × c, with c a multiple of 8; kept equal to what the links leave unexplained.
    links
        Links × c, replaced by the draws.
    precision, prior
        c each: of the residuals and of the links.
    noise
        Links × c standard normal numbers.
    """
    c = residuals.shape[1]
    one = residuals.dtype.type(1)
    total = np.zeros((1, c), residuals.dtype)
    for j in range(len(indptr) - 1):
        begin, end = indptr[j], indptr[j + 1]
        squares = weights.dtype.type(0)
        for place in range(begin, end):
            squares += weights[place] * weights[place]
        for a in range(0, c, LANES):
            weigh_rows(residuals, indices, weights, begin, end, a, total)
        for a in range(c):
            inverse = one / (prior[a] + precision[a] * squares)
            mean = precision[a] * (total[0, a] + squares * links[j, a]) * inverse
            drawn = mean + np.sqrt(inverse) * noise[j, a]
            total[0, a] = drawn - links[j, a]
            links[j, a] = drawn
        for place in range(begin, end):
            add_row(total, 0, -weights[place], residuals, indices[place])


@_parallel
def count_pairs(indptr, indices, members, firsts, item_groups):  # type: ignore[no-untyped-def]
    """Pairs of each block that a group of users and one of items make: groups × groups.

    Parameters
    ----------
    indptr, indices
        Users × items, CSR.
    members, firsts
        The users group by group, and where each group starts, and the end.
    item_groups
        Group of each item, as many groups as of users.
    """
    groups = len(firsts) - 1
    found = np.zeros((groups, groups), np.int64)
    for group in prange(groups):
        counts = np.zeros(groups, np.int64)
        for user in members[firsts[group] : firsts[group + 1]]:
            for j in range(indptr[user], indptr[user + 1]):
                counts[item_groups[indices[j]]] += 1
        found[group] = counts
    return found


@_parallel
def deal_pairs(  # type: ignore[no-untyped-def]
    indptr, indices, data, mean, members, firsts, item_groups, starts, users, items, values
):
    """Put the pairs of a CSR matrix into the blocks of `count_pairs`, users apart from themselves.

    The pairs of a block, user by user, take places a step apart, round and round: the step is prime
    to their number and near its golden section, so that what comes together in the end was far
    apart.

    Parameters
    ----------
    indptr, indices, data
        Users × items, CSR.
    mean
        What is subtracted from the data.
    members, firsts, item_groups
        As `count_pairs` has them.
    starts
        Where each of the groups × groups blocks starts, and the end.
    users, items, values
        Of each pair, block by block; filled.
    """
    groups = len(firsts) - 1
    for group in prange(groups):
        begin = starts[group * groups : group * groups + groups]
        sizes = np.diff(starts[group * groups : group * groups + groups + 1])
        steps = np.array([_prime_to(size, int(GOLDEN * size)) for size in sizes])
        places = np.zeros(groups, np.int64)
        for user in members[firsts[group] : firsts[group + 1]]:
            for j in range(indptr[user], indptr[user + 1]):
                block = item_groups[indices[j]]
                place = begin[block] + places[block]
                places[block] = (places[block] + steps[block]) % sizes[block]
                users[place], items[place], values[place] = user, indices[j], data[j] - mean


@_compiled
def _prime_to(size, least):  # type: ignore[no-untyped-def]
    """The first number from `least` on, and from 1, that shares no divisor with `size`."""
    found = max(least, 1)
    while np.gcd(found, size) > 1:
        found += 1
    return found


@_parallel
def descend(  # type: ignore[no-untyped-def]
    starts, mask, parts, users, items, values, left, right, user_keeps, item_keeps, k, rate
):
    """One epoch of stochastic gradient descent over blocks of pairs.

    The blocks that come t-th are those of a group u of users and the group u XOR t XOR mask of
    items, which share neither. The upper bits of u XOR t show that a part of the users' groups
    meets only one part of the items' for a while, so that parts need to wait for one another only
    as often as there are parts. Every row meets its blocks in the same order however many there
    are, and so the result is the same.

    Parameters
    ----------
    starts
        Where the pairs of each of the groups × groups blocks start, and the end; the number of
        groups is a power of 2.
    mask
        Below the number of groups: decides the order.
    parts
        How many groups of users to work on at once, a power of 2, at most as many as there are.
    users, items, values
        Of each pair, block by block; values are ratings less their mean.
    left, right
        [U | b | 1 | 0] and [V | 1 | c | 0], replaced.
    user_keeps, item_keeps
        Rows × 2: the share of a row's factors and of its bias that a pair's penalty leaves.
    k
        Number of factors.
    rate
        Length of a step.
    """
    groups = int(np.sqrt(len(starts) - 1))
    size = groups // parts
    for phase in range(parts):
        for part in prange(parts):
            for turn in range(phase * size, phase * size + size):
                for group in range(part * size, part * size + size):
                    block = group * groups + (group ^ turn ^ mask)
                    _descend_block(
                        starts[block],
                        starts[block + 1],
                        users,
                        items,
                        values,
                        left,
                        right,
                        user_keeps,
                        item_keeps,
                        k,
                        rate,
                    )


@_compiled
def _descend_block(  # type: ignore[no-untyped-def]
    begin, end, users, items, values, left, right, user_keeps, item_keeps, k, rate
):
    for j in range(begin, end):
        soon = min(j + PAIRS_AHEAD, end - 1)
        prefetch_row(left, users[soon])
        prefetch_row(right, items[soon])
        user, item = users[j], items[j]
        product = inner_product(left, user, right, item, left.shape[1])
        move_pair(
            left,
            user,
            right,
            item,
            k,
            rate * (values[j] - product),
            user_keeps[user, 0],
            user_keeps[user, 1],
            item_keeps[item, 0],
            item_keeps[item, 1],
        )
