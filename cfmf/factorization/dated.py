"""A factorization whose days have factors too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from scipy import sparse

from cfmf.factorization.model import CHUNK, Factorization
from cfmf.models import Explanation, Floats, Indices
from cfmf.observed import stored_matrix
from cfmf.side import pair_days, stored

DAYS = (
    "usual_days",
    "days_data",
    "days_indices",
    "days_indptr",
    "sessions_indices",
    "sessions_indptr",
)
"""Arrays that do not change from draw to draw."""


@dataclass(frozen=True)
class DatedFactorization(Factorization):
    """As `Factorization`, plus what the day t of a pair and the user's session on it add.

    These are day_bias_t + (user_factors_u + item_factors_i) · day_factors_t + session_bias_ut.

    Attributes
    ----------
    day_factors
        Days × k, float32; days × 0 where days have a bias only.
    day_bias
        One a day, float32.
    days
        Day of every dated pair, users × items, as `cfmf.side.Side` has it.
    usual_days
        Of each user: the day t of a pair without a date.
    sessions
        Users × days, CSR, float32: the bias of every session with training ratings; 0 of others.
    """

    day_factors: np.ndarray = field(kw_only=True)
    day_bias: np.ndarray = field(kw_only=True)
    days: sparse.csr_array = field(kw_only=True)
    usual_days: np.ndarray = field(kw_only=True)
    sessions: sparse.csr_array = field(kw_only=True)

    def values(self, users: Indices, items: Indices) -> Floats:
        """See `Factorization.values`."""
        values = super().values(users, items)
        days = pair_days(self.days, self.usual_days, users, items) - 1
        for start in range(0, len(users) if self.day_factors.size else 0, CHUNK):
            chunk = slice(start, start + CHUNK)
            rows = self.user_factors[users[chunk]] + self.item_factors[items[chunk]]
            values[chunk] += np.einsum("ij,ij->i", rows, self.day_factors[days[chunk]])
        at, known = stored(self.sessions, users, days)
        return values + self.day_bias[days] + np.where(known, self.sessions.data[at], 0)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Model.arrays`."""
        days = {f"days_{name}": getattr(self.days, name) for name in ("data", "indices", "indptr")}
        own = {name: getattr(self, name) for name in ("day_factors", "day_bias", "usual_days")}
        own["session_bias"] = self.sessions.data
        sessions = {
            f"sessions_{name}": getattr(self.sessions, name) for name in ("indices", "indptr")
        }
        return super().arrays() | own | days | sessions

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """See `Model.from_arrays`."""
        plain = Factorization.from_arrays(arrays)
        days = arrays["days_data"], arrays["days_indices"], arrays["days_indptr"]
        sessions = arrays["session_bias"], arrays["sessions_indices"], arrays["sessions_indptr"]
        shape = len(plain.user_bias), len(arrays["day_bias"])
        numbers = np.concatenate([days[0], arrays["usual_days"]])
        if numbers.min(initial=1) < 1 or numbers.max(initial=1) > shape[1]:
            raise ValueError(f"a day is not among the {shape[1]} that the model knows")
        return cls(
            **vars(plain),
            day_factors=arrays["day_factors"],
            day_bias=arrays["day_bias"],
            days=stored_matrix(days, plain.shape),
            usual_days=arrays["usual_days"],
            sessions=stored_matrix(sessions, shape),
        )

    def rescaled(self, unit: float, centre: float) -> DatedFactorization:
        """See `Factorization.rescaled`."""
        moved = super().rescaled(unit, centre)
        assert isinstance(moved, DatedFactorization)
        factors = self.day_factors * np.float32(unit**0.5)
        bias, sessions = self.day_bias * np.float32(unit), self.sessions * np.float32(unit)
        return replace(moved, day_factors=factors, day_bias=bias, sessions=sessions)

    def reordered(self, users: Indices, items: Indices) -> DatedFactorization:
        """See `Factorization.reordered`."""
        moved = super().reordered(users, items)
        assert isinstance(moved, DatedFactorization)
        days = self.days[users][:, items]
        days.sort_indices()
        sessions = self.sessions[users]
        return replace(moved, days=days, usual_days=self.usual_days[users], sessions=sessions)

    def explain(self, user: int, item: int) -> Explanation:
        """See `Factorization.explain`; the day's bias is part of what is expected.

        What the user's (item's) factors make of the day's is part of the user's (item's) bias.
        """
        day = int(pair_days(self.days, self.usual_days, np.array([user]), np.array([item]))[0]) - 1
        user_bias, item_bias = self.user_bias.copy(), self.item_bias.copy()
        user_bias[user] += self.sessions[[user], [day]].item()
        if self.day_factors.size:
            user_bias[user] += self.user_factors[user] @ self.day_factors[day]
            item_bias[item] += self.item_factors[item] @ self.day_factors[day]
        mean = self.mean + float(self.day_bias[day])
        of_day = Factorization(
            self.user_factors, self.item_factors, user_bias, item_bias, mean, rated=self.rated
        )
        return of_day.explain(user, item)
