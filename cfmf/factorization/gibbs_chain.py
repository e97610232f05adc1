"""One chain of a Gibbs sampler: everything that a sweep draws.

`cfmf.factorization.gibbs` has the model and the symbols.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cfmf.factorization.dated import DatedFactorization
from cfmf.factorization.gibbs_rows import RATE, SHAPE, Observed, Rows, implicit
from cfmf.factorization.model import Factorization
from cfmf.factorization.objective import as_model, side_by_side, start_factors
from cfmf.factorization.ordinal import Cutpoints, rating_moments
from cfmf.kernels.solve import add_third, inner_products
from cfmf.neighbours.biases import Biases, fit_biases, tuned_regs
from cfmf.observed import pairs, row_numbers
from cfmf.side import Side, pair_days, usual_days
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
    likelihood
        `gaussian`, or `ordinal`: the ordered probit model of `cfmf.factorization.ordinal`, whose η
        is what the rows add up to and whose s² = w_u v_i; α is 1 then.
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
    likelihood: str = "gaussian"
    initial_scale: float = 0.5
    dtype: type = np.float32

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; a factorization needs at least 1 factor")
        if self.implicit not in ("none", "users", "both"):
            raise ValueError(f"implicit is {self.implicit!r}; it must be none, users or both")
        if self.noise not in ("own", "shared"):
            raise ValueError(f"noise is {self.noise!r}; it must be own or shared")
        if self.likelihood not in ("gaussian", "ordinal"):
            raise ValueError(f"likelihood is {self.likelihood!r}; it must be gaussian or ordinal")


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
    biases
        Those that the chains start from.
    users, items, days
        The training ratings by user, by item and, if days are known, by day.
    usual_days
        Of each user, as `cfmf.side.usual_days` has it.
    part_days
        The day of each pair of each part of the task, counted from 0; empty without days.
    """

    task: Task
    biases: Biases
    users: Observed
    items: Observed
    days: Observed | None = None
    usual_days: np.ndarray | None = None
    part_days: Mapping[str, np.ndarray] = MappingProxyType({})

    @classmethod
    def of(cls, settings: Settings, task: Task) -> Known:
        """What chains of these settings share."""
        train, side = task.train, task.side or Side()
        places = sparse.csr_array((np.arange(train.nnz), train.indices, train.indptr), train.shape)
        by_item = sparse.csr_array(places.T.tocsr())
        order = by_item.data
        by_item.data = train.data[order]
        # From biases of zero, whose precision is then drawn as in the thousands, a chain on sparse
        # ratings takes hundreds of sweeps to those that the ratings support.
        biases = fit_biases(train, *tuned_regs(train))
        users, items = Observed(train, []), Observed(by_item, [], order=order)
        for observed, attributes, sides in (
            (users, side.users, ("users", "both")),
            (items, side.items, ("both",)),
        ):
            if settings.implicit in sides:
                observed.links.append(implicit(observed.ratings, settings.dtype))
            if attributes is not None:
                observed.links.append(sparse.csr_array(attributes.T.tocsr().astype(settings.dtype)))
        known = cls(task, biases, users, items)
        return known if side.days is None else known.with_days(side.days)

    def with_days(self, days: sparse.csr_array) -> Known:
        """With the day of every pair too; `days` as `cfmf.side.Side` has them."""
        train = self.task.train
        usual = usual_days(days, train)
        part_days = {
            name: pair_days(days, usual, *pairs(part)) - 1
            for name, part in self.task.parts().items()
        }
        own = part_days["train"]
        order = np.argsort(own, kind="stable")
        counts = np.bincount(own, minlength=int(max(usual.max(), days.data.max(initial=1))))
        indptr = np.concatenate([[0], np.cumsum(counts)])
        users = row_numbers(train)[order]
        shape = (len(counts), train.shape[0])
        by_day = sparse.csr_array((train.data[order], users, indptr), shape=shape)
        return self._replace(
            users=self.users._replace(third=own),
            items=self.items._replace(third=own[self.items.order]),
            days=Observed(by_day, [], train.indices[order], order),
            usual_days=usual,
            part_days=part_days,
        )


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
        self.settings, self.known, self.task, k = settings, known, known.task, settings.k
        train, biases = known.task.train, known.biases
        seed = chain_seed(known.task.seed, number)
        users, items = start_factors(*train.shape, k, settings.initial_scale / k**0.5, seed)
        left, right = side_by_side(users.astype(settings.dtype), items.astype(settings.dtype))
        left[:, k], right[:, k + 1] = biases.user, biases.item
        self.users, self.items = Rows(known.users, left, k, k), Rows(known.items, right, k, k + 1)
        self.kinds = {"users": self.users, "items": self.items}
        if known.days is not None:
            days = np.zeros((known.days.ratings.shape[0], left.shape[1]), left.dtype)
            self.kinds["days"] = Rows(known.days, days, k, k)
        self.mean = float(train.data.mean(dtype=np.float64))
        self.alpha = 1.0
        self.rng = np.random.default_rng(seed)
        self.target = train.data
        self.cutpoints: Cutpoints | None = None
        if settings.likelihood == "ordinal":
            levels = np.unique(train.data).astype(np.float64)
            self.cutpoints, self.mean = Cutpoints(levels, train.data), 0.0
            start = self.predict("train", serial=True), np.sqrt(self.precision(train))
            self.cutpoints.values = self.cutpoints.mode(*start)[0]

    def step(self, serial: bool = False) -> dict[str, Draw]:
        """Draw everything once; predictions of every part of the task by the new draw.

        `serial` as `cfmf.kernels.solve.solve_rows` has it.

        Raises
        ------
        FloatingPointError
            If the residuals are no longer finite.
        """
        train = self.task.train
        if self.cutpoints is not None:
            given = self.predict("train", serial), np.sqrt(self.precision(train)), self.rng
            self.cutpoints.draw(*given)
            self.target = self.cutpoints.latent(*given)
            self.observe(self.target)
        self.sweep(serial)
        parts = self.task.parts()
        means = {name: self.predict(name, serial) for name in parts}
        self.draw_noise(means["train"] - self.target)
        return {name: self.draw_of(means[name], part) for name, part in parts.items()}

    def draw_of(self, mean: np.ndarray, part: sparse.csr_array) -> Draw:
        """What a draw with these sums of the rows predicts of a part."""
        precision = self.precision(part)
        if self.cutpoints is None:
            return Draw(mean, 1 / precision)
        cutpoints, root = self.cutpoints, np.sqrt(precision)
        return Draw(*rating_moments(cutpoints.levels, cutpoints.values, mean, root))

    def sweep(self, serial: bool = False) -> None:
        """Draw the vectors of users, items and days and their priors, given everything else."""
        for name, rows in self.kinds.items():
            others = [other for other in self.kinds.values() if other is not rows]
            # Days start from zeros, whose precision would be drawn as too high.
            if name != "days":
                rows.draw_priors(self.rng)
            rows.draw_rows(others, self.mean, self.alpha, self.rng, serial)
            if name == "days":
                rows.draw_priors(self.rng)

    def observe(self, values: np.ndarray) -> None:
        """Take these for the training ratings."""
        for rows in self.kinds.values():
            rows.observe(values)

    def predict(self, part: str, serial: bool = False) -> np.ndarray:
        """What the current draw predicts for a part of the task, float64."""
        pattern = self.task.parts()[part]
        left, right = self.users.block, self.items.block
        products = inner_products(pattern, left, right, serial)
        if "days" in self.kinds:
            days, at = self.kinds["days"].block, self.known.part_days[part]
            k = self.settings.k
            add_third(pattern.indptr, pattern.indices, at, left, right, days, k, products)
            products += days[at, k]
        return (self.mean + products).astype(np.float64)

    def precision(self, part: sparse.csr_array) -> np.ndarray:
        """Of the noise of every pair, by the current draw."""
        of_user = np.repeat(self.users.reliability, np.diff(part.indptr))
        return self.alpha * of_user * self.items.reliability[part.indices]

    def draw_noise(self, error: np.ndarray) -> None:
        """Draw w and v, if they are free, and α, given the errors of the training ratings.

        Of an ordinal likelihood, those of the latent numbers; α stays 1 then.
        """
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
        if self.cutpoints is not None:
            return
        total = self.users.reliability @ (squares @ self.items.reliability)
        self.alpha = self.rng.gamma(SHAPE + train.nnz / 2, 1 / (RATE + 0.5 * total))

    def model(self, rated: tuple[np.ndarray, np.ndarray]) -> Factorization:
        """The current draw as a model; `rated` as `Factorization` has it."""
        k = self.settings.k
        model = as_model(self.users.block, self.items.block, k, self.mean, rated=rated)
        side, usual = self.task.side, self.known.usual_days
        if side is None or side.days is None or usual is None:
            return model
        days = self.kinds["days"].block.astype(np.float32)
        return DatedFactorization(
            **vars(model),
            day_factors=days[:, :k].copy(),
            day_bias=days[:, k].copy(),
            days=side.days,
            usual_days=usual,
        )

    def noise(self) -> dict[str, np.ndarray]:
        """α, w, v and the cutpoints (if any) of the current draw, as `Posterior` names them."""
        cutpoints = np.zeros(0) if self.cutpoints is None else self.cutpoints.values
        return {
            "precision": np.array(self.alpha),
            "user_precision": self.users.reliability.astype(np.float32),
            "item_precision": self.items.reliability.astype(np.float32),
            "cutpoints": cutpoints.astype(np.float32),
        }

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the chain."""
        state = {
            "alpha": np.array(self.alpha),
            "generator": np.array(json.dumps(self.rng.bit_generator.state)),
        }
        if self.cutpoints is not None:
            state["cutpoints"] = self.cutpoints.values
        for name, rows in self.kinds.items():
            state |= {f"{name}_{key}": array for key, array in rows.state().items()}
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        self.alpha = float(state["alpha"])
        self.rng.bit_generator.state = json.loads(str(state["generator"]))
        if self.cutpoints is not None:
            self.cutpoints.values = state["cutpoints"]
        for name, rows in self.kinds.items():
            rows.restore(beginning_with(f"{name}_", state))


def chain_seed(seed: int, number: int) -> int:
    """Seed of a chain: that of the task for number 0, others independent of it."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0])


def beginning_with(prefix: str, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The entries whose names begin so, by the rest of their names."""
    return {key[len(prefix) :]: state[key] for key in state if key.startswith(prefix)}
