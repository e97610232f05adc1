"""How alike two rows of a rating matrix are: the four similarities, as sums over shared columns.

Every similarity here is made of sums of products over the columns that both rows hold. A
`Comparison` lists those sums; `combine` turns them into similarities. Whoever computes the sums
(`kernels` by scatter and BLAS, `device` by dense products in torch) needs no more than that, so a
new similarity is an entry in `compare` and one in `combine`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.neighbours.baseline import Baseline
from cfmf.neighbours.ratings import means
from cfmf.observed import row_numbers

SIMILARITIES = ("cosine", "adjusted-cosine", "pearson", "pearson-baseline")
Floats = NDArray[np.float32]
AXES = ("users", "items")


@dataclass(frozen=True)
class Comparison:
    """Rows to compare, and the sums over shared columns that their similarity needs.

    Attributes
    ----------
    kind
        One of `SIMILARITIES`.
    rows
        Rows × columns, CSR with sorted indices: the observed pairs. Its data are the ratings.
    values
        Float32 arrays in the CSR order of `rows`.
    products
        Pairs (a, b): sum over the shared columns of `values[a]` of the one row times `values[b]`
        of the other. The first product is always the one of the similarity's numerator.
    counted
        Whether the last product counts the shared columns.
    """

    kind: str
    rows: sparse.csr_array
    values: list[Floats]
    products: list[tuple[int, int]]
    counted: bool


def compare(
    train: sparse.csr_array,
    by: str,
    kind: str,
    baseline: Baseline | None = None,
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

    Parameters
    ----------
    train
        Users × items, checked.
    by
        `users` or `items`: whose rows are compared.
    baseline
        Fitted; needed by `pearson-baseline`.
    counted
        Whether the number of shared columns is wanted, for shrinkage.

    Raises
    ------
    ValueError
        If `by` or `kind` is unknown, or the baseline is missing.
    """
    if by not in AXES:
        raise ValueError(f"neighbours are {' or '.join(AXES)}, not {by!r}")
    if kind not in SIMILARITIES:
        raise ValueError(f"no similarity is called {kind!r}; known are {', '.join(SIMILARITIES)}")
    compared = compared_values(train, kind, baseline)
    if by == "items":
        rows, order = transposed(train)
        compared = compared[order]
    else:
        rows = train
    if kind in ("cosine", "adjusted-cosine"):
        norms: Floats = np.sqrt(row_sums(rows, compared**2)).astype(np.float32)
        norms[norms == 0] = 1
        values, products = [compared / norms[row_numbers(rows)]], [(0, 0)]
        if counted:
            values, products = [*values, np.ones_like(compared)], [*products, (1, 1)]
        return Comparison(kind, rows, values, products, counted)
    values = [compared, np.ones_like(compared), compared**2]
    products = [(0, 0), (2, 1), (1, 2), (1, 1)]
    if kind == "pearson":
        products = [(0, 0), (2, 1), (1, 2), (0, 1), (1, 0), (1, 1)]
    return Comparison(kind, rows, values, products, counted=True)


def compared_values(train: sparse.csr_array, kind: str, baseline: Baseline | None) -> Floats:
    """What stands for each rating in a similarity of this kind, float32, in CSR order."""
    if kind == "cosine":
        return train.data
    if kind == "pearson":
        # A correlation does not feel a shift; one by a whole number keeps sums of ratings on a
        # scale of whole or half stars exact in float32, and the sums small on any other.
        return train.data - np.float32(np.round(train.data.mean(dtype=np.float64)))
    users = row_numbers(train)
    if kind == "adjusted-cosine":
        user_means = means(users, train.data, train.shape[0])
        return (train.data - user_means[users]).astype(np.float32)
    if baseline is None:
        raise ValueError("pearson-baseline compares residuals: give it a fitted baseline")
    return train.data - baseline.predict(users, train.indices)


def row_sums(matrix: sparse.csr_array, values: Floats) -> NDArray[np.float64]:
    """Sum over each row of `values` in the CSR order of `matrix`, float64."""
    held = np.diff(matrix.indptr) > 0
    sums = np.zeros(matrix.shape[0])
    sums[held] = np.add.reduceat(values, matrix.indptr[:-1][held], dtype=np.float64)
    return sums


def turned(matrix: sparse.csr_array) -> sparse.csr_array:
    """The transposed matrix as CSR, its data the places of the entries in the order of `matrix`."""
    order: Any = np.arange(matrix.nnz, dtype=np.int32 if matrix.nnz < 2**31 else np.int64)
    return sparse.csr_array((order, matrix.indices, matrix.indptr), shape=matrix.shape).T.tocsr()


def transposed(matrix: sparse.csr_array) -> tuple[sparse.csr_array, NDArray[np.integer]]:
    """The transposed matrix as CSR, and the place in `matrix` of each of its entries."""
    found = turned(matrix)
    order = found.data
    shape = (matrix.shape[1], matrix.shape[0])
    return sparse.csr_array((matrix.data[order], found.indices, found.indptr), shape=shape), order


def combine(kind: str, sums: list[Any], root: Callable[[Any], Any] = np.sqrt) -> Any:
    """Similarities from the sums of a `Comparison`; NumPy arrays or torch tensors of one shape.

    They lie within [−1, 1], and are 0 where the rows share nothing or one of them does not vary
    over what they share. `root` is a square root that rounds correctly, so that equal similarities
    are equal on every device.
    """
    if kind in ("cosine", "adjusted-cosine"):
        return sums[0].clip(min=-1, max=1)
    if kind == "pearson":
        xy, xx, yy, x, y, count = sums
        xy = count * xy - x * y
        # What is left of n Σx² − (Σx)² after cancellation is noise below this share of it: each
        # addition of a constant may be rounded to the same side, so that the error grows with n.
        smallest = (1e-6 + 5e-8 * count) * count
        scales = [count * xx - x * x, count * yy - y * y]
        varies = [scales[0] > smallest * xx, scales[1] > smallest * yy]
    else:
        xy, xx, yy, count = sums
        scales = [xx, yy]
        varies = [xx > 0, yy > 0]
    product = (scales[0] * scales[1]).clip(min=1e-30)
    return (varies[0] * varies[1] * xy / root(product)).clip(min=-1, max=1)


def shrunk(similarities: Any, counts: Any, shrinkage: float) -> Any:
    """s·c/(c + β): similarities built on few shared columns c count for less.

    Bell & Koren (2007), sec. 3. `counts` is not looked at where β is 0.
    """
    if shrinkage == 0:
        return similarities
    return similarities * (counts / (counts + shrinkage))
