"""Neighbour methods compared with other packages: seconds, peak memory, RMSE and agreement.

user-cf
    All neighbours, cosine of raw ratings. `published` is the study's recipe: scikit-learn's
    cosine_similarity of the CSR matrix, then two dense products, in float32 and in float64.
user-knn
    The 40 nearest users, cosine of centred ratings, centred predictions, as LensKit's UserKNN
    computes them. LensKit predicts for the first `--users` users only, Surprise (KNNWithMeans with
    its own cosine, over shared ratings) for the first 10,000 pairs; their seconds are scaled to all
    pairs. Their RMSE is over their own pairs; a row of ours gives the RMSE over the same pairs.
    Surprise runs on MovieLens only: it visits every two ratings of an item as Python objects, Σ d²
    of them, 1.4e10 at 10,000 × 10,000 (MovieLens 1M: 5e8), and keeps four users × users matrices.
agreement
    `quality` is the proportion of predictions that agree with ours within 1e-4; `size` includes the
    largest difference. Surprise's pearson is our pearson; its
    pearson_baseline shrinks by (c − 1)/(c − 1 + β) where ours does by c/(c + β), and its cosine is
    over shared ratings, so neither is compared.
products
    The measurement that decides which columns go through BLAS: a thousand million multiply-adds of
    the similarity sums, scattered over sparse columns and as a dense product, on one thread.
    `quality` of the `break-even` row is the density above which a column is faster as dense.
scaling
    Ours on four sizes of one density, with its defaults and with every column scattered. `quality`
    of the rows of exponents is the slope of log(seconds) against log(Σ d²), where d is the number
    of ratings of an item. The theoretical slope is 1 if every column is scattered; columns that go
    through BLAS cost less.
netflix
    One block of users of a synthetic data set of the size of the Netflix Prize, and the time of all
    users extrapolated from it.

    python -m benchmarks.neighbours [--peers PYTHON] [--only user-cf …] [--threads 2] [--users 300]

writes benchmarks/results/neighbours.tsv and keeps its rows that are not measured again. `--peers`
is the Python of an environment with the packages of requirements-peers.txt; without it, only ours
runs. MovieLens is read from the folder in CFMF_REAL_DATA, and left out without it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.common import (
    COLUMNS,
    RESULTS,
    STUDY,
    apart,
    movielens,
    peak_megabytes,
    store,
    stored,
)

NETFLIX = (480_189, 17_770, 99_072_112, 1_408_395)
NEAREST = 40
CHUNK = 2**22
"""Number of user-item pairs that are processed at once when ratings are drawn."""
SAMPLED = 101
"""One in so many pairs is sampled to estimate the time of the last wanted one."""


# ------------------------------------------------------------------------------------------- data


def draw(users: int, items: int, train: int, test: int, seed: int = 1) -> list[sparse.csr_array]:
    """Train and test matrices of a synthetic study: distinct pairs, skewed as real ratings are."""
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(0, 1.0, users)
    popularity = rng.lognormal(0, 1.5, items)
    likings = [rng.normal(0, 0.4, size).astype(np.float32) for size in (users, items)]
    # Some users at a time, so that a few million pairs are processed at once.
    edges = [*range(0, users, max(CHUNK // items, 1)), users]
    share = np.concatenate([[0], np.cumsum(activity)])[edges] / activity.sum()
    wanted, held_out = (
        np.diff(np.rint(count * share)).astype(int) for count in (train + test, test)
    )
    drawn: list[list[Any]] = [[], []]
    for place, start in enumerate(edges[:-1]):
        some = activity[start : edges[place + 1]]
        user, item = draw_pairs(some, popularity, wanted[place], rng)
        noise = rng.normal(0, 0.8, len(user)).astype(np.float32)
        ratings = np.clip(np.rint(3.6 + likings[0][start + user] + likings[1][item] + noise), 1, 5)
        out = np.zeros(len(user), dtype=bool)
        out[rng.choice(len(user), held_out[place], replace=False)] = True
        for parts, chosen in zip(drawn, (~out, out), strict=True):
            counts = np.bincount(user[chosen], minlength=len(some))
            parts.append((counts, item[chosen].astype(np.int32), ratings[chosen]))
    found = []
    for parts in drawn:
        counts, items_of, ratings = (np.concatenate(one) for one in zip(*parts, strict=True))
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        found.append(sparse.csr_array((ratings, items_of, starts), shape=(users, items)))
    return found


def draw_pairs(activity: Any, popularity: Any, wanted: int, rng: np.random.Generator) -> Any:
    """Distinct pairs of a user and an item, sorted, drawn one after the other by their weights.

    The pairs with the shortest exponential times, each divided by its weight, are such a draw
    (Efraimidis & Spirakis, 2006), and only those that may be among them are sorted.
    """
    shape = len(activity), len(popularity)
    times = rng.standard_exponential(shape, dtype=np.float32)
    times /= activity.astype(np.float32)[:, np.newaxis]
    times /= popularity.astype(np.float32)
    every = times.ravel()
    some = np.sort(every[::SAMPLED])
    last = some[min(int(1.05 * wanted / SAMPLED) + 20, len(some) - 1)]
    places = np.flatnonzero(every <= last)
    if len(places) < wanted:
        places = np.arange(len(every))
    first = np.argpartition(every[places], wanted - 1)[:wanted]
    return np.divmod(np.sort(places[first]), shape[1])


# ---------------------------------------------------------------------- systems, each in a process


def published(train: Any, test: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The study's recipe for user CF."""
    from sklearn.metrics.pairwise import cosine_similarity

    users, items = test.tocoo().coords
    begun = time.perf_counter()
    train = sparse.csr_matrix(train.astype(options["dtype"]))
    similarity = cosine_similarity(train)
    dense = train.toarray()
    predicted = (similarity @ dense) / np.maximum(
        similarity @ (dense != 0).astype(dense.dtype), 1e-12
    )
    predicted = predicted[users, items]
    return {"seconds": time.perf_counter() - begun, "predicted": predicted}


