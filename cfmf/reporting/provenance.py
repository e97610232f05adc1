"""What a run was made with: config, versions, git state, machine, hashes, command."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from cfmf.addresses import shown_below
from cfmf.files import sha256, written_whole

PACKAGES = [
    "cfmf",
    "snakemake",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "torch",
    "jax",
    "numba",
    "statsmodels",
    "scikit-posthocs",
    "optuna",
    "plotly",
    "matplotlib",
    "jinja2",
]


def collect(
    config: Mapping[str, Any],
    inputs: Iterable[str | Path] = (),
    command: str = "",
    root: Path = Path(),
    outputs: Iterable[str | Path] = (),
    logs: Iterable[str | Path] = (),
) -> dict[str, Any]:
    """Everything needed to repeat a run and to judge its times.

    Parameters
    ----------
    config
        The whole config, defaults filled in; what signs an address is left out.
    inputs
        Files to hash; those that are gone are left out.
    command
        The command that repeats the run.
    root
        The repository, to tell its commit.
    outputs
        Files to hash that the run made; those that are gone are left out.
    logs
        Of the jobs whose results are told, to say when the first of them started.
    """
    return {
        "command": command,
        "config": shown_below(config),
        "versions": versions(),
        "git": git_state(root),
        "machine": machine(),
        "run": {
            "started": first_start(logs),
            "reported": datetime.now(UTC).isoformat(timespec="seconds"),
            "seeds": dict(config.get("study") or {}).get("seeds", []),
        },
        "inputs": hashes(inputs),
        "outputs": hashes(outputs),
    }


def hashes(paths: Iterable[str | Path]) -> dict[str, str]:
    """SHA-256 of files by path; those that are gone, and folders, are left out."""
    return {str(path): sha256(path) for path in map(Path, paths) if path.is_file()}


def first_start(logs: Iterable[str | Path]) -> str:
    """When the first of some jobs started, ISO 8601 in UTC; empty where no log tells.

    A log begins with the local time, as `cfmf.rules.job` writes it. Jobs whose results were there
    already count with the time at which they once ran.
    """
    found = []
    for path in map(Path, logs):
        try:
            with path.open(encoding="utf-8", errors="replace") as lines:
                told = lines.readline()[: len("2000-01-01 00:00:00")]
            found.append(datetime.strptime(told, "%Y-%m-%d %H:%M:%S").astimezone(UTC))
        except (OSError, ValueError):
            continue
    return min(found).isoformat(timespec="seconds") if found else ""


def write(path: str | Path, known: Mapping[str, Any]) -> None:
    """Write what `collect` returned as JSON, whole or not at all."""
    with written_whole(path) as beside:
        beside.write_text(json.dumps(known, indent=1, default=str, ensure_ascii=False), "utf-8")


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of the packages that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(root: Path = Path()) -> dict[str, Any]:
    """Commit, and whether files differ from it; nothing outside a repository."""
    commit = _output(["git", "-C", str(root), "rev-parse", "HEAD"])
    if not commit:
        return {}
    changed = _output(["git", "-C", str(root), "status", "--porcelain"])
    return {"commit": commit, "dirty": bool(changed)}


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def machine() -> dict[str, Any]:
    """Python, system, processor, cores that this process may use, memory and GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores,
        "memory": _memory(),
        "gpu": _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]) or "none",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return ""
    return f"{total / 2**30:.1f} GiB"
