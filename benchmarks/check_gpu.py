"""Run every GPU kernel on the GPU and on the CPU: whether they agree, and seconds.

    python -m benchmarks.check_gpu [--device cuda] [--users 6000 --items 3000 --ratings 1000000]

prints one line per kernel and exits with 1 if any disagrees, with 2 and the reason if the GPU
cannot be used. If the library of a kernel cannot use the GPU, as JAX in its CPU build, its line
reports that.
`--device cpu:0` runs the GPU code on the CPU, which checks only this program. Ratings are drawn at
random; nothing is read or written.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy import sparse

from cfmf.methods import registry
from cfmf.observed import rmse
from cfmf.published.generators import jax_is_installed
from cfmf.tasks import Task
from cfmf.workflow.devices import DeviceError, check_cuda

SIMILARITIES = ("cosine", "adjusted-cosine", "pearson", "pearson-baseline")
EPOCHS, FACTORS, REG = 30, 16, 0.1
# Largest difference of two predictions, in stars. Neighbours add at most a few hundred float32
# terms; thirty steps of gradient descent in another order of addition drift further apart.
TOLERANCE = {"neighbours": 1e-4, "factorization": 1e-2}
# Rounding may move a similarity over a step of its rank and so change the nearest rows: see
# `cfmf.kernels.dense`. This proportion of pairs may differ by more, and the RMSE by this much.
OTHERS, RMSE_TOLERANCE = {"neighbours": 1e-4, "factorization": 0.0}, 1e-5

Predict = Callable[[str], np.ndarray]


def drawn(users: int, items: int, ratings: int) -> sparse.csr_array:
    """Random ratings of 1 to 5, popularity as uneven as in real ones; users × items, CSR."""
    rng = np.random.default_rng(1)
    pairs = np.unique(
        rng.integers(users, size=ratings) * items
        + (items * rng.random(ratings) ** 2).astype(np.int64)
    )
    stars = rng.integers(1, 6, size=len(pairs)).astype(np.float32)
    matrix = sparse.csr_array((stars, np.divmod(pairs, items)), shape=(users, items))
    matrix.sort_indices()
    return matrix


def kernels(train: sparse.csr_array, test: sparse.csr_array) -> dict[tuple[str, str], Predict]:
    """By family and name: what predicts the test pairs on the device that it is given."""
    users, items = test.nonzero()

    def neighbours(method: str, device: str, **setting: str) -> np.ndarray:
        model = registry.method(method)(**setting).fit(train, device=device)
        return model.predict(users, items).values

    found: dict[tuple[str, str], Predict] = {
        ("neighbours", "user-cf-published"): partial(neighbours, "user-cf-published")
    }
    for method in ("user-knn", "item-knn"):
        for similarity in SIMILARITIES:
            found["neighbours", f"{method}, {similarity}"] = partial(
                neighbours, method, similarity=similarity
            )
    for name, method in registry.installed().items():
        if method.job_per_point and method.on_gpu and (name != "mf-jax" or jax_is_installed()):
            found["factorization", name] = partial(factorized, name, train, test)
    return found


def factorized(
    name: str, train: sparse.csr_array, test: sparse.csr_array, device: str
) -> np.ndarray:
    """Predictions of a factorization after a few epochs."""
    if name == "mf-jax":
        device = device.split(":")[0]
    method = registry.method(name)(k=FACTORS, reg=REG, scale=(1.0, 5.0))
    [fitted] = method.fit_tasks([Task(train, 1, test=test, epochs=EPOCHS)], device=device)
    return fitted.predictions["test"]


def timed(predict: Predict, device: str) -> tuple[np.ndarray, float]:
    """Predictions, and seconds of a second run: the first compiles and warms up."""
    predict(device)
    began = time.perf_counter()
    predicted = predict(device)
    return predicted, time.perf_counter() - began


def agree(family: str, expected: np.ndarray, found: np.ndarray, ratings: np.ndarray) -> bool:
    """Whether two predictions of the same ratings agree as closely as their family can."""
    far = np.abs(expected - found) > TOLERANCE[family]
    if not far.any():
        return True
    return bool(
        far.mean() <= OTHERS[family]
        and abs(rmse(expected, ratings) - rmse(found, ratings)) < RMSE_TOLERANCE
    )


def check(device: str, users: int, items: int, ratings: int) -> bool:
    """Print a line a kernel; whether all agree."""
    matrix = drawn(users, items, ratings)
    test = matrix.copy()
    kept = np.random.default_rng(2).random(matrix.nnz) < 0.1
    train = matrix.copy()
    train.data, test.data = np.where(kept, 0, train.data), np.where(kept, test.data, 0)
    for part in (train, test):
        part.eliminate_zeros()
    print(f"{users} users, {items} items, {train.nnz} + {test.nnz} ratings")
    print(f"{'kernel':34} {'cpu s':>8} {device + ' s':>8} {'ratio':>7} {'difference':>11}")
    fine = True
    for (family, name), predict in kernels(train, test).items():
        expected, cpu = timed(predict, "cpu")
        try:
            found, gpu = timed(predict, device)
        except DeviceError as error:
            print(f"{name:34} {cpu:8.3f}  NOT CHECKED: {error}", flush=True)
            continue
        difference = float(np.abs(expected - found).max())
        agrees = agree(family, expected, found, test.data)
        fine &= agrees
        print(
            f"{name:34} {cpu:8.3f} {gpu:8.3f} {cpu / gpu:7.2f} {difference:11.2e}"
            f"{'' if agrees else '  DISAGREES'}",
            flush=True,
        )
    return fine


def main() -> int:
    """Check what the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--users", type=int, default=6000)
    parser.add_argument("--items", type=int, default=3000)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if arguments.device.startswith("cuda"):
        try:
            check_cuda()
        except DeviceError as error:
            print(f"No GPU was checked: {error}.")
            return 2
        print(f"torch {torch.__version__}, {torch.cuda.get_device_name()}")
    fine = check(arguments.device, arguments.users, arguments.items, arguments.ratings)
    print("All that were checked agree." if fine else "Some disagree.")
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
