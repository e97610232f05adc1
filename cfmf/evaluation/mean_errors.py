"""Mean errors: for which ratings, predictions, users and items predictions are too high or low."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.metrics import errors

RATING, PREDICTION = "rating", "prediction"
"""Slices by the rating itself and by what is predicted for it."""
MOST_VALUES = 20
"""Ratings of more values are in `PARTS`, as predictions are."""
PARTS = 10
"""Equal parts of the rating scale."""
Places = NDArray[np.intp]


def bias_rows(
    seeds: list[NDArray[np.float32]],
    test: sparse.csr_array,
    levels: Mapping[str, tuple[Places, list[str]]],
    scale: tuple[float, float],
) -> pd.DataFrame:
    """Mean of prediction minus rating at the levels of every slice.

    Parameters
    ----------
    seeds
        Predictions of the test ratings, an array for each seed, which count alike.
    levels
        For each slice, the level of every test rating, below 0 for none, and the levels' names.
    scale
        Lowest and highest rating.

    Returns
    -------
    Columns slice, level, n (test ratings, a mean over seeds), metric (`bias`) and value. `RATING`
    and `PREDICTION` are slices too: by the value of the rating, or by the middle of the part of the
    scale that it is in, and by that of the prediction clipped to the scale.
    """
    difference = np.concatenate([errors(values, test.data) for values in seeds])
    repeated = {name: (np.tile(at, len(seeds)), names) for name, (at, names) in levels.items()}
    at, names = by_rating(test.data, scale)
    repeated[RATING] = np.tile(at, len(seeds)), names
    repeated[PREDICTION] = in_parts(np.concatenate(seeds), scale)
    found = []
    for name, (places, names) in repeated.items():
        kept = places >= 0
        n = np.bincount(places[kept], minlength=len(names))
        sums = np.bincount(places[kept], difference[kept], len(names))
        held = np.flatnonzero(n)
        rows = {"level": [names[place] for place in held], "value": sums[held] / n[held]}
        counts = np.maximum(1, np.rint(n[held] / len(seeds))).astype(np.int64)
        found.append(pd.DataFrame({"slice": name, "metric": "bias", "n": counts, **rows}))
    return pd.concat(found, ignore_index=True)


def by_rating(ratings: ArrayLike, scale: tuple[float, float]) -> tuple[Places, list[str]]:
    """The level of each rating and the levels' names: values, or parts of the scale if many."""
    values, places = np.unique(np.asarray(ratings), return_inverse=True)
    if len(values) > MOST_VALUES:
        return in_parts(ratings, scale)
    return places.astype(np.intp), [f"{value:g}" for value in values]


def in_parts(values: ArrayLike, scale: tuple[float, float]) -> tuple[Places, list[str]]:
    """Which of `PARTS` equal parts of the scale each value is in, and the parts' middles."""
    low, high = scale
    shares = (np.asarray(values, np.float64) - low) / max(high - low, np.finfo(float).tiny)
    places = np.clip(np.floor(PARTS * shares), 0, PARTS - 1).astype(np.intp)
    middles = low + (high - low) * (np.arange(PARTS) + 0.5) / PARTS
    return places, [f"{middle:g}" for middle in middles]
