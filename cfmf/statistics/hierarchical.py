"""The difference between two methods on a data set not yet seen: a hierarchical Bayesian model.

Corani, Benavoli, Demšar, Mangili & Zaffalon (2017), *Statistical comparison of classifiers through
Bayesian hierarchical modelling*, Machine Learning 106. Differences x_i of the folds of data set i::

    x_i ~ N(δ_i, σ_i² R_i)       R_i: correlation ρ_i = r_i / (1 + r_i), r_i test over train ratings
    δ_i ~ t(δ_0, σ_0, ν)         the data sets are a sample of those that might be studied
    ν - 1 ~ Gamma(a, b)          a ~ U(0.5, 5), b ~ U(0.05, 0.15)

δ_0 is uniform up to the largest difference of a fold; σ_0 and σ_i are uniform without a bound. All
conditionals are known once t distributions are written as normal ones of random variance, so the
posterior is drawn by Gibbs sampling, in many chains at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

LEAST = 3
"""Data sets, and folds of each, without which the posterior is not a distribution."""
CHAINS, SWEEPS, BURN_IN = 200, 700, 200
DEGREES = 1 + np.geomspace(0.01, 300, 150)
"""Values of ν."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Posterior:
    """Draws of δ_0, σ_0 and ν, float64."""

    mean: Floats
    spread: Floats
    df: Floats

    def probabilities(self, margin: float) -> tuple[float, float, float]:
        """That the next data set's difference is below -margin, within ±margin, above margin."""
        ends = (-margin - self.mean) / self.spread, (margin - self.mean) / self.spread
        below, not_above = (float(np.mean(stats.t.cdf(end, self.df))) for end in ends)
        return below, not_above - below, 1 - not_above


def next_data_set(
    differences: Sequence[Floats], ratios: Sequence[float], seed: int = 1
) -> Posterior:
    """Posterior of what the differences on another data set are drawn from.

    Parameters
    ----------
    differences
        Of each data set its folds' differences, in one unit.
    ratios
        Of each, test ratings over train ratings of a fold.
    seed
        Of the sampler.

    Raises
    ------
    ValueError
        If there are fewer than three data sets, or than three folds of one.
    """
    sizes = np.array([len(one) for one in differences])
    if len(sizes) < LEAST or sizes.min() < LEAST:
        raise ValueError(
            f"{len(sizes)} data sets with at least {sizes.min(initial=0)} folds are too few for"
            f" a hierarchical model, which needs {LEAST} of each"
        )
    rho = np.array(ratios) / (1 + np.array(ratios))
    means = np.array([one.mean() for one in differences])
    # x'R⁻¹x about the mean, and 1'R⁻¹1: what a compound symmetric R leaves of the folds.
    within = np.array([((one - one.mean()) ** 2).sum() for one in differences]) / (1 - rho)
    folds = sizes / (1 + (sizes - 1) * rho)
    unit = math.sqrt(float((within / sizes).mean())) or max(float(np.abs(means).max()), 1.0)
    highest = max(float(np.abs(one).max()) for one in differences) / unit
    # Differences that are all equal would have no variance to divide by.
    summary = (means / unit, np.maximum(within / unit**2, 1e-12), folds, sizes)
    drawn = _sample(*summary, max(highest, 1e-6), np.random.default_rng(seed))
    return Posterior(drawn[0] * unit, drawn[1] * unit, drawn[2])


def _sample(
    means: Floats,
    within: Floats,
    folds: Floats,
    sizes: NDArray[np.int64],
    highest: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    """Draws of δ_0, σ_0 and ν, in units of the usual difference within a data set."""
    count = len(means)
    prior = _prior_of_df()
    delta = means + rng.standard_normal((CHAINS, count)) * np.sqrt(within / sizes / folds)
    weight = np.ones((CHAINS, count))
    middle = np.clip(delta.mean(axis=1), -highest, highest)
    spread = delta.std(axis=1) + 1e-3
    kept = []
    for sweep in range(SWEEPS):
        noise = (within + folds * (delta - means) ** 2) / 2
        variance = noise / rng.gamma((sizes - 1) / 2, size=delta.shape)
        own, shared = folds / variance, weight / spread[:, None] ** 2
        centre = (own * means + shared * middle[:, None]) / (own + shared)
        delta = centre + rng.standard_normal(delta.shape) / np.sqrt(own + shared)
        df = _draw_df(weight, prior, rng)
        apart = (delta - middle[:, None]) ** 2
        rate = (df[:, None] + apart / spread[:, None] ** 2) / 2
        weight = rng.gamma((df[:, None] + 1) / 2, 1 / rate)
        total = weight.sum(axis=1)
        place, width = (weight * delta).sum(axis=1) / total, spread / np.sqrt(total)
        middle = _truncated(place, width, highest, rng)
        squares = (weight * (delta - middle[:, None]) ** 2).sum(axis=1)
        spread = np.sqrt(squares / 2 / rng.gamma((count - 1) / 2, size=CHAINS))
        if sweep >= BURN_IN:
            kept.append((middle, spread, df))
    drawn = np.array(kept)
    return drawn[:, 0].ravel(), drawn[:, 1].ravel(), drawn[:, 2].ravel()


def _prior_of_df() -> Floats:
    """Log prior of each of `DEGREES`: the Gamma densities over the a and b that are possible."""
    a = np.linspace(0.5, 5, 41)[:, None, None]
    b = np.linspace(0.05, 0.15, 21)[None, :, None]
    above = DEGREES - 1
    density = np.mean(stats.gamma.pdf(above, a, scale=1 / b), axis=(0, 1))
    return np.log(density * above)  # of values that are as far apart as they are large


def _draw_df(weight: Floats, prior: Floats, rng: np.random.Generator) -> Floats:
    """ν of every chain, given weights that are Gamma(ν/2, ν/2)."""
    half = DEGREES / 2
    of_weights = np.log(weight).sum(axis=1), weight.sum(axis=1)
    log = (half - 1) * of_weights[0][:, None] - half * of_weights[1][:, None]
    log = log + weight.shape[1] * (half * np.log(half) - special.gammaln(half)) + prior
    # The largest of log weights with Gumbel noise is a draw (Maddison et al. 2014).
    return DEGREES[np.argmax(log + rng.gumbel(size=log.shape), axis=1)]


def _truncated(place: Floats, width: Floats, highest: float, rng: np.random.Generator) -> Floats:
    """Normal numbers between ±highest."""
    low, high = ((end - place) / width for end in (-highest, highest))
    found = stats.truncnorm.rvs(low, high, loc=place, scale=width, random_state=rng)
    return np.clip(found, -highest, highest)
