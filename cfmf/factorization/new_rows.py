"""Rows of new users: the minimum of the users' part of an objective, the items held fixed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]


class RowPenalty(NamedTuple):
    """What a user with n ratings adds to half the sum of squared errors.

    strength · n^exponent · ‖U_u‖^power / power + ½ bias · b_u², in squared rating units.
    """

    strength: float
    exponent: float
    bias: float
    power: float = 2.0

    def rescaled(self, unit: float, bounded: bool) -> RowPenalty:
        """That of ratings `unit` times as wide.

        Factors then are √unit times as long and biases `unit` times as large, but of a bounded
        output, where they make up a sum that has no unit.
        """
        if bounded:
            strength, bias = (one * unit**2 for one in (self.strength, self.bias))
            return self._replace(strength=strength, bias=bias)
        return self._replace(strength=self.strength * unit ** (2 - self.power / 2))


def solved_row(
    design: Floats,
    ratings: Floats,
    offsets: Floats,
    penalty: RowPenalty,
    bounds: tuple[float, float] | None = None,
) -> Floats:
    """Factors and, last, the bias of a user with these ratings, float64.

    Exact where the objective is quadratic; else a stationary point that is reached from zeros,
    which is the minimum of a cubic penalty, whose objective is convex.

    Parameters
    ----------
    design
        Factors of the items rated, and a column of ones.
    offsets
        What is predicted of each rating by the mean and the item's bias.
    bounds
        As `cfmf.factorization.model.Factorization` has them.
    """
    strength = penalty.strength * len(ratings) ** penalty.exponent
    if bounds is None and penalty.power == 2:
        precision = np.append(np.full(design.shape[1] - 1, strength), penalty.bias)
        normal = design.T @ design + np.diag(precision)
        return np.asarray(np.linalg.lstsq(normal, design.T @ (ratings - offsets), rcond=None)[0])

    def objective(row: Floats) -> tuple[float, Floats]:
        predicted, slopes = squashed(offsets + design @ row, bounds)
        errors, size = predicted - ratings, float(np.linalg.norm(row[:-1]))
        value = 0.5 * float(errors @ errors) + strength * size**penalty.power / penalty.power
        value += 0.5 * penalty.bias * float(row[-1]) ** 2
        pull = strength * row * (size ** (penalty.power - 2) if size else 0.0)
        pull[-1] = penalty.bias * row[-1]
        return value, np.asarray(design.T @ (errors * slopes) + pull)

    from scipy.optimize import minimize  # slow to import, and seldom needed

    start, limits = np.zeros(design.shape[1]), {"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-8}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=limits)  # type: ignore[call-overload]
    return np.asarray(found.x)


def squashed(sums: Floats, bounds: tuple[float, float] | None) -> tuple[Floats, Floats]:
    """Predictions from sums, bounded or not, and their slopes."""
    if bounds is None:
        return sums, np.ones_like(sums)
    low, high = bounds
    share = 1 / (1 + np.exp(-sums))
    return low + (high - low) * share, (high - low) * share * (1 - share)


def solved_rows(
    ratings: sparse.csr_array,
    factors: NDArray[np.floating],
    offsets: NDArray[np.floating],
    penalty: RowPenalty,
    bounds: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """`solved_row` of every row of `ratings`, users × (k + 1), float32; zeros without a rating.

    Parameters
    ----------
    factors, offsets
        Of all items.
    """
    design = np.hstack([factors, np.ones((len(factors), 1))]).astype(np.float64)
    found = np.zeros((ratings.shape[0], design.shape[1]), np.float32)
    for user in np.flatnonzero(np.diff(ratings.indptr)):
        own = slice(*ratings.indptr[user : user + 2])
        items, values = ratings.indices[own], ratings.data[own].astype(np.float64)
        given = design[items], values, np.asarray(offsets[items], np.float64)
        found[user] = solved_row(*given, penalty, bounds)
    return found
