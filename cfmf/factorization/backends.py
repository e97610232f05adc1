"""Torch against JAX, fairly: the same start, dtype, arithmetic and pairs, timings repeated.

The study compared one timing of each, in different units of loss and of numbers, from different
starts.
"""

from __future__ import annotations

import importlib.util
import os
import time
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from cfmf.factorization import METHODS
from cfmf.factorization.adamw import AdamW
from cfmf.factorization.objective import start_factors
from cfmf.factorization.tasks import Fitted, Task


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
        Epochs of one training, and how often it is repeated; backends take turns.
    device
        `cpu` or `cuda`.

    Returns
    -------
    One row a backend: `backend device dtype epochs repeats compile_seconds epoch_seconds
    epoch_seconds_min epoch_seconds_max loss test_rmse loss_difference`. Epoch seconds are the
    median over repeats; compile seconds are what the first training took beyond the median; the
    last columns are after the last epoch, the difference being relative to torch.
    """
    options: dict[str, Any] = {
        "k": k,
        "reg": reg,
        "learning_rate": learning_rate,
        **METHODS["mf-published"].options,
    }
    solvers: dict[str, Any] = {"torch": AdamW(**options, device=device)}
    if jax_is_installed():
        from cfmf.factorization.jax_adamw import JaxAdamW

        start = start_factors(*train.shape, k, 1.0, seed)
        solvers["jax"] = JaxAdamW(**options, start=start, device=device)
    task = Task(train, seed, test=test, watch_test=True, epochs=epochs)
    seconds: dict[str, list[float]] = {name: [] for name in solvers}
    results: dict[str, Fitted] = {}
    for _ in range(repeats + 1):
        for name, solver in solvers.items():
            began = time.perf_counter()
            [results[name]] = solver.fit_tasks([task])
            seconds[name].append(time.perf_counter() - began)
    rows = []
    for name, found in results.items():
        first, *later = seconds[name]
        last = found.history.iloc[-1]
        reference = results["torch"].history["loss"].iloc[-1]
        rows.append(
            {
                "backend": name,
                "device": device,
                "dtype": "float32",
                "epochs": epochs,
                "repeats": repeats,
                "compile_seconds": first - float(np.median(later)),
                "epoch_seconds": float(np.median(later)) / (epochs + 1),
                "epoch_seconds_min": min(later) / (epochs + 1),
                "epoch_seconds_max": max(later) / (epochs + 1),
                "loss": last["loss"],
                "test_rmse": last["test_rmse"],
                "loss_difference": abs(last["loss"] - reference) / reference,
            }
        )
    return pd.DataFrame(rows)
