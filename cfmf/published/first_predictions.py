"""What the study computed on its way to user CF: a loop, its quotient, and the correct one."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from scipy import sparse

BLOCK = 1 << 21
"""Entries of the dense block that the loop is timed on."""


def first_user(train: sparse.csr_array, items: int = 3) -> pd.DataFrame:
    """Predictions of the first user's first items, by the study's quotient and by the correct one.

    With S the cosine of raw rating rows, the user's own similarity 1 among them: (S X) / (S 1),
    which divides by users who did not rate the item, and (S X) / (S [X ≠ 0]).

    Parameters
    ----------
    train
        Users × items, CSR.
    items
        How many of the first items.

    Returns
    -------
    Columns item (its place), over_all_users and over_raters, float64; NaN where no similar user
        rated it.
    """
    weights = similarities(train, 0)
    columns = train[:, :items].tocsc().astype(np.float64)
    rated = columns.copy()
    rated.data[:] = 1
    totals, among = columns.T @ weights, rated.T @ weights
    over_raters = np.divide(totals, among, out=np.full(len(among), np.nan), where=among > 0)
    return pd.DataFrame(
        {
            "item": np.arange(len(totals)),
            "over_all_users": totals / weights.sum(),
            "over_raters": over_raters,
        }
    )


def similarities(train: sparse.csr_array, user: int) -> np.ndarray:
    """Cosine of one user's ratings and everyone's, the user's own 1, float64."""
    rows = train.astype(np.float64)
    lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
    products = rows @ rows[[user]].toarray()[0]
    scale = lengths * lengths[user]
    return np.divide(products, scale, out=np.zeros(len(scale)), where=scale > 0)


def loop_seconds(train: sparse.csr_array) -> float:
    """Seconds that the study's first loop over users would take, judged by one user.

    Each turn spreads the user's similarities over a dense users × items array and masks it. One
    turn is timed on as many items as fill `BLOCK` entries, and taken times users and items.
    """
    users, items = train.shape
    few = max(1, min(items, BLOCK // users))
    ratings = train[:, :few].toarray().astype(np.float64)
    ratings[ratings == 0] = np.nan
    weights = similarities(train, 0)
    began = time.perf_counter()
    spread = np.repeat(weights, few).reshape(users, few)
    spread = np.where(np.isnan(ratings), np.nan, spread)
    with np.errstate(invalid="ignore"):
        np.nansum(ratings * spread, axis=0) / np.nansum(spread, axis=0)
    return (time.perf_counter() - began) * users * items / few
