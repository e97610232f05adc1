"""The baseline predictor: the mean rating plus a bias of the user and one of the item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cfmf.methods.base import Explanation, Method, Model, Part, Prediction, Progress, setting
from cfmf.neighbours.biases import Biases, fit_biases
from cfmf.observed import checked, checked_new, checked_pairs, row_numbers


class Baseline(Method):
    """The baseline predictor, a mean plus a bias of the user and one of the item."""

    name = "baseline"
    label = "mean plus user and item effects"
    equation = "x̂<sub>ui</sub> = μ + b<sub>u</sub> + b<sub>i</sub>"
    source = (
        "Koren (2010). Factor in the neighbors: scalable and accurate collaborative "
        "filtering. TKDD 4(1)."
    )
    family = "baseline"
    can = frozenset({"explain", "fold_in", "predict_training"})

    reg_user: float = setting(
        10.0,
        "Weight of the squared user biases, in ratings: a user with that many ratings keeps half"
        " of their mean deviation.",
        grid=[2, 5, 10, 20],
        step=2,
        search=(0.25, 1000),
        ge=0,
    )
    reg_item: float = setting(
        5.0,
        "Weight of the squared item biases, in ratings.",
        grid=[1, 2, 5, 10],
        step=2,
        search=(0.25, 1000),
        ge=0,
    )

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
    ) -> BaselineModel:
        """Solve for the biases; see `Method.fit`."""
        train = checked(train)
        biases = fit_biases(train, self.reg_user, self.reg_item)
        known_user = np.diff(train.indptr) > 0
        known_item = np.bincount(train.indices, minlength=train.shape[1]) > 0
        return BaselineModel(biases, known_user, known_item, self.reg_user)

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """One bias for each user and item."""
        return sum(shape)


@dataclass(frozen=True, eq=False)
class BaselineModel(Model):
    """Biases, and which users and items have training ratings."""

    biases: Biases
    known_user: NDArray[np.bool_]
    known_item: NDArray[np.bool_]
    reg_user: float

    def predict(self, users: ArrayLike, items: ArrayLike) -> Prediction:
        """b_ui; a fallback where the user or the item has no training ratings."""
        users, items = checked_pairs(users, items, (len(self.known_user), len(self.known_item)))
        is_fallback = ~(self.known_user[users] & self.known_item[items])
        return Prediction(self.biases.predict(users, items), is_fallback)

    def predict_training(
        self, train: sparse.csr_array, start: int = 0, stop: int | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """b_ui of the training pairs; see `Model.predict_training`."""
        own = train[start:stop]
        return {"rmse": self.biases.predict(row_numbers(own) + start, own.indices)}

    def explain(self, user: int, item: int) -> Explanation:
        """The two biases."""
        value = float(self.predict([user], [item]).values[0])
        biases = {"user": float(self.biases.user[user]), "item": float(self.biases.item[item])}
        size = max(sum(map(abs, biases.values())), 1e-30)
        numbers = {"user": user, "item": item}
        parts = [Part(kind, numbers[kind], one, abs(one) / size) for kind, one in biases.items()]
        parts.sort(key=lambda part: -part.share)
        return Explanation(self.biases.mean, value, tuple(parts))

    def fold_in(self, ratings: sparse.csr_array) -> BaselineModel:
        """Biases of new users, given those of the items; see `Model.fold_in`."""
        ratings = checked_new(ratings, len(self.known_item))
        biases = self.biases.with_users(ratings, self.reg_user)
        known_user = np.concatenate([self.known_user, np.diff(ratings.indptr) > 0])
        return BaselineModel(biases, known_user, self.known_item, self.reg_user)

    def arrays(self) -> dict[str, np.ndarray]:
        """The biases, and for which users and items they were learned."""
        return {
            "mean": np.array(self.biases.mean),
            "user_bias": self.biases.user,
            "item_bias": self.biases.item,
            "known_user": self.known_user,
            "known_item": self.known_item,
            "reg_user": np.array(self.reg_user),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """See `Model.from_arrays`."""
        biases = Biases(float(arrays["mean"]), arrays["user_bias"], arrays["item_bias"])
        known = arrays["known_user"], arrays["known_item"]
        return cls(biases, *known, float(arrays["reg_user"]))
