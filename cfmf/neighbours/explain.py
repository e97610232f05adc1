"""Why a neighbour method predicts what it predicts: the neighbours of one pair, one a row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cfmf.neighbours import kernels
from cfmf.neighbours.compare import compare
from cfmf.neighbours.knn import KNN, offset_and_target
from cfmf.neighbours.ratings import checked_pairs
from cfmf.neighbours.user_cf import UserCF


def explain(
    model: KNN | UserCF, user: int, item: int, titles: Mapping[int, str] | None = None
) -> pd.DataFrame:
    """The neighbours that make the prediction of a user and an item.

    Parameters
    ----------
    model
        Fitted.
    titles
        Of items, by item number; a missing one stays empty.

    Returns
    -------
    One row a neighbour, the greatest share first:

    - `neighbour`, a user or, for item neighbours, an item; `item` and its `title`: the item that
      the neighbour's rating is of;
    - `similarity`; `rating`, the neighbour's; `deviation`, the rating minus what is expected of it;
    - `share`, the neighbour's weight, s / (γ + Σs); `contribution`, share × deviation.

    `attrs` hold `prediction` and `expected`: prediction = expected + Σ contribution. A pair that
    nobody can speak for has no rows, and its prediction is the fallback.

    Raises
    ------
    ValueError
        If the user or item is outside the training matrix.
    """
    users, items = checked_pairs(user, item, model.train.shape)
    predicted = float(model.predict(users, items)[0])
    if isinstance(model, KNN):
        by, kind, shrinkage, damping = model.by, model.similarity, model.shrinkage, model.damping
        offset, target = offset_and_target(
            by, model.train, model.prediction, model.baseline, users, items
        )
        comparison = compare(model.train, by, kind, model.baseline, counted=True)
    else:
        by, shrinkage, damping = "users", 0.0, 0.0
        offset, target = np.zeros(1, dtype=np.float32), model.train.data
        comparison = compare(model.train, by, "cosine", counted=False)
    row, column = (user, item) if by == "users" else (item, user)

    similarities = kernels.similarity_row(comparison, row, shrinkage)
    held = comparison.rows.tocsc()[:, [column]].tocoo().coords[0]
    if isinstance(model, KNN):
        chosen = held[kernels.nearest(similarities, held, model.neighbours)]
    else:
        # Everyone counts who rated the item, those of similarity 0 and below too.
        others = held[held != row]
        chosen = others[np.argsort(-similarities[others], kind="stable")]
    if model.alone[0]:
        chosen = chosen[:0]
    places = [_place(comparison.rows, neighbour, column) for neighbour in chosen]
    weights = similarities[chosen].astype(np.float64)
    shares = weights / (damping + weights.sum()) if len(chosen) else weights
    rated = np.full(len(chosen), item) if by == "users" else chosen
    table = pd.DataFrame(
        {
            "neighbour": chosen,
            "item": rated,
            "title": [(titles or {}).get(int(one), "") for one in rated],
            "similarity": weights,
            "rating": comparison.rows.data[places],
            "deviation": target[places],
            "share": shares,
            "contribution": shares * target[places],
        }
    )
    table.attrs["expected"] = float(offset[0])
    table.attrs["prediction"] = predicted
    return table


def _place(matrix: object, row: int, column: int) -> int:
    """Place of a stored entry in CSR order."""
    start, stop = matrix.indptr[row], matrix.indptr[row + 1]  # type: ignore[attr-defined]
    return int(start + np.searchsorted(matrix.indices[start:stop], column))  # type: ignore[attr-defined]
