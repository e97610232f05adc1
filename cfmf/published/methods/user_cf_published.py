"""User-based collaborative filtering as the study published it: all neighbours, raw ratings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.extras import explained
from cfmf.kernels.similarities import Comparison, Query, transposed
from cfmf.methods.base import Explanation, Method, Model, Prediction, Progress
from cfmf.neighbours.compare import compare, comparison_operations
from cfmf.neighbours.explain import neighbour_parts
from cfmf.neighbours.kept import Kept, Where
from cfmf.observed import checked, checked_pairs, means, pairs, stored_matrix

Floats = NDArray[np.float32]
ROUNDING = 1e-4


class UserCF(Method):
    """User CF as the study published it: all neighbours, cosine of raw ratings; no settings."""

    name = "user-cf-published"
    label = "user CF as published: all neighbours, raw ratings"
    equation = (
        "x̂<sub>ui</sub> = Σ<sub>v≠u</sub> s<sub>uv</sub> x<sub>vi</sub> / Σ<sub>v≠u</sub> "
        "s<sub>uv</sub> [v ∈ R(i)]"
    )
    source = "THU-Coursework-Machine-Learning-for-Big-Data (2024)."
    family = "neighbours"
    can = frozenset({"explain", "predict_training"})
    neighbours_of = "users"
    on_gpu = True
    raw_values = True

    def fit(
        self,
        train: sparse.csr_array,
        validation: sparse.csr_array | None = None,
        *,
        seed: int = 1,
        threads: int = 1,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> AllNeighbours:
        """Keep the ratings; see `Method.fit`."""
        return AllNeighbours(checked(train), threads, device)

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """Those of the similarities and of the queried predictions."""
        return comparison_operations("users", train, queried)

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """The ratings; similarities follow from them."""
        return ratings


@dataclass(frozen=True, eq=False)
class AllNeighbours(Model):
    """x̂_ui = Σ_v s_uv x_vi / Σ_v s_uv over all other users v that rated i; s the cosine.

    The study divides (S @ X) by (S @ (X ≠ 0)), where S is the cosine of raw rating rows. Its S
    includes each user's similarity of 1 with themselves, so its predictions of training pairs use
    the very rating that they predict: `predict_training` returns those too, `predict` leaves the
    user out. Test pairs are the same either way.

    Where no similar user rated the item the study's quotient is 0/0. Here the prediction is then a
    fallback, the mean of the item's training ratings, or of all where it has none. On a scale that
    reaches below 0 a cosine may be negative, and the quotient is no mean of ratings: where Σ_v s_uv
    is not above 0, or the quotient is outside the range of the training ratings, the pair gets the
    same fallback.
    """

    train: sparse.csr_array = field(repr=False)
    threads: int = 1
    device: str = "cpu"
    kept: Kept = field(default_factory=Kept, repr=False)

    def predict(self, users: ArrayLike, items: ArrayLike) -> Prediction:
        """Predicted rating of every pair, the user left out; see `Model.predict`."""
        users, items = checked_pairs(users, items, self.train.shape)
        return self._quotient(items, *self._sums(users, items))

    def predict_training(
        self, train: sparse.csr_array, start: int = 0, stop: int | None = None
    ) -> dict[str, Floats]:
        """`rmse`: with the user left out; `rmse_leaked`: as published."""
        own = train[start:stop]
        users, items = pairs(own)
        totals, weights = self._sums(*checked_pairs(users + start, items, self.train.shape))
        # The user's own similarity, 1, joins both sums.
        published = self._quotient(items, totals + own.data, weights + np.float32(1))
        without = self._quotient(items, totals, weights)
        return {"rmse": without.values, "rmse_leaked": published.values}

    def explain(self, user: int, item: int) -> Explanation:
        """All other users who rated the item; no parts for a fallback."""
        predicted = self.predict([user], [item])
        value = float(predicted.values[0])
        if predicted.is_fallback[0]:
            return Explanation(value, value, ())
        query = self._query(np.array([user]), np.array([item]))
        similarities = self.kept.row(self._compared, 0.0, user)
        places = np.arange(query.held.size)[query.of_column(item)]
        # Everyone counts who rated the item, those of similarity 0 and below too.
        others = places[query.held[places] != user]
        chosen = others[np.argsort(-np.abs(similarities[query.held[others]]), kind="stable")]
        parts = neighbour_parts("neighbour_user", query, chosen, similarities)
        return Explanation(0.0, value, parts)

    def arrays(self) -> dict[str, np.ndarray]:
        """The training ratings."""
        return {
            "ratings": self.train.data,
            "indices": self.train.indices,
            "indptr": self.train.indptr,
            "items": np.array(self.train.shape[1]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """See `Model.from_arrays`."""
        shape = (len(arrays["indptr"]) - 1, int(arrays["items"]))
        stored = arrays["ratings"], arrays["indices"], arrays["indptr"]
        return cls(stored_matrix(stored, shape))

    def _compared(self) -> Comparison:
        return compare(self.train, "users", "cosine", counted=False)

    def _query(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> Query:
        held, _ = transposed(self.train)
        return Query.of(users, items, held, [held.data])

    def _sums(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> tuple[Floats, Floats]:
        query = self._query(users, items)
        similar = self.kept.similar(self._compared, 0.0, query, Where(self.threads, self.device))
        if self.device == "cpu" or isinstance(similar, np.ndarray):
            from cfmf.kernels import scatter

            return scatter.all_sums(similar, query, self.threads)
        with explained():
            from cfmf.kernels import dense

        return dense.all_sums(similar, query, self.device)

    def _quotient(self, items: NDArray[np.integer], totals: Floats, weights: Floats) -> Prediction:
        low, high = float(self.train.data.min()), float(self.train.data.max())
        middle = np.float32((low + high) / 2)
        # Slightly more than half of the range: a mean of equal ratings may be rounded off them.
        reach = np.float32((high - low) / 2 + ROUNDING * max(abs(low), abs(high)))
        is_fallback = weights <= 0
        quotient = np.zeros_like(totals)
        np.divide(totals, weights, out=quotient, where=~is_fallback)
        is_fallback = is_fallback | (np.abs(quotient - middle) > reach)
        if is_fallback.any():
            item_means = means(self.train.indices, self.train.data, self.train.shape[1])
            quotient[is_fallback] = item_means[items[is_fallback]]
        return Prediction(quotient, is_fallback)
