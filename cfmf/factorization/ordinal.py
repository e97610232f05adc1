"""The ordered probit model: a rating is the interval that a latent normal number is in.

With the cutpoints c::

    rating = level r  if  c_(r-1) < x* < c_r,  x* ~ N(η, 1 / s²),  c_0 = −∞, c_L = ∞

A priori they are a sorted normal sample of standard deviation `WIDTH`. Given the latent numbers
they could hardly move, so they are drawn with these integrated out, by an independent Metropolis
step: from the normal distribution at the mode of their posterior, which they nearly have. The
latent numbers follow, from truncated normal distributions. Albert & Chib (1993), *Bayesian analysis
of binary and polychotomous response data*, and (2001), *Sequential ordinal modeling*, sec. 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from cfmf.kernels import probit

Doubles = NDArray[np.float64]
WIDTH = 3.0
MOST_LEVELS = 20
SPREAD = 1.6  # of η and the noise together at the start, about what real ratings have
NEWTON = 20  # most steps to the mode
CLOSE = 1e-4  # posterior standard deviations from the mode


class Cutpoints:
    """The cutpoints of one chain.

    Parameters
    ----------
    levels
        Values that a rating can have, increasing.
    ratings
        Observed, each one of the levels.
    """

    def __init__(self, levels: Doubles, ratings: NDArray[np.floating]) -> None:
        self.levels = levels
        self.codes = np.searchsorted(levels, ratings)
        counts = np.bincount(self.codes, minlength=len(levels)) + 0.5
        self.values: Doubles = SPREAD * ndtri(np.cumsum(counts / counts.sum())[:-1])

    def ends(self, cutpoints: Doubles) -> Doubles:
        """With −∞ and ∞."""
        return np.concatenate([[-np.inf], cutpoints, [np.inf]])

    def posterior(
        self, cutpoints: Doubles, eta: Doubles, root: Doubles
    ) -> tuple[float, Doubles, Doubles]:
        """Log density up to a constant, its slope, and its negated matrix of curvature."""
        slopes, curves = np.zeros(len(cutpoints) + 2), np.zeros((2, len(cutpoints) + 2))
        total = probit.evidence(self.codes, self.ends(cutpoints), eta, root, slopes, curves)
        total -= 0.5 * float(np.square(cutpoints / WIDTH).sum())
        curvature = np.diag(1 / WIDTH**2 - curves[0, 1:-1])
        beside = np.arange(len(cutpoints) - 1)
        curvature[beside, beside + 1] = curvature[beside + 1, beside] = -curves[1, 1:-2]
        return total, slopes[1:-1] - cutpoints / WIDTH**2, curvature

    def mode(self, eta: Doubles, root: Doubles) -> tuple[Doubles, Doubles]:
        """Of the posterior, by Newton's method, and the matrix of curvature there.

        The density is log-concave, so that there is one mode and a shortened step leads there.
        """
        at = self.values
        density, slope, curvature = self.posterior(at, eta, root)
        for _ in range(NEWTON):
            step = np.linalg.solve(curvature, slope)
            close = float(slope @ step) < CLOSE**2
            while True:
                tried = at + step
                if (np.diff(tried) > 0).all():
                    found = self.posterior(tried, eta, root)
                    if found[0] >= density - 1e-9 * abs(density):
                        break
                step = step / 2
            at, (density, slope, curvature) = tried, found
            if close:
                break
        return at, curvature

    def draw(self, eta: Doubles, root: Doubles, rng: np.random.Generator) -> None:
        """Draw the cutpoints given η and s of every rating, float64 each."""
        mode, curvature = self.mode(eta, root)
        factor = np.linalg.cholesky(curvature)
        noise = rng.standard_normal(len(mode))
        tried = mode + np.linalg.solve(factor.T, noise)
        chance = np.log(rng.random())
        if not (np.diff(tried) > 0).all():
            return
        proposed = -0.5 * (noise @ noise - np.square(factor.T @ (self.values - mode)).sum())
        then, now = (self.posterior(one, eta, root)[0] for one in (tried, self.values))
        if chance < then - now - proposed:
            self.values = tried

    def latent(self, eta: Doubles, root: Doubles, chance: Doubles) -> Doubles:
        """Draw x* of every rating, given η, s and the cutpoints, by uniform random numbers."""
        above = np.empty(len(eta), np.bool_)
        start, width = np.empty(len(eta)), np.empty(len(eta))
        probit.intervals(self.codes, self.ends(self.values), eta, root, above, start, width)
        found = ndtri(np.clip(start + width * chance, probit.LOWEST, 1 - 1e-16))
        return np.asarray(eta + np.where(above, -found, found) / root)


def rating_moments(
    levels: Doubles, cutpoints: Doubles, eta: Doubles, root: Doubles
) -> tuple[Doubles, Doubles]:
    """Mean and variance of the rating of every η and s, float64."""
    mean, variance = np.empty(len(eta)), np.empty(len(eta))
    probit.rating_moments(levels, cutpoints, eta, root, mean, variance)
    return mean, variance
