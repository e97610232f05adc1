"""Every metric that predictions are scored by. A new one is an entry of `METRICS` and a label.

The label is `column.{name}` in the catalogues of the report's languages.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.observed import rmse, row_numbers

Z_90 = 1.6448536269514722
"""Standard deviations on either side of the mean that hold 90% of a normal distribution."""


def decimals(width: float) -> int:
    """Decimals of errors in units of a rating scale of this width: four of five stars.

    Scales of other widths get as many digits, so that no unit says more or less than another.
    """
    usable = math.isfinite(width) and width > 0
    return max(0, 4 - math.floor(math.log10(width / 4))) if usable else 4


@dataclass(frozen=True)
class Scored:
    """What metrics are computed from: one entry for each pair, all in the same order.

    Attributes
    ----------
    predictions, ratings
        Not clipped.
    scale
        Lowest and highest rating that can be given.
    sd
        Standard deviations of the predicted ratings; None of a method that predicts none.
    is_fallback
        Whether nothing specific to the pair was learned; None where it is not known.
    """

    predictions: NDArray[np.floating]
    ratings: NDArray[np.floating]
    scale: tuple[float, float]
    sd: NDArray[np.floating] | None = None
    is_fallback: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes
    ----------
    of
        Its value; NaN without pairs, None where it is not defined, as a coverage without sd.
    format
        How the report writes it: a kind of `cfmf.report.strings.shown`.
    over_folds
        How the values of the folds, each averaged over seeds, become one.
    in_summary
        Whether the report's table of methods has a column of it.
    """

    of: Callable[[Scored], float | None]
    format: str = "rmse"
    over_folds: Literal["mean", "median", "min", "max"] = "mean"
    in_summary: bool = False


def _clipped(scored: Scored) -> float:
    return rmse(np.clip(np.asarray(scored.predictions, "f8"), *scored.scale), scored.ratings)


def _mean_absolute(scored: Scored) -> float:
    return _mean(np.abs(np.asarray(scored.predictions, np.float64) - scored.ratings))


def _coverage(scored: Scored) -> float | None:
    if scored.sd is None:
        return None
    return _mean(np.abs(scored.predictions - scored.ratings) <= Z_90 * scored.sd)


METRICS = {
    "rmse": Metric(lambda scored: rmse(scored.predictions, scored.ratings), in_summary=True),
    "rmse_clipped": Metric(_clipped),
    "mae": Metric(_mean_absolute, in_summary=True),
    "coverage_90": Metric(_coverage, format="share"),
    "fallback_share": Metric(
        lambda scored: None if scored.is_fallback is None else _mean(scored.is_fallback),
        format="share",
    ),
}
"""By name: RMSE, RMSE of predictions clipped to the scale, mean absolute error, proportion of the
ratings in their central 90% interval, proportion of the pairs that are predicted by a fallback."""


def score(
    predictions: ArrayLike,
    ratings: ArrayLike,
    scale: tuple[float, float],
    sd: ArrayLike | None = None,
    is_fallback: ArrayLike | None = None,
) -> dict[str, float]:
    """Every metric that is defined, by name; see `Scored` for the arguments."""
    scored = Scored(
        np.asarray(predictions),
        np.asarray(ratings),
        scale,
        None if sd is None else np.asarray(sd),
        None if is_fallback is None else np.asarray(is_fallback),
    )
    found = {name: metric.of(scored) for name, metric in METRICS.items()}
    return {name: value for name, value in found.items() if value is not None}


def errors(predictions: ArrayLike, ratings: ArrayLike) -> NDArray[np.float64]:
    """Predictions minus ratings, float64, for two lists of one length.

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
    counts, users = np.diff(test.indptr), row_numbers(test)
    seen = np.flatnonzero(counts)
    sums = {
        "squared_error": np.bincount(users, np.square(difference), test.shape[0]),
        "absolute_error": np.bincount(users, np.abs(difference), test.shape[0]),
    }
    held = {name: values[seen].astype(np.float64) for name, values in sums.items()}
    return pd.DataFrame({"user": seen.astype(np.int32), "n": counts[seen].astype(np.int64), **held})


def _mean(values: NDArray[np.generic]) -> float:
    return float(values.mean()) if len(values) else np.nan
