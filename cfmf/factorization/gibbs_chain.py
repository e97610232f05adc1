"""One chain of a Gibbs sampler: everything that a sweep draws.

`cfmf.factorization.gibbs` has the model and the symbols.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cfmf.factorization.gibbs_rows import RATE, SHAPE, Rows, implicit
from cfmf.factorization.model import Factorization
from cfmf.factorization.objective import as_model, side_by_side, start_factors
from cfmf.kernels.solve import inner_products
from cfmf.neighbours.biases import Biases, fit_biases, tuned_regs
from cfmf.tasks import Task


@dataclass(frozen=True)
class Settings:
    """What a chain has to know.

    Attributes
    ----------
    k
        Number of factors.
    implicit
        Whose implicit feedback the model has: `none`, `users` or `both`.
    noise
        `own`, a noise of every user and item, or `shared`, one of all ratings.
    initial_scale
        Standard deviation of the start of the factors, times √k.
    dtype
        Of the vectors.

    Raises
    ------
    ValueError
        If a setting has a value that it cannot have.
    """

    k: int
    implicit: str = "none"
    noise: str = "own"
    initial_scale: float = 0.5
    dtype: type = np.float32

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; a factorization needs at least 1 factor")
        if self.implicit not in ("none", "users", "both"):
            raise ValueError(f"implicit is {self.implicit!r}; it must be none, users or both")
        if self.noise not in ("own", "shared"):
            raise ValueError(f"noise is {self.noise!r}; it must be own or shared")


class Draw(NamedTuple):
    """What one draw predicts of a part, float64: means, and variances that include the noise."""

    mean: np.ndarray
    variance: np.ndarray


class Known(NamedTuple):
    """What all chains of a task share.

    Attributes
    ----------
    task
        What is learned from.
    by_item
        Its training ratings, items × users.
    biases
        Those that the chains start from.
    user_links, item_links
        What shifts the prior means of users and items, as `cfmf.factorization.gibbs_rows.Rows`
        takes it.
    """

    task: Task
    by_item: sparse.csr_array
    biases: Biases
    user_links: list[sparse.csr_array]
    item_links: list[sparse.csr_array]

    @classmethod
    def of(cls, settings: Settings, task: Task) -> Known:
        """What chains of these settings share."""
        by_item = sparse.csr_array(task.train.T.tocsr())
        # From biases of zero, whose precision is then drawn as in the thousands, a chain on sparse
        # ratings takes hundreds of sweeps to those that the ratings support.
        biases = fit_biases(task.train, *tuned_regs(task.train))
        found = cls(task, by_item, biases, [], [])
        if settings.implicit in ("users", "both"):
            found.user_links.append(implicit(task.train, settings.dtype))
        if settings.implicit == "both":
            found.item_links.append(implicit(by_item, settings.dtype))
        return found


class Chain:
    """State of one chain.

    Parameters
    ----------
    settings
        The sampler's.
    known
        What it shares with other chains.
    number
        Of the chain; each has random numbers of its own, and those of chain 0 are the task's.
    """

    def __init__(self, settings: Settings, known: Known, number: int = 0) -> None:
        self.settings, self.task, k = settings, known.task, settings.k
        train, biases = known.task.train, known.biases
        seed = chain_seed(known.task.seed, number)
        users, items = start_factors(*train.shape, k, settings.initial_scale / k**0.5, seed)
        left, right = side_by_side(users.astype(settings.dtype), items.astype(settings.dtype))
        left[:, k], right[:, k + 1] = biases.user, biases.item
        self.users = Rows(train, left, k, k, known.user_links)
        self.items = Rows(known.by_item, right, k, k + 1, known.item_links)
        self.mean = float(train.data.mean(dtype=np.float64))
        self.alpha = 1.0
        self.rng = np.random.default_rng(seed)

    def step(self, serial: bool = False) -> dict[str, Draw]:
        """Draw everything once; predictions of every part of the task by the new draw.

        `serial` as `cfmf.kernels.solve.solve_rows` has it.

        Raises
        ------
        FloatingPointError
            If the residuals are no longer finite.
        """
        self.sweep(serial)
        parts = self.task.parts()
        means = {name: self.predict(part, serial) for name, part in parts.items()}
        self.draw_noise(means["train"] - self.task.train.data)
        return {name: Draw(means[name], self.variance(part)) for name, part in parts.items()}

    def sweep(self, serial: bool = False) -> None:
        """Draw the vectors of users and items and their priors, given everything else."""
        for side, other in ((self.users, self.items), (self.items, self.users)):
            side.draw_priors(self.rng)
            side.draw_rows(other, self.mean, self.alpha, self.rng, serial)

    def predict(self, part: sparse.csr_array, serial: bool = False) -> np.ndarray:
        """What the current draw predicts, float64."""
        products = inner_products(part, self.users.block, self.items.block, serial)
        return (self.mean + products).astype(np.float64)

    def variance(self, part: sparse.csr_array) -> np.ndarray:
        """Of the noise of every pair, by the current draw."""
        of_user = np.repeat(self.users.reliability, np.diff(part.indptr))
        return 1 / (self.alpha * of_user * self.items.reliability[part.indices])

    def draw_noise(self, error: np.ndarray) -> None:
        """Draw w and v, if they are free, and α, given the errors of the training ratings."""
        train = self.task.train
        squares = sparse.csr_array((error**2, train.indices, train.indptr), shape=train.shape)
        total = float(squares.data.sum())
        if not np.isfinite(total):
            raise FloatingPointError(f"the residuals are {total}")
        if self.settings.noise == "own":
            for side, other, matrix in (
                (self.users, self.items, squares),
                (self.items, self.users, squares.T),
            ):
                side.draw_reliability(self.alpha * (matrix @ other.reliability), self.rng)
        total = self.users.reliability @ (squares @ self.items.reliability)
        self.alpha = self.rng.gamma(SHAPE + train.nnz / 2, 1 / (RATE + 0.5 * total))

    def model(self, rated: tuple[np.ndarray, np.ndarray]) -> Factorization:
        """The current draw as a model; `rated` as `Factorization` has it."""
        return as_model(self.users.block, self.items.block, self.settings.k, self.mean, rated=rated)

    def noise(self) -> tuple[float, np.ndarray, np.ndarray]:
        """α, w and v of the current draw, the last two float32."""
        own = [side.reliability.astype(np.float32) for side in (self.users, self.items)]
        return self.alpha, own[0], own[1]

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the chain."""
        state = {
            "alpha": np.array(self.alpha),
            "generator": np.array(json.dumps(self.rng.bit_generator.state)),
        }
        for name, side in (("users", self.users), ("items", self.items)):
            state |= {f"{name}_{key}": array for key, array in side.state().items()}
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        self.alpha = float(state["alpha"])
        self.rng.bit_generator.state = json.loads(str(state["generator"]))
        for name, side in (("users", self.users), ("items", self.items)):
            side.restore(beginning_with(f"{name}_", state))


def chain_seed(seed: int, number: int) -> int:
    """Seed of a chain: that of the task for number 0, others independent of it."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0])


def beginning_with(prefix: str, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The entries whose names begin so, by the rest of their names."""
    return {key[len(prefix) :]: state[key] for key in state if key.startswith(prefix)}
