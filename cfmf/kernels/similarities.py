"""How alike two rows of a matrix are, as sums over shared columns.

Every similarity here is made of sums of products over the columns that both rows hold. `PRODUCTS`
lists those sums; `combine` turns them into similarities. Whoever computes the sums (`scatter` on a
CPU, `dense` by dense products in torch) needs no more than a `Comparison` and these, and whoever
averages no more than a `Query`.
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
STEPS = np.float32(2**20)
"""Similarities are ranked in steps of 2⁻²⁰, so that equal ones do not change places with the order
of summation; below half a step a row is no neighbour at all."""
Floats = NDArray[np.float32]


PRODUCTS = {
    "cosine": ((1, 1), (0, 0)),
    "adjusted-cosine": ((1, 1), (0, 0)),
    "pearson": ((1, 1), (2, 0), (0, 2), (1, 0), (0, 1), (0, 0)),
    "pearson-baseline": ((1, 1), (2, 0), (0, 2), (0, 0)),
}
"""Sums of each similarity, as powers (a, b) of Σ xᵃ yᵇ; the numerator first, the count last."""


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
        What is compared, float32, in the CSR order of `rows`.
    counted
        Whether the number of shared columns is wanted, for shrinkage; correlations need it anyway.
    """

    kind: str
    rows: sparse.csr_array
    values: Floats
    counted: bool = True

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """The sums that are needed: powers (a, b) of Σ xᵃ yᵇ over the shared columns."""
        found = PRODUCTS[self.kind]
        return found if self.counted or len(found) > 2 else found[:1]

    @property
    def powers(self) -> list[int]:
        """The powers of `values` in these sums, ascending."""
        return sorted({power for product in self.products for power in product})


@dataclass(frozen=True)
class Query:
    """Pairs to predict, and what is averaged for them.

    Attributes
    ----------
    rows, columns
        Of every pair, int64; rows are those that are compared.
    starts, held
        Which of these rows have a rating in a column, ascending: `held[starts[c] : starts[c + 1]]`;
        uint64 and uint32.
    targets
        Values to sum up, float32, each in the order of `held`.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    starts: NDArray[np.uint64]
    held: NDArray[np.uint32]
    targets: list[Floats]

    @classmethod
    def of(
        cls,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        by_column: sparse.csr_array,
        targets: list[Floats],
    ) -> Query:
        """Those of a columns × rows matrix, CSR; targets are in its order."""
        indices: Any = by_column.indices
        # The same bytes where that is possible: indices are never negative.
        small = indices.dtype == np.int32
        held = indices.view(np.uint32) if small else indices.astype(np.uint32)
        return cls(rows, columns, by_column.indptr.astype(np.uint64), held, targets)

    def of_column(self, column: int) -> slice:
        """Places of a column in `held`."""
        return slice(int(self.starts[column]), int(self.starts[column + 1]))


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


def transposed(matrix: sparse.csr_array) -> tuple[sparse.csr_array, NDArray[np.integer]]:
    """The transposed matrix as CSR, and the place in `matrix` of each of its entries."""
    order: Any = np.arange(matrix.nnz, dtype=np.int32 if matrix.nnz < 2**31 else np.int64)
    found = sparse.csr_array((order, matrix.indices, matrix.indptr), shape=matrix.shape).T.tocsr()
    order, found.data = found.data, matrix.data[found.data]
    return found, order


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
