"""What the machine that plans the jobs has to compute on."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache


@cache
def has_gpu() -> bool:
    """Whether NVIDIA's driver lists a GPU here; false, within seconds, where there is no driver."""
    listing = shutil.which("nvidia-smi")
    if listing is None:
        return False
    try:
        done = subprocess.run(
            [listing, "--list-gpus"], capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and b"GPU" in done.stdout
