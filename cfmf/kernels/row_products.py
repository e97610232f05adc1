"""Sums of the products of one row of a sparse matrix with all other rows."""

from __future__ import annotations

import numpy as np

from cfmf.kernels.compiled import compiled


@compiled(nogil=True)
def add_row(  # type: ignore[no-untyped-def]
    row_starts, row_columns, left, column_starts, column_stops, column_rows, right, row, line
):
    """Add the products of a row with all others to `line`, rows × products.

    All products of two rows are neighbours in memory while they are summed up, and every entry is
    read once. Their number tells which they are; see `cfmf.kernels.similarities.PRODUCTS`.
    """
    # Unsigned indices spare the check for negative ones, which costs more than the sum itself.
    products, one, only = line.shape[1], np.float32(1), line.ravel()
    for entry in range(row_starts[row], row_starts[row + np.uint64(1)]):
        column = row_columns[entry]
        value = left[entry]
        square = value * value
        if products == 1:  # places without a multiplication
            for at in range(column_starts[column], column_stops[column]):
                only[column_rows[at]] += value * right[at]
            continue
        for at in range(column_starts[column], column_stops[column]):
            other = column_rows[at]
            line[other, 0] += value * right[at]
            if products == 2:
                line[other, 1] += one
            else:
                line[other, 1] += square
                line[other, 2] += right[at] * right[at]
                if products == 4:
                    line[other, 3] += one
                else:
                    line[other, 3] += value
                    line[other, 4] += right[at]
                    line[other, 5] += one
