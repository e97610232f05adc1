"""How far predictions are from ratings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Row = dict[str, Any]


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


def rmse(predictions: ArrayLike, ratings: ArrayLike) -> float:
    """Root mean square error over all rows; `errors` says what is refused."""
    return float(np.sqrt(np.mean(np.square(errors(predictions, ratings)))))


def mae(predictions: ArrayLike, ratings: ArrayLike) -> float:
    """Mean absolute error over all rows; `errors` says what is refused."""
    return float(np.mean(np.abs(errors(predictions, ratings))))


def measures(
    predictions: ArrayLike, ratings: ArrayLike, scale: tuple[float, float] | None = None
) -> dict[str, float]:
    """`rmse`, `mae` and, where the scale is known, `rmse_clipped` of a list of predictions.

    Parameters
    ----------
    predictions, ratings
        One value for each pair, in the same order.
    scale
        Least and greatest rating that can be given; `rmse_clipped` is of predictions moved into
        it, `rmse` always of the predictions as they are.
    """
    found = {"rmse": rmse(predictions, ratings), "mae": mae(predictions, ratings)}
    if scale is not None:
        found["rmse_clipped"] = rmse(np.clip(predictions, *scale), ratings)
    return found


def metric_rows(
    values: Mapping[str, float],
    *,
    dataset: str,
    fold: str,
    method: str,
    split: str,
    k: str = "",
    reg: str = "",
    seed: str = "",
) -> list[Row]:
    """Rows of the `metrics` table, one for each measure in `values`."""
    keys = {"dataset": dataset, "fold": fold, "method": method, "k": k, "reg": reg, "seed": seed}
    return [
        {**keys, "split": split, "metric": metric, "value": float(value)}
        for metric, value in values.items()
    ]


def score(
    predictions: ArrayLike,
    test: sparse.csr_array,
    scale: tuple[float, float] | None = None,
    *,
    split: str = "test",
    **keys: str,
) -> list[Row]:
    """Rows of the `metrics` table for predictions of the stored entries of a matrix.

    Parameters
    ----------
    predictions
        One value for each stored entry of `test`, in CSR order.
    test
        Users × items; the stored entries are the ratings to predict.
    scale
        As for `measures`.
    split
        The part of the fold that `test` is.
    keys
        dataset, fold, method and, where the method has them, k, reg and seed.
    """
    return metric_rows(measures(predictions, test.data, scale), split=split, **keys)


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
