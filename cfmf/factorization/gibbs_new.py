"""New users of a Bayesian factorization, drawn from their posterior given each draw of the rest.

`cfmf.factorization.gibbs` has the model and the symbols. Given a draw of the items and of the
users' prior, a new user's vector, noise and latent numbers have a posterior of their own. A few
sweeps of the sampler over these alone reach it, and the last vector is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import gammaincinv

from cfmf.factorization.gibbs_rows import Observed, Rows
from cfmf.factorization.model import Factorization
from cfmf.factorization.objective import side_by_side
from cfmf.factorization.ordinal import Cutpoints
from cfmf.observed import row_numbers

SWEEPS = 10
"""Of a vector, its noise and its latent numbers; one where the vector alone is free."""
SEED = 1


@dataclass(frozen=True)
class Given:
    """One draw of everything but the new users; arrays as `Posterior` has them, of this draw.

    Attributes
    ----------
    model, precision, item_precision
        The items, α and v.
    mean, prior_precision, spread, links
        The users' prior.
    cutpoints
        Of an ordinal likelihood, else None.
    """

    model: Factorization
    precision: float
    item_precision: np.ndarray
    mean: np.ndarray
    prior_precision: np.ndarray
    spread: float
    links: np.ndarray
    cutpoints: Cutpoints | None


def draw_users(
    ratings: sparse.csr_array, given: Given, last: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors, users × (k + 1), and w of new users, float32.

    Those of users without ratings are of the prior, whose mean is not 0; their w is 1.

    All users share random numbers, so that a user's vector does not depend on who else is new.

    Parameters
    ----------
    ratings
        Users × items.
    last
        k + 1 standard normal numbers, those of the vectors that are kept.
    """
    model, counts, at = given.model, np.diff(ratings.indptr), row_numbers(ratings)
    users, items = _sides(ratings, given)
    own, cutpoints = bool(np.isfinite(given.spread)), given.cutpoints
    sweeps = SWEEPS if own or cutpoints is not None else 1
    first = np.arange(ratings.nnz) - ratings.indptr[at]
    weights = given.precision * items.reliability[ratings.indices]
    for sweep in range(sweeps):
        if cutpoints is not None:
            root = np.sqrt(users.reliability[at] * weights)
            chance = rng.random(ratings.shape[1])[first]
            users.observe(cutpoints.latent(_sums(users, items, model.mean), root, chance))
        noise = np.zeros(users.block.shape, np.float32)
        noise[:, users.free] = last if sweep == sweeps - 1 else rng.standard_normal(len(last))
        users.draw_rows([items], model.mean, given.precision, noise)
        if own and sweep < sweeps - 1:
            errors = users.ratings.data - _sums(users, items, model.mean)
            squares = np.bincount(at, weights * errors**2, len(counts))
            half = given.spread / 2
            drawn = gammaincinv(half + counts / 2, rng.random())
            users.reliability = np.asarray(drawn / (half + squares / 2), np.float64)
    reliability = np.where(counts > 0, users.reliability, 1).astype(np.float32)
    return users.block[:, users.free].copy(), reliability


def _sides(ratings: sparse.csr_array, given: Given) -> tuple[Rows, Rows]:
    """The new users, at their prior means, and the items."""
    model, k = given.model, given.model.user_factors.shape[1]
    start = np.zeros((ratings.shape[0], k), np.float32)
    left, right = side_by_side(start, model.item_factors)
    right[:, k + 1] = model.item_bias
    users = Rows(Observed(ratings, []), left, k, k)
    items = Rows(Observed(ratings, []), right, k, k + 1)
    items.reliability = given.item_precision.astype(np.float64)
    users.mean[users.free], users.precision[users.free] = given.mean, given.prior_precision
    if len(given.links):
        ones = np.ones(ratings.nnz, np.float32), ratings.indices, ratings.indptr
        roots = np.sqrt(np.maximum(np.diff(ratings.indptr), 1))[:, None]
        rated = sparse.csr_array(ones, shape=ratings.shape)
        users.sums[:, users.free] = rated @ given.links / roots
    users.block[:, users.free] = (users.mean + users.sums)[:, users.free]
    return users, items


def _sums(users: Rows, items: Rows, mean: float) -> np.ndarray:
    """What mean and rows add up to for every rating, float64."""
    left = users.block[row_numbers(users.ratings)].astype(np.float64)
    return np.asarray(mean + np.einsum("ij,ij->i", left, items.block[users.ratings.indices]))


def last_noise(draws: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normal numbers of every draw, draws × columns, that add up to 0 over the draws.

    Then what is random in the vectors nearly cancels in their mean: a prediction is close to that
    of the posterior means, and its variance still has theirs.
    """
    noise = rng.standard_normal((draws, columns))
    return np.asarray((noise - noise.mean(0)) * np.sqrt(draws / max(draws - 1, 1)))
