"""An interval for every prediction: split conformal on validation, by the length of the history.

The interval of a prediction reaches as far to either side as the validation errors that were not
seen in training do in all but a given proportion of cases. It contains a new rating with at least
that probability, whatever the method, if errors on validation and of new ratings are exchangeable
(Papadopoulos et al., 2002, *Inductive confidence machines for regression*; Lei et al., 2018,
*Distribution-free predictive inference for regression*). Here they nearly are: the model that
predicts new ratings is fitted to the validation ratings too, and is slightly better.

One radius for all is too narrow for users with few ratings and too wide for the others, so that
each group of histories has its own (a Mondrian predictor: Vovk, Gammerman & Shafer, 2005,
*Algorithmic Learning in a Random World*, ch. 4). On the validation parts of MovieLens 100K,
cross-validated inside them, that lowers the interval score of every method and the mean distance
of the coverage from 90% over the groups from 1.1 to 0.2 points (benchmarks/radii.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cfmf.evaluation.collect import SLICES

Floats = NDArray[np.float64]

COVERAGE = 0.9
"""Of the intervals of the study."""
HISTORIES = SLICES["user_ratings"]
"""Lowest number of ratings in each group of users."""
ENOUGH = 100
"""Fewest validation ratings of a group with a radius of its own: its coverage then has a standard
deviation of 3 percentage points, over validation parts that might have been drawn."""


def radius(errors: ArrayLike, coverage: float = COVERAGE) -> float:
    """Half the width of an interval about a prediction, in the units of the errors.

    The ⌈(n + 1) · coverage⌉-th smallest of n absolute errors: of n + 1 exchangeable errors, the
    last is at most that with probability `coverage` or more, and by less than 1 / (n + 1) more
    where none are equal.

    Parameters
    ----------
    errors
        Predictions minus ratings on validation, by a model that was not fitted to it.
    coverage
        Between 0 and 1; taken as the decimal number that it is written as.

    Returns
    -------
    Infinity where there are too few errors for that coverage.

    Raises
    ------
    ValueError
        If the coverage is not between 0 and 1, or an error is not finite.
    """
    sizes = np.abs(np.asarray(errors, np.float64)).ravel()
    if not 0 < coverage < 1:
        raise ValueError(f"the coverage is {coverage}; give a number between 0 and 1, such as 0.9")
    if not np.isfinite(sizes).all():
        bad = int(np.count_nonzero(~np.isfinite(sizes)))
        raise ValueError(f"{bad} of {sizes.size} validation errors are not finite")
    rank = math.ceil((sizes.size + 1) * Fraction(repr(float(coverage))))
    return float(np.partition(sizes, rank - 1)[rank - 1]) if rank <= sizes.size else math.inf


def interval(
    predictions: ArrayLike, radii: ArrayLike, scale: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Lowest and highest rating of the intervals, float64, on the rating scale.

    Parameters
    ----------
    predictions
        Clipped here to the scale.
    radii
        One for all, or one for each prediction; the interval is the whole scale at infinity.
    """
    middle, reach = np.clip(np.asarray(predictions, np.float64), *scale), np.asarray(radii, "f8")
    return np.clip(middle - reach, *scale), np.clip(middle + reach, *scale)


@dataclass(frozen=True)
class Radii:
    """A radius for each group of users.

    Attributes
    ----------
    lowest
        Lowest number of ratings of each group, increasing; the first is 0.
    radii
        Of each group, in rating units.
    coverage
        What they are for.
    """

    lowest: tuple[int, ...]
    radii: tuple[float, ...]
    coverage: float = COVERAGE

    @classmethod
    def learn(
        cls,
        predictions: ArrayLike,
        ratings: ArrayLike,
        histories: ArrayLike,
        scale: tuple[float, float],
        coverage: float = COVERAGE,
    ) -> Radii:
        """Radii from validation; groups of fewer than `ENOUGH` ratings are joined to the next.

        Parameters
        ----------
        predictions, ratings
            Of the validation pairs, by a model that was not fitted to them.
        histories
            For each pair, how many ratings of its user the model was fitted to.

        Raises
        ------
        ValueError
            As `radius`.
        """
        errors = np.clip(np.asarray(predictions, np.float64), *scale) - np.asarray(ratings, "f8")
        places = group_of(histories, HISTORIES)
        groups = joined(np.bincount(places, minlength=len(HISTORIES)))
        found = [radius(errors[np.isin(places, group)], coverage) for group in groups]
        lowest = (0, *(HISTORIES[group[0]] for group in groups[1:]))
        return cls(lowest, tuple(found), coverage)

    def of(self, histories: ArrayLike) -> Floats:
        """The radius of each user, given how many ratings of theirs the model was fitted to."""
        return np.asarray(self.radii, np.float64)[group_of(histories, self.lowest)]


def group_of(histories: ArrayLike, lowest: Sequence[int]) -> NDArray[np.intp]:
    """The place of each history among groups, given the lowest history of each."""
    return np.searchsorted(lowest, np.asarray(histories), side="right") - 1


def joined(counts: NDArray[np.integer]) -> list[list[int]]:
    """Neighbouring groups together, so that each has `ENOUGH` ratings; one if there are too few.

    From the lowest; what is left at the end joins the last.
    """
    groups: list[list[int]] = []
    current: list[int] = []
    for place in range(len(counts)):
        current.append(place)
        if counts[current].sum() >= ENOUGH:
            groups.append(current)
            current = []
    if current and groups:
        groups[-1] += current
    return groups or [current]
