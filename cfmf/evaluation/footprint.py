"""What one fit takes: time, energy where the machine measures it, and the size of the model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
from scipy import sparse

from cfmf.evaluation.fitting import Setting
from cfmf.models import Model
from cfmf.tables import COLUMNS

POWERCAP = Path("/sys/class/powercap")


@contextmanager
def measured(powercap: Path = POWERCAP) -> Iterator[dict[str, float]]:
    """Yield a dictionary that holds `seconds`, `cpu_seconds` and perhaps `joules` after the block.

    `cpu_seconds` are those of this process, all threads together. `joules` are those of the
    processor packages, including other processes; they are left out where the machine does not
    measure them (see `energy_counters`).
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
    """Microjoules that each processor package has used so far; empty where they cannot be read.

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
    """Joules used since the counters were read; None where they could not be.

    A counter that wrapped around is assumed to have done so once.
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


def size_in_bytes(model: Model) -> int:
    """Bytes of the arrays without which a fitted model cannot predict."""
    return sum(array.nbytes for array in model.arrays().values())


def cost_rows(
    setting: Setting,
    model: Model,
    train: sparse.csr_array,
    stages: Mapping[str, Mapping[str, float]],
) -> pd.DataFrame:
    """A `costs` table of one fit.

    Parameters
    ----------
    stages
        What `measured` yielded of each stage, `fit` and `predict`, and whatever else belongs to it.

    Returns
    -------
    The stages, and `model` with its `bytes` and `numbers`: `Method.parameter_count`.
        Bytes are left out of a model that cannot be saved.
    """
    shape = int(train.shape[0]), int(train.shape[1])
    numbers = setting.method.parameter_count(shape, train.nnz, model)
    held: dict[str, float] = {"numbers": numbers}
    with suppress(NotImplementedError):  # models of other packages may have no form to be saved in
        held["bytes"] = size_in_bytes(model)
    facts = {**stages, "model": held}
    keys = setting.keys | {"k": setting.k, "reg": setting.reg, "seed": setting.seed}
    rows = [
        {**keys, "stage": stage, "measure": measure, "value": value}
        for stage, measures in facts.items()
        for measure, value in measures.items()
    ]
    return pd.DataFrame(rows)[COLUMNS["costs"]]
