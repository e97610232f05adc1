"""Factorizations beside their peers: seconds, peak memory and RMSE, in one run.

epoch
    One epoch of the published recipe with its metrics (loss, train and test RMSE) at k 50: the
    study's dense masked step in torch, and ours at the observed pairs only. `quality` is the train
    RMSE after the last epoch, the same for both.
sweep
    One sweep of alternating least squares at k 50. implicit solves a different problem (weighted
    preferences), of the same size; its RMSE is not comparable.
time to RMSE
    Seconds until the test RMSE is within 0.001 of the best that any of these models reaches, and
    of the best that each peer reaches itself (`to NAME's best`). `quality` is the best RMSE of
    each; a system that never gets there has no seconds. Settings of each were chosen by trying a
    few on each data set, with equal k: of cfmf SGD and LIBMF on a tenth of the training ratings,
    held out. Every system is trained from the start for each number of epochs, on as many threads
    as the others, and only its training is timed, from the ratings in memory to the factors: no
    RMSE, of any epoch. LIBMF is built with AVX (see the Makefile).
gibbs
    Seconds a sweep and RMSE after 50 sweeps of Bayesian factorizations of 10 factors, the noise
    of all ratings the same, as myFM has it.

    python -m benchmarks.factorization [--peers PYTHON] [--only epoch …] [--sizes ml-1m]

writes benchmarks/results/factorization.tsv. `--peers` is a Python that has the packages of
requirements-peers.txt; without it, only ours runs. MovieLens is read from the folder that
CFMF_REAL_DATA names, and left out without it. Compiling is not timed; every system runs in a
process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.common import (
    COLUMNS,
    RESULTS,
    STUDY,
    apart,
    matrix,
    movielens,
    peak_megabytes,
    store,
    stored,
)

K = 50
OURS = ("cfmf SGD", "cfmf ALS", "cfmf AdamW")
RACING = ("cfmf SGD", "LIBMF", "cfmf ALS", "LensKit ALS")  # several times, in turns
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "study-10k": {
        "cfmf SGD": {"reg": 0.02, "learning_rate": 0.065, "decay": 3.0, "epochs": (3, 4, 5, 6, 8)},
        "cfmf ALS": {"reg": 0.05, "epochs": (2, 3, 4, 5, 6)},
        "cfmf AdamW": {"reg": 0.05, "epochs": (40, 60, 80, 100)},
        "LIBMF": {"reg": 0.015, "eta": 0.05, "epochs": (4, 5, 6, 7, 8, 10)},
        "LensKit ALS": {"reg": 0.05, "epochs": (3, 4, 5, 6)},
        "Surprise SVD": {"reg": 0.03, "epochs": (10, 20)},
    },
    "ml-1m": {
        "cfmf SGD": {
            "reg": 0.05,
            "learning_rate": 0.1,
            "decay": 1.5,
            "epochs": (4, 5, 6, 7, 8, 9, 10, 12),
        },
        "cfmf ALS": {"reg": 0.085, "epochs": (2, 3, 4, 5, 6, 8, 10)},
        "cfmf AdamW": {"reg": 0.085, "epochs": (40, 60, 80, 100)},
        "LIBMF": {"reg": 0.04, "eta": 0.08, "epochs": (5, 6, 7, 8, 9, 10, 12)},
        "LensKit ALS": {"reg": 0.08, "epochs": (2, 3, 4, 6, 8)},
        "Surprise SVD": {"reg": 0.05, "epochs": (10, 20, 30, 40)},
    },
}
IMPLICIT_SWEEPS = (1, 4)
IMPLICIT = ("implicit ALS", "implicit ALS, conjugate gradient")
Curve = list[tuple[float, float]]  # seconds, test RMSE


# ------------------------------------------------------------------------------------------- data


def draw(users: int, items: int, train: int, test: int, seed: int = 1) -> list[sparse.csr_array]:
    """Train and test matrices of a synthetic study: biases, rank 10 and noise, rounded to 1 … 5."""
    rng = np.random.default_rng(seed)
    activity = np.cumsum(rng.lognormal(0, 0.7, users))
    popularity = np.cumsum(rng.lognormal(0, 0.7, items))
    wanted = train + test
    pairs = np.empty(0, dtype=np.int64)
    while len(pairs) < wanted:
        more = int(1.3 * (wanted - len(pairs))) + 1000
        user = np.searchsorted(activity, rng.random(more) * activity[-1])
        item = np.searchsorted(popularity, rng.random(more) * popularity[-1])
        pairs = np.unique(np.concatenate([pairs, user * items + item]))
    pairs = np.delete(pairs, rng.choice(len(pairs), len(pairs) - wanted, replace=False))
    user, item = np.divmod(pairs, items)
    factors = [rng.normal(0, 10**-0.25, (rows, 10)) for rows in (users, items)]
    biases = [rng.normal(0, 0.35, rows) for rows in (users, items)]
    scores = 3.6 + biases[0][user] + biases[1][item] + rng.normal(0, 0.8, wanted)
    for f in range(10):
        scores += 0.5 * factors[0][user, f] * factors[1][item, f]
    held_out = np.zeros(wanted, dtype=bool)
    held_out[rng.choice(wanted, test, replace=False)] = True
    ratings = np.clip(np.rint(scores), 1, 5)
    return [
        matrix(user[part], item[part], ratings[part], (users, items))
        for part in (~held_out, held_out)
    ]


# ---------------------------------------------------------------------- systems, each in a process


def rmse(predicted: np.ndarray, test: sparse.coo_array) -> float:
    """Plain root mean square error."""
    return float(np.sqrt(np.mean((predicted.astype(np.float64) - test.data) ** 2)))


def our_curve(start: Callable[[Any], Any], train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """Test RMSE of one of our solvers, whose training of a task `start` makes."""
    from cfmf.tasks import Task

    start(Task(train[:200].tocsr())).step()
    curve = []
    for epochs in options["settings"]["epochs"]:
        begun = time.perf_counter()
        training = start(Task(train, test=test, watch_test=True))
        for _ in range(epochs):
            training.step()
        seconds = time.perf_counter() - begun
        curve.append((seconds, float(training.measure()[0, -1])))
    return curve


def settings_of(options: dict[str, Any]) -> dict[str, Any]:
    """Of one of our solvers."""
    return {name: value for name, value in options["settings"].items() if name != "epochs"}


def sgd(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """Ours."""
    from cfmf.factorization.sgd import SGD, _Training

    solver = SGD(K, **settings_of(options))
    return our_curve(lambda task: _Training(solver, task), train, test, options)


def als(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """Ours."""
    from cfmf.factorization.als import ALS, ALSTraining

    solver = ALS(K, **settings_of(options))
    return our_curve(lambda task: ALSTraining(solver, task), train, test, options)


def adamw(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """Ours: an epoch finds the train RMSE in the pass over the ratings that it makes anyway."""
    from cfmf.factorization.adamw import AdamW
    from cfmf.tasks import Task

    solver = AdamW(K, **settings_of(options))
    solver.fit_tasks([Task(train[:200].tocsr(), epochs=2)])
    curve = []
    for epochs in options["settings"]["epochs"]:
        [found] = solver.fit_tasks([Task(train, test=test, epochs=epochs)])
        seconds = float(found.history["seconds"].iloc[-1])
        curve.append((seconds, rmse(found.predictions["test"], test.tocoo())))
    return curve


def gibbs(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """Ours: the seconds include the RMSEs of every sweep."""
    from cfmf.factorization.gibbs import Gibbs
    from cfmf.tasks import Task

    solver = Gibbs(10, sweeps=50, burn_in=10, noise="shared")
    few = train[:200].tocsr()
    solver.fit_tasks([Task(few, test=test[:200].tocsr(), watch_test=True, epochs=2)])
    curve: Curve = []
    begun = time.perf_counter()

    def report(epoch: int, measured: Mapping[str, float]) -> None:
        curve.append((time.perf_counter() - begun, measured["test_rmse"]))

    solver.fit_tasks([Task(train, test=test, watch_test=True, report=report)])
    return curve


def libmf(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """LIBMF: parallel SGD with adaptive steps."""
    from libmf import mf

    train, test = train.tocoo(), test.tocoo()
    triples = np.column_stack([train.row, train.col, train.data]).astype(np.float32)
    curve = []
    reg, eta = (options["settings"][name] for name in ("reg", "eta"))
    for epochs in options["settings"]["epochs"]:
        model = mf.MF(
            k=K, nr_threads=options["threads"], nr_iters=epochs, eta=eta, quiet=True,
            lambda_p1=0.0, lambda_q1=0.0, lambda_p2=reg, lambda_q2=reg,
        )  # fmt: skip
        begun = time.perf_counter()
        model.fit(triples)
        seconds = time.perf_counter() - begun
        users, items = model.p_factors(), model.q_factors()
        predicted = np.einsum("ij,ij->i", users[test.row], items[test.col])
        # its `predict` disagrees with its own factors; rows without ratings are NaN
        predicted = np.where(np.isnan(predicted), train.data.mean(), predicted)
        curve.append((seconds, rmse(predicted, test)))
    return curve


def lenskit(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """LensKit's BiasedMF: biases first, then ALS."""
    from lenskit.als import BiasedMFScorer
    from lenskit.data import from_interactions_df
    from lenskit.training import TrainingOptions

    train, test = train.tocoo(), test.tocoo()
    frame = pd.DataFrame({"user_id": train.row, "item_id": train.col, "rating": train.data})
    dataset = from_interactions_df(frame)
    curve = []
    reg = options["settings"]["reg"]
    for epochs in options["settings"]["epochs"]:
        model = BiasedMFScorer(embedding_size=K, epochs=epochs, regularization=reg)
        begun = time.perf_counter()
        model.train(dataset, TrainingOptions(rng=1))
        seconds = time.perf_counter() - begun
        users = np.asarray(model.users.numbers(test.row, missing="negative"))
        items = np.asarray(model.items.numbers(test.col, missing="negative"))
        predicted = np.full(test.nnz, model.bias.global_bias, dtype=float)
        predicted[users >= 0] += model.bias.user_biases[users[users >= 0]]
        predicted[items >= 0] += model.bias.item_biases[items[items >= 0]]
        both = (users >= 0) & (items >= 0)
        left = np.asarray(model.user_embeddings)[users[both]]
        right = np.asarray(model.item_embeddings)[items[both]]
        predicted[both] += np.einsum("ij,ij->i", left, right)
        curve.append((seconds, rmse(predicted, test)))
    return curve


