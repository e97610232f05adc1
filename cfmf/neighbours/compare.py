"""Comparisons of users or items: the four similarities, from a rating matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.kernels.similarities import SIMILARITIES, Comparison, Floats, transposed
from cfmf.neighbours.biases import Biases
from cfmf.observed import means, pairs, row_numbers

AXES = ("users", "items")


def compare(
    train: sparse.csr_array,
    by: str,
    kind: str,
    biases: Biases | None = None,
    counted: bool = True,
) -> Comparison:
    """Comparison of the users (or items) of a users × items matrix.

    - `cosine`: Σxy / √(Σx² Σy²), the roots over all ratings of each row, an unknown rating counting
      as zero, as published and as scikit-learn's cosine_similarity;
    - `adjusted-cosine`: the same of x − (mean of its user) (Sarwar et al., 2001, eq. 2, but with
      norms over all ratings, so that rows that share little are little alike);
    - `pearson`: correlation over the shared columns (Resnick et al., 1994);
    - `pearson-baseline`: Σrs / √(Σr² Σs²) of residuals r = x − b_ui over the shared columns (Koren,
      2010, sec. 2.2).

    Only `cosine` depends on where the zero of the rating scale is, and none on its unit.

    Parameters
    ----------
    train
        Users × items, checked.
    by
        `users` or `items`: whose rows are compared.
    biases
        Of `train`; needed by `pearson-baseline`.
    counted
        Whether the number of shared columns is wanted, for shrinkage.

    Raises
    ------
    ValueError
        If `by` or `kind` is unknown, or the biases are missing.
    """
    if by not in AXES:
        raise ValueError(f"neighbours are {' or '.join(AXES)}, not {by!r}")
    if kind not in SIMILARITIES:
        raise ValueError(f"no similarity is named {kind!r}; there are {', '.join(SIMILARITIES)}")
    rows, compared = train, compared_values(train, kind, biases)
    if by == "items":
        rows, order = transposed(train)
        compared = compared[order]
    if kind == "pearson":
        compared = compared - np.repeat(row_medians(rows, compared), np.diff(rows.indptr))
    if kind in ("pearson", "pearson-baseline"):
        compared = balanced(rows, compared)
    if kind in ("cosine", "adjusted-cosine"):
        compared = unit(rows, compared)
    return Comparison(kind, rows, compared, counted)


def compared_values(train: sparse.csr_array, kind: str, biases: Biases | None) -> Floats:
    """What represents each rating in a similarity of this kind, float32, in CSR order."""
    if kind in ("cosine", "pearson"):
        return train.data
    if kind == "adjusted-cosine":
        users = row_numbers(train)
        user_means = means(users, train.data, train.shape[0])
        return (train.data - user_means[users]).astype(np.float32)
    if biases is None:
        raise ValueError("pearson-baseline compares residuals of the baseline: give it the biases")
    return biases.residuals(train)


def unit(matrix: sparse.csr_array, values: Floats) -> Floats:
    """Values in the CSR order of `matrix` with each row divided by its norm; 0 where that is 0."""
    norms: Floats = np.sqrt(row_sums(matrix, values**2)).astype(np.float32)
    norms[norms == 0] = 1
    return values / norms[row_numbers(matrix)]


def row_medians(matrix: sparse.csr_array, values: Floats) -> Floats:
    """Lower median of each row of `values` in the CSR order of `matrix`; 0 of an empty row.

    What `pearson` subtracts: a shift of a row does not change a correlation. A median is one of the
    row's own values, so that sums of whole or half stars stay exact in float32, and a few huge
    counts do not move it away from the others.
    """
    counts = np.diff(matrix.indptr)
    held = counts > 0
    ordered = values[np.lexsort((values, row_numbers(matrix)))]
    medians = np.zeros(matrix.shape[0], np.float32)
    medians[held] = ordered[(matrix.indptr[:-1] + (counts - 1) // 2)[held]]
    return medians


def balanced(matrix: sparse.csr_array, values: Floats) -> Floats:
    """Values with each row divided by the power of 2 that brings its largest one below 1.

    A factor of a row changes no correlation, a power of 2 no digit, and in float32 products of
    sums of squares would overflow where some rows hold counts of millions.
    """
    held = np.diff(matrix.indptr) > 0
    largest = np.zeros(matrix.shape[0], np.float32)
    largest[held] = np.maximum.reduceat(np.abs(values), matrix.indptr[:-1][held])
    return np.ldexp(values, -np.frexp(largest)[1][row_numbers(matrix)])


def row_sums(matrix: sparse.csr_array, values: Floats) -> NDArray[np.float64]:
    """Sum over each row of `values` in the CSR order of `matrix`, float64."""
    held = np.diff(matrix.indptr) > 0
    sums = np.zeros(matrix.shape[0])
    sums[held] = np.add.reduceat(values, matrix.indptr[:-1][held], dtype=np.float64)
    return sums


def comparison_operations(by: str, train: sparse.csr_array, queried: sparse.csr_array) -> float:
    """Multiply-adds of similarities and of the queried predictions, up to a constant factor.

    Σ_i d_i a_i for similarities of users, scattered over sparse columns, where d_i users rated an
    item and a_i of them have a queried pair; and d_i for each queried pair. Items likewise.
    """
    if by == "items":
        train, queried = (sparse.csr_array(part.T.tocsr()) for part in (train, queried))
    rows, columns = pairs(train)
    held = np.bincount(columns, minlength=train.shape[1]).astype(np.float64)
    wanted = np.diff(queried.indptr) > 0
    reached = np.bincount(columns[wanted[rows]], minlength=train.shape[1])
    return float(held @ reached + held[queried.indices].sum())