def ours(train: Any, test: Any, options: dict[str, Any]) -> dict[str, Any]:
    """A method of this project."""
    from cfmf.kernels import scatter
    from cfmf.methods import registry

    if options.get("scattered"):
        scatter.DENSE = 2.0
    users, items = test.tocoo().coords
    method = registry.method(options["method"])(**options["parameters"])
    # The first call compiles, or loads what was compiled; that is not the method's time.
    few = train[:300].tocsr()
    method.fit(few).predict([0, 1], [0, 1])
    begun = time.perf_counter()
    predicted = method.fit(train, threads=options["threads"]).predict(users, items)
    return {"seconds": time.perf_counter() - begun, "predicted": predicted.values}


def lenskit(train: Any, test: Any, options: dict[str, Any]) -> dict[str, Any]:
    """LensKit's UserKNN for the first users; only the predictions are timed."""
    import pandas as pd
    from lenskit.data import ItemList, from_interactions_df
    from lenskit.knn import UserKNNScorer

    rows, columns = train.tocoo().coords
    frame = pd.DataFrame({"user_id": rows, "item_id": columns, "rating": train.data})
    model = UserKNNScorer(max_nbrs=NEAREST, feedback="explicit")
    model.train(from_interactions_df(frame))
    predicted = np.full(test.nnz, np.nan, dtype=np.float32)
    done = 0
    begun = time.perf_counter()
    for user in range(min(options["users"], test.shape[0])):
        start, stop = test.indptr[user], test.indptr[user + 1]
        scored = model(user, ItemList(item_ids=test.indices[start:stop]))
        predicted[start:stop] = scored.scores()
        done = stop
    seconds = (time.perf_counter() - begun) * test.nnz / done
    return {"seconds": seconds, "predicted": predicted}


def surprise(train: Any, test: Any, options: dict[str, Any]) -> dict[str, Any]:
    """One of Surprise's kNN algorithms for the first pairs."""
    import surprise as package

    rows, columns = train.tocoo().coords
    reader = package.Reader(rating_scale=(1, 5))
    import pandas as pd

    frame = pd.DataFrame({"user": rows, "item": columns, "rating": train.data.astype(float)})
    trainset = package.Dataset.load_from_df(frame, reader).build_full_trainset()
    similarity = options["similarity"] | {"user_based": options["by"] == "users"}
    algorithm = getattr(package, options["algorithm"])(
        k=NEAREST, sim_options=similarity, verbose=False
    )
    begun = time.perf_counter()
    algorithm.fit(trainset)
    fitted = time.perf_counter() - begun
    users, items = test.tocoo().coords
    count = min(options["pairs"], test.nnz)
    predicted = np.full(test.nnz, np.nan, dtype=np.float32)
    begun = time.perf_counter()
    for place in range(count):
        found = algorithm.predict(users[place], items[place], clip=False)
        if not found.details["was_impossible"] and found.details.get("actual_k", 0):
            predicted[place] = found.est
    seconds = fitted + (time.perf_counter() - begun) * test.nnz / count
    return {"seconds": seconds, "predicted": predicted}


