"""The published training on a GPU: iterations a second, beside those that the study reports.

dense step
    The study's own: the whole product of the factors, masked, then both RMSEs.
observed pairs
    The same loss and the same metrics at the observed pairs only: in torch, and in JAX where the
    CUDA build of it is installed.
user-knn
    Similarities of all users in blocks of dense products, and the predictions of all test ratings.

    python -m benchmarks.gpu [--device cuda] [--users 10000 --items 10000 --ratings 6897746]

prints a line a system and writes benchmarks/results/gpu.tsv. The ratings are made up, of the
published study's size; k is 50, as published. `--device cpu` and small numbers check only this
program.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from benchmarks.common import RESULTS, ROOT, STUDY
from benchmarks.factorization import Curve, dense_epoch, draw, published_epochs
from cfmf.factorization.torch_adamw import TorchAdamW
from cfmf.methods import registry
from cfmf.observed import rmse
from cfmf.published.generators import jax_is_installed
from cfmf.workflow.devices import check_cuda

EPOCHS = 60
PRINTED = yaml.safe_load((ROOT / "cfmf/published/printed.yaml").read_text("utf-8"))


def dense(train: Any, test: Any, device: str) -> Curve:
    """The study's."""
    return dense_epoch(train, test, {"epochs": EPOCHS, "device": device})


def in_torch(train: Any, test: Any, device: str) -> Curve:
    """Ours in torch."""
    return published_epochs(TorchAdamW, train, test, EPOCHS, device=device)


def in_jax(train: Any, test: Any, device: str) -> Curve:
    """Ours in JAX."""
    from cfmf.factorization.jax_adamw import JaxAdamW

    return published_epochs(JaxAdamW, train, test, EPOCHS, device=device)


def neighbours(train: Any, test: Any, device: str) -> Curve:
    """Three times all similarities of users and all predictions, and the test RMSE."""
    users, items = test.nonzero()
    curve = []
    for _ in range(3):
        begun = time.perf_counter()
        predicted = registry.method("user-knn")().fit(train, device=device).predict(users, items)
        curve.append((time.perf_counter() - begun, rmse(predicted.values, test.data)))
    return curve


def measured(run: Callable[..., Curve], train: Any, test: Any, device: str) -> dict[str, float]:
    """Median seconds without the first, which warms up; most memory of the GPU; the last RMSE."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    curve = run(train, test, device)
    seconds = float(np.median([one for one, _ in curve[1:]]))
    memory = torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else np.nan
    return {"seconds": seconds, "a_second": 1 / seconds, "peak_mb": memory, "rmse": curve[-1][1]}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cuda")
    for name, default in zip(("users", "items", "ratings"), STUDY, strict=False):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    if given.device.startswith("cuda"):
        check_cuda()
    train, test = draw(given.users, given.items, given.ratings, given.ratings // 4)
    systems: dict[str, tuple[Callable[..., Curve], float]] = {
        "dense step, torch": (dense, PRINTED["torch_iterations"]),
        "observed pairs, torch": (in_torch, PRINTED["torch_iterations"]),
        "user-knn": (neighbours, np.nan),
    }
    if jax_is_installed():
        systems["observed pairs, JAX"] = (in_jax, PRINTED["jax_iterations"])
    rows = []
    for name, (run, published) in systems.items():
        found = {"system": name, "device": given.device, "published_a_second": published}
        found |= measured(run, train, test, given.device)
        print(found, flush=True)
        rows.append(found)
    RESULTS.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(RESULTS / "gpu.tsv", sep="\t", index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
