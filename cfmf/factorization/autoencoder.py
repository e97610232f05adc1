"""Item autoencoders: an item's factors are what a network makes of its ratings.

The network reads the ratings of one item by all users and gives them back through hidden layers.
Its last layer is linear, so a prediction is the product of the item's last hidden layer and a
user's output weights, plus a bias of the user: a fitted network is a factorization. Only observed
ratings are read and only observed ones are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.adam import adam

from cfmf.factorization.curve import Stopping, fit_one_by_one
from cfmf.factorization.model import Factorization, rated_rows
from cfmf.factorization.new_rows import RowPenalty
from cfmf.kernels.products import ObservedPairs
from cfmf.tasks import Fitted, Solver, Task

OFFSET = 3.0
"""Added to standard ratings that are read, so that a rating at the mean is none that is missing.

Ratings of one to five stars about their mean are that far from 0 in standard deviations."""
KERNEL_DEVIATION = 1e-3


@dataclass(frozen=True)
class Autoencoder(Solver):
    """Item autoencoders with sigmoid layers, trained by Adam on all observed pairs at once.

    Minimizes Σ_Ω ½ (x̂ − x)² + ½ λ Σ W² + ½ sparsity λ Σ K², divided by the number of ratings, with
    λ = reg · (mean number of ratings of a user). With a kernel, a layer's weights are W ∘ K, where
    K_ab = max(0, 1 − ‖p_a − q_b‖²) of vectors p and q that are learned: connections between distant
    vectors are none (Müller, Martel & Indiveri 2018, *Kernelized synaptic weight matrices*).
    `AutoRec` is without one.

    Attributes
    ----------
    k, layers
        Units of each hidden layer, and how many hidden layers.
    kernel
        Dimensions of p and q; 0: no kernel.
    learning_rate, max_epochs, patience
        As `cfmf.factorization.adamw.AdamW` has them.
    """

    k: int
    reg: float = 0.25
    layers: int = 2
    kernel: int = 5
    sparsity: float = 3e-4
    learning_rate: float = 0.003
    max_epochs: int = 1000
    patience: int | None = 50
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

    def fit_tasks(self, tasks: Sequence[Task], checkpoint: Path | None = None) -> list[Fitted]:
        """Train on several matrices, one after another.

        Raises
        ------
        FloatingPointError
            If a loss is no longer finite.
        """
        stopping = Stopping(self.max_epochs, patience=self.patience)
        start = partial(_Training, self)
        return fit_one_by_one(tasks, start, stopping, self, "lower learning_rate", checkpoint)


@dataclass(frozen=True)
class AutoRec(Autoencoder):
    """One hidden layer and plain weights: I-AutoRec (Sedhain et al. 2015)."""

    reg: float = 1.0
    layers: int = 1
    kernel: int = 0


class Layer:
    """Weights, biases and perhaps the vectors of a kernel, from a random start."""

    def __init__(self, given: int, units: int, kernel: int, random: torch.Generator) -> None:
        def normal(*shape: int, deviation: float) -> torch.Tensor:
            return torch.randn(*shape, generator=random) * deviation

        glorot = (2 / (given + units)) ** 0.5
        self.tensors = [normal(given, units, deviation=glorot), torch.zeros(units)]
        if kernel:
            vectors = (normal(size, kernel, deviation=KERNEL_DEVIATION) for size in (given, units))
            self.tensors += list(vectors)

    def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The weights in use, and K; the plain weights and an empty K without a kernel."""
        if len(self.tensors) == 2:
            return self.tensors[0], self.tensors[0].new_empty(0)
        plain, _, left, right = self.tensors
        squares = left.square().sum(1)[:, None] + right.square().sum(1) - 2 * left @ right.T
        kept = (1 - squares).clamp(min=0)
        return plain * kept, kept


class _Read(torch.autograd.Function):
    """Σ_u r_ui W_u of every item, with the gradient of W."""

    @staticmethod
    def forward(ctx: Any, weights: torch.Tensor, pairs: ObservedPairs, values: Any) -> torch.Tensor:
        ctx.given = pairs, values
        return pairs.transposed(values) @ weights

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        pairs, values = ctx.given
        return pairs.matrix(values) @ gradients[0], None, None


class _Products(torch.autograd.Function):
    """P_u · Q_i of every observed pair, with the gradients of both."""

    @staticmethod
    def forward(
        ctx: Any, left: torch.Tensor, right: torch.Tensor, pairs: ObservedPairs
    ) -> torch.Tensor:
        ctx.pairs = pairs
        ctx.save_for_backward(left, right)
        return pairs.inner_products(left, right)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        left, right = ctx.saved_tensors
        return (*ctx.pairs.spread(gradients[0], left, right), None)


