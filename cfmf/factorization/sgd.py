"""Stochastic gradient descent, one observed pair at a time: many small steps in place of few big.

Users and items are dealt at random into `BLOCKS` groups each, so the pairs fall into a square of
blocks. An epoch takes `BLOCKS` of them at a time that share neither users nor items, so they can be
worked on at once, and the result is the same with any number of threads
(Gemulla, Nijkamp, Haas & Sismanis 2011, *Large-scale matrix factorization with distributed
stochastic gradient descent*).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numba
import numpy as np

from cfmf.factorization.curve import Stopping, fit_one_by_one
from cfmf.factorization.objective import (
    bias_regs,
    row_weights,
    silence_unrated,
    start_factors,
)
from cfmf.factorization.parameters import Blocks
from cfmf.kernels.solve import count_pairs, deal_pairs, descend
from cfmf.tasks import Fitted, Solver, Task

BLOCKS = 8  # a power of 2


@dataclass(frozen=True)
class SGD(Solver):
    """Matrix factorization by stochastic gradient descent, with biases.

    Every pair moves its user's and its item's parameters against the gradient of its own squared
    error, then towards 0 by its share of the penalties of `cfmf.factorization.objective` with
    ρ(v) = ½ ‖v‖², exactly (p ← p / (1 + rate · share)), so that no penalty makes a step too long.

    Attributes
    ----------
    k, reg, weighting, bias_reg
        As the objective has them.
    learning_rate, decay
        Epoch t takes steps of learning_rate / (1 + decay · t).
    max_epochs, patience
        As `cfmf.factorization.adamw.AdamW`.
    initial_scale
        The initial factors are normal with standard deviation initial_scale / √k.
    device
        Not used: where to compute, which is the CPU.

    Notes
    -----
    Koren, Bell & Volinsky (2009), *Matrix factorization techniques for recommender systems*.
    """

    k: int
    reg: float = 0.05
    weighting: float = 0.5
    bias_reg: float = 3.0
    learning_rate: float = 0.06
    decay: float = 0.5
    max_epochs: int = 100
    patience: int | None = 20
    initial_scale: float = 0.1
    device: str = "cpu"
    dtype: type = np.float32

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; a factorization needs at least 1 factor")
        if self.reg < 0 or self.bias_reg < 0:
            raise ValueError(
                f"reg is {self.reg} and bias_reg {self.bias_reg}; they must not be negative"
            )

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


def even_groups(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random group of `BLOCKS` for each row, with about as many ratings in every group.

    Of rows with about as many ratings, each group gets one.
    """
    dealt = rng.permuted(np.tile(np.arange(BLOCKS), (-(-len(counts) // BLOCKS), 1)), axis=1)
    groups = np.empty(len(counts), np.int64)
    order = rng.permutation(len(counts))
    groups[order[np.argsort(counts[order], kind="stable")]] = dealt.ravel()[: len(counts)]
    return groups


class _Training(Blocks):
    """State of one run."""

    def __init__(self, settings: SGD, task: Task) -> None:
        self.settings = settings
        m, n = task.train.shape
        deviation = settings.initial_scale / settings.k**0.5
        users, items = silence_unrated(
            *start_factors(m, n, settings.k, deviation, task.seed), task.train
        )
        super().__init__(task, users.astype(settings.dtype), items.astype(settings.dtype))
        self.counts = np.diff(task.train.indptr), np.bincount(task.train.indices, minlength=n)
        regs = bias_regs(task, settings.bias_reg)
        self.charges = [self.charges_of(*side) for side in zip(self.counts, regs, strict=True)]
        self.epoch = 0
        self.deal()

    def charges_of(self, counts: np.ndarray, bias_reg: float) -> np.ndarray:
        """Rows × 2: the penalties of a row's factors and bias; zero of a row without ratings."""
        weights = self.settings.reg * row_weights(counts, self.settings.weighting)
        return np.column_stack([weights, np.where(counts > 0, bias_reg, 0.0)])

    def deal(self) -> None:
        """Put the pairs into the blocks of a square, where no user's follow one another.

        A pair need not wait then until the processor is done with the one before.
        """
        rng = np.random.default_rng(self.task.seed)
        train, dtype = self.task.train, self.settings.dtype
        user_groups, item_groups = (even_groups(counts, rng) for counts in self.counts)
        order = rng.permutation(len(user_groups))
        members = order[np.argsort(user_groups[order], kind="stable")]
        firsts = np.concatenate([[0], np.cumsum(np.bincount(user_groups, minlength=BLOCKS))])
        dealt = members, firsts, item_groups
        sizes = count_pairs(train.indptr, train.indices, *dealt)
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.users, self.items = (np.empty(train.nnz, np.int32) for _ in range(2))
        self.values: np.ndarray = np.empty(train.nnz, dtype)
        deal_pairs(
            train.indptr,
            train.indices,
            train.data.astype(dtype, copy=False),
            dtype(self.mean),
            *dealt,
            self.starts,
            self.users,
            self.items,
            self.values,
        )

    def rate(self) -> float:
        """Length of this epoch's steps."""
        settings = self.settings
        return settings.learning_rate / (1 + settings.decay * self.epoch)

    def keeps_of(self, charges: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Rows × 2: what a step's share of the penalties leaves of a row's factors and bias."""
        shares = charges / np.maximum(counts, 1)[:, None]
        return (1 / (1 + self.rate() * shares)).astype(self.settings.dtype)

    def step(self) -> None:
        """An epoch: every pair once."""
        rng = np.random.default_rng([self.task.seed, self.epoch])
        threads = min(numba.get_num_threads(), BLOCKS)
        descend(
            self.starts,
            rng.integers(BLOCKS),
            2 ** (threads.bit_length() - 1),
            self.users,
            self.items,
            self.values,
            self.left,
            self.right,
            *(self.keeps_of(*side) for side in zip(self.charges, self.counts, strict=True)),
            self.settings.k,
            self.settings.dtype(self.rate()),
        )
        self.epoch += 1

    def penalty(self) -> float:
        """Of both sides."""
        total = 0.0
        for block, charge, bias in zip(
            (self.left, self.right), self.charges, (self.k, self.k + 1), strict=True
        ):
            squares = np.square(block, dtype=np.float64)
            total += np.sum(
                charge[:, 0] * squares[:, : self.k].sum(1) + charge[:, 1] * squares[:, bias]
            )
        return 0.5 * total

    def state(self) -> dict[str, np.ndarray]:
        """Everything that determines the rest of the training."""
        return {**super().state(), "epoch": np.array(self.epoch)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        super().restore(state)
        self.epoch = int(state["epoch"])
