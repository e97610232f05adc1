"""How far predictions are from ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse


def errors(predictions: ArrayLike, ratings: ArrayLike) -> NDArray[np.float64]:
    """Prediction less rating, float64, for two lists of one length.

    Raises
    ------
    ValueError
        If the lengths differ, nothing is there to compare, or a value is not finite.
    """
    predicted = np.asarray(predictions, dtype=np.float64)
    observed = np.asarray(ratings, dtype=np.float64)
    if predicted.shape != observed.shape or predicted.ndim != 1:
        raise ValueError(
            f"{predicted.shape} predictions cannot be compared with {observed.shape} ratings;"
            " give one prediction for each stored entry of the matrix, in its CSR order"
        )
    if not predicted.size:
        raise ValueError("there are no ratings to compare with; make this part of the fold larger")
    difference = predicted - observed
    if not np.isfinite(difference).all():
        bad = int(np.count_nonzero(~np.isfinite(difference)))
        raise ValueError(f"{bad} of {difference.size} predictions or ratings are not finite")
    return difference


def user_errors(predictions: ArrayLike, test: sparse.csr_array) -> pd.DataFrame:
    """Errors of each user who has ratings in a matrix.

    Returns
    -------
    Columns `user` (int32), `n` (ratings of the user in `test`), `squared_error` and
    `absolute_error` (sums over them, float64); users without ratings in `test` are left out.
    """
    difference = errors(predictions, test.data)
    counts = np.diff(test.indptr)
    users = np.repeat(np.arange(test.shape[0]), counts)
    seen = np.flatnonzero(counts)

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(users, weights=values, minlength=test.shape[0])
        return sums[seen].astype(np.float64)

    return pd.DataFrame(
        {
            "user": seen.astype(np.int32),
            "n": counts[seen].astype(np.int64),
            "squared_error": summed(np.square(difference)),
            "absolute_error": summed(np.abs(difference)),
        }
    )
