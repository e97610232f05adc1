"""Several factorizations drawn from a posterior distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import ndtr

from cfmf.factorization.dated import DAYS, DatedFactorization
from cfmf.factorization.model import Factorization
from cfmf.models import Explanation, Indices, Model, Prediction
from cfmf.observed import checked_new, checked_pairs

if TYPE_CHECKING:  # numba, which it imports, is only for models of levels
    from cfmf.factorization.ordinal import Cutpoints

PRIOR = ("prior_mean", "prior_precision", "prior_spread", "prior_links")
NOISE = ("precision", "user_precision", "item_precision", "cutpoints", *PRIOR)
"""Arrays of each draw, beside those of its model."""
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
    cutpoints, levels
        Draws × (levels − 1), float32, and the values that a rating can have, increasing, where the
        models predict the latent number of `cfmf.factorization.ordinal`; else draws × 0 and None.
    prior_mean, prior_precision
        μ and λ of users, draws × (k + 1), float32, the bias last.
    prior_spread
        ν of the users' noise in every draw; infinite where all have the same.
    prior_links
        y of every item, draws × items × (k + 1), float32; draws × 0 × (k + 1) where the users'
        prior means do not depend on what they rated.
    """

    models: tuple[Factorization, ...]
    precision: np.ndarray
    user_precision: np.ndarray
    item_precision: np.ndarray
    cutpoints: np.ndarray
    prior_mean: np.ndarray
    prior_precision: np.ndarray
    prior_spread: np.ndarray
    prior_links: np.ndarray
    levels: np.ndarray | None = None

    def predict(self, users: Indices, items: Indices) -> Prediction:
        """See `Model.predict`; values are predictive means."""
        users, items = checked_pairs(users, items, self.models[0].shape)
        total = np.zeros(len(users))
        squares = np.zeros(len(users))
        for number in range(len(self.models)):
            mean, variance = self.moments(number, users, items)
            total += mean
            squares += mean**2 + variance
        mean = total / len(self.models)
        variance = np.maximum(squares / len(self.models) - mean**2, 0)
        _, is_fallback, _ = self.models[0].predict(users, items)
        return Prediction(
            mean.astype(np.float32), is_fallback, np.sqrt(variance).astype(np.float32)
        )

    def moments(
        self, number: int, users: Indices, items: Indices
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and variance of the ratings of pairs by one of the draws."""
        values, precision = self.sums(number, users, items)
        if self.levels is None:
            return values, 1 / precision
        from cfmf.factorization.ordinal import rating_moments

        cutpoints = self.cutpoints[number].astype(np.float64)
        return rating_moments(self.levels, cutpoints, values, np.sqrt(precision))

    def sums(
        self, number: int, users: Indices, items: Indices
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the rows of one of the draws add up to, and the precision of the noise."""
        own = self.user_precision[number][users] * self.item_precision[number][items]
        values = self.models[number].values(users, items).astype(np.float64)
        return values, np.asarray(self.precision[number] * own, np.float64)

    def probabilities(
        self, users: Indices, items: Indices, levels: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Probability of every level of the ratings of pairs, pairs × levels; rows sum to 1.

        A Gaussian draw gives a level what is nearer to it than to the other levels.

        Raises
        ------
        ValueError
            If the levels do not increase, or the draws are of other ones.
        """
        users, items = checked_pairs(users, items, self.models[0].shape)
        levels = np.asarray(levels, np.float64)
        if not (np.diff(levels) > 0).all():
            raise ValueError(f"the levels {levels} do not increase")
        if self.levels is not None and not np.allclose(levels, self.levels):
            raise ValueError(f"the levels are {self.levels}, not {levels}")
        below = np.zeros((len(users), len(levels) + 1))
        below[:, -1] = len(self.models)
        for number, cutpoints in enumerate(self.cutpoints.astype(np.float64)):
            values, precision = self.sums(number, users, items)
            ends = cutpoints if self.levels is not None else (levels[1:] + levels[:-1]) / 2
            below[:, 1:-1] += ndtr((ends - values[:, None]) * np.sqrt(precision)[:, None])
        return np.diff(below, axis=1) / len(self.models)

    def moved(self, unit: float, centre: float, users: Indices, items: Indices) -> Posterior:
        """As `Factorization.moved`; latent numbers have no unit.

        Draw by draw, as one more copy of all of them would fill the memory.
        """
        levels, inner = self.levels, (unit, centre)
        if levels is not None:
            levels, inner = levels * unit + centre, (1.0, 0.0)
        by = np.full(self.prior_mean.shape[1], np.sqrt(inner[0]), np.float32)
        by[-1] = inner[0]
        links = self.prior_links * by
        return replace(
            self,
            models=tuple(model.moved(*inner, users, items) for model in self.models),
            precision=self.precision / inner[0] ** 2,
            user_precision=self.user_precision[:, users],
            item_precision=self.item_precision[:, items],
            prior_mean=self.prior_mean * by,
            prior_precision=self.prior_precision / by**2,
            prior_links=links[:, items] if links.size else links,
            levels=levels,
        )

    def fold_in(self, ratings: sparse.csr_array) -> Posterior:
        """See `Model.fold_in`: in each draw, users from their posterior given the draw's items."""
        from cfmf.factorization import gibbs_new

        if isinstance(self.models[0], DatedFactorization):
            raise NotImplementedError("ratings of new users come without the days that it needs")
        ratings = checked_new(ratings, self.models[0].shape[1])
        rng, rated = np.random.default_rng(gibbs_new.SEED), np.diff(ratings.indptr) > 0
        draws, columns = self.prior_mean.shape
        noise = gibbs_new.last_noise(draws, columns, rng)
        models, reliabilities = [], []
        for number, model in enumerate(self.models):
            given = gibbs_new.Given(
                model,
                float(self.precision[number]),
                self.item_precision[number],
                self.prior_mean[number],
                self.prior_precision[number],
                float(self.prior_spread[number]),
                self.prior_links[number],
                self._cutpoints(number, ratings.data),
            )
            vectors, own = gibbs_new.draw_users(ratings, given, noise[number], rng)
            models.append(model.extended(vectors[:, :-1], vectors[:, -1], rated))
            reliabilities.append(own)
        precision = np.hstack([self.user_precision, reliabilities])
        return replace(self, models=tuple(models), user_precision=precision)

    def _cutpoints(self, number: int, ratings: NDArray[np.floating]) -> Cutpoints | None:
        """Those of a draw, for these ratings; None of a normal likelihood."""
        if self.levels is None:
            return None
        from cfmf.factorization.ordinal import Cutpoints

        ends = (self.levels[1:] + self.levels[:-1]) / 2
        found = Cutpoints(self.levels, self.levels[np.searchsorted(ends, ratings)])
        found.values = self.cutpoints[number].astype(np.float64)
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Model.arrays`; those of the models are stacked, what all share is kept once."""
        draws = [model.arrays() for model in self.models]
        held = {
            name: array if name in SHARED else np.stack([draw[name] for draw in draws])
            for name, array in draws[0].items()
        }
        if self.levels is not None:
            held["levels"] = self.levels
        return held | {name: getattr(self, name) for name in NOISE}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """See `Model.from_arrays`."""
        held = dict(arrays)
        noise = {name: held.pop(name) for name in NOISE}
        levels = held.pop("levels", None)
        shared = {name: held.pop(name) for name in SHARED if name in held}
        kind = DatedFactorization if "day_factors" in held else Factorization
        models = [
            kind.from_arrays({name: array[draw] for name, array in held.items()} | shared)
            for draw in range(len(held["mean"]))
        ]
        return cls(tuple(models), **noise, levels=levels)

    def explain(self, user: int, item: int) -> Explanation:
        """See `Model.explain`: parts of the last draw, whose sum is not the predictive mean."""
        pair = np.array([user]), np.array([item])
        prediction = float(self.predict(*pair).values[0])
        last = self.models[-1].explain(user, item)
        if self.levels is None:
            return Explanation(last.expected, prediction, last.parts, adds_up=False)
        # Latent numbers have no unit: each part is what it adds by the slope of the mean rating.
        values, precision = self.sums(-1, *pair)
        ends = (self.cutpoints[-1] - values) * np.sqrt(precision)
        density = np.exp(-0.5 * ends**2) / np.sqrt(2 * np.pi)
        slope = float(np.diff(self.levels) @ density * np.sqrt(precision[0]))
        parts = tuple(part._replace(contribution=part.contribution * slope) for part in last.parts)
        expected = prediction - sum(part.contribution for part in parts)
        return Explanation(expected, prediction, parts, adds_up=False)

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
