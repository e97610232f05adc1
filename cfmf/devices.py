"""What there is to compute on; `cfmf.workflow.devices` assigns one GPU to each job."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache


class DeviceError(RuntimeError):
    """A GPU was requested and cannot be used; the message explains why and what to do."""


class DeviceMemoryError(MemoryError):
    """The GPU lacks memory, not the machine; the message names the settings to lower."""


@cache
def gpu_count() -> int:
    """How many GPUs NVIDIA's driver lists here; 0, within seconds, where there is no driver."""
    listing = shutil.which("nvidia-smi")
    if listing is None:
        return 0
    try:
        done = subprocess.run(
            [listing, "--list-gpus"], capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return sum(line.startswith(b"GPU ") for line in lines)


def has_gpu() -> bool:
    """Whether NVIDIA's driver lists a GPU here."""
    return gpu_count() > 0
