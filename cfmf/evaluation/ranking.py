"""How well the predictions order what a user has not rated yet: NDCG and recall among all items.

Candidates of a user are all items that the user has not rated in train; the relevant ones are those
that the user rated high in test, everything else counting as not relevant, rated or not. Methods
were fitted to ratings, not to this; it is a secondary measure.

Candidates with equal predictions have no order. Every measure is its expectation over all orders of
them (McSherry & Najork, 2008), so no method gains by the order in which items are stored.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.evaluation.bootstrap import Resampling, ratio_intervals
from cfmf.observed import row_numbers
from cfmf.tables import COLUMNS

CANDIDATES = "unrated_items"
METRICS = ("ndcg", "recall", "popularity")
Predict = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
Floats = NDArray[np.float64]


def expected_top(scores: ArrayLike, gains: ArrayLike, weights: ArrayLike) -> float:
    """Σ_r weight_r · gain of the item at rank r, the best score first, expected over tied orders.

    Parameters
    ----------
    scores, gains
        One of each candidate.
    weights
        Of the ranks 1, 2, …; later ranks weigh nothing.
    """
    values = np.asarray(scores, dtype=np.float64)
    weights = np.asarray(weights, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    values, gained = values[order], np.asarray(gains, dtype=np.float64)[order]
    first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    first = first[first < len(weights)]  # ties that begin after the last rank gain nothing
    last = np.append(first[1:], np.searchsorted(-values, -values[first[-1]], side="right"))
    until = np.concatenate([[0.0], np.cumsum(weights)])
    weight = until[np.minimum(last, len(weights))] - until[first]
    sums = np.concatenate([[0.0], np.cumsum(gained)])
    return float(np.sum(weight * (sums[last] - sums[first]) / (last - first)))


def discounts(top: int) -> Floats:
    """1 / log2(rank + 1) of the first ranks (Järvelin & Kekäläinen, 2002)."""
    return np.asarray(1 / np.log2(np.arange(2, top + 2)))


def ndcg(scores: ArrayLike, gains: ArrayLike, top: int) -> float:
    """Discounted gain of the `top` best scores over that of the best possible order."""
    best = np.sort(np.asarray(gains, dtype=np.float64))[::-1][:top]
    weights = discounts(top)
    return expected_top(scores, gains, weights) / float(best @ weights[: len(best)])


def recall(scores: ArrayLike, relevant: ArrayLike, top: int) -> float:
    """Share of the relevant candidates that are among the `top` best scores."""
    found = expected_top(scores, relevant, np.ones(top))
    return found / float(np.sum(np.asarray(relevant, dtype=np.float64)))


def relevance_threshold(scale: tuple[float, float]) -> float:
    """Lowest rating that counts as liked: three quarters up the scale, 4 of 1 to 5."""
    low, high = scale
    return low + 0.75 * (high - low)


def ranked_users(
    test: sparse.csr_array, threshold: float, users: int, seed: int
) -> NDArray[np.int64]:
    """At most `users` users, drawn from those with a test rating at or above the threshold."""
    able = np.unique(row_numbers(test)[test.data >= threshold]).astype(np.int64)
    return np.sort(np.random.default_rng(seed).permutation(able)[:users])


def candidate_matrix(train: sparse.csr_array, users: NDArray[np.int64]) -> sparse.csr_array:
    """Users × items with an entry for each candidate of these users, its value 0."""
    items = np.arange(train.shape[1], dtype=np.int32)
    found = [
        np.setdiff1d(items, train.indices[train.indptr[user] : train.indptr[user + 1]])
        for user in users
    ]
    counts = np.zeros(train.shape[0], np.int64)
    counts[users] = [len(some) for some in found]
    indptr = np.concatenate([[0], np.cumsum(counts)])
    order = np.argsort(users, kind="stable")
    indices = np.concatenate([found[place] for place in order]) if len(users) else items[:0]
    return sparse.csr_array((np.zeros(len(indices), "f4"), indices, indptr), shape=train.shape)


def rank_users(
    candidates: sparse.csr_array,
    predictions: NDArray[np.float32],
    train: sparse.csr_array,
    test: sparse.csr_array,
    threshold: float,
    top: int,
) -> pd.DataFrame:
    """Measures of each user of `candidates`.

    Parameters
    ----------
    predictions
        Of the candidates, in their CSR order.

    Returns
    -------
    Columns user, ndcg, recall, and `popularity`, the mean number of training ratings of the `top`
    items.
    """
    popularity = np.bincount(train.indices, minlength=train.shape[1])
    rows = []
    for user in np.flatnonzero(np.diff(candidates.indptr)):
        mine = slice(candidates.indptr[user], candidates.indptr[user + 1])
        rated = slice(test.indptr[user], test.indptr[user + 1])
        liked = test.indices[rated][test.data[rated] >= threshold]
        items, scores = candidates.indices[mine], predictions[mine]
        relevant = np.isin(items, liked)
        popular = expected_top(scores, popularity[items], np.ones(top) / min(top, len(items)))
        rows.append((user, ndcg(scores, relevant, top), recall(scores, relevant, top), popular))
    return pd.DataFrame(rows, columns=["user", *METRICS])


def ranking_rows(
    users: pd.DataFrame, top: int, resampling: Resampling, **keys: str
) -> pd.DataFrame:
    """Rows of the `intervals` table: the mean over users of each measure, at the level `top`.

    `keys` are dataset, fold and method; the slice names the set of candidates.
    """
    if users.empty:
        return pd.DataFrame(columns=COLUMNS["intervals"])
    values = users[list(METRICS)].to_numpy(dtype=np.float64)
    rows = ratio_intervals(values, np.ones_like(values), resampling)
    rows = rows.assign(**keys, slice=CANDIDATES, level=str(top), n=len(users), metric=METRICS)
    return rows[COLUMNS["intervals"]]
