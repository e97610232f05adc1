"""Bayesian matrix factorization by Gibbs sampling: the strength of every penalty is inferred.

The model, with p_u = (U_u, b_u) and q_i = (V_i, c_i) of k + 1 columns f each::

    x_ui ~ N(mean + b_u + c_i + U_u · V_i, 1 / (α w_u v_i))  α ~ Gamma(1, 1)
    w_u ~ Gamma(ν/2, ν/2)                                   ν one of `SPREADS`, all as likely
    p_uf ~ N(μ_f + |R_u|^(-1/2) Σ_{j ∈ R_u} y_jf, 1 / λ_f)  λ_f ~ Gamma(1, 1), μ_f ~ N(0, 1 / λ_f)
    y_jf ~ N(0, 1 / κ_f)                                   κ_f ~ Gamma(1, 1)

and q_i likewise, with the users who rated i in place of the items that u rated. The sums are the
implicit feedback, by option: that a rating exists is informative, whatever its value (Koren 2008,
SVD++, as a factorization machine has it). They are over training pairs only.

w and v, each with a ν of its own, are the noise of single users and items, by option too: some rate
more erratically than others, and their ratings are less informative (Lakshminarayanan, Bouchard &
Archambeau 2011, *Robust Bayesian matrix factorisation*). Without both options this is
Salakhutdinov & Mnih (2008) with independent priors. Gamma(a, b) has rate b. These priors are for
ratings of standard deviation 1.

Every user's p_u is drawn at once from its conditional normal distribution, by the equations that
ALS solves; a prediction is the mean over sweeps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import gammaln, softmax

from cfmf.factorization.checkpoint import Checkpoint, fingerprint
from cfmf.factorization.model import Factorization, Posterior, rated_rows
from cfmf.factorization.objective import as_model, side_by_side, start_factors
from cfmf.kernels.solve import draw_links, inner_products, solve_rows
from cfmf.neighbours.biases import fit_biases, tuned_regs
from cfmf.observed import root_mean_square
from cfmf.progress import progress
from cfmf.tasks import HISTORY, WATCHED, Fitted, Solver, Task

SHAPE = RATE = 1.0  # of every Gamma prior
ADVICE = "lower k, or look for extreme ratings"
SHRINK = 1.0  # prior observations of a mean μ_f
SETTLED = 1e-3  # share of the mean prediction's RMSE by which the last sweeps may change it
SPREADS = 2.0 ** np.arange(2, 11)  # from noise that differs tenfold to nearly equal noise


@dataclass(frozen=True)
class Gibbs(Solver):
    """Bayesian matrix factorization; see the module for the model.

    Attributes
    ----------
    k
        Number of factors.
    sweeps, burn_in
        Sweeps in all, and how many at the start are discarded.
    implicit
        Whose implicit feedback the model has: `none`, `users` or `both`.
    noise
        `own`, a noise of every user and item, or `shared`, one of all ratings.
    draws
        How many models, evenly spread over the counted sweeps, are kept to predict other pairs.
    initial_scale
        Standard deviation of the start of the factors, times √k.
    device
        Not used: where to compute, which is the CPU.
    """

    k: int
    sweeps: int = 300
    burn_in: int = 30
    implicit: str = "none"
    noise: str = "own"
    draws: int = 20
    initial_scale: float = 0.5
    device: str = "cpu"
    dtype: type = np.float32

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; a factorization needs at least 1 factor")
        if not 0 <= self.burn_in < self.sweeps:
            raise ValueError(
                f"burn_in is {self.burn_in} of {self.sweeps} sweeps; it must leave some to count"
            )
        if self.implicit not in ("none", "users", "both"):
            raise ValueError(f"implicit is {self.implicit!r}; it must be none, users or both")
        if self.noise not in ("own", "shared"):
            raise ValueError(f"noise is {self.noise!r}; it must be own or shared")

    def fit_tasks(self, tasks: Sequence[Task], checkpoint: Path | None = None) -> list[Fitted]:
        """Sample from the posteriors of several matrices, one after another.

        Raises
        ------
        FloatingPointError
            If the residuals are no longer finite.
        """
        fitted = []
        for number, task in enumerate(tasks):
            path = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-{number}")
            sampling = _Sampling(self, task)
            sampling.run(Checkpoint(path))
            fitted.append(sampling.fitted())
        return fitted


class Side:
    """One side's rows, their ratings and the state of their priors."""

    def __init__(
        self,
        ratings: sparse.csr_array,
        block: np.ndarray,
        k: int,
        bias: int,
        implicit: bool,
    ) -> None:
        self.ratings, self.block = ratings, block
        self.own_one = 2 * k + 1 - bias  # k + 1 for users, k for items
        self.free = np.array([*range(k), bias])
        self.active = k + 2
        self.mean = np.zeros(block.shape[1], block.dtype)
        self.precision = np.ones(block.shape[1], block.dtype)
        self.implicit = implicit
        self.sums = np.zeros_like(block)  # Σ_j weight_u y_j
        self.reliability = np.ones(len(block))  # w_u; stays 1 where the noise is shared
        self.spread = float(SPREADS[len(SPREADS) // 2])  # ν
        if implicit:
            counts = np.maximum(np.diff(ratings.indptr), 1)
            self.weights = (1 / np.sqrt(counts)).astype(block.dtype)
            self.reached = sparse.csr_array(ratings.T.tocsr())
            self.links = np.zeros((ratings.shape[1], block.shape[1]), block.dtype)
            self.link_precision = np.ones(block.shape[1], block.dtype)

    def draw_priors(self, rng: np.random.Generator) -> None:
        """μ, λ and, with implicit feedback, y and κ, given the rows."""
        rows = (self.block - self.sums)[:, self.free].astype(np.float64)
        mean, precision = draw_normal_gamma(rows, rng)
        self.mean[self.free], self.precision[self.free] = mean, precision
        if not self.implicit:
            return
        residuals = np.zeros_like(self.block)
        residuals[:, self.free] = (self.block - self.sums - self.mean)[:, self.free]
        links = self.links[:, self.free].astype(np.float64)
        shape = SHAPE + len(links) / 2
        self.link_precision[self.free] = rng.gamma(shape, 1 / (RATE + 0.5 * (links**2).sum(0)))
        noise = np.zeros_like(self.links)
        noise[:, self.free] = rng.standard_normal(links.shape, self.links.dtype)
        draw_links(
            self.reached.indptr,
            self.reached.indices,
            self.weights,
            residuals,
            self.links,
            self.precision,
            self.link_precision,
            noise,
        )
        self.sums[:, self.free] = (self.block - self.mean - residuals)[:, self.free]

    def draw_rows(self, other: Side, mean: float, alpha: float, rng: np.random.Generator) -> None:
        """Every row's factors and bias, given the other side."""
        # Divided by the row's own precision, every observation of the other side weighs its v_i.
        root = np.sqrt(other.reliability).astype(self.block.dtype)
        own = (alpha * self.reliability).astype(self.block.dtype)[:, None]
        design = other.block * root[:, None]
        design[:, self.own_one] = 0  # the other side's bias is an offset, not a regressor
        offsets = (mean + other.block[:, self.own_one]) * root
        ratings = sparse.csr_array(
            (
                self.ratings.data * root[self.ratings.indices],
                self.ratings.indices,
                self.ratings.indptr,
            ),
            shape=self.ratings.shape,
        )
        precision = np.ones_like(self.block)
        precision[:, self.free] = self.precision[self.free]
        pull = precision * (self.mean + self.sums) / own
        precision /= own
        noise = rng.standard_normal(self.block.shape, self.block.dtype) / np.sqrt(own)
        self.block[:] = solve_rows(
            ratings, design, offsets, 1.0, precision, pull, self.active, noise
        )
        self.block[:, self.own_one] = 1

    def draw_reliability(self, squares: np.ndarray, rng: np.random.Generator) -> None:
        """Draw w of every row given Σ_i α v_i error² over its ratings, then ν given w."""
        counts = np.diff(self.ratings.indptr)
        half = self.spread / 2
        self.reliability = rng.gamma(half + counts / 2, 1 / (half + squares / 2))
        self.spread = draw_spread(self.reliability, rng)

    def changing(self) -> list[str]:
        """Names of the arrays that sampling changes."""
        names = ["block", "mean", "precision", "sums", "reliability", "spread"]
        return names + (["links", "link_precision"] if self.implicit else [])


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
    evidence += len(reliability) * (half * np.log(half) - gammaln(half))
    return float(rng.choice(SPREADS, p=softmax(evidence)))


class _Sampling:
    """State of one chain, and the sums that become predictions."""

    def __init__(self, settings: Gibbs, task: Task) -> None:
        self.settings, self.task = settings, task
        k = settings.k
        users, items = start_factors(
            *task.train.shape, k, settings.initial_scale / k**0.5, task.seed
        )
        left, right = side_by_side(users.astype(settings.dtype), items.astype(settings.dtype))
        # From biases of zero, whose precision is then drawn as in the thousands, a chain on sparse
        # ratings takes hundreds of sweeps to those that the ratings support.
        biases = fit_biases(task.train, *tuned_regs(task.train))
        left[:, k], right[:, k + 1] = biases.user, biases.item
        by_item = sparse.csr_array(task.train.T.tocsr())
        self.users = Side(task.train, left, k, k, settings.implicit in ("users", "both"))
        self.items = Side(by_item, right, k, k + 1, settings.implicit == "both")
        self.mean = float(task.train.data.mean(dtype=np.float64))
        self.alpha = 1.0
        self.rng = np.random.default_rng(task.seed)
        self.totals = {name: np.zeros(part.nnz) for name, part in task.parts().items()}
        self.squares = {name: np.zeros(part.nnz) for name, part in task.parts().items()}
        self.history: list[list[float]] = []
        self.last = settings.sweeps if task.epochs is None else task.epochs
        counted = settings.sweeps - settings.burn_in
        kept = np.linspace(0, counted - 1, min(settings.draws, counted)).round()
        self.kept = set((settings.burn_in + kept).astype(int))
        self.rated = rated_rows(task.train)
        self.draws: list[Factorization] = []
        self.noise: list[tuple[float, np.ndarray, np.ndarray]] = []  # of each draw

    def run(self, checkpoint: Checkpoint) -> None:
        """Run the sweeps that the settings or the task set, or until the time is up."""
        settings = self.settings
        run = fingerprint(settings, [self.task]) if checkpoint.path else ""
        self.restore(checkpoint.load(run))
        began = time.perf_counter() - (self.history[-1][6] if self.history else 0.0)
        before = len(self.history)
        label = f"{self.task.name}: sweeps of k {settings.k}"
        for sweep in progress(range(before, self.last), label, before=before):
            if self.out_of_time():
                break
            try:
                self.sweep()
            except FloatingPointError as error:
                raise FloatingPointError(
                    f"{self.task.name}: {error} at sweep {sweep} ({settings}); {ADVICE}"
                ) from error
            self.record(sweep, began)
            if checkpoint.due():
                checkpoint.save(run, self.state())
        checkpoint.save(run, self.state())

    def out_of_time(self) -> bool:
        """Whether the limit of time ends the sampling; never before a sweep has counted."""
        done = len(self.history)
        if self.task.seconds is None or not self.settings.burn_in < done < self.last:
            return False
        return self.history[-1][6] >= self.task.seconds

    def sweep(self) -> None:
        """Draw everything once, given everything else."""
        for side, other in ((self.users, self.items), (self.items, self.users)):
            side.draw_priors(self.rng)
            side.draw_rows(other, self.mean, self.alpha, self.rng)

    def predict(self, part: sparse.csr_array) -> np.ndarray:
        """What the current draw predicts."""
        return self.mean + inner_products(part, self.users.block, self.items.block)

    def variance(self, part: sparse.csr_array) -> np.ndarray:
        """Of the noise of every pair, by the current draw."""
        of_user = np.repeat(self.users.reliability, np.diff(part.indptr))
        return 1 / (self.alpha * of_user * self.items.reliability[part.indices])

    def draw_noise(self, error: np.ndarray) -> None:
        """Draw w and v, if they are free, and α, given the errors of the training ratings."""
        train = self.task.train
        squares = sparse.csr_array((error**2, train.indices, train.indptr), shape=train.shape)
        if self.settings.noise == "own":
            for side, other, matrix in (
                (self.users, self.items, squares),
                (self.items, self.users, squares.T),
            ):
                side.draw_reliability(self.alpha * (matrix @ other.reliability), self.rng)
        total = self.users.reliability @ (squares @ self.items.reliability)
        self.alpha = self.rng.gamma(SHAPE + train.nnz / 2, 1 / (RATE + 0.5 * total))

    def record(self, sweep: int, began: float) -> None:
        """Draw the noise, add the draw to the sums once the burn-in is over, and measure."""
        counted = sweep - self.settings.burn_in + 1
        rmse = {}
        for name, part in self.task.parts().items():
            predictions = self.predict(part).astype(np.float64)
            if name == "train":
                error = predictions - part.data
                total = float(np.square(error).sum())
                if not np.isfinite(total):
                    raise FloatingPointError(
                        f"the residuals of {self.task.name} are {total} at sweep {sweep}"
                        f" ({self.settings}); {ADVICE}"
                    )
                self.draw_noise(error)
            if counted > 0:
                self.totals[name] += predictions
                self.squares[name] += predictions**2 + self.variance(part)
                predictions = self.totals[name] / counted
            if name != "test" or self.task.watch_test:
                rmse[name] = root_mean_square(predictions - part.data)
        if sweep in self.kept:
            k = self.settings.k
            blocks = self.users.block, self.items.block
            self.draws.append(as_model(*blocks, k, self.mean, rated=self.rated))
            own = [side.reliability.astype(np.float32) for side in (self.users, self.items)]
            self.noise.append((self.alpha, own[0], own[1]))
        loss = 0.5 * total / self.task.train.nnz
        previous = self.history[-1][1] if self.history else 0.0
        measured = [rmse.get(name, np.nan) for name in ("train", "validation", "test")]
        seconds = time.perf_counter() - began
        self.history.append([sweep, loss, abs(loss - previous), *measured, seconds])
        if self.task.report is not None:
            named = {"loss": loss, "delta_loss": abs(loss - previous)}
            named |= dict(zip(WATCHED, measured, strict=True))
            self.task.report(sweep, named)

    def fitted(self) -> Fitted:
        """Predictive means and standard deviations, over the counted sweeps."""
        counted = len(self.history) - self.settings.burn_in
        means = {name: total / counted for name, total in self.totals.items()}
        predictions = {name: mean.astype(np.float32) for name, mean in means.items()}
        deviations = {
            name: np.sqrt(np.maximum(self.squares[name] / counted - mean**2, 0)).astype(np.float32)
            for name, mean in means.items()
        }
        history = pd.DataFrame(self.history, columns=HISTORY).astype({"epoch": np.int32})
        return Fitted(
            self.posterior(),
            history,
            len(history),
            predictions,
            deviations,
            out_of_time=self.out_of_time(),
            converged=self.settled(),
        )

    def settled(self) -> bool:
        """Whether the last tenth of the counted sweeps left the RMSE of the mean as it was.

        On validation, where it is watched, else on the training ratings; never of under ten sweeps.
        """
        column = HISTORY.index("train_rmse" if self.task.validation is None else "validation_rmse")
        errors = [row[column] for row in self.history[self.settings.burn_in :]]
        if len(errors) < 10:
            return False
        return abs(errors[-1] - errors[-1 - len(errors) // 10]) <= SETTLED * errors[-1]

    def posterior(self) -> Posterior:
        """The draws kept so far, with their noise."""
        columns = (np.array([noise[at] for noise in self.noise]) for at in range(3))
        return Posterior(tuple(self.draws), *columns)

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the sampling."""
        state = {
            "alpha": np.array(self.alpha),
            "history": np.array(self.history),
            "generator": np.array(json.dumps(self.rng.bit_generator.state)),
        }
        for name, side in (("users", self.users), ("items", self.items)):
            state |= {f"{name}_{key}": getattr(side, key) for key in side.changing()}
        for name in self.totals:
            state |= {f"total_{name}": self.totals[name], f"square_{name}": self.squares[name]}
        if self.draws:
            state |= {f"kept_{key}": value for key, value in self.posterior().arrays().items()}
        return state

    def restore(self, state: dict[str, np.ndarray] | None) -> None:
        """Go on from what `state` gave."""
        if state is None:
            return
        self.alpha = float(state["alpha"])
        self.history = state["history"].tolist()
        self.rng.bit_generator.state = json.loads(str(state["generator"]))
        for name, side in (("users", self.users), ("items", self.items)):
            for key in side.changing():
                setattr(side, key, state[f"{name}_{key}"])
            side.spread = float(side.spread)
        for name in self.totals:
            self.totals[name] = state[f"total_{name}"]
            self.squares[name] = state[f"square_{name}"]
        kept = {key[5:]: state[key] for key in state if key.startswith("kept_")}
        if kept:
            found = Posterior.from_arrays(kept)
            self.draws = list(found.models)
            own = found.precision, found.user_precision, found.item_precision
            self.noise = list(zip(*own, strict=True))
