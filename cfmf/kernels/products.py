"""Sums over observed pairs as sparse products, for one run or several side by side."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse

with warnings.catch_warnings():
    # Torch warns once in a process that CSR tensors are a beta feature and are not checked; what is
    # used of them here is checked by our tests.
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 1], [0], [1.0])


class ObservedPairs:
    """The observed pairs of one or several rating matrices of one shape, on one device.

    Matrix r takes rows r·m … (r+1)·m - 1 and columns r·n … of a block-diagonal matrix, so that one
    sparse product serves all runs. Left factors P are (runs·m) × c, right factors Q (runs·n) × c.
    No array is larger than the pairs times one, or the rows times c.

    Parameters
    ----------
    matrices
        CSR, users × items, sorted indices; a stored entry is an observed pair, whatever its value.
    device, dtype
        Where the products run, and in which precision.
    """

    def __init__(
        self,
        matrices: Sequence[sparse.csr_array],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        m, n = matrices[0].shape
        runs = len(matrices)
        self.counts = [int(matrix.nnz) for matrix in matrices]
        self.shape = (runs * m, runs * n)
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        rows = np.concatenate(
            [
                [0],
                *(
                    matrix.indptr[1:] + start
                    for matrix, start in zip(matrices, starts, strict=False)
                ),
            ]
        )
        columns = np.concatenate(
            [matrix.indices.astype(np.int64) + run * n for run, matrix in enumerate(matrices)]
        )
        index = np.int32 if max(starts[-1], *self.shape) < 2**31 else np.int64

        def on_device(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(device)

        self.rows = on_device(rows.astype(index))
        self.columns = on_device(columns.astype(index))
        places = sparse.csr_array((np.arange(starts[-1]), columns, rows), shape=self.shape).tocsc()
        self.transposed_rows = on_device(places.indptr.astype(index))
        self.transposed_columns = on_device(places.indices.astype(index))
        self.transposed_order = on_device(places.data.astype(index))
        ratings = np.concatenate([matrix.data for matrix in matrices])
        self.ratings = on_device(ratings).to(dtype)
        self.totals = on_device(np.array(self.counts)).to(dtype)

    def matrix(self, values: torch.Tensor) -> torch.Tensor:
        """CSR tensor with these values at the observed pairs."""
        return torch.sparse_csr_tensor(self.rows, self.columns, values, self.shape)

    def transposed(self, values: torch.Tensor) -> torch.Tensor:
        """The transpose of `matrix`, likewise in CSR."""
        ordered = values.index_select(0, self.transposed_order)
        places = self.transposed_rows, self.transposed_columns
        return torch.sparse_csr_tensor(*places, ordered, self.shape[::-1])

    def inner_products(
        self, left: torch.Tensor, right: torch.Tensor, minus: torch.Tensor | None = None
    ) -> torch.Tensor:
        """P_u · Q_i of every observed pair, less `minus` of the pair if given."""
        if not (left.is_cuda or torch.backends.mkl.is_available()):
            products = self.gathered_products(left, right)
            return products if minus is None else products - minus
        subtracted = self.ratings if minus is None else minus
        beta = 0.0 if minus is None else -1.0
        return torch.sparse.sampled_addmm(
            self.matrix(subtracted), left, right.t(), beta=beta
        ).values()

    def gathered_products(
        self, left: torch.Tensor, right: torch.Tensor, size: int = 2**16
    ) -> torch.Tensor:
        """P_u · Q_i of every observed pair, for builds of torch without MKL (Arm, macOS).

        `sampled_addmm` does not exist there. Pairs are gathered `size` at a time, which is slower.
        """
        rows = torch.repeat_interleave(self.rows.diff().long())
        products = [
            (left[row] * right[column.long()]).sum(1)
            for row, column in zip(rows.split(size), self.columns.split(size), strict=True)
        ]
        return torch.cat(products)

    def spread(
        self, values: torch.Tensor, left: torch.Tensor, right: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Σ_i values_ui Q_i for every row u, and Σ_u values_ui P_u for every column i."""
        return self.matrix(values) @ right, self.transposed(values) @ left

    def by_run(self, per_run: torch.Tensor) -> torch.Tensor:
        """A value of each run, repeated for each of its pairs."""
        if len(self.counts) == 1:
            return per_run
        return per_run.repeat_interleave(self.totals.long())

    def mean_squares(self, values: torch.Tensor) -> torch.Tensor:
        """Mean square of each run's values, float64; NaN for a run without pairs."""
        return torch.stack([sum_of_squares(part) for part in values.split(self.counts)]) / (
            self.totals.double()
        )


def sum_of_squares(values: torch.Tensor, size: int = 4096) -> torch.Tensor:
    """Σ values², float64, of a vector: each `size` values in their own precision, these in float64.

    Of 7 million float32 values it is wrong in the ninth digit and takes a fifth of the time that
    adding all of them in float64 takes.
    """
    whole = len(values) // size * size
    norms = torch.linalg.vector_norm(values[:whole].view(-1, size), dim=1)
    return norms.double().square().sum() + values[whole:].double().square().sum()
