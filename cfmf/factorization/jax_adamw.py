"""The corrected factorization in JAX: the same objective, units and observed pairs as in torch.

Gradients are JAX's own, so that agreement with `cfmf.factorization.adamw` is evidence for
both; only those of the inner products are written out as sparse products, for JAX's own add the
pairs one by one, which takes several times longer on a CPU. JAX is optional: only the environment
of this method contains it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCSR
from scipy import sparse

from cfmf.devices import DeviceError, DeviceMemoryError
from cfmf.factorization.adamw import ADVICE, AdamW
from cfmf.factorization.curve import fit_one_by_one
from cfmf.factorization.model import Factorization, rated_rows
from cfmf.factorization.objective import (
    as_model,
    bias_regs,
    blocks_of,
    row_weights,
    side_by_side,
    silence_unrated,
)
from cfmf.observed import pairs
from cfmf.tasks import Fitted, Task

BETA1, BETA2 = 0.9, 0.999

State = dict[str, Any]  # left, right, their two moments each, and the step
Pairs = dict[str, jax.Array]  # see `on_device`


@dataclass(frozen=True)
class JaxAdamW(AdamW):
    """`AdamW` in JAX, with its penalties `l2` and `decay` and no bounded output.

    Attributes
    ----------
    start
        Factors U and V to start from; None draws them from keys split from the seed's.
    device
        Where to compute: `cpu` or `cuda`.
    """

    device: str = "cpu"
    start: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.penalty not in ("l2", "decay"):
            raise ValueError(f"penalty is {self.penalty!r}; in JAX it must be l2 or decay")
        if self.bounded:
            raise ValueError("JaxAdamW has no bounded output; AdamW has")

    def fit_tasks(self, tasks: Sequence[Task], checkpoint: Path | None = None) -> list[Fitted]:
        """Train on several matrices, one after another.

        Raises
        ------
        FloatingPointError
            If a loss is no longer finite.
        DeviceMemoryError
            If the device's memory does not suffice.
        DeviceError
            If JAX has no such device.
        """
        start = partial(JaxTraining, self)
        try:
            with jax.default_device(device_named(self.device)):
                return fit_one_by_one(tasks, start, self.stopping, self, ADVICE, checkpoint)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            raise DeviceMemoryError(
                f"JAX has no memory left for k = {self.k} and {tasks[0].train.nnz:,} ratings:"
                " lower k, or use the CPU"
            ) from error


def device_named(name: str) -> jax.Device:
    """The first device that JAX calls so: `cpu` or `cuda`.

    Raises
    ------
    DeviceError
        If there is none: a build of JAX without CUDA, or a driver that it does not fit.
    """
    try:
        return jax.devices(name)[0]
    except RuntimeError as error:
        raise DeviceError(
            f"JAX {jax.__version__} sees no device called {name} ({str(error).splitlines()[0]});"
            " the CUDA build of JAX is installed by `make jax JAX=cuda`"
        ) from error


class JaxTraining:
    """The state of one run: what `step` made of it, and the measures that came with it."""

    steps_alone = False  # `measure` computes the step

    def __init__(self, settings: JaxAdamW, task: Task) -> None:
        self.settings = settings
        self.mean = float(task.train.data.mean(dtype=np.float64)) if settings.biases else 0.0
        factors = self.factors(task)
        if settings.penalty != "decay":
            factors = silence_unrated(*factors, task.train)
        left, right = side_by_side(*factors, settings.biases)
        if isinstance(task.start, Factorization):
            left, right = blocks_of(task.start, settings.biases)
        self.state_: State = {"left": jnp.asarray(left), "right": jnp.asarray(right)}
        for name in ("left", "right"):
            self.state_[f"{name}_mean"] = jnp.zeros_like(self.state_[name])
            self.state_[f"{name}_square"] = jnp.zeros_like(self.state_[name])
        self.state_["step"] = jnp.zeros((), jnp.int32)
        self.best = (left, right)
        self.rated = rated_rows(task.train)
        self.arrays = self.constants(task, left.shape[1])
        self.advanced: State | None = None

    def factors(self, task: Task) -> tuple[np.ndarray, np.ndarray]:
        """U and V to start from: given, or normal numbers from two keys."""
        settings, (m, n) = self.settings, task.train.shape
        if settings.start is not None:
            return settings.start
        deviation = settings.initial_scale / (settings.k**0.5 if settings.scale_by_k else 1.0)
        users, items = jax.random.split(jax.random.key(task.seed))
        return (
            deviation * np.asarray(jax.random.normal(users, (m, settings.k))),
            deviation * np.asarray(jax.random.normal(items, (n, settings.k))),
        )

    def constants(self, task: Task, columns: int) -> dict[str, Any]:
        """Observed pairs and the penalty of every parameter, on the device."""
        settings = self.settings
        found: dict[str, Any] = {}
        watched = task.test if task.watch_test else None
        for name, part in (
            ("train", task.train),
            ("validation", task.validation),
            ("test", watched),
        ):
            if part is not None:
                found[name] = on_device(part, self.mean)
        counts = {
            "left": np.diff(task.train.indptr),
            "right": np.bincount(task.train.indices, minlength=task.train.shape[1]),
        }
        places = settings.k, settings.k + 1
        regs = bias_regs(task, settings.bias_reg)
        for name, bias, bias_reg in zip(("left", "right"), places, regs, strict=True):
            penalty = np.zeros((len(counts[name]), columns), np.float32)
            if settings.penalty == "l2":
                weights = settings.reg * row_weights(counts[name], settings.weighting)
                penalty[:, : settings.k] = weights[:, None] / task.train.nnz
                if settings.biases:
                    penalty[:, bias] = bias_reg / task.train.nnz
            free = np.zeros(columns, np.float32)
            free[: settings.k] = 1
            if settings.biases:
                free[bias] = 1
            found[f"{name}_penalty"], found[f"{name}_free"] = (
                jnp.asarray(penalty),
                jnp.asarray(free),
            )
        return found

    def measure(self) -> np.ndarray:
        """Loss, and train, validation and test RMSE; the step is computed along with them."""
        decay = self.settings.reg if self.settings.penalty == "decay" else 0.0
        self.advanced, measured = advance(
            self.state_, self.arrays, self.settings.learning_rate, decay, self.settings.epsilon
        )
        return np.asarray(measured, np.float64)[None]

    def step(self) -> None:
        """Take the step that `measure` computed."""
        assert self.advanced is not None
        self.state_, self.advanced = self.advanced, None

    def keep(self, runs: np.ndarray) -> None:
        """Copy the parameters, as the best so far."""
        self.best = (np.asarray(self.state_["left"]), np.asarray(self.state_["right"]))

    def model(self) -> Factorization:
        """The kept model."""
        settings = self.settings
        return as_model(*self.best, settings.k, self.mean, settings.biases, rated=self.rated)

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the training."""
        best_left, best_right = self.best
        state = {name: np.asarray(value) for name, value in self.state_.items()}
        return {**state, "best_left": best_left, "best_right": best_right}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        self.state_ = {name: jnp.asarray(state[name]) for name in self.state_}
        self.best = (state["best_left"], state["best_right"])