def surprise(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """Surprise's SVD: SGD on one thread."""
    import surprise as package

    train, test = train.tocoo(), test.tocoo()
    frame = pd.DataFrame({"u": train.row, "i": train.col, "r": train.data.astype(float)})
    reader = package.Reader(rating_scale=(1, 5))
    trainset = package.Dataset.load_from_df(frame, reader).build_full_trainset()
    inner_users = {trainset.to_raw_uid(u): u for u in trainset.all_users()}
    inner_items = {trainset.to_raw_iid(i): i for i in trainset.all_items()}
    users = np.array([inner_users.get(u, -1) for u in test.row])
    items = np.array([inner_items.get(i, -1) for i in test.col])
    known, rated = users >= 0, items >= 0
    curve = []
    reg = options["settings"]["reg"]
    for epochs in options["settings"]["epochs"]:
        model = package.SVD(n_factors=K, n_epochs=epochs, reg_all=reg, random_state=1)
        begun = time.perf_counter()
        model.fit(trainset)
        seconds = time.perf_counter() - begun
        predicted = np.full(test.nnz, trainset.global_mean)
        predicted[known] += model.bu[users[known]]
        predicted[rated] += model.bi[items[rated]]
        both = known & rated
        predicted[both] += np.einsum("ij,ij->i", model.pu[users[both]], model.qi[items[both]])
        curve.append((seconds, rmse(predicted, test)))
    return curve


def implicit(train: Any, test: Any, options: dict[str, Any], use_cg: bool = False) -> Curve:
    """ALS of implicit, on preferences; two runs, whose difference is its sweeps.

    Exact as the others, or with three steps of conjugate gradient for each row, its default. BLAS
    has one thread, as implicit asks for: it has threads of its own.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    curve = []
    for sweeps in IMPLICIT_SWEEPS:
        model = AlternatingLeastSquares(
            K, iterations=sweeps, use_cg=use_cg, num_threads=options["threads"], random_state=1
        )
        begun = time.perf_counter()
        with threadpool_limits(1, "blas"):
            model.fit(sparse.csr_matrix(train), show_progress=False)
        curve.append((time.perf_counter() - begun, float("nan")))
    return curve


def myfm(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """myFM: Gibbs sampling of a factorization machine of users and items."""
    import myfm as package

    m, n = train.shape

    def encoded(part: sparse.coo_array) -> sparse.csr_matrix:
        columns = np.column_stack([part.row, m + part.col]).ravel()
        rows = np.repeat(np.arange(part.nnz), 2)
        return sparse.csr_matrix((np.ones(2 * part.nnz), (rows, columns)), shape=(part.nnz, m + n))

    train, test = train.tocoo(), test.tocoo()
    design = encoded(train)
    model = package.MyFMGibbsRegressor(rank=10, random_seed=1)
    begun = time.perf_counter()
    model.fit(design, train.data, group_shapes=[m, n], n_iter=50, n_kept_samples=40)
    seconds = time.perf_counter() - begun
    return [(seconds, rmse(model.predict(encoded(test)), test))]


def dense_epoch(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """The study's step: the whole product, masked; then both RMSEs from it."""
    import torch

    device = options.get("device", "cpu")
    x, x_test = (torch.from_numpy(part.toarray()).to(device) for part in (train, test))
    torch.manual_seed(42)
    U, V = (torch.nn.Parameter(torch.randn(rows, K).to(device)) for rows in train.shape)
    optimizer = torch.optim.AdamW([U, V], lr=5e-3, weight_decay=0.01)

    def masked_rmse(reconstructed: Any, ratings: Any) -> Any:
        mask = ratings != 0
        return torch.sqrt(torch.mean((reconstructed[mask] - ratings[mask]) ** 2))

    curve = []
    for _ in range(options["epochs"]):
        begun = time.perf_counter()
        optimizer.zero_grad()
        predicted = U @ V.t()
        observed = torch.where(x != 0)
        loss = 0.5 * torch.mean((predicted[observed] - x[observed]) ** 2)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            train_rmse = masked_rmse(predicted, x).item()
            masked_rmse(predicted, x_test).item()
        curve.append((time.perf_counter() - begun, train_rmse))
    return curve


def sparse_epoch(train: Any, test: Any, options: dict[str, Any]) -> Curve:
    """Ours, by the published recipe."""
    from cfmf.factorization.adamw import AdamW

    return published_epochs(AdamW, train, test, options["epochs"])


def published_epochs(
    solver: Callable[..., Any], train: Any, test: Any, epochs: int, **where: str
) -> Curve:
    """Seconds and train RMSE of every epoch of a solver, by the published recipe."""
    from cfmf.published.methods.mf_published import PUBLISHED
    from cfmf.tasks import Task

    settings = solver(K, reg=0.01, learning_rate=5e-3, **PUBLISHED, **where)
    task = Task(train, 42, test=test, watch_test=True, epochs=epochs - 1)
    [found] = settings.fit_tasks([task])
    seconds = np.diff(found.history["seconds"], prepend=0.0)
    return list(zip(seconds.tolist(), found.history["train_rmse"], strict=True))


SYSTEMS: dict[str, Callable[..., Curve]] = {
    "cfmf SGD": sgd,
    "cfmf ALS": als,
    "cfmf AdamW": adamw,
    "cfmf Gibbs": gibbs,
    "LIBMF": libmf,
    "LensKit ALS": lenskit,
    "Surprise SVD": surprise,
    "implicit ALS": implicit,
    "implicit ALS, conjugate gradient": partial(implicit, use_cg=True),
    "myFM": myfm,
    "dense masked step": dense_epoch,
    "cfmf, observed pairs": sparse_epoch,
}


def child(folder: Path, system: str, options: dict[str, Any]) -> None:
    """Run a system on a folder's matrices; its curve and peak memory go to the last line."""
    train, test = stored(folder)
    if system.startswith(("cfmf", "dense")):
        import numba
        import torch

        torch.set_num_threads(options["threads"])
        numba.set_num_threads(options["threads"])
    curve = SYSTEMS[system](train, test, options)
    print("\n" + json.dumps({"curve": curve, "peak_mb": peak_megabytes()}))


# ------------------------------------------------------------------------------------------ parent


class Bench:
    """What was measured, and how to measure more."""

    def __init__(self, threads: int, peers: str | None) -> None:
        self.threads, self.peers = threads, peers
        self.rows: list[list[Any]] = []
        self.curves: dict[tuple[str, str], dict[str, Any]] = {}

    def run(self, folder: Path, system: str, **options: Any) -> dict[str, Any] | None:
        """Curve and peak memory of a system, or None where its Python is not installed."""
        if (folder.name, system) not in self.curves:
            found = self.once(folder, system, **options)
            if found is None:
                return None
            self.curves[folder.name, system] = found
        return self.curves[folder.name, system]

    def once(self, folder: Path, system: str, **options: Any) -> dict[str, Any] | None:
        """A run of its own."""
        ours = system.startswith(("cfmf", "dense"))
        if not ours and self.peers is None:
            return None
        python = sys.executable if ours else str(self.peers)
        options |= {
            "threads": self.threads,
            "settings": SETTINGS[folder.name].get(system, {}),
        }
        found = apart("benchmarks.factorization", python, folder, system, options, self.threads)
        if found is not None:
            best = np.nanmin([*(value for _, value in found["curve"]), np.inf])
            print(f"{folder.name}: {system} {found['curve'][-1][0]:.2f} s, {best:.4f}", flush=True)
        return found

    def race(self, folder: Path, systems: Sequence[str], rounds: int = 3) -> None:
        """Run systems in turns, and keep of each the medians of its seconds and RMSEs."""
        rivals: dict[str, list[dict[str, Any]]] = {}
        for _ in range(rounds):
            for system in systems:
                found = self.once(folder, system)
                if found is not None:
                    rivals.setdefault(system, []).append(found)
        for system, runs in rivals.items():
            self.curves[folder.name, system] = {
                "curve": np.median([run["curve"] for run in runs], axis=0).tolist(),
                "peak_mb": max(run["peak_mb"] for run in runs),
            }

    def add(self, benchmark: str, size: str, found: dict[str, tuple[float, float, float]]) -> None:
        """Rows of one comparison: seconds, peak and quality by system; ours is our fastest."""
        ours = np.nanmin([value[0] for name, value in found.items() if name.startswith("cfmf")])
        for system, (seconds, peak, quality) in found.items():
            self.rows.append([benchmark, system, size, seconds, peak, quality, seconds / ours])


def compare_epochs(bench: Bench, folder: Path) -> None:
    """Seconds of one epoch: the median of all but the first, over three runs in turns."""
    seconds: dict[str, list[float]] = {}
    found = {}
    for _ in range(3):
        for system, epochs in (("cfmf, observed pairs", 12), ("dense masked step", 6)):
            run = bench.once(folder, system, epochs=epochs)
            assert run is not None
            curve = run["curve"]
            seconds.setdefault(system, []).extend(second for second, _ in curve[1:])
            found[system] = (float(np.median(seconds[system])), run["peak_mb"], curve[5][1])
    bench.add("epoch", folder.name, found)


def compare_sweeps(bench: Bench, folder: Path) -> None:
    """Seconds of one sweep of ALS."""
    found = {}
    for system in ("cfmf ALS", "LensKit ALS", *IMPLICIT):
        run = bench.run(folder, system)
        if run is None:
            continue
        first, last = run["curve"][0], run["curve"][-1]
        epochs = SETTINGS[folder.name].get(system, {}).get("epochs", IMPLICIT_SWEEPS)
        found[system] = ((last[0] - first[0]) / (epochs[-1] - epochs[0]), run["peak_mb"], last[1])
    bench.add("sweep", folder.name, found)


def compare_times(bench: Bench, folder: Path) -> None:
    """Seconds to a test RMSE."""
    bench.race(folder, RACING)
    runs = {}
    for system in (*OURS, "LIBMF", "LensKit ALS", "Surprise SVD"):
        run = bench.run(folder, system)
        if run is not None:
            runs[system] = run
    best = {system: min(value for _, value in run["curve"]) for system, run in runs.items()}
    targets = {"the best": min(best.values()) + 1e-3}
    targets |= {f"{name}'s best": best[name] + 1e-3 for name in runs if name not in OURS}
    for whose, target in targets.items():
        found = {}
        for system, run in runs.items():
            there = [seconds for seconds, value in run["curve"] if value <= target]
            found[system] = (min(there, default=np.nan), run["peak_mb"], best[system])
        bench.add(f"time to RMSE {target:.4f}, {whose} + .001", folder.name, found)


def compare_gibbs(bench: Bench, folder: Path) -> None:
    """Seconds of one sweep, and the RMSE after 50."""
    found = {}
    for system in ("cfmf Gibbs", "myFM"):
        run = bench.run(folder, system)
        if run is not None:
            seconds, quality = run["curve"][-1]
            found[system] = (seconds / 50, run["peak_mb"], quality)
    bench.add("gibbs sweep, RMSE after 50", folder.name, found)


PARTS = {
    "epoch": (compare_epochs, {"study-10k"}),
    "time": (compare_times, {"study-10k", "ml-1m"}),
    "sweep": (compare_sweeps, {"study-10k", "ml-1m"}),
    "gibbs": (compare_gibbs, {"ml-1m"}),
}


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="a Python with requirements-peers.txt installed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=[*PARTS])
    parser.add_argument("--sizes", nargs="*", choices=["study-10k", "ml-1m"])
    parser.add_argument("--output", type=Path, default=RESULTS / "factorization.tsv")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        folder, system, options = arguments.child
        child(Path(folder), system, json.loads(options))
        return
    wanted = arguments.only or [*PARTS]
    bench = Bench(arguments.threads, arguments.peers)
    with tempfile.TemporaryDirectory() as scratch:
        sizes = {"study-10k": lambda: draw(*STUDY)}
        if os.environ.get("CFMF_REAL_DATA"):
            sizes["ml-1m"] = lambda: movielens(Path(os.environ["CFMF_REAL_DATA"]), 0.1)
        for name, load in sizes.items():
            if arguments.sizes and name not in arguments.sizes:
                continue
            folder = store(Path(scratch) / name, load())
            for part, (compare, where) in PARTS.items():
                if part in wanted and name in where:
                    compare(bench, folder)
                    write(bench, arguments.output)  # a later part may fail
    print(arguments.output.read_text())


def write(bench: Bench, path: Path) -> None:
    """The table so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(bench.rows, columns=COLUMNS)
    table.to_csv(path, sep="\t", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
