"""Rows of a Bayesian factorization, such as all users, and the draws of their vectors and priors.

`cfmf.factorization.gibbs` has the model and the symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import gammaln

from cfmf.kernels.solve import draw_links, solve_pairs, solve_rows

SHAPE = RATE = 1.0  # of every Gamma prior
SHRINK = 1.0  # prior observations of a mean μ_f
SPREADS = 2.0 ** np.arange(2, 11)  # from noise that differs tenfold to nearly equal noise
SPREAD_CONSTANTS = SPREADS / 2 * np.log(SPREADS / 2) - gammaln(SPREADS / 2)  # of their densities


class Links:
    """Vectors y_j whose weighted sums shift the prior means of rows, and their precision κ.

    Parameters
    ----------
    reached
        Links × rows: the weight of each link in the prior mean of each row that it reaches.
    block
        The rows.
    """

    def __init__(self, reached: sparse.csr_array, block: np.ndarray) -> None:
        self.reached = reached
        self.vectors = np.zeros((reached.shape[0], block.shape[1]), block.dtype)
        self.precision = np.ones(block.shape[1], block.dtype)

    def draw(
        self,
        residuals: np.ndarray,
        precision: np.ndarray,
        free: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        """κ, then every y_j; keeps `residuals` equal to what the links leave of the rows."""
        vectors = self.vectors[:, free].astype(np.float64)
        shape = SHAPE + len(vectors) / 2
        self.precision[free] = rng.gamma(shape, 1 / (RATE + 0.5 * (vectors**2).sum(0)))
        noise = np.zeros_like(self.vectors)
        noise[:, free] = rng.standard_normal(vectors.shape, self.vectors.dtype)
        draw_links(
            self.reached.indptr,
            self.reached.indices,
            self.reached.data,
            residuals,
            self.vectors,
            precision,
            self.precision,
            noise,
        )


class Observed(NamedTuple):
    """The training ratings from one side, as `Rows` takes them.

    Attributes
    ----------
    ratings
        Rows × rows of another kind.
    links
        What shifts the prior means of the rows, links × rows each, as `Links` has it.
    third
        Where each rating is also of a row of a third kind: that row, int32, in the order of
        `ratings`.
    order
        Place of each rating in the training ratings by user; None where these are they, or where
        what is observed stays the same.
    """

    ratings: sparse.csr_array
    links: list[sparse.csr_array]
    third: np.ndarray | None = None
    order: np.ndarray | None = None


class Rows:
    """Rows of one kind, their ratings and the state of their priors.

    Parameters
    ----------
    observed
        Their ratings and links.
    block
        Rows × columns: k factors, a bias and a 1, in the layout of
        `cfmf.factorization.objective`.
    bias
        Column of the bias; that of the 1 is the other one after the factors.
    """

    def __init__(self, observed: Observed, block: np.ndarray, k: int, bias: int) -> None:
        self.ratings, self.third, self.order = observed.ratings, observed.third, observed.order
        self.counts = np.diff(observed.ratings.indptr)
        self.block, self.bias = block, bias
        self.links = [Links(one, block) for one in observed.links]
        self.own_one = 2 * k + 1 - bias  # k + 1 for users, k for items
        self.free = np.array([*range(k), bias])
        self.active = k + 2
        self.mean = np.zeros(block.shape[1], block.dtype)
        self.precision = np.ones(block.shape[1], block.dtype)
        self.sums = np.zeros_like(block)  # Σ_j weight_uj y_j
        self.reliability = np.ones(len(block))  # w_u; stays 1 where the noise is shared
        self.spread = float(SPREADS[len(SPREADS) // 2])  # ν

    def observe(self, values: np.ndarray) -> None:
        """Take these for the training ratings, in their order by user."""
        ordered = values if self.order is None else values[self.order]
        given = ordered.astype(self.block.dtype), self.ratings.indices, self.ratings.indptr
        self.ratings = sparse.csr_array(given, shape=self.ratings.shape)

    def draw_priors(self, rng: np.random.Generator) -> None:
        """μ, λ and, for every kind of links, y and κ, given the rows."""
        rows = (self.block - self.sums)[:, self.free].astype(np.float64)
        mean, precision = draw_normal_gamma(rows, rng)
        self.mean[self.free], self.precision[self.free] = mean, precision
        if not self.links:
            return
        residuals = np.zeros_like(self.block)
        residuals[:, self.free] = (self.block - self.sums - self.mean)[:, self.free]
        for links in self.links:
            links.draw(residuals, self.precision, self.free, rng)
        self.sums[:, self.free] = (self.block - self.mean - residuals)[:, self.free]

    def draw_rows(
        self,
        others: Sequence[Rows],
        mean: float,
        alpha: float,
        noise: np.ndarray,
        serial: bool = False,
    ) -> None:
        """Every row's factors and bias, given those of one or two other kinds.

        `noise` are standard normal numbers of the shape of the block; `serial` as
        `cfmf.kernels.solve.solve_rows` has it.
        """
        # Divided by the row's own precision, every observation of the other side weighs its v_i.
        own = (alpha * self.reliability).astype(self.block.dtype)[:, None]
        precision = np.ones_like(self.block)
        precision[:, self.free] = self.precision[self.free]
        pull = precision * (self.mean + self.sums) / own
        precision /= own
        noise = noise / np.sqrt(own)
        roots = [np.sqrt(one.reliability).astype(self.block.dtype) for one in others]
        if self.third is None:
            self.block[:] = self.regression(
                others[0], roots[0], mean, (precision, pull, noise), serial
            )
        else:
            first, second = others
            self.block[:] = solve_pairs(
                self.ratings,
                self.third,
                (first.block, second.block),
                (mean + first.block[:, first.bias], second.block[:, second.bias]),
                (roots[0], roots[1]),
                (len(self.free) - 1, self.bias, self.active),
                precision,
                pull,
                noise,
                serial,
            )
        self.block[:, self.own_one] = 1

    def regression(
        self,
        other: Rows,
        root: np.ndarray,
        mean: float,
        prior: tuple[np.ndarray, ...],
        serial: bool,
    ) -> np.ndarray:
        """The rows drawn given one other kind, whose observations weigh the square of `root`."""
        precision, pull, noise = prior
        design = other.block.copy()
        design[:, self.own_one] = 0  # the other side's bias is an offset, not a regressor
        offsets = mean + other.block[:, self.own_one]
        return solve_rows(
            self.ratings, design, offsets, root, precision, pull, self.active, noise, serial
        )

    def draw_reliability(self, squares: np.ndarray, rng: np.random.Generator) -> None:
        """Draw w of every row given Σ_i α v_i error² over its ratings, then ν given w."""
        half = self.spread / 2
        self.reliability = rng.gamma(half + self.counts / 2, 1 / (half + squares / 2))
        self.spread = draw_spread(self.reliability, rng)

    def state(self) -> dict[str, np.ndarray]:
        """The arrays that sampling changes, by name."""
        names = ("block", "mean", "precision", "sums", "reliability", "spread")
        state = {name: np.asarray(getattr(self, name)) for name in names}
        for number, links in enumerate(self.links):
            state[f"links{number}"] = links.vectors
            state[f"links{number}_precision"] = links.precision
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        for number, links in enumerate(self.links):
            links.vectors = state[f"links{number}"]
            links.precision = state[f"links{number}_precision"]
        for name in ("block", "mean", "precision", "sums", "reliability"):
            setattr(self, name, state[name])
        self.spread = float(state["spread"])


class Cells:
    """Biases of cells, one cell a rating: e_c ~ N(0, 1 / τ), τ ~ Gamma(SHAPE, RATE)."""

    def __init__(self, size: int) -> None:
        self.biases = np.zeros(size)
        self.precision = 1.0

    def draw(
        self, at: np.ndarray, left: np.ndarray, weights: np.ndarray, rng: np.random.Generator
    ) -> None:
        """Every bias, then τ; given the cell of each rating, what it leaves, and its precision."""
        size = len(self.biases)
        precision = self.precision + np.bincount(at, weights, size)
        mean = np.bincount(at, weights * left, size) / precision
        self.biases = mean + rng.standard_normal(size) / np.sqrt(precision)
        rate = RATE + 0.5 * float(np.square(self.biases).sum())
        self.precision = float(rng.gamma(SHAPE + size / 2, 1 / rate))

    def of(self, at: np.ndarray) -> np.ndarray:
        """The bias of the cell of each pair; 0 where the cell is -1, one without a rating."""
        return np.where(at >= 0, self.biases[at], 0)


def implicit(ratings: sparse.csr_array, dtype: type) -> sparse.csr_array:
    """Links to every row from what it rated, of the weight ``|R_u|^(-1/2)``, as `Links` has them.

    `ratings` are rows × links.
    """
    counts = np.diff(ratings.indptr)
    weights: np.ndarray = (1 / np.sqrt(np.maximum(counts, 1))).astype(dtype)
    entries = np.repeat(weights, counts), ratings.indices, ratings.indptr
    found = sparse.csr_array(entries, shape=ratings.shape)
    return sparse.csr_array(found.T.tocsr())


def draw_normal_gamma(rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mean and precision of every column of `rows` from their posterior.

    λ ~ Gamma(SHAPE, RATE), μ | λ ~ N(0, 1 / (SHRINK λ)), rows ~ N(μ, 1 / λ): Murphy (2007),
    *Conjugate Bayesian analysis of the Gaussian distribution*, sec. 3.
    """
    n = len(rows)
    average = rows.mean(0)
    spread = ((rows - average) ** 2).sum(0)
    strength = SHRINK + n
    rate = RATE + 0.5 * spread + 0.5 * SHRINK * n * average**2 / strength
    precision = rng.gamma(SHAPE + n / 2, 1 / rate)
    mean = n * average / strength + rng.standard_normal(rows.shape[1]) / np.sqrt(
        strength * precision
    )
    return mean, precision


def draw_spread(reliability: np.ndarray, rng: np.random.Generator) -> float:
    """ν, one of `SPREADS`, from its posterior given weights that are Gamma(ν/2, ν/2)."""
    half = SPREADS / 2
    evidence = (half - 1) * np.log(reliability).sum() - half * reliability.sum()
    evidence += len(reliability) * SPREAD_CONSTANTS
    chances = np.cumsum(np.exp(evidence - evidence.max()))
    return float(SPREADS[np.searchsorted(chances / chances[-1], rng.random(), side="right")])