def on_device(part: sparse.csr_array, mean: float) -> Pairs:
    """The pairs of a part and their ratings less the mean, in CSR order, and the way to CSC.

    `user_starts` and `item_starts` are where the pairs of each user and item start in CSR and CSC
    order; `order` lists the pairs in CSC order, and `raters` their users.
    """
    users, items = pairs(part)
    places = sparse.csr_array((np.arange(part.nnz), items, part.indptr), shape=part.shape).tocsc()
    indices = {
        "users": users,
        "items": items,
        "user_starts": part.indptr,
        "item_starts": places.indptr,
        "order": places.data,
        "raters": places.indices,
    }
    found = {name: jnp.asarray(array, jnp.int32) for name, array in indices.items()}
    return {**found, "ratings": jnp.asarray(part.data - np.float32(mean))}


@jax.custom_vjp
def inner_products(left: jax.Array, right: jax.Array, part: Pairs) -> jax.Array:
    """P_u · Q_i of every pair of a part, for rows P of `left` and Q of `right`.

    Added up as a product with ones: XLA's own sum over short rows takes eight times longer on a
    CPU. The highest precision keeps GPUs from rounding its factors.
    """
    products = left[part["users"]] * right[part["items"]]
    ones = jnp.ones(left.shape[1], left.dtype)
    return jnp.dot(products, ones, precision=jax.lax.Precision.HIGHEST)


def _products_and_what_pulls_back(
    left: jax.Array, right: jax.Array, part: Pairs
) -> tuple[jax.Array, tuple[jax.Array, jax.Array, Pairs]]:
    return inner_products(left, right, part), (left, right, part)


def _pull_back(
    kept: tuple[jax.Array, jax.Array, Pairs], pulls: jax.Array
) -> tuple[jax.Array, jax.Array, None]:
    """Σ_i pull_ui Q_i for every row u, and Σ_u pull_ui P_u for every row i."""
    left, right, part = kept
    shape = (len(left), len(right))
    by_user = BCSR((pulls, part["items"], part["user_starts"]), shape=shape)
    by_item = BCSR((pulls[part["order"]], part["raters"], part["item_starts"]), shape=shape[::-1])
    return by_user @ right, by_item @ left, None


inner_products.defvjp(_products_and_what_pulls_back, _pull_back)


def mean_square(left: jax.Array, right: jax.Array, part: Pairs) -> jax.Array:
    """Mean square of x̂ - x over the pairs of a part."""
    return jnp.mean(jnp.square(inner_products(left, right, part) - part["ratings"]))


@jax.jit
def advance(
    state: State, arrays: Mapping[str, Any], learning_rate: float, decay: float, epsilon: float
) -> tuple[State, jax.Array]:
    """One step of AdamW, and the measures of the parameters before it.

    Loshchilov & Hutter (2019), algorithm 2, as torch.optim.AdamW computes it.
    """

    def objective(blocks: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, right = blocks
        error = mean_square(left, right, arrays["train"])
        penalty = jnp.sum(arrays["left_penalty"] * left**2)
        penalty += jnp.sum(arrays["right_penalty"] * right**2)
        return 0.5 * (error + penalty), error

    blocks = (state["left"], state["right"])
    (loss, error), slopes = jax.value_and_grad(objective, has_aux=True)(blocks)
    measures = [loss, jnp.sqrt(error)]
    for name in ("validation", "test"):
        watched = name in arrays
        measures.append(jnp.sqrt(mean_square(*blocks, arrays[name])) if watched else jnp.nan)
    step = state["step"] + 1
    after: State = {"step": step}
    for name, block, slope in zip(("left", "right"), blocks, slopes, strict=True):
        free = arrays[f"{name}_free"]
        mean = BETA1 * state[f"{name}_mean"] + (1 - BETA1) * slope * free
        square = BETA2 * state[f"{name}_square"] + (1 - BETA2) * jnp.square(slope * free)
        length = jnp.sqrt(square / (1 - BETA2**step)) + epsilon
        move = learning_rate * (mean / (1 - BETA1**step) / length + decay * block * free)
        after |= {name: block - move, f"{name}_mean": mean, f"{name}_square": square}
    return after, jnp.stack([jnp.asarray(measure) for measure in measures])
