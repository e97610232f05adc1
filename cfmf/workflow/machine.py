"""What a process runs with: versions of packages, and the machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from cfmf import __version__

PACKAGES = [
    "snakemake",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "torch",
    "jax",
    "pyspark",
    "numba",
    "statsmodels",
    "scikit-posthocs",
    "optuna",
    "plotly",
    "matplotlib",
    "jinja2",
    "cornac",
    "lenskit",
    "myfm",
    "scikit-surprise",
]


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of cfmf, which need not be installed, and of the packages that are."""
    found = {"cfmf": __version__}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def packages_with(modules: Iterable[str]) -> list[str]:
    """The installed packages that some modules (or `module:Class`) belong to, cfmf apart."""
    tops = {re.split("[.:]", name)[0] for name in modules} - {"cfmf"}
    known = metadata.packages_distributions() if tops else {}
    return sorted({package for top in tops for package in known.get(top, [])})


def machine() -> dict[str, Any]:
    """Python, system, processor, cores that this process may use, memory and GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores,
        "memory": _memory(),
        "gpu": output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]) or "none",
    }


def output(command: list[str]) -> str:
    """What a command prints; empty where it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def memory_bytes() -> int | None:
    """Memory of this machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _memory() -> str:
    total = memory_bytes()
    return "" if total is None else f"{total / 2**30:.1f} GiB"
