"""From raw files to rating matrices, compared with pandas.read_csv on the same files.

    python benchmarks/data.py            10,000 users × 10,000 items, 8,617,212 ratings
    python benchmarks/data.py --large    480,189 × 17,770, 100,480,507 ratings (3 GB in --folder)

Every run is a process of its own, warmed up on a small data set, so that its peak memory is its
own too; systems take turns, and the fastest of the repeats counts. Writes
benchmarks/results/data.tsv.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cfmf.data.formats import read  # noqa: E402
from cfmf.data.matrices import build_matrix  # noqa: E402
from cfmf.data.sources import retrieve  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "data.tsv"
COLUMNS = ["benchmark", "system", "size", "seconds", "peak_mb", "quality", "ratio_to_ours"]
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


def completed(block: dict, schema: dict) -> dict:
    """A config block with the defaults of its schema."""
    block = dict(block)
    for key, one in schema["properties"].items():
        if key not in block and "default" in one:
            block[key] = one["default"]
        if one.get("type") == "object":
            block[key] = completed(block[key], one)
    return block


@cache
def dataset(**synthetic: int) -> dict:
    """Block of a synthetic data set."""
    schema = yaml.safe_load((ROOT / "schemas/dataset.schema.yaml").read_text("utf-8"))
    block = {"source": "synthetic", "synthetic": synthetic}
    return completed(block, schema["$defs"]["dataset"])


def matrices(raw: Path, threads: int) -> int:
    """Ratings read, checked, indexed and put into matrices of train and test."""
    parsed = read(raw, dataset(), threads)
    part = parsed.ratings["part"]
    shape = len(parsed.users), len(parsed.items)
    return sum(
        build_matrix(parsed.ratings, np.flatnonzero((part == name).to_numpy()), *shape, threads).nnz
        for name in ("train", "test")
    )


def pandas_read_csv(raw: Path) -> int:
    """Ratings read by pandas, without a check, an index or a matrix."""
    names = ["user", "item", "rating", "date"]
    files = [raw / "netflix_train.txt", raw / "netflix_test.txt"]
    return sum(len(pd.read_csv(file, sep=" ", header=None, names=names)) for file in files)


SYSTEMS = {
    OURS: lambda raw: matrices(raw, 2),
    "cfmf, 1 thread": lambda raw: matrices(raw, 1),
    "cfmf, 2 threads, without the matrices": lambda raw: len(read(raw, dataset(), 2).ratings),
    "pandas.read_csv, without checks": pandas_read_csv,
}


def run_one(system: str, raw: Path, small: Path) -> dict:
    """Warm up, run once; seconds, peak memory and ratings."""
    SYSTEMS[system](small)
    start = time.perf_counter()
    rows = SYSTEMS[system](raw)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak, "rows": rows}


def measure(size: str, folder: Path, repeats: int) -> list[dict]:
    """Rows of the table for one size."""
    raw, small = folder / size, folder / "small"
    for path, settings in ((raw, SIZES[size]), (small, {})):
        if not path.exists():
            start = time.perf_counter()
            retrieve(dataset(**settings), path)
            print(f"{path.name} generated in {time.perf_counter() - start:.1f} s", flush=True)
    runs: dict[str, list[dict]] = {system: [] for system in SYSTEMS}
    for _ in range(repeats):
        for system in SYSTEMS:
            command = [sys.executable, __file__, "--one", system, str(raw), str(small)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
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
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        system, raw, small = options.one
        print(json.dumps(run_one(system, Path(raw), Path(small))))
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
