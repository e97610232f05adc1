"""Compiled passes of full-batch gradient descent on a factorization: gradients, then a step.

A pass over the rows of a rating matrix gives errors and gradients at once, so no array is as long
as the ratings. Sums have the order of `lanes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cfmf.kernels.compiled import compiled
from cfmf.kernels.lanes import add_four, four_products, inner_product, logistic

PAIRS_AT_A_TIME = 128  # of a row: their rows of factors stay in the cache next to the processor

_compiled: Any = compiled(nogil=True, error_model="numpy")  # other Python threads run beside it


@_compiled
def add_errors(begin, end, ratings, blocks, gradients, output):  # type: ignore[no-untyped-def]
    """Sum of the squared errors of rows `begin` to `end`, float64, whose gradients are added up.

    The error of a pair is e = left_u · right_i + offset - x or, of a bounded output,
    e = low + width / (1 + exp(-(left_u · right_i + offset))) - x.

    Parameters
    ----------
    ratings
        indptr, indices and data of rows × columns, CSR.
    blocks
        The left and right arrays of `cfmf.factorization.objective`, left and right.
    gradients
        Those of ½ Σ e² of the same shapes, or two arrays without rows. Rows `begin` to `end` of the
        left one are replaced, the right one is added to.
    output
        offset, low and width, of the dtype of the blocks, and whether the output is bounded.
    """
    indptr, indices, data = ratings
    left, right = blocks
    by_row, by_column = gradients
    offset, low, width, bounded = output
    others = np.zeros(PAIRS_AT_A_TIME, np.int64)
    errors = np.zeros((1, PAIRS_AT_A_TIME), left.dtype)
    pulls = np.zeros((1, PAIRS_AT_A_TIME), left.dtype)
    one = left.dtype.type(1)
    squares = 0.0
    for row in range(begin, end):
        if len(by_row):
            for a in range(left.shape[1]):
                by_row[row, a] = 0
        for start in range(indptr[row], indptr[row + 1], PAIRS_AT_A_TIME):
            pairs = min(PAIRS_AT_A_TIME, indptr[row + 1] - start)
            filled = -(-pairs // 4) * 4
            for j in range(pairs):
                others[j] = indices[start + j]
            for j in range(pairs, filled):  # filled up with pairs whose error is 0
                others[j] = others[pairs - 1]
            for j in range(0, filled, 4):
                four_products(left, row, right, others, j, errors)
            if bounded:
                for j in range(pairs):
                    errors[0, j] += offset
                logistic(errors, filled)
                for j in range(pairs):
                    share = errors[0, j]
                    errors[0, j] = low + width * share - data[start + j]
                    pulls[0, j] = errors[0, j] * (width * share * (one - share))
            else:
                for j in range(pairs):
                    errors[0, j] += offset - data[start + j]
                    pulls[0, j] = errors[0, j]
            for j in range(pairs, filled):
                errors[0, j] = pulls[0, j] = 0
            squares += inner_product(errors, 0, errors, 0, filled)
            if len(by_row):
                for j in range(0, filled, 4):
                    add_four(left, row, right, others, j, pulls, by_row, by_column)
    return squares


@_compiled
def penalty_of(block, weights, columns, cubic):  # type: ignore[no-untyped-def]
    """½ Σ w_row ‖factors‖², or ⅓ Σ w_row ‖factors‖³, and ½ Σ of the biases' penalties, float64.

    Arguments are those of `advance`.
    """
    held = np.zeros((2, block.shape[1]), block.dtype)
    total = 0.0
    for row in range(len(block)):
        for a in range(block.shape[1]):
            held[0, a] = columns[0, a] * block[row, a]
            held[1, a] = columns[1, a] * block[row, a]
        power = np.float64(inner_product(held, 0, held, 0, block.shape[1]))
        if cubic:
            power *= 2 * np.sqrt(power) / 3
        bias = inner_product(held, 1, held, 1, block.shape[1])
        total += 0.5 * (weights[row] * power + bias)
    return total


@_compiled
def advance(  # type: ignore[no-untyped-def]
    begin, end, block, gradient, moments, weights, columns, cubic, rates
):
    """A step of AdamW by rows `begin` to `end` of a block.

    Loshchilov & Hutter (2019), algorithm 2, as `torch.optim.AdamW` computes it.

    Parameters
    ----------
    block, gradient, moments
        Rows × columns each: the parameters, the gradient that `add_errors` gave (replaced by that
        of the objective), and the running means of gradients and of their squares.
    weights
        Strength of each row's penalty.
    columns
        3 × columns: 1 at factors; the root of the strength of a bias's penalty; 1 at all that is
        not constant.
    cubic
        Whether the penalty of a row of factors v is ⅓ ‖v‖³ in place of ½ ‖v‖².
    rates
        What the gradient is multiplied by; what decay leaves of a parameter; 1 - β of both means;
        length of the step and ε, both with the corrections of the means.
    """
    first, second = moments
    scale, keep, of_first, of_second, length, epsilon = rates
    one = block.dtype.type(1)
    factors = np.zeros((1, block.shape[1]), block.dtype)
    for row in range(begin, end):
        weight = weights[row]
        if cubic:
            for a in range(block.shape[1]):
                factors[0, a] = columns[0, a] * block[row, a]
            weight *= np.sqrt(inner_product(factors, 0, factors, 0, block.shape[1]))
        for a in range(block.shape[1]):
            slope = columns[2, a] * (scale * gradient[row, a])
            slope += (weight * columns[0, a] + columns[1, a] * columns[1, a]) * block[row, a]
            gradient[row, a] = slope
        for a in range(block.shape[1]):
            slope = gradient[row, a]
            first[row, a] += of_first * (slope - first[row, a])
            second[row, a] = (one - of_second) * second[row, a] + of_second * slope * slope
            block[row, a] = keep * block[row, a] - length * first[row, a] / (
                np.sqrt(second[row, a]) + epsilon
            )
