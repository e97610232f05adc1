"""What a fitted model can do: the half of the contract of methods that needs no settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.files import atomic_write

Floats = NDArray[np.float32]
Indices = NDArray[np.integer]


class Prediction(NamedTuple):
    """Predicted ratings of the queried pairs, one entry each.

    Attributes
    ----------
    values
        float32, finite, not clipped to the rating scale.
    is_fallback
        bool: nothing specific to the pair was learned, so that the value is a mean or a bias.
    sd
        Standard deviation of the rating, float32; None of a model that predicts no distribution.
    """

    values: Floats
    is_fallback: NDArray[np.bool_]
    sd: Floats | None = None


class Part(NamedTuple):
    """One part of an explanation.

    Attributes
    ----------
    kind
        `neighbour_user`, `neighbour_item`, `factor`, `user` or `item` (the last two: their bias).
    number
        Of the user, item or factor (factors count from 0).
    contribution
        What the part adds to the prediction, in rating units.
    share
        Weight of a neighbour, or the part's proportion of the sum of absolute contributions.
    similarity, rating
        Of a neighbour: to the user or item, and the rating it brings; NaN of other kinds.
    """

    kind: str
    number: int
    contribution: float
    share: float
    similarity: float = np.nan
    rating: float = np.nan


@dataclass(frozen=True)
class Explanation:
    """Why one rating is predicted: prediction = expected + Σ contributions where `adds_up`.

    Attributes
    ----------
    parts
        In order of decreasing absolute share; empty for a fallback.
    adds_up
        False where the sum is transformed further, as by a bounded output, or where the explanation
        is of one draw of several.
    """

    expected: float
    prediction: float
    parts: tuple[Part, ...]
    adds_up: bool = True


class Model(ABC):
    """A fitted method. What a method does not declare in `can` raises NotImplementedError here."""

    @abstractmethod
    def predict(self, users: Indices, items: Indices) -> Prediction:
        """Predict the ratings of pairs, one for each entry of `users` and `items`.

        A prediction depends on its own pair and the training ratings only.

        Raises
        ------
        ValueError
            If the lengths differ or a number is outside the training matrix.
        """

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays without which the model cannot predict, by name; no objects."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The model whose `arrays` these are; it predicts the same bytes."""

    def save(self, path: str | Path) -> None:
        """Write `arrays` as `.npz`, whole or not at all."""
        with atomic_write(path) as temporary:
            np.savez(temporary, allow_pickle=False, **self.arrays())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model written by `save`; objects in the file are refused.

        Raises
        ------
        ValueError
            If the file holds something else or is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls.from_arrays(dict(file))
        except Exception as error:
            raise ValueError(
                f"{path} is not a readable {cls.__name__} ({error}); delete it and train again"
            ) from error

    def fold_in(self, ratings: sparse.csr_array) -> Model:
        """A model that also knows new users, one row of `ratings` each, numbered after the others.

        Declared as `fold_in`. Nothing that was learned of known users and items changes, so that
        known users are predicted as before. New ratings of a known user are folded in as those of a
        new one, together with the old ones.

        Raises
        ------
        ValueError
            If the ratings are of other than the model's items, or cannot be used.
        """
        raise NotImplementedError

    def explain(self, user: int, item: int) -> Explanation:
        """Why the rating of a pair is predicted. Declared as `explain`."""
        raise NotImplementedError

    def predict_training(
        self, train: sparse.csr_array, start: int = 0, stop: int | None = None
    ) -> dict[str, Floats]:
        """Predictions of the training pairs of users from `start` up to `stop`, in CSR order.

        Declared as `predict_training`. The keys name the metric that each array gives: `rmse`, and
        perhaps another one that is not leave-one-out.
        """
        raise NotImplementedError

    def similar_items(self, item: int) -> NDArray[np.floating]:
        """Similarity of every item to one. Declared as `similar_items`."""
        raise NotImplementedError

    def factors(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Factors of users (users × k) and of items (items × k). Declared as `factors`."""
        raise NotImplementedError

    def draws(self) -> int:
        """How many sets of parameters the model keeps: more than 1 for draws from a posterior."""
        return 1
