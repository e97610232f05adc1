"""The neighbours that make a prediction, as parts of its explanation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.kernels.similarities import Comparison
from cfmf.models import Part

Floats = NDArray[np.float32]


def holders(comparison: Comparison, column: int) -> NDArray[np.integer]:
    """The rows of a comparison that have a rating in a column, ascending."""
    return comparison.rows.tocsc()[:, [column]].tocoo().coords[0]


def neighbour_parts(
    kind: str,
    comparison: Comparison,
    column: int,
    chosen: NDArray[np.integer],
    similarities: Floats,
    target: Floats,
    damping: float = 0.0,
) -> tuple[Part, ...]:
    """What each neighbour adds to a prediction: its share s / (γ + Σs) of its deviation.

    Parameters
    ----------
    kind
        `neighbour_user` or `neighbour_item`.
    column
        The other side of the queried pair.
    chosen
        Rows of the neighbours, all with a rating in the column, in the order of the parts.
    similarities
        Of the queried pair's row to every row.
    target
        What is averaged, in the CSR order of the comparison.
    damping
        γ.
    """
    weights = similarities[chosen].astype(np.float64)
    shares = weights / (damping + weights.sum())
    places = [_place(comparison.rows, row, column) for row in chosen]
    return tuple(
        Part(
            kind,
            int(row),
            contribution=float(share * target[place]),
            share=float(share),
            similarity=float(weight),
            rating=float(comparison.rows.data[place]),
        )
        for row, place, weight, share in zip(chosen, places, weights, shares, strict=True)
    )


def _place(matrix: sparse.csr_array, row: int, column: int) -> int:
    """Place of a stored entry in CSR order."""
    start, stop = matrix.indptr[row], matrix.indptr[row + 1]
    return int(start + np.searchsorted(matrix.indices[start:stop], column))
