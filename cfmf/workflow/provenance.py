"""What a run was made with: config, versions, git state, machine, hashes, command."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cfmf.addresses import shown_below
from cfmf.files import atomic_write, seen_from_here, sha256
from cfmf.workflow.machine import machine, output, versions

log = logging.getLogger(__name__)

RUNS_WITH = " runs with "
"""Precedes packages and machine, as JSON, in a job's log; see `cfmf.workflow.job`."""
HEAD = 10
"""Lines at the start of a log that are searched for it."""


def collect(
    config: Mapping[str, Any],
    inputs: Iterable[str | Path] = (),
    command: str = "",
    root: Path = Path(),
    outputs: Iterable[str | Path] = (),
    logs: Iterable[str | Path] = (),
    extra_versions: Mapping[str, str] | None = None,
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
        The repository whose commit is recorded.
    outputs
        Files to hash that the run made; those that are gone are left out.
    logs
        Of the jobs, which report when the first of them started, and with which packages and on
        which machines they ran: with conda or a batch system these are not those of this process.
    extra_versions
        Of packages that neither this job nor those have, such as Snakemake with conda.
    """
    logs = list(logs)
    here, jobs = machine(), circumstances(logs)
    elsewhere = [one["machine"] for one in jobs if one["machine"] != here]
    return {
        "command": command,
        "config": shown_below(config),
        "versions": merged([versions(), *(one["versions"] for one in jobs), extra_versions or {}]),
        "git": git_state(root),
        "machine": here,
        "run": {
            "started": first_start(logs),
            "reported": datetime.now(UTC).isoformat(timespec="seconds"),
            "seeds": dict(config.get("study") or {}).get("seeds", []),
            **({"elsewhere": list(dict.fromkeys(map(_in_words, elsewhere)))} if elsewhere else {}),
        },
        "inputs": hashes(inputs),
        "outputs": hashes(outputs),
    }


def hashes(paths: Iterable[str | Path]) -> dict[str, str]:
    """SHA-256 of files by path, of a folder those that its manifest holds; others are left out."""
    found: dict[str, str] = {}
    for path in map(Path, paths):
        manifest = path / "manifest.json"
        if path.is_file():
            found[str(path)] = sha256(path)
        elif manifest.is_file():
            listed = json.loads(manifest.read_text(encoding="utf-8")).get("files", {})
            found |= {str(path / name): about["sha256"] for name, about in listed.items()}
    return found


def command(configfiles: Iterable[str | Path], config: Mapping[str, Any]) -> str:
    """The command that repeats a run with such files of config and such settings of its own."""
    words = ["snakemake", "--cores", "all", "--resources", "gpu=1"]
    files = [seen_from_here(path) for path in configfiles]
    words += ["--configfile", *files] if files else []
    settings = [f"{key}={_setting(value)}" for key, value in shown_below(config).items()]
    return shlex.join(words + (["--config", *settings] if settings else []))


def _setting(value: object) -> str:
    """A value as Snakemake's --config takes it."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, (Mapping, list)) else str(value)


def circumstances(logs: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Packages and machines that the logs of some jobs report, without repeats."""
    found = {}
    for path in map(Path, logs):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[:HEAD]
        except OSError:
            continue
        for text in (line.split(RUNS_WITH, 1)[1] for line in lines if RUNS_WITH in line):
            try:
                told = json.loads(text)
                found[text] = {key: dict(told[key]) for key in ("versions", "machine")}
            except (KeyError, TypeError, ValueError):
                log.warning("%s does not tell what its job ran with; left out", path)
    return list(found.values())


def merged(each: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Versions by package; all of them, in the given order, where they differ."""
    found: dict[str, list[str]] = {}
    for one in each:
        for name, version in one.items():
            found.setdefault(name, []).append(version)
    return {name: ", ".join(dict.fromkeys(several)) for name, several in found.items()}


def _in_words(machine: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items() if value)


def first_start(logs: Iterable[str | Path]) -> str:
    """When the first of some jobs started, ISO 8601 in UTC; empty where no log has a time.

    A log begins with the local time, as `job` writes it. Jobs whose results were there
    already count with the time at which they once ran.
    """
    found = []
    for path in map(Path, logs):
        try:
            with path.open(encoding="utf-8", errors="replace") as lines:
                text = lines.readline()[: len("2000-01-01 00:00:00")]
            found.append(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").astimezone(UTC))
        except (OSError, ValueError):
            continue
    return min(found).isoformat(timespec="seconds") if found else ""


def write(path: str | Path, known: Mapping[str, Any]) -> None:
    """Write what `collect` returned as JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(known, indent=1, default=str, ensure_ascii=False), "utf-8")


def git_state(root: Path = Path()) -> dict[str, Any]:
    """Commit, and whether files differ from it; nothing outside a repository."""
    # A checkout of another user is one whose code runs here, so git may read it too.
    git = ["git", "-c", f"safe.directory={root}", "-C", str(root)]
    commit = output([*git, "rev-parse", "HEAD"])
    if not commit:
        return {}
    changed = output([*git, "status", "--porcelain"])
    return {"commit": commit, "dirty": bool(changed)}
