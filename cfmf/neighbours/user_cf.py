"""User-based collaborative filtering as the study published it: all neighbours, raw ratings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.neighbours.compare import compare
from cfmf.neighbours.ratings import checked, checked_pairs, means
from cfmf.observed import pairs, row_numbers

Floats = NDArray[np.float32]
ROUNDING = 1e-4


@dataclass
class UserCF:
    """x̂_ui = Σ_v s_uv x_vi / Σ_v s_uv over all other users v that rated i; s the cosine.

    The study divides (S @ X) by (S @ (X ≠ 0)), with S the cosine of raw rating rows. Its S holds
    each user's similarity 1 with themselves, so its predictions of training pairs use the very
    rating that they predict: `predict_training` gives those too, `predict` leaves the user out.
    Test pairs are the same either way.

    Where nobody like the user rated the item the study's quotient is 0/0. Here the prediction is
    then the mean of the item's training ratings, or of all where it has none; `alone` marks these
    pairs of the last `predict`, `fallbacks` counts them. On a scale that reaches below 0 a cosine
    may be negative, and the quotient no mean of ratings: where Σ_v s_uv is not above 0, or the
    quotient lies outside the range of the training ratings, the pair falls back alike.

    Parameters
    ----------
    threads
        Cores to use; no result depends on it.
    device
        `cpu`, or a torch device such as `cuda`.
    """

    threads: int = 1
    device: str = "cpu"
    by: ClassVar[str] = "users"
    alone: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool), init=False)

    def fit(self, train: sparse.csr_array) -> Self:
        """Keep the ratings; similarities are computed where they are used.

        Raises
        ------
        ValueError
            If the matrix is not usable.
        """
        self.train = checked(train)
        low, high = float(self.train.data.min()), float(self.train.data.max())
        self.middle = np.float32((low + high) / 2)
        # A share above half of the range: a mean of equal ratings may be rounded away from them.
        self.reach = np.float32((high - low) / 2 + ROUNDING * max(abs(low), abs(high)))
        return self

    @property
    def fallbacks(self) -> int:
        """How many pairs of the last `predict` got a mean."""
        return int(np.count_nonzero(self.alone))

    def predict(self, users: ArrayLike, items: ArrayLike) -> Floats:
        """Predicted rating of every pair, float32, the user left out; sets `alone`.

        Raises
        ------
        ValueError
            If a user or item is outside the training matrix.
        """
        users, items = checked_pairs(users, items, self.train.shape)
        return self._quotient(items, *self._sums(users, items))

    def predict_block(
        self, asked: sparse.csr_array, start: int, stop: int
    ) -> tuple[NDArray[np.int64], Floats]:
        """Predictions of the stored pairs of `asked` whose user is from `start` up to `stop`.

        Returns
        -------
        Places of the pairs in the CSR order of `asked`, and their predictions.
        """
        places = np.arange(asked.indptr[start], asked.indptr[stop], dtype=np.int64)
        return places, self.predict(row_numbers(asked)[places], asked.indices[places])

    def predict_training(
        self, train: sparse.csr_array, start: int = 0, stop: int | None = None
    ) -> dict[str, Floats]:
        """Predictions of the training pairs of users from `start` up to `stop`, in CSR order.

        Returns
        -------
        `rmse`: with the user left out; `rmse_contaminated`: as published.
        """
        own = train[start:stop]
        users, items = pairs(own)
        totals, weights = self._sums(*checked_pairs(users + start, items, self.train.shape))
        # The user's own similarity, 1, joins both sums.
        published = self._quotient(items, totals + own.data, weights + np.float32(1))
        honest = self._quotient(items, totals, weights)
        return {"rmse": honest, "rmse_contaminated": published}

    def _sums(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> tuple[Floats, Floats]:
        comparison = compare(self.train, "users", "cosine", counted=False)
        if self.device == "cpu":
            from cfmf.neighbours import kernels

            return kernels.all_sums(comparison, self.train.data, users, items, self.threads)
        from cfmf.neighbours import device as torch_device

        return torch_device.all_sums(comparison, self.train.data, users, items, self.device)

    def _quotient(self, items: NDArray[np.integer], totals: Floats, weights: Floats) -> Floats:
        self.alone = weights <= 0
        quotient = np.zeros_like(totals)
        np.divide(totals, weights, out=quotient, where=~self.alone)
        self.alone = self.alone | (np.abs(quotient - self.middle) > self.reach)
        if self.alone.any():
            item_means = means(self.train.indices, self.train.data, self.train.shape[1])
            quotient[self.alone] = item_means[items[self.alone]]
        return quotient
