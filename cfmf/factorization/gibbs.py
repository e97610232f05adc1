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

By option too, from what is known beside the ratings:

- Attributes of users (items) shift their prior means as the implicit feedback does, by a sum over
  the row's attributes with weights that are drawn likewise: Macau (Simm et al. 2017).
- Days t have a bias d_t and sessions, each a user's ratings of one day, a bias e_ut; either kind is
  N(0, 1 / τ) with its own τ ~ Gamma(1, 1).
- Or days are rows of a third kind, (T_t, d_t), with a prior of their own, and all three kinds
  interact two by two: d_t + (U_u + V_i) · T_t + e_ut is added. This is the factorization machine of
  Rendle, Zhang & Koren (2019, *On the difficulty of evaluating baselines*), "flipped": implicit
  feedback of both sides, and days that interact with both.

An ordinal likelihood takes the sum for the mean of a latent number, whose interval is the rating:
see `cfmf.factorization.ordinal`.

Every user's p_u is drawn at once from its conditional normal distribution, by the equations that
ALS solves; a prediction is the mean over sweeps and chains.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import pandas as pd

from cfmf.factorization.checkpoint import Checkpoint, fingerprint
from cfmf.factorization.gibbs_chain import Chain, Settings, beginning_with
from cfmf.factorization.gibbs_known import Known
from cfmf.factorization.model import Factorization, rated_rows
from cfmf.factorization.posterior import NOISE, Posterior
from cfmf.progress import progress
from cfmf.tasks import HISTORY, WATCHED, Fitted, Solver, Task

ADVICE = "lower k, or look for extreme ratings"
SETTLED = 1e-3  # share of the mean prediction's RMSE by which the last sweeps may change it


@dataclass(frozen=True)
class Gibbs(Settings, Solver):
    """Bayesian matrix factorization; see the module for the model.

    Attributes
    ----------
    sweeps, burn_in
        Sweeps of every chain in all, and how many at the start are discarded.
    chains
        How many chains, each with a start and random numbers of its own, are averaged. They are
        sampled side by side where there are cores; the result does not depend on how many.
    draws
        How many models of all chains, evenly spread over the counted sweeps, are kept to predict
        other pairs; at least one of each chain.
    device
        Not used: where to compute, which is the CPU.
    """

    sweeps: int = 300
    burn_in: int = 30
    chains: int = 1
    draws: int = 20
    device: str = "cpu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.burn_in < self.sweeps:
            raise ValueError(
                f"burn_in is {self.burn_in} of {self.sweeps} sweeps; it must leave some to count"
            )
        if self.chains < 1:
            raise ValueError(f"chains is {self.chains}; at least 1 must be sampled")

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


