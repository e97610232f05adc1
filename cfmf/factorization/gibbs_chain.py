"""One chain of a Gibbs sampler: everything that a sweep draws.

`cfmf.factorization.gibbs` has the model and the symbols.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cfmf.factorization.dated import DatedFactorization
from cfmf.factorization.gibbs_known import Known
from cfmf.factorization.gibbs_rows import RATE, SHAPE, Cells, Rows
from cfmf.factorization.model import Factorization
from cfmf.factorization.objective import as_model, side_by_side, start_factors
from cfmf.factorization.ordinal import MOST_LEVELS, Cutpoints, rating_moments
from cfmf.kernels.draws import add_moments, column_squares, row_squares
from cfmf.kernels.solve import add_third, inner_products


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
    day_factors
        Whether days, where they are known, have factors and not only a bias.
    likelihood
        `gaussian`, or `ordinal`: the ordered probit model of `cfmf.factorization.ordinal`, whose η
        is what the rows add up to and whose s² = w_u v_i; α is 1 then. Ratings of more than
        `MOST_LEVELS` values, or of one, are taken for `gaussian`.
    initial_scale
        The initial factors are normal with standard deviation initial_scale / √k.
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
    day_factors: bool = False
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
        self.cells: dict[str, Cells] = {}
        if known.dates is not None:
            self.cells["sessions"] = Cells(known.dates.sessions.nnz)
        if known.dates is not None and known.days is None:
            self.cells["days"] = Cells(known.dates.sessions.shape[1])
        self.target = train.data
        self.cutpoints: Cutpoints | None = None
        levels = np.unique(train.data).astype(np.float64)
        if settings.likelihood == "ordinal" and 2 <= len(levels) <= MOST_LEVELS:
            self.cutpoints, self.mean = Cutpoints(levels, train.data), 0.0
            start = self.latent_means(), np.sqrt(self.precision(train))
            self.cutpoints.values = self.cutpoints.mode(*start)[0]

    def step(self, serial: bool = False) -> dict[str, np.ndarray]:
        """Draw everything once; what the new rows and cells add up to for every part of the task.

        `serial` as `cfmf.kernels.solve.solve_rows` has it.

        Raises
        ------
        FloatingPointError
            If the residuals are no longer finite.
        """
        train = self.task.train
        if self.cutpoints is not None:
            given = self.latent_means(serial), np.sqrt(self.precision(train)), self.rng
            self.cutpoints.draw(*given)
            self.target = self.cutpoints.latent(*given[:2], self.rng.random(train.nnz))
        if self.cutpoints is not None or self.cells:
            self.observe(self.target - self.of_cells("train"))
        self.sweep(serial)
        sums = {name: self.predict(name, serial) for name in self.task.parts()}
        self.draw_noise(sums["train"], serial)
        return sums

    def latent_means(self, serial: bool = True) -> np.ndarray:
        """Of the training ratings' latent numbers, float64."""
        return self.predict("train", serial).astype(np.float64)

    def add(
        self,
        part: sparse.csr_array,
        sums: np.ndarray,
        totals: np.ndarray,
        squares: np.ndarray,
        count: int,
    ) -> tuple[float, float]:
        """Add what the current draw predicts of a part, whose `sums` it has; see `add_moments`."""
        if self.cutpoints is None:
            variances = 1 / (self.alpha * self.users.reliability), 1 / self.items.reliability
            return add_moments(part, sums, variances, totals, squares, count)
        cutpoints, root = self.cutpoints, np.sqrt(self.precision(part))
        eta = sums.astype(np.float64)
        mean, variance = rating_moments(cutpoints.levels, cutpoints.values, eta, root)
        totals += mean
        squares += mean**2 + variance
        errors = mean - part.data, totals / count - part.data
        own, together = (float(np.square(one).sum()) for one in errors)
        return own, together

    def sweep(self, serial: bool = False) -> None:
        """Draw the vectors of users, items and days and their priors, given everything else."""
        for name, rows in self.kinds.items():
            others = [other for other in self.kinds.values() if other is not rows]
            # Days start from zeros, whose precision would be drawn as too high.
            if name != "days":
                rows.draw_priors(self.rng)
            noise = self.rng.standard_normal(rows.block.shape, rows.block.dtype)
            rows.draw_rows(others, self.mean, self.alpha, noise, serial)
            if name == "days":
                rows.draw_priors(self.rng)
        if self.cells:
            self.draw_cells(serial)

    def draw_cells(self, serial: bool) -> None:
        """Draw the biases of cells and their precisions, given everything else."""
        left = self.target - self.predict("train", serial)
        weights = self.precision(self.task.train)
        for name, cells in self.cells.items():
            at = self.at(name, "train")
            left += cells.of(at)
            cells.draw(at, left, weights, self.rng)
            left -= cells.of(at)

    def at(self, cells: str, part: str) -> np.ndarray:
        """The cell of each pair of a part, as `Dates.cells` has it."""
        assert self.known.dates is not None
        return self.known.dates.cells[cells][part]

    def of_cells(self, part: str) -> np.ndarray:
        """What cells add to each pair of a part."""
        total = np.zeros(self.task.parts()[part].nnz)
        for name, cells in self.cells.items():
            total += cells.of(self.at(name, part))
        return total

    def observe(self, values: np.ndarray) -> None:
        """Take these for the training ratings."""
        assert self.known.items.order is not None, "only what is `changing` may change"
        for rows in self.kinds.values():
            rows.observe(values)

    def predict(self, part: str, serial: bool = False) -> np.ndarray:
        """What the current draw's rows and cells add up to for a part of the task."""
        pattern = self.task.parts()[part]
        left, right = self.users.block, self.items.block
        sums = inner_products(pattern, left, right, serial)
        if "days" in self.kinds:
            days, at, k = self.kinds["days"].block, self.at("days", part), self.settings.k
            add_third(pattern.indptr, pattern.indices, at, left, right, days, k, sums)
            sums += days[at, k]
        sums += self.mean
        return sums + self.of_cells(part) if self.cells else sums

    def precision(self, part: sparse.csr_array) -> np.ndarray:
        """Of the noise of every pair, by the current draw."""
        of_user = np.repeat(self.users.reliability, np.diff(part.indptr))
        return self.alpha * of_user * self.items.reliability[part.indices]

    def draw_noise(self, sums: np.ndarray, serial: bool = False) -> None:
        """Draw w and v, if they are free, and α, given what rows and cells add up to in training.

        Of an ordinal likelihood, by the errors of the latent numbers; α stays 1 then.
        """
        train, users, items = self.task.train, self.users, self.items
        given = train, sums, self.target
        squares = row_squares(*given, items.reliability, serial)
        total = float(squares.sum())
        if not np.isfinite(total):
            raise FloatingPointError(f"the residuals are {total}")
        if self.settings.noise == "own":
            users.draw_reliability(self.alpha * squares, self.rng)
            by_item = column_squares(*given, users.reliability)
            items.draw_reliability(self.alpha * by_item, self.rng)
            squares = row_squares(*given, items.reliability, serial)
        if self.cutpoints is not None:
            return
        total = users.reliability @ squares
        self.alpha = self.rng.gamma(SHAPE + train.nnz / 2, 1 / (RATE + 0.5 * total))

    def model(self, rated: tuple[np.ndarray, np.ndarray]) -> Factorization:
        """The current draw as a model; `rated` as `Factorization` has it."""
        k = self.settings.k
        model = as_model(self.users.block, self.items.block, k, self.mean, rated=rated)
        dates = self.known.dates
        if dates is None:
            return model
        if "days" in self.kinds:
            days = self.kinds["days"].block.astype(np.float32)
            factors, bias = days[:, :k].copy(), days[:, k].copy()
        else:
            bias = self.cells["days"].biases.astype(np.float32)
            factors = np.zeros((len(bias), 0), np.float32)
        sessions = dates.sessions.copy()
        sessions.data = self.cells["sessions"].biases.astype(np.float32)
        return DatedFactorization(
            **vars(model),
            day_factors=factors,
            day_bias=bias,
            days=dates.days,
            usual_days=dates.usual,
            sessions=sessions,
        )

    def noise(self) -> dict[str, np.ndarray]:
        """α, w, v, cutpoints (if any) and the users' prior, as `Posterior` names them."""
        users, free = self.users, self.users.free
        links = np.zeros((0, len(free)), np.float32)
        if self.settings.implicit != "none":
            links = users.links[0].vectors[:, free].astype(np.float32)
        cutpoints = np.zeros(0) if self.cutpoints is None else self.cutpoints.values
        return {
            "precision": np.array(self.alpha),
            "user_precision": self.users.reliability.astype(np.float32),
            "item_precision": self.items.reliability.astype(np.float32),
            "cutpoints": cutpoints.astype(np.float32),
            "prior_mean": users.mean[free].astype(np.float32),
            "prior_precision": users.precision[free].astype(np.float32),
            "prior_spread": np.array(users.spread if self.settings.noise == "own" else np.inf),
            "prior_links": links,
        }

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the chain."""
        state = {
            "alpha": np.array(self.alpha),
            "generator": np.array(json.dumps(self.rng.bit_generator.state)),
        }
        if self.cutpoints is not None:
            state["cutpoints"] = self.cutpoints.values
        for name, cells in self.cells.items():
            state |= {f"cells_{name}": cells.biases}
            state |= {f"cells_{name}_precision": np.array(cells.precision)}
        for name, rows in self.kinds.items():
            state |= {f"{name}_{key}": array for key, array in rows.state().items()}
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        self.alpha = float(state["alpha"])
        self.rng.bit_generator.state = json.loads(str(state["generator"]))
        if self.cutpoints is not None:
            self.cutpoints.values = state["cutpoints"]
        for name, cells in self.cells.items():
            cells.biases = state[f"cells_{name}"]
            cells.precision = float(state[f"cells_{name}_precision"])
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