class _Training:
    """State of one run, and the parameters of its best epoch."""

    steps_alone = False  # its gradients come from `measure`

    def __init__(self, settings: Autoencoder, task: Task) -> None:
        self.settings, self.task = settings, task
        m, self.count = task.train.shape[0], task.train.nnz
        self.penalty = settings.reg * self.count / m
        parts = {"train": task.train, "validation": task.validation}
        parts["test"] = task.test if task.watch_test else None
        self.pairs = {
            name: ObservedPairs([part], settings.device, settings.dtype)
            for name, part in parts.items()
            if part is not None
        }
        self.read = self.pairs["train"].ratings + OFFSET
        random = torch.Generator().manual_seed(task.seed)
        sizes = [m, *[settings.k] * settings.layers, m]
        self.layers = [
            Layer(given, units, settings.kernel, random) for given, units in pairwise(sizes)
        ]
        for layer in self.layers:
            layer.tensors = [
                one.to(settings.device, settings.dtype).requires_grad_() for one in layer.tensors
            ]
        self.moments = [[torch.zeros_like(one) for one in self.tensors] for _ in range(2)]
        self.epoch = 0
        self.best = self.factors()

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is learned."""
        return [one for layer in self.layers for one in layer.tensors]

    def forward(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Left factors (output weights and biases), right ones (hidden layers, ones); penalty."""
        weights = [layer.weights() for layer in self.layers]
        hidden = _Read.apply(weights[0][0], self.pairs["train"], self.read)
        for place, layer in enumerate(self.layers[:-1]):
            if place:
                hidden = hidden @ weights[place][0]
            hidden = torch.sigmoid(hidden + layer.tensors[1])
        left = torch.cat([weights[-1][0].T, self.layers[-1].tensors[1][:, None]], dim=1)
        right = torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1)
        squares = torch.stack([layer.tensors[0].square().sum() for layer in self.layers])
        kept = torch.stack([one.square().sum() for _, one in weights])
        penalty = squares.sum() + self.settings.sparsity * kept.sum()
        return left, right, self.penalty / 2 * penalty

    def measure(self) -> np.ndarray:
        """Set the gradients; return loss, and train, validation and test RMSE."""
        left, right, penalty = self.forward()
        train = self.pairs["train"]
        errors = _Products.apply(left, right, train) - train.ratings
        loss = (0.5 * errors.square().sum() + penalty) / self.count
        self.gradients = torch.autograd.grad(loss, self.tensors)
        with torch.no_grad():
            found = [loss.detach().double(), train.mean_squares(errors)[0].sqrt()]
            for name in ("validation", "test"):
                if name in self.pairs:
                    pairs = self.pairs[name]
                    errors = pairs.inner_products(left, right, minus=pairs.ratings)
                    found.append(pairs.mean_squares(errors)[0].sqrt())
                else:
                    found.append(torch.full_like(found[0], torch.nan))
        return torch.stack(found)[None].cpu().numpy()

    def step(self) -> None:
        """A step of Adam, by the function that `torch.optim.Adam` calls."""
        steps = [torch.tensor(float(self.epoch)) for _ in self.tensors]
        self.epoch += 1
        with torch.no_grad():
            adam(
                self.tensors,
                list(self.gradients),
                self.moments[0],
                self.moments[1],
                [],
                steps,
                foreach=False,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=self.settings.learning_rate,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )

    @torch.no_grad()
    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Left and right factors of the current parameters, float32."""
        left, right, _ = self.forward()
        return left.float().cpu().numpy(), right.float().cpu().numpy()

    def keep(self, runs: np.ndarray) -> None:
        """Copy the factors, as the best so far."""
        self.best = self.factors()

    def model(self) -> Factorization:
        """The kept model; a user without ratings has the mean rating."""
        left, right = self.best
        rated = rated_rows(self.task.train)
        left = left * rated[0][:, None]
        factors, items = np.ascontiguousarray(left[:, :-1]), np.ascontiguousarray(right[:, :-1])
        biases = left[:, -1].copy(), np.zeros(len(right), np.float32)
        # A new user's output weights; where there is a kernel, it is 1, as at the start.
        penalty = RowPenalty(self.penalty, 0.0, 0.0)
        return Factorization(factors, items, *biases, rated=rated, penalty=penalty)

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the training."""
        named = {"parameter": self.tensors, "mean": self.moments[0], "square": self.moments[1]}
        found = {
            f"{name}{number}": one.detach().cpu().numpy()
            for name, tensors in named.items()
            for number, one in enumerate(tensors)
        }
        left, right = self.best
        return {**found, "left": left, "right": right, "step": np.array(self.epoch)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        named = {"parameter": self.tensors, "mean": self.moments[0], "square": self.moments[1]}
        with torch.no_grad():
            for name, tensors in named.items():
                for number, one in enumerate(tensors):
                    one.copy_(torch.from_numpy(state[f"{name}{number}"]))
        self.best = (state["left"], state["right"])
        self.epoch = int(state["step"])
