"""Several factorizations drawn from a posterior distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cfmf.factorization.dated import DAYS, DatedFactorization
from cfmf.factorization.model import Factorization
from cfmf.models import Explanation, Indices, Model, Prediction
from cfmf.observed import checked_pairs

SHARED = ("rated_users", "rated_items", "bounds", "penalty", *DAYS)  # arrays of all draws


@dataclass(frozen=True)
class Posterior(Model):
    """Draws of a factorization and of its noise: predictions are means over them.

    Attributes
    ----------
    models
        Each as likely as the other given the ratings. Their factors may be rotated against each
        other, so that only one draw's own factors can be compared.
    precision
        Of the ratings in every draw: a rating of user u and item i has the variance
        1 / (precision · user_precision_u · item_precision_i), float64.
    user_precision, item_precision
        Draws × users and draws × items, float32; 1 where all have the same noise.
    """

    models: tuple[Factorization, ...]
    precision: np.ndarray
    user_precision: np.ndarray
    item_precision: np.ndarray

    def predict(self, users: Indices, items: Indices) -> Prediction:
        """See `Model.predict`; values are predictive means."""
        users, items = checked_pairs(users, items, self.models[0].shape)
        total = np.zeros(len(users))
        squares = np.zeros(len(users))
        for model, precision, of_user, of_item in zip(
            self.models, self.precision, self.user_precision, self.item_precision, strict=True
        ):
            values = model.values(users, items).astype(np.float64)
            total += values
            squares += values**2 + 1 / (precision * of_user[users] * of_item[items])
        mean = total / len(self.models)
        variance = np.maximum(squares / len(self.models) - mean**2, 0)
        _, is_fallback, _ = self.models[0].predict(users, items)
        return Prediction(
            mean.astype(np.float32), is_fallback, np.sqrt(variance).astype(np.float32)
        )

    def rescaled(self, unit: float, centre: float) -> Posterior:
        """As `Factorization.rescaled`."""
        models = tuple(model.rescaled(unit, centre) for model in self.models)
        return replace(self, models=models, precision=self.precision / unit**2)

    def reordered(self, users: Indices, items: Indices) -> Posterior:
        """As `Factorization.reordered`."""
        return replace(
            self,
            models=tuple(model.reordered(users, items) for model in self.models),
            user_precision=self.user_precision[:, users],
            item_precision=self.item_precision[:, items],
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Model.arrays`; those of the models are stacked, what all share is kept once."""
        draws = [model.arrays() for model in self.models]
        held = {
            name: array if name in SHARED else np.stack([draw[name] for draw in draws])
            for name, array in draws[0].items()
        }
        own = ("precision", "user_precision", "item_precision")
        return held | {name: getattr(self, name) for name in own}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """See `Model.from_arrays`."""
        held = dict(arrays)
        own = [held.pop(name) for name in ("precision", "user_precision", "item_precision")]
        shared = {name: held.pop(name) for name in SHARED if name in held}
        kind = DatedFactorization if "day_factors" in held else Factorization
        models = [
            kind.from_arrays({name: array[draw] for name, array in held.items()} | shared)
            for draw in range(len(held["mean"]))
        ]
        return cls(tuple(models), *own)

    def explain(self, user: int, item: int) -> Explanation:
        """See `Model.explain`: parts of the last draw, whose sum is not the predictive mean."""
        prediction = float(self.predict(np.array([user]), np.array([item])).values[0])
        last = self.models[-1].explain(user, item)
        return Explanation(last.expected, prediction, last.parts, adds_up=False)

    def factors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Model.factors`: those of the last draw."""
        return self.models[-1].factors()

    def similar_items(self, item: int) -> NDArray[np.float64]:
        """See `Model.similar_items`: the mean over the draws."""
        total = np.zeros(self.models[0].shape[1])
        for model in self.models:
            total += model.similar_items(item)
        return total / len(self.models)

    def draws(self) -> int:
        """How many sets of factors the model keeps."""
        return len(self.models)
