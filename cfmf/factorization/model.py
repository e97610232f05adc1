"""A fitted factorization: what it predicts, and how it is kept in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cfmf.files import atomic_write

PARAMETERS = ("user_factors", "item_factors", "user_bias", "item_bias")
BLOCK = 1 << 18  # pairs predicted at a time, so that the gathered factors stay small


@dataclass(frozen=True)
class Factorization:
    """x̂_ui = mean + user_bias_u + item_bias_i + user_factors_u · item_factors_i, perhaps bounded.

    Attributes
    ----------
    user_factors, item_factors
        Users × k and items × k, float32.
    user_bias, item_bias
        One a user and one an item, float32; zeros in a model without biases.
    mean
        What is predicted before biases and factors say anything.
    bounds
        Lowest and highest rating where the sum is squashed onto the scale by
        low + (high - low) / (1 + exp(-sum)); None where the sum itself is the prediction.
    """

    user_factors: np.ndarray
    item_factors: np.ndarray
    user_bias: np.ndarray
    item_bias: np.ndarray
    mean: float = 0.0
    bounds: tuple[float, float] | None = None

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predictions of pairs, float32, one for each of `users` and `items`."""
        predictions = np.empty(len(users), np.float32)
        for start in range(0, len(users), BLOCK):
            block = slice(start, start + BLOCK)
            u, i = users[block], items[block]
            products = np.einsum("ij,ij->i", self.user_factors[u], self.item_factors[i])
            predictions[block] = self.mean + self.user_bias[u] + self.item_bias[i] + products
        if self.bounds is None:
            return predictions
        low, high = self.bounds
        return np.float32(low) + np.float32(high - low) / (1 + np.exp(-predictions))

    def arrays(self) -> dict[str, np.ndarray]:
        """What the model holds, as arrays by name."""
        return {
            "user_factors": self.user_factors,
            "item_factors": self.item_factors,
            "user_bias": self.user_bias,
            "item_bias": self.item_bias,
            "mean": np.array(self.mean),
            "bounds": np.array(self.bounds or ()),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Factorization:
        """The model that `arrays` gave."""
        low_high = [float(bound) for bound in arrays["bounds"]]
        return cls(
            **{name: arrays[name] for name in PARAMETERS},
            mean=float(arrays["mean"]),
            bounds=(low_high[0], low_high[1]) if low_high else None,
        )

    def save(self, path: str | Path) -> None:
        """Write the model as `.npz`, whole or not at all."""
        with atomic_write(path) as beside:
            np.savez(beside, allow_pickle=False, **self.arrays())

    @classmethod
    def load(cls, path: str | Path) -> Factorization:
        """Read a model written by `save`.

        Raises
        ------
        ValueError
            If the file holds something else or is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls.from_arrays(file)
        except Exception as error:
            raise ValueError(
                f"{path} is not a readable factorization ({error}); delete it and train again"
            ) from error


@dataclass(frozen=True)
class Posterior:
    """Draws of a factorization: predictions are means over them.

    Attributes
    ----------
    draws
        Models, each as likely as the other given the ratings. Their factors may be rotated against
        each other, so that only one draw's own factors can be compared.
    """

    draws: tuple[Factorization, ...]

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predictive means of pairs, float32."""
        total = sum(draw.predict(users, items).astype(np.float64) for draw in self.draws)
        return np.asarray(total / len(self.draws), np.float32)

    @property
    def user_factors(self) -> np.ndarray:
        """Users × k, of the last draw."""
        return self.draws[-1].user_factors

    @property
    def item_factors(self) -> np.ndarray:
        """Items × k, of the last draw."""
        return self.draws[-1].item_factors
