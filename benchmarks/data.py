"""From raw files to rating matrices, compared with pandas, pyarrow and polars on the same files.

    python -m benchmarks.data            10,000 users × 10,000 items, 8,617,212 ratings
    python -m benchmarks.data --large    480,189 × 17,770, 100,480,507 ratings (3 GB in --folder)

Every run is a process of its own, so that its peak memory is its own and what is imported or
compiled at first use counts; systems take turns, and the fastest of the repeats counts. The
libraries check nothing: they read the columns, NumPy indexes the ids, SciPy makes the matrices.
Polars is left out where it is not installed. Writes benchmarks/results/data.tsv.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.common import COLUMNS, ROOT, peak_megabytes
from cfmf.data.formats import read
from cfmf.data.matrices import build_matrix
from cfmf.data.sources import retrieve
from cfmf.workflow.config import completed

RESULTS = ROOT / "benchmarks" / "results" / "data.tsv"
THREADS = 2
NAMES = ["user", "item", "rating", "date"]
OURS = "cfmf, 2 threads"
SIZES = {
    "study": {
        "users": 10_000,
        "items": 10_000,
        "titles": 17_770,
        "train": 6_897_746,
        "test": 1_719_466,
        "rank": 10,
    },
    "netflix-prize": {
        "users": 480_189,
        "items": 17_770,
        "train": 99_072_112,
        "test": 1_408_395,
        "rank": 10,
    },
}


@cache
def dataset(**synthetic: int) -> dict:
    """Block of a synthetic data set."""
    return completed({"source": "synthetic", "synthetic": synthetic})


def matrices(raw: Path, threads: int) -> int:
    """Ratings read, checked, indexed and put into matrices of train and test."""
    parsed = read(raw, dataset(), threads)
    part = parsed.ratings["part"]
    shape = len(parsed.users), len(parsed.items)
    return sum(
        build_matrix(parsed.ratings, np.flatnonzero((part == name).to_numpy()), *shape, threads).nnz
        for name in ("train", "test")
    )


def of_pandas(file: Path) -> tuple[np.ndarray, ...]:
    """Columns of a file by pandas.read_csv."""
    table = pd.read_csv(file, sep=" ", header=None, names=NAMES)
    return tuple(table[name].to_numpy() for name in NAMES[:3])


def of_pyarrow(file: Path) -> tuple[np.ndarray, ...]:
    """Columns of a file by pyarrow.csv."""
    import pyarrow as pa
    from pyarrow import csv

    pa.set_cpu_count(THREADS)
    table = csv.read_csv(file, csv.ReadOptions(column_names=NAMES), csv.ParseOptions(delimiter=" "))
    return tuple(table[name].to_numpy() for name in NAMES[:3])


def of_polars(file: Path) -> tuple[np.ndarray, ...]:
    """Columns of a file by polars.read_csv."""
    import polars

    table = polars.read_csv(file, separator=" ", has_header=False, new_columns=NAMES)
    return tuple(table[name].to_numpy() for name in NAMES[:3])


def with_scipy(columns: Callable[[Path], tuple[np.ndarray, ...]], raw: Path) -> int:
    """Ratings read by a library, indexed by NumPy and put into matrices by SciPy; no checks."""
    train, test = (columns(raw / f"netflix_{part}.txt") for part in ("train", "test"))
    split, indices, shape = len(train[0]), [], []
    for side in (0, 1):
        known, index = np.unique(np.concatenate([train[side], test[side]]), return_inverse=True)
        indices.append(index.astype(np.int32))
        shape.append(len(known))
    found = 0
    for rows, part in ((slice(0, split), train), (slice(split, None), test)):
        places = (indices[0][rows], indices[1][rows])
        matrix = sparse.csr_array((part[2].astype(np.float32), places), shape=tuple(shape))
        matrix.sort_indices()
        found += matrix.nnz
    return found


SYSTEMS = {
    OURS: lambda raw: matrices(raw, THREADS),
    "cfmf, 1 thread": lambda raw: matrices(raw, 1),
    "cfmf, 2 threads, without the matrices": lambda raw: len(read(raw, dataset(), THREADS).ratings),
    "pandas.read_csv + scipy, without checks": partial(with_scipy, of_pandas),
    "pyarrow.csv + scipy, 2 threads, without checks": partial(with_scipy, of_pyarrow),
    "polars.read_csv + scipy, 2 threads, without checks": partial(with_scipy, of_polars),
    "pandas.read_csv, without an index or a matrix": lambda raw: sum(
        len(of_pandas(raw / f"netflix_{part}.txt")[0]) for part in ("train", "test")
    ),
}
PEERS = {"polars.read_csv + scipy, 2 threads, without checks": "polars"}


def run_one(system: str, raw: Path) -> dict:
    """Run once; seconds (with what is imported or compiled first), peak memory and ratings."""
    start = time.perf_counter()
    rows = SYSTEMS[system](raw)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": peak_megabytes(), "rows": rows}


def measure(size: str, folder: Path, repeats: int) -> list[dict]:
    """Rows of the table for one size."""
    raw = folder / size
    if not raw.exists():
        start = time.perf_counter()
        retrieve(dataset(**SIZES[size]), raw)
        print(f"{raw.name} generated in {time.perf_counter() - start:.1f} s", flush=True)
    systems = [one for one in SYSTEMS if one not in PEERS or find_spec(PEERS[one])]
    for missing in SYSTEMS.keys() - systems:
        print(f"{missing}: not installed", flush=True)
    runs: dict[str, list[dict]] = {system: [] for system in systems}
    limited = os.environ | {"POLARS_MAX_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}
    for _ in range(repeats):
        for system in systems:
            command = [sys.executable, "-m", "benchmarks.data", "--one", system, str(raw)]
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=True, env=limited
            )
            runs[system].append(json.loads(done.stdout))
            print(system, runs[system][-1], flush=True)
    best = {system: min(one, key=lambda run: run["seconds"]) for system, one in runs.items()}
    return [
        {
            "benchmark": "raw files to rating matrices",
            "system": system,
            "size": f"{size}: {one['rows']} ratings",
            "seconds": round(one["seconds"], 3),
            "peak_mb": round(one["peak_mb"]),
            "quality": f"{one['rows'] / one['seconds'] / 1e6:.1f} million ratings/s",
            "ratio_to_ours": round(one["seconds"] / best[OURS]["seconds"], 3),
        }
        for system, one in best.items()
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--large", action="store_true", help="the whole Netflix Prize's size too")
    parser.add_argument("--folder", type=Path, help="where raw files go, and stay; else temporary")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        system, raw = options.one
        print(json.dumps(run_one(system, Path(raw))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measure("study", folder, options.repeats)
        if options.large:
            rows += measure("netflix-prize", folder, 1)
    table = pd.DataFrame(rows)[COLUMNS]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(RESULTS, sep="\t", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
