"""Torch against JAX, fairly: the same start, dtype, arithmetic and pairs, timings repeated.

The study compared one timing of each, in different units of loss and of numbers, from different
starts.
"""

from __future__ import annotations

import importlib.util
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from cfmf.factorization.adamw import AdamW
from cfmf.factorization.objective import start_factors
from cfmf.published.methods.mf_published import PUBLISHED
from cfmf.tasks import Fitted, Task


def jax_is_installed() -> bool:
    """Whether there is a JAX to compare with."""
    return importlib.util.find_spec("jax") is not None


def on_cores(threads: int) -> None:
    """Keep torch and JAX to as many cores; before the first use of JAX, which counts them once.

    Where the system cannot bind a process to cores (macOS, Windows), JAX takes all of them.
    """
    torch.set_num_threads(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


@dataclass(frozen=True)
class Taken:
    """Seconds of one training: of its first epoch, of the median of the others, outside of all."""

    first: float
    epoch: float
    outside: float

    @classmethod
    def by(cls, training: Fitted, total: float) -> Taken:
        """What a training of `total` seconds and more than one epoch took, by its own clock."""
        seconds = training.history["seconds"].to_numpy()
        return cls(seconds[0], float(np.median(np.diff(seconds))), total - seconds[-1])


def compare_backends(
    train: sparse.csr_array,
    test: sparse.csr_array,
    k: int = 50,
    reg: float = 0.01,
    learning_rate: float = 5e-3,
    epochs: int = 30,
    repeats: int = 5,
    seed: int = 42,
    device: str = "cpu",
) -> pd.DataFrame:
    """Seconds an epoch of the published recipe in torch and in JAX, from one and the same start.

    Parameters
    ----------
    train, test
        Users × items, CSR. Metrics of both are taken at every epoch, as the study did.
    k, reg, learning_rate, seed
        Of the recipe.
    epochs, repeats
        Epochs of one training, and how often it is repeated after a first one, which compiles;
        backends take turns.
    device
        `cpu` or `cuda`.

    Returns
    -------
    One row a backend, columns `COLUMNS["backends"]`. Epoch seconds are between the measures of two
    epochs, the median of each training: the median, least and largest of these over the repeats.
    Compile seconds are what the first epoch of the first training took beyond the repeats' first
    epochs; set-up seconds what a repeat takes outside its epochs, for arrays, start and final
    predictions, in the median. The last columns are after the last epoch, the difference being
    relative to torch.
    """
    options: dict[str, Any] = {
        "k": k,
        "reg": reg,
        "learning_rate": learning_rate,
        **PUBLISHED,
    }
    solvers: dict[str, Any] = {"torch": AdamW(**options, device=device)}
    if jax_is_installed():
        from cfmf.factorization.jax_adamw import JaxAdamW

        start = start_factors(*train.shape, k, 1.0, seed)
        solvers["jax"] = JaxAdamW(**options, start=start, device=device)
    task = Task(train, seed, test=test, watch_test=True, epochs=epochs)
    taken: dict[str, list[Taken]] = {name: [] for name in solvers}
    results: dict[str, Fitted] = {}
    for _ in range(repeats + 1):
        for name, solver in solvers.items():
            began = time.perf_counter()
            [results[name]] = solver.fit_tasks([task])
            taken[name].append(Taken.by(results[name], time.perf_counter() - began))
    rows = []
    for name, found in results.items():
        first, *later = taken[name]
        epoch_seconds = [one.epoch for one in later]
        last = found.history.iloc[-1]
        reference = results["torch"].history["loss"].iloc[-1]
        rows.append(
            {
                "backend": name,
                "device": device,
                "dtype": "float32",
                "epochs": epochs,
                "repeats": repeats,
                "setup_seconds": float(np.median([one.outside for one in later])),
                "compile_seconds": first.first - float(np.median([one.first for one in later])),
                "epoch_seconds": float(np.median(epoch_seconds)),
                "epoch_seconds_min": min(epoch_seconds),
                "epoch_seconds_max": max(epoch_seconds),
                "loss": last["loss"],
                "test_rmse": last["test_rmse"],
                "loss_difference": abs(last["loss"] - reference) / reference,
            }
        )
    return pd.DataFrame(rows)
