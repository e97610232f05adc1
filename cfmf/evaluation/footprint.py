"""What one fit takes: time, energy where the machine tells it, and the size of what is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from cfmf.config import entry, registry
from cfmf.evaluation.fitting import Setting
from cfmf.models import Model
from cfmf.tables import COLUMNS

POWERCAP = Path("/sys/class/powercap")
UNLEARNED = ("mean", "bounds", "penalty")


@contextmanager
def measured(powercap: Path = POWERCAP) -> Iterator[dict[str, float]]:
    """Yield a dictionary that holds `seconds`, `cpu_seconds` and perhaps `joules` after the block.

    `cpu_seconds` are those of this process, all threads together. `joules` are those of the
    processor packages, whatever ran on them meanwhile; they are left out where the machine does not
    tell (see `energy_counters`).
    """
    found: dict[str, float] = {}
    counters = energy_counters(powercap)
    cpu, wall = time.process_time(), time.perf_counter()
    yield found
    found["seconds"] = time.perf_counter() - wall
    found["cpu_seconds"] = time.process_time() - cpu
    joules = joules_since(counters, powercap)
    if joules is not None:
        found["joules"] = joules


def energy_counters(powercap: Path = POWERCAP) -> dict[str, int]:
    """Microjoules that each processor package has used so far; empty where nobody may read them.

    These are the zones `intel-rapl:N` of Linux's powercap (Intel and AMD), not their subzones,
    which the packages include.
    """
    found = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):
        if zone.name.count(":") == 1:
            try:
                found[zone.name] = int((zone / "energy_uj").read_text())
            except (OSError, ValueError):
                continue
    return found


def joules_since(before: Mapping[str, int], powercap: Path = POWERCAP) -> float | None:
    """Joules used since the counters were read; None where they were not told.

    A counter that starts again from 0 meanwhile is taken to have done so once.
    """
    now = energy_counters(powercap)
    if not before or set(before) != set(now):
        return None
    total = 0
    for name, value in now.items():
        used = value - before[name]
        if used < 0:
            used += int((powercap / name / "max_energy_range_uj").read_text())
        total += used
    return total / 1e6


def kept_arrays(model: Model) -> list[np.ndarray]:
    """The arrays that a fitted model learned or kept to predict."""
    # Not what is one number, which users and items are known, or how sure a draw is.
    return [
        array
        for name, array in model.arrays().items()
        if array.ndim and array.dtype != bool and "precision" not in name and name not in UNLEARNED
    ]


def size_in_bytes(model: Model) -> int:
    """Bytes of `kept_arrays`."""
    return int(sum(array.nbytes for array in kept_arrays(model)))


def parameter_count(method: str, m: int, n: int, ratings: int, k: int = 0, draws: int = 1) -> int:
    """Numbers that a method keeps of m users, n items and so many ratings, by its formula.

    Of neighbour methods what the registry says; of factorizations k factors of every user and item
    and, where the model has them, a bias.
    """
    registered = entry(method)
    if registry()[method] == "neighbours":
        return int(registered().parameter_count((m, n), ratings, None))
    return draws * (m + n) * (k + registered.options.get("biases", True))


def cost_rows(
    setting: Setting,
    model: Model,
    train: sparse.csr_array,
    fitting: Mapping[str, float],
    predicting: Mapping[str, float],
    asked: sparse.csr_array,
    dataset: str = "",
) -> pd.DataFrame:
    """A `costs` table of one fit: what `measured` gave of its stages, and the model's size.

    Stage `fit` has seconds, cpu_seconds and perhaps joules; stage `predict` the same and `pairs`,
    how many were predicted; stage `model` has `bytes` and `numbers`, those of `parameter_count`.
    """
    k = int(setting.k or 0)
    numbers = parameter_count(setting.method, *train.shape, train.nnz, k, model.draws())
    stages = {
        "fit": fitting,
        "predict": {**predicting, "pairs": asked.nnz},
        "model": {"bytes": size_in_bytes(model), "numbers": numbers},
    }
    rows = [
        {**setting.keys, "dataset": dataset, "stage": stage, "measure": measure, "value": value}
        for stage, facts in stages.items()
        for measure, value in facts.items()
    ]
    return pd.DataFrame(rows)[COLUMNS["costs"]]
