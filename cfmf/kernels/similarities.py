"""How alike two rows of a matrix are, as sums over shared columns.

Every similarity here is made of sums of products over the columns that both rows hold. A
`Comparison` lists those sums; `combine` turns them into similarities. Whoever computes the sums
(`scatter` on a CPU, `dense` by dense products in torch) needs no more than that, so a new
similarity is an entry in `cfmf.neighbours.compare` and one in `combine`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

SMALLEST = 2.0**-120  # positive in float32 with all its digits
SIMILARITIES = ("cosine", "adjusted-cosine", "pearson", "pearson-baseline")
Floats = NDArray[np.float32]


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


class Features(NamedTuple):
    """What rows are compared by: f is (one · scale of the row), and beside it a value where given.

    Attributes
    ----------
    rows
        CSR; its entries are where features are not zero, whatever its data.
    scales
        For each row, the feature that all its entries have, float32.
    values
        For each entry a second feature, float32; empty where there is none.
    """

    rows: sparse.csr_array
    scales: Floats
    values: Floats


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

    They are in [−1, 1], and 0 where the rows share nothing or one of them does not vary
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
    product = (scales[0] * scales[1]).clip(min=SMALLEST)
    return (varies[0] * varies[1] * xy / root(product)).clip(min=-1, max=1)


def shrunk(similarities: Any, counts: Any, shrinkage: float) -> Any:
    """s·c/(c + β): similarities built on few shared columns c count for less.

    Bell & Koren (2007), sec. 3. `counts` is not looked at where β is 0.
    """
    if shrinkage == 0:
        return similarities
    return similarities * (counts / (counts + shrinkage))
