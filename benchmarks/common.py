"""What the benchmarks share: matrices, and systems that run in processes of their own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COLUMNS = ["benchmark", "system", "size", "seconds", "peak_mb", "quality", "ratio_to_ours"]
STUDY = (10_000, 10_000, 6_897_746, 1_719_466)  # users, items, train and test ratings


def matrix(rows: Any, columns: Any, values: Any, shape: tuple[int, int]) -> sparse.csr_array:
    """CSR matrix with sorted int32 indices and float32 data."""
    places = (rows.astype(np.int32), columns.astype(np.int32))
    found = sparse.csr_array((values.astype(np.float32), places), shape=shape)
    found.sort_indices()
    return found


def movielens(folder: Path, share: float) -> list[sparse.csr_array]:
    """MovieLens 1M, a share of it for the test."""
    file = folder / "ml-1m" / "ml-1m_user_movie_rating.csv.gz"
    rows = np.genfromtxt(file, delimiter=",", skip_header=1)[:, :3]
    users, items = (np.unique(rows[:, place], return_inverse=True)[1] for place in (0, 1))
    held_out = np.random.default_rng(1).random(len(rows)) < share
    shape = (int(users.max()) + 1, int(items.max()) + 1)
    return [
        matrix(users[part], items[part], rows[part, 2], shape) for part in (~held_out, held_out)
    ]


def store(folder: Path, parts: list[sparse.csr_array]) -> Path:
    """Write the train and test matrices of a data set into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in zip(("train", "test"), parts, strict=True):
        sparse.save_npz(folder / f"{name}.npz", part, compressed=False)
    return folder


def stored(folder: Path) -> list[sparse.csr_array]:
    """The train and test matrices of a folder."""
    return [sparse.csr_array(sparse.load_npz(folder / f"{part}.npz")) for part in ("train", "test")]


def peak_megabytes() -> float:
    """Most memory that this process has held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count what the parent held when it started this process.
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 1024
    )


def apart(
    module: str, python: str, folder: Path, system: str, options: dict[str, Any], threads: int
) -> dict[str, Any] | None:
    """What a system prints last, as JSON, when `-m module --child` runs it in a process of its own.

    Every library that counts its threads by a variable is told as many. None if it fails, which is
    told on stderr.
    """
    variables = ("OMP", "OPENBLAS", "MKL", "LK", "RAYON", "NUMBA")
    environment = os.environ | {f"{name}_NUM_THREADS": str(threads) for name in variables}
    command = [python, "-m", module, "--child", str(folder), system, json.dumps(options)]
    environment["PYTHONWARNINGS"] = "ignore"
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        print(f"{system} failed with status {done.returncode}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
