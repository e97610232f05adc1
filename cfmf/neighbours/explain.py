"""The neighbours that make a prediction, as parts of its explanation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cfmf.kernels.similarities import Query
from cfmf.models import Part

Floats = NDArray[np.float32]


def neighbour_parts(
    kind: str,
    query: Query,
    chosen: NDArray[np.integer],
    similarities: Floats,
    damping: float = 0.0,
) -> tuple[Part, ...]:
    """What each neighbour adds to a prediction: its share s / (γ + Σs) of its deviation.

    Parameters
    ----------
    kind
        `neighbour_user` or `neighbour_item`.
    query
        Its first target are the ratings, its last one is what is averaged.
    chosen
        Places of the neighbours in what the query holds, in the order of the parts.
    similarities
        Of the queried pair's row to every row.
    damping
        γ.
    """
    weights = similarities[query.held[chosen]].astype(np.float64)
    shares = weights / (damping + weights.sum())
    return tuple(
        Part(
            kind,
            int(query.held[place]),
            contribution=float(share * query.targets[-1][place]),
            share=float(share),
            similarity=float(weight),
            rating=float(query.targets[0][place]),
        )
        for place, weight, share in zip(chosen, weights, shares, strict=True)
    )
