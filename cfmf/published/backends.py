"""Torch against JAX, fairly: the same start, dtype, arithmetic and pairs, timings repeated.

The study compared one timing of each, in different units of loss and of numbers, from different
starts.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from cfmf.factorization.objective import start_factors
from cfmf.factorization.torch_adamw import TorchAdamW
from cfmf.published.generators import jax_is_installed
from cfmf.published.methods.mf_published import PUBLISHED
from cfmf.tasks import Fitted, Task


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
    *,
    k: int = 50,
    epochs: int = 30,
    repeats: int = 5,
    seed: int = 42,
) -> pd.DataFrame:
    """Seconds per epoch of the published recipe in torch and in JAX, from the same start.

    Parameters
    ----------
    train, test
        Users × items, CSR. RMSE on both is computed at every epoch, as the study did.
    k
        Number of factors.
    epochs, repeats
        Epochs of one training, and how often it is repeated after a first one, which compiles;
        backends take turns.
    seed
        Of the start.

    Returns
    -------
    One row per backend, columns `COLUMNS["backends"]`. Epoch seconds are the time between two
    epochs, as the median of each training: median, minimum and maximum over the repeats. Compile
    seconds: the first epoch of the first training minus the median first epoch of the repeats.
    Set-up seconds: the median time of a repeat outside its epochs, for arrays, start and final
    predictions. The last columns are after the last epoch; the difference is relative to torch.
    """
    solvers = _solvers(train.shape, k, seed)
    task = Task(train, seed, test=test, watch_test=True, epochs=epochs)
    taken: dict[str, list[Taken]] = {name: [] for name in solvers}
    results: dict[str, Fitted] = {}
    for _ in range(repeats + 1):
        for name, solver in solvers.items():
            began = time.perf_counter()
            [results[name]] = solver.fit_tasks([task])
            taken[name].append(Taken.by(results[name], time.perf_counter() - began))
    reference = results["torch"].history["loss"].iloc[-1]
    rows = [
        {"backend": name, "device": "cpu", "dtype": "float32", "epochs": epochs, "repeats": repeats}
        | _seconds(*taken[name])
        | _end(found.history.iloc[-1], reference)
        for name, found in results.items()
    ]
    return pd.DataFrame(rows)


def _solvers(shape: tuple[int, int], k: int, seed: int) -> dict[str, Any]:
    """The recipe in torch and, where it is installed, in JAX from torch's start."""
    options: dict[str, Any] = {"k": k, "reg": 0.01, "learning_rate": 5e-3, **PUBLISHED}
    solvers: dict[str, Any] = {"torch": TorchAdamW(**options, device="cpu")}
    if jax_is_installed():
        from cfmf.factorization.jax_adamw import JaxAdamW

        solvers["jax"] = JaxAdamW(**options, start=start_factors(*shape, k, 1.0, seed))
    return solvers


def _seconds(first: Taken, *later: Taken) -> dict[str, float]:
    """Times of the trainings of one backend, the first of which compiles."""
    epochs = [one.epoch for one in later]
    return {
        "setup_seconds": float(np.median([one.outside for one in later])),
        "compile_seconds": first.first - float(np.median([one.first for one in later])),
        "epoch_seconds": float(np.median(epochs)),
        "epoch_seconds_min": min(epochs),
        "epoch_seconds_max": max(epochs),
    }


def _end(last: pd.Series, reference: float) -> dict[str, float]:
    """Loss and RMSE after the last epoch, and the relative difference from a reference loss."""
    difference = abs(last["loss"] - reference) / reference
    return {"loss": last["loss"], "test_rmse": last["test_rmse"], "loss_difference": difference}
