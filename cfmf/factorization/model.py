"""Fitted factorizations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.factorization.new_rows import RowPenalty, solved_rows
from cfmf.models import Explanation, Floats, Indices, Model, Part, Prediction
from cfmf.observed import checked_new, checked_pairs

CHUNK = 1 << 18  # pairs predicted at a time, so that the gathered factors stay small


@dataclass(frozen=True)
class Factorization(Model):
    """x̂_ui = mean + user_bias_u + item_bias_i + user_factors_u · item_factors_i, perhaps bounded.

    Attributes
    ----------
    user_factors, item_factors
        Users × k and items × k, float32.
    user_bias, item_bias
        One a user and one an item, float32; zeros in a model without biases.
    mean
        The prediction where all biases and factors are zero.
    bounds
        Lowest and highest rating where the sum is squashed onto the scale by
        low + (high - low) / (1 + exp(-sum)); None where the sum itself is the prediction.
    rated
        Which users and which items have training ratings, bool; None: all. Pairs of others are
        fallbacks.
    penalty
        A user's penalty, by which `fold_in` solves for new users; None where the objective has
        none of that form.
    """

    user_factors: np.ndarray
    item_factors: np.ndarray
    user_bias: np.ndarray
    item_bias: np.ndarray
    mean: float = 0.0
    bounds: tuple[float, float] | None = None
    rated: tuple[np.ndarray, np.ndarray] | None = None
    penalty: RowPenalty | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of users and items."""
        return len(self.user_bias), len(self.item_bias)

    def values(self, users: Indices, items: Indices) -> Floats:
        """Predictions of pairs, float32, one for each of `users` and `items`; no checks."""
        predictions = np.empty(len(users), np.float32)
        for start in range(0, len(users), CHUNK):
            chunk = slice(start, start + CHUNK)
            u, i = users[chunk], items[chunk]
            products = np.einsum("ij,ij->i", self.user_factors[u], self.item_factors[i])
            predictions[chunk] = self.mean + self.user_bias[u] + self.item_bias[i] + products
        if self.bounds is None:
            return predictions
        low, high = self.bounds
        return np.asarray(np.float32(low) + np.float32(high - low) / (1 + np.exp(-predictions)))

    def predict(self, users: Indices, items: Indices) -> Prediction:
        """See `Model.predict`; a pair is a fallback if its user or item has no training rating."""
        users, items = checked_pairs(users, items, self.shape)
        is_fallback = np.zeros(len(users), bool)
        if self.rated is not None:
            is_fallback = ~(self.rated[0][users] & self.rated[1][items])
        return Prediction(self.values(users, items), is_fallback)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Model.arrays`; biases that are all zero are left out."""
        held = {"user_factors": self.user_factors, "item_factors": self.item_factors}
        if self.user_bias.any() or self.item_bias.any():
            held |= {"user_bias": self.user_bias, "item_bias": self.item_bias}
        if self.rated is not None:
            held |= {"rated_users": self.rated[0], "rated_items": self.rated[1]}
        scalars = {"mean": self.mean, "bounds": self.bounds or (), "penalty": self.penalty or ()}
        return held | {name: np.array(value) for name, value in scalars.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """See `Model.from_arrays`."""
        low_high, penalty = arrays["bounds"].tolist(), arrays["penalty"].tolist()
        left, right = arrays["user_factors"], arrays["item_factors"]
        return cls(
            left,
            right,
            arrays.get("user_bias", np.zeros(len(left), np.float32)),
            arrays.get("item_bias", np.zeros(len(right), np.float32)),
            mean=float(arrays["mean"]),
            bounds=(low_high[0], low_high[1]) if low_high else None,
            rated=(arrays["rated_users"], arrays["rated_items"])
            if "rated_users" in arrays
            else None,
            penalty=RowPenalty(*penalty) if penalty else None,
        )

    def rescaled(self, unit: float, centre: float) -> Factorization:
        """The model of ratings `unit` times as wide, about `centre` in place of 0."""
        if self.bounds is not None:  # factors and biases make up a sum that is no rating
            low, high = (end * unit + centre for end in self.bounds)
            penalty = self.penalty and self.penalty.rescaled(unit, bounded=True)
            return replace(self, bounds=(low, high), penalty=penalty)
        root = np.float32(unit**0.5)
        return replace(
            self,
            user_factors=self.user_factors * root,
            item_factors=self.item_factors * root,
            user_bias=self.user_bias * np.float32(unit),
            item_bias=self.item_bias * np.float32(unit),
            mean=self.mean * unit + centre,
            penalty=self.penalty and self.penalty.rescaled(unit, bounded=False),
        )

    def reordered(self, users: Indices, items: Indices) -> Factorization:
        """The model whose users and items are those at these places of this one."""
        return replace(
            self,
            user_factors=self.user_factors[users],
            item_factors=self.item_factors[items],
            user_bias=self.user_bias[users],
            item_bias=self.item_bias[items],
            rated=self.rated and (self.rated[0][users], self.rated[1][items]),
        )

    def moved(self, unit: float, centre: float, users: Indices, items: Indices) -> Factorization:
        """`rescaled`, then `reordered`."""
        return self.rescaled(unit, centre).reordered(users, items)

    def fold_in(self, ratings: sparse.csr_array) -> Factorization:
        """See `Model.fold_in`: the objective's minimum for every new user, the items held fixed."""
        if self.penalty is None:
            raise NotImplementedError("the model was trained by an objective without such a part")
        ratings = checked_new(ratings, len(self.item_bias))
        offsets = self.mean + self.item_bias.astype(np.float64)
        rows = solved_rows(ratings, self.item_factors, offsets, self.penalty, self.bounds)
        return self.extended(rows[:, :-1], rows[:, -1], np.diff(ratings.indptr) > 0)

    def extended(self, factors: Floats, biases: Floats, rated: NDArray[np.bool_]) -> Self:
        """The model with further users, of whom `rated` says who has ratings."""
        known = self.rated or tuple(np.ones(size, bool) for size in self.shape)
        return replace(
            self,
            user_factors=np.vstack([self.user_factors, factors]),
            user_bias=np.concatenate([self.user_bias, biases]),
            rated=(np.concatenate([known[0], rated]), known[1]),
        )

    def explain(self, user: int, item: int) -> Explanation:
        """See `Model.explain`: the two biases, and the product along each principal factor.

        Contributions of a bounded model are to the sum, before it is squashed onto the scale.
        """
        left, right = self.factors()
        products = left[user] * right[item]
        found = [("factor", place, float(value)) for place, value in enumerate(products)]
        found.append(("user", user, float(self.user_bias[user])))
        found.append(("item", item, float(self.item_bias[item])))
        contributions = np.array([contribution for _, _, contribution in found])
        shares = np.abs(contributions) / max(float(np.abs(contributions).sum()), 1e-30)
        parts = [Part(*one, float(share)) for one, share in zip(found, shares, strict=True)]
        order = np.argsort(-shares, kind="stable")
        return Explanation(
            expected=self.mean,
            prediction=float(self.values(np.array([user]), np.array([item]))[0]),
            parts=tuple(parts[place] for place in order),
            adds_up=self.bounds is None,
        )

    def factors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Model.factors`: along principal axes, the strongest first, float64."""
        return self._principal

    def similar_items(self, item: int) -> NDArray[np.float64]:
        """See `Model.similar_items`: the cosine of the items' factors along principal axes."""
        _, factors = self.factors()
        norms = np.linalg.norm(factors, axis=1)
        directions = factors / np.where(norms > 0, norms, 1)[:, None]
        return np.asarray(directions @ directions[item])

    @cached_property
    def _principal(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return principal_factors(self.user_factors, self.item_factors)


def rated_rows(train: sparse.csr_array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which users and which items have a rating."""
    return np.diff(train.indptr) > 0, np.bincount(train.indices, minlength=train.shape[1]) > 0


def principal_factors(
    left: NDArray[np.floating], right: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same products of users and items along orthogonal axes, the strongest first, float64.

    U Vᵀ does not change when both are rotated alike, so single factors as trained have no meaning.
    Here they are rotated onto the axes of the singular value decomposition U Vᵀ = A S Bᵀ: A √S and
    B √S. Each axis points where its largest item coordinate is positive.
    """
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    (q, r), (p, t) = np.linalg.qr(left), np.linalg.qr(right)
    a, strength, bt = np.linalg.svd(r @ t.T, full_matrices=False)
    users, items = q @ a * np.sqrt(strength), p @ bt.T * np.sqrt(strength)
    sign = np.sign(items[np.abs(items).argmax(axis=0), np.arange(items.shape[1])])
    sign[sign == 0] = 1
    return users * sign, items * sign