def one_block(train: Any, test: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Test predictions of some users, and the time of what all users share."""
    from cfmf.kernels import scatter
    from cfmf.published.methods.user_cf_published import UserCF

    few = train[:300].tocsr()
    UserCF().fit(few).predict([0, 1], [0, 1])
    model = UserCF().fit(train, threads=options["threads"])
    users, items = test.tocoo().coords
    size = scatter.block_rows(train.shape[0], train.nnz) * options["threads"]
    middle = train.shape[0] // 2 // size * size
    end = min(middle + 32 * size, train.shape[0])
    seconds = []
    # Without users first, twice, for the second one finds the memory warm.
    for stop in (middle, middle, end):
        begun = time.perf_counter()
        block = slice(test.indptr[middle], test.indptr[stop])
        model.predict(users[block], items[block])
        seconds.append(time.perf_counter() - begun)
    figures = {"shared": seconds[1], "seconds": seconds[2], "rows": end - middle}
    return figures | {"predicted": np.empty(0)}


def products(train: Any, test: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Seconds of a thousand million multiply-adds, scattered or dense, on one thread."""
    from threadpoolctl import threadpool_limits

    from cfmf.kernels import scatter
    from cfmf.neighbours.compare import compare

    scatter.DENSE = 0.0 if options["dense"] else 2.0
    scatter.DENSE_BYTES = 2**40
    comparison = compare(train, "users", "cosine", counted=False)
    layout = scatter.arrange(comparison)
    size = scatter.block_rows(train.shape[0], train.nnz)
    raters = np.diff(layout.column_starts.astype(np.int64))
    per_block = [
        train.shape[0] * size * train.shape[1]
        if options["dense"]
        else int(raters[train.indices[train.indptr[start] : train.indptr[start + size]]].sum())
        for start in (0, size, 2 * size)
    ]
    with threadpool_limits(1):
        scatter.block_sums(layout, comparison, 0, size)
        begun = time.perf_counter()
        for start in (0, size, 2 * size):
            scatter.block_sums(layout, comparison, start, start + size)
        seconds = (time.perf_counter() - begun) / sum(per_block) * 1e9
    return {"seconds": seconds, "predicted": np.empty(0)}


SYSTEMS: dict[str, Callable[..., dict[str, Any]]] = {
    "published": published,
    "ours": ours,
    "lenskit": lenskit,
    "surprise": surprise,
    "one_block": one_block,
    "products": products,
}


def child(folder: Path, system: str, options: dict[str, Any]) -> None:
    """Run a system on a folder's matrices; predictions go to a file, figures to stdout."""
    parts = stored(folder)
    found = SYSTEMS[system](*parts, options)
    predicted = found.pop("predicted")
    np.save(folder / f"{options['name']}.npy", predicted)
    if len(predicted):
        known = ~np.isnan(predicted)
        found["quality"] = rmse(predicted[known], parts[1].data[known])
    found["peak_mb"] = peak_megabytes()
    print(json.dumps(found))


# --------------------------------------------------------------------------------------- the table


class Bench:
    """Runs systems on data sets and collects the rows of the table."""

    def __init__(self, peers: str | None, threads: int, users: int) -> None:
        self.peers, self.threads, self.users = peers, threads, users
        self.rows: list[dict[str, Any]] = []

    def run(self, folder: Path, name: str, system: str, **options: Any) -> dict[str, Any] | None:
        """Figures of a system in a process of its own; None if its environment is not installed."""
        own = system in ("ours", "one_block", "products")
        if not own and self.peers is None:
            return None
        python = sys.executable if own else self.peers
        options |= {"name": name}
        print(f"{folder.name}: {name}", file=sys.stderr, flush=True)
        return apart("benchmarks.neighbours", str(python), folder, system, options, self.threads)

    def add(
        self, benchmark: str, system: str, size: str, ours: float | None, **figures: Any
    ) -> None:
        """Add a row; `ours` are the seconds of ours."""
        row = dict.fromkeys(COLUMNS, "") | {"benchmark": benchmark, "system": system, "size": size}
        row |= {name: figures[name] for name in COLUMNS if name in figures}
        if ours:
            row["ratio_to_ours"] = figures["seconds"] / ours
        self.rows.append(row)
        print("\t".join(_text(row[name]) for name in COLUMNS), flush=True)

    def write(self, path: Path) -> None:
        """Write the table; keep the rows of an existing one that were not measured again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{name: _text(value) for name, value in row.items()} for row in self.rows]
        if path.exists():
            lines = [line.split("\t") for line in path.read_text().splitlines()[1:]]
            before = [dict(zip(COLUMNS, line, strict=True)) for line in lines]
            measured = {_what(row) for row in rows}
            rows = [row for row in before if _what(row) not in measured] + rows
        lines = ["\t".join(row[name] for name in COLUMNS) for row in rows]
        path.write_text("\n".join(["\t".join(COLUMNS), *lines, ""]))

    def user_cf(self, folder: Path, double: bool) -> None:
        """All neighbours, as published."""
        method = {"method": "user-cf-published", "parameters": {}}
        mine = self.run(folder, "cf-ours", "ours", **method, threads=self.threads)
        assert mine is not None
        self.add("user-cf", "ours", folder.name, mine["seconds"], **mine)
        for dtype in ("float32", "float64") if double else ("float32",):
            found = self.run(folder, f"cf-{dtype}", "published", dtype=dtype)
            if found:
                self.add("user-cf", f"published-{dtype}", folder.name, mine["seconds"], **found)
                self.agree(folder, f"published-{dtype}", "cf-ours", f"cf-{dtype}")

    def user_knn(self, folder: Path) -> None:
        """The 40 nearest users."""
        parameters = {"similarity": "adjusted-cosine", "prediction": "centred", "shrinkage": 0}
        parameters |= {"neighbours": NEAREST, "damping": 0}
        method = {"method": "user-knn", "parameters": parameters}
        mine = self.run(folder, "knn-ours", "ours", **method, threads=self.threads)
        assert mine is not None
        self.add("user-knn", "ours", folder.name, mine["seconds"], **mine)
        single = self.run(folder, "knn-single", "ours", **method, threads=1)
        if single:
            self.add("user-knn", "ours-1-thread", folder.name, mine["seconds"], **single)
        found = self.run(folder, "knn-lenskit", "lenskit", users=self.users)
        if found:
            self.add("user-knn", "lenskit", folder.name, mine["seconds"], **found)
            self.same_pairs(folder, "lenskit", "knn-ours", "knn-lenskit")
            self.agree(folder, "lenskit-user-knn", "knn-ours", "knn-lenskit")
        if folder.name == "movielens-1m":
            with_means = {"algorithm": "KNNWithMeans", "similarity": {"name": "cosine"}}
            found = self.run(
                folder, "knn-surprise", "surprise", **with_means, by="users", pairs=10_000
            )
            if found:
                self.add("user-knn", "surprise", folder.name, mine["seconds"], **found)
                self.same_pairs(folder, "surprise", "knn-ours", "knn-surprise")
        else:
            self.add("user-knn", "surprise", f"{folder.name}, left out: Python objects", None)

    def surprise(self, folder: Path) -> None:
        """Agreement with Surprise where the definitions are the same."""
        kinds = {"KNNBasic": "raw", "KNNWithMeans": "centred", "KNNBaseline": "baseline"}
        for by in ("users", "items"):
            for algorithm, prediction in kinds.items():
                parameters = {"similarity": "pearson", "prediction": prediction, "shrinkage": 0}
                parameters |= {"neighbours": NEAREST, "damping": 0, "reg_user": 15, "reg_item": 10}
                names = f"{by}-{algorithm}-ours", f"{by}-{algorithm}"
                method = f"{by[:-1]}-knn"
                self.run(folder, names[0], "ours", method=method, parameters=parameters, threads=1)
                similarity = {"name": "pearson", "min_support": 1}
                given = {"algorithm": algorithm, "similarity": similarity, "by": by}
                found = self.run(folder, names[1], "surprise", **given, pairs=20_000)
                if found:
                    self.agree(folder, f"surprise-{names[1]}-pearson", *names)

    def same_pairs(self, folder: Path, peer: str, mine: str, theirs: str) -> None:
        """RMSE of ours over the pairs that another package predicted."""
        ours, others = (np.load(folder / f"{name}.npy") for name in (mine, theirs))
        known = ~np.isnan(others)
        quality = rmse(ours[known], stored(folder)[1].data[known])
        size = f"{folder.name}, {known.sum()} pairs"
        self.add("user-knn", f"ours-on-pairs-of-{peer}", size, None, quality=quality)

    def agree(self, folder: Path, system: str, mine: str, theirs: str) -> None:
        """Proportion of predictions of both that are equal within 1e-4."""
        a, b = (np.load(folder / f"{name}.npy").astype(np.float64) for name in (mine, theirs))
        difference = np.abs(a - b)[~np.isnan(b)]
        size = f"{folder.name}, {len(difference)} pairs, largest {difference.max():.2g}"
        self.add("agreement", system, size, None, quality=np.mean(difference <= 1e-4))

    def products(self, folder: Path) -> None:
        """Dense and scattered multiply-adds."""
        found = [self.run(folder, f"products-{dense}", "products", dense=dense) for dense in (0, 1)]
        for name, figures in zip(("scattered", "dense"), found, strict=True):
            assert figures is not None
            self.add("products", name, f"1e9 of {folder.name}", None, **figures)
        scattered, dense = (figures["seconds"] for figures in found if figures)
        self.add("products", "break-even", folder.name, None, quality=(dense / scattered) ** 0.5)

    def scaling(self, folder: Path) -> None:
        """Four sizes of the study's density."""
        measured: dict[str, list[tuple[float, float]]] = {"ours": [], "ours-scattered": []}
        for users in (1250, 2500, 5000, 10_000):
            share = (users / STUDY[0]) ** 2
            parts = draw(users, users, int(STUDY[2] * share), int(STUDY[3] * share))
            place = store(folder / f"{users}x{users}", parts)
            work = float(np.sum(np.diff(parts[0].tocsc().indptr).astype(float) ** 2))
            method = {"method": "user-cf-published", "parameters": {}, "threads": 1}
            for name, points in measured.items():
                scattered = name == "ours-scattered"
                found = self.run(place, f"scaling-{name}", "ours", **method, scattered=scattered)
                assert found is not None
                self.add("scaling", name, f"{place.name}, sum of d^2 {work:.3g}", None, **found)
                points.append((np.log(work), np.log(found["seconds"])))
        for name, points in measured.items():
            slope = float(np.polyfit(*np.array(points).T, 1)[0])
            size = "exponent of four sizes, in theory 1"
            self.add("scaling", name, size, None, quality=slope)

    def netflix(self, folder: Path) -> None:
        """One block of data of the size of the Netflix Prize."""
        place = store(folder / "netflix", draw(*NETFLIX))
        found = self.run(place, "block", "one_block", threads=self.threads)
        assert found is not None
        size = f"{found['rows']} of {NETFLIX[0]} users"
        self.add("netflix", "ours", size, None, **found)
        whole = found["shared"] + (found["seconds"] - found["shared"]) * NETFLIX[0] / found["rows"]
        self.add("netflix", "ours-extrapolated", f"{NETFLIX[0]} users", None, seconds=whole)


def rmse(predicted: Any, ratings: Any) -> float:
    """Root mean square error; `cfmf` is not installed in the peers' environment."""
    return float(np.sqrt(np.mean((predicted.astype(np.float64) - ratings) ** 2)))


def _what(row: dict[str, str]) -> tuple[str, str, str]:
    """What a row measures: benchmark, system, and the data set that its size begins with."""
    return row["benchmark"], row["system"], row["size"].split(",")[0]


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Run what the command line asks for."""
    known = ["user-cf", "user-knn", "surprise", "products", "scaling", "netflix"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peers", help="Python of the peers' environment")
    parser.add_argument("--only", nargs="+", choices=known, default=known)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--users", type=int, default=300, help="users that LensKit predicts for")
    parser.add_argument("--out", type=Path, default=RESULTS / "neighbours.tsv")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(Path(given.child[0]), given.child[1], json.loads(given.child[2]))
        return
    bench = Bench(given.peers, given.threads, given.users)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folders = []
        if {"user-cf", "user-knn", "products"} & set(given.only):
            folders.append(store(scratch / "10000x10000", draw(*STUDY)))
        if "CFMF_REAL_DATA" in os.environ:
            parts = movielens(Path(os.environ["CFMF_REAL_DATA"]), 0.2)
            folders.append(store(scratch / "movielens-1m", parts))
        for folder in folders:
            if "user-cf" in given.only:
                bench.user_cf(folder, double=True)
            if "user-knn" in given.only:
                bench.user_knn(folder)
            if "products" in given.only and folder.name != "movielens-1m":
                bench.products(folder)
            if "surprise" in given.only and folder.name == "movielens-1m":
                bench.surprise(folder)
        if "scaling" in given.only:
            bench.scaling(scratch)
        if "netflix" in given.only:
            bench.netflix(scratch)
    bench.write(given.out)


if __name__ == "__main__":
    main()
