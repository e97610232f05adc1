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


@dataclass
class UserCF:
    """x̂_ui = Σ_v s_uv x_vi / Σ_v s_uv over all other users v that rated i; s the cosine.

    The study divides (S @ X) by (S @ (X ≠ 0)), with S the cosine of raw rating rows. Its S holds
    each user's similarity 1 with themselves, so its predictions of training pairs use the very
    rating that they predict: `predict_training` gives those too, `predict` leaves the user out.
    Test pairs are the same either way.

    Where nobody like the user rated the item the study's quotient is 0/0. Here the prediction is
    then the mean of the item's training ratings, or of all where it has none; `alone` marks these
    pairs of the last `predict`, `fallbacks` counts them.

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
        self.item_means = means(self.train.indices, self.train.data, self.train.shape[1])
        return self

    @property
    def fallbacks(self) -> int:
        """How many pairs of the last `predict` had no neighbour."""
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
        honest = self._quotient(items, totals, weights)
        # The user's own similarity, 1, joins both sums.
        published = (totals + own.data) / (weights + np.float32(1))
        return {"rmse": honest, "rmse_contaminated": published}

    def _sums(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> tuple[Floats, Floats]:
        comparison = compare(self.train, "users", "cosine", counted=False)
        if self.device == "cpu":
            from cfmf.neighbours import kernels

            return kernels.all_sums(comparison, self.train.data, users, items, self.threads)
        from cfmf.neighbours import device as torch_device

        return torch_device.all_sums(comparison, self.train.data, users, items, self.device)

    def _quotient(self, items: NDArray[np.integer], totals: Floats, weights: Floats) -> Floats:
        self.alone = weights == 0
        quotient = totals / np.where(self.alone, np.float32(1), weights)
        return np.where(self.alone, self.item_means[items], quotient).astype(np.float32)