class _Sampling:
    """The chains of one task, and the sums that become predictions."""

    def __init__(self, settings: Gibbs, task: Task) -> None:
        self.settings, self.task = settings, task
        own, ordinal = settings.dtype, settings.likelihood == "ordinal"
        known = Known.of(task, settings.implicit, settings.day_factors, own, ordinal)
        self.chains = [Chain(settings, known, number) for number in range(settings.chains)]
        self.totals = {name: np.zeros(part.nnz) for name, part in task.parts().items()}
        self.squares = {name: np.zeros(part.nnz) for name, part in task.parts().items()}
        self.history: list[list[float]] = []
        self.last = settings.sweeps if task.epochs is None else task.epochs
        counted = settings.sweeps - settings.burn_in
        draws = max(1, settings.draws // settings.chains)
        kept = np.linspace(0, counted - 1, min(draws, counted)).round()
        self.kept = set((settings.burn_in + kept).astype(int))
        self.rated = rated_rows(task.train)
        self.draws: list[Factorization] = []
        self.noise: list[dict[str, np.ndarray]] = []  # of each draw

    def run(self, checkpoint: Checkpoint) -> None:
        """Run the sweeps that the settings or the task set, or until the time is up."""
        settings = self.settings
        run = fingerprint(settings, [self.task]) if checkpoint.path else ""
        self.restore(checkpoint.load(run))
        began = time.perf_counter() - (self.history[-1][6] if self.history else 0.0)
        before = len(self.history)
        label = f"{self.task.name}: sweeps of k {settings.k}"
        with ThreadPoolExecutor(numba.get_num_threads()) as pool:
            for sweep in progress(range(before, self.last), label, before=before):
                if self.out_of_time():
                    break
                try:
                    self.record(sweep, began, pool)
                except FloatingPointError as error:
                    raise FloatingPointError(
                        f"{self.task.name}: {error} at sweep {sweep} ({settings}); {ADVICE}"
                    ) from error
                if checkpoint.due():
                    checkpoint.save(run, self.state)
        checkpoint.save(run, self.state)

    def out_of_time(self) -> bool:
        """Whether the limit of time ends the sampling; never before a sweep has counted."""
        done = len(self.history)
        if self.task.seconds is None or not self.settings.burn_in < done < self.last:
            return False
        return self.history[-1][6] >= self.task.seconds

    def steps(self, pool: ThreadPoolExecutor) -> Iterator[dict[str, np.ndarray]]:
        """A step of every chain, in their order; of several chains, each has one core at a time."""
        if len(self.chains) == 1:
            yield self.chains[0].step()
            return
        at_once = numba.get_num_threads()  # no more, as what all predict may fill the memory
        for start in range(0, len(self.chains), at_once):
            yield from pool.map(
                lambda chain: chain.step(serial=True), self.chains[start : start + at_once]
            )

    def record(self, sweep: int, began: float, pool: ThreadPoolExecutor) -> None:
        """Sweep every chain, add the draws to the sums once the burn-in is over, and measure."""
        task, counted = self.task, sweep - self.settings.burn_in + 1
        if counted <= 1:  # until the burn-in is over, the sums are of one sweep
            for sums in (*self.totals.values(), *self.squares.values()):
                sums[:] = 0
        loss, rmse = 0.0, {}
        count = max(counted, 1) * len(self.chains)
        for chain, step in zip(self.chains, self.steps(pool), strict=True):
            for name, part in task.parts().items():
                given = step[name], self.totals[name], self.squares[name], count
                errors, of_mean = chain.add(part, *given)
                rmse[name] = np.sqrt(of_mean / part.nnz) if part.nnz else np.nan
                loss += 0.5 * errors / part.nnz if name == "train" else 0.0
        loss /= len(self.chains)
        if not task.watch_test:
            rmse.pop("test", None)
        if sweep in self.kept:
            self.draws += [chain.model(self.rated) for chain in self.chains]
            self.noise += [chain.noise() for chain in self.chains]
        previous = self.history[-1][1] if self.history else 0.0
        measured = [rmse.get(name, np.nan) for name in ("train", "validation", "test")]
        seconds = time.perf_counter() - began
        self.history.append([sweep, loss, abs(loss - previous), *measured, seconds])
        if task.report is not None:
            named = {"loss": loss, "delta_loss": abs(loss - previous)}
            named |= dict(zip(WATCHED, measured, strict=True))
            task.report(sweep, named)

    def fitted(self) -> Fitted:
        """Predictive means and standard deviations, over the counted sweeps of all chains.

        The sums become them in place, part by part, as all of them together would fill the memory.
        """
        counted = (len(self.history) - self.settings.burn_in) * len(self.chains)
        predictions, deviations = {}, {}
        for name in self.task.queried():
            mean, square = self.totals.pop(name), self.squares.pop(name)
            mean /= counted
            square /= counted
            predictions[name] = mean.astype(np.float32)
            square -= np.square(mean, out=mean)
            np.sqrt(np.maximum(square, 0, out=square), out=square)
            deviations[name] = square.astype(np.float32)
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
        noise = {name: np.array([one[name] for one in self.noise]) for name in NOISE}
        cutpoints = self.chains[0].cutpoints
        levels = None if cutpoints is None else cutpoints.levels
        return Posterior(tuple(self.draws), **noise, levels=levels)

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the sampling."""
        state = {"history": np.array(self.history)}
        for number, chain in enumerate(self.chains):
            state |= {f"chain{number}_{key}": array for key, array in chain.state().items()}
        for name in self.totals:
            state |= {f"total_{name}": self.totals[name], f"square_{name}": self.squares[name]}
        if self.draws:
            state |= {f"kept_{key}": value for key, value in self.posterior().arrays().items()}
        return state

    def restore(self, state: dict[str, np.ndarray] | None) -> None:
        """Go on from what `state` gave."""
        if state is None:
            return
        self.history = state["history"].tolist()
        for number, chain in enumerate(self.chains):
            chain.restore(beginning_with(f"chain{number}_", state))
        for name in self.totals:
            self.totals[name] = state[f"total_{name}"]
            self.squares[name] = state[f"square_{name}"]
        kept = beginning_with("kept_", state)
        if kept:
            found = Posterior.from_arrays(kept)
            self.draws = list(found.models)
            held = {name: getattr(found, name) for name in NOISE}
            self.noise = [
                {name: array[draw] for name, array in held.items()}
                for draw in range(len(self.draws))
            ]
