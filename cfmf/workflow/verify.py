"""Whether every result is still as it was written: `make verify`.

Snakemake looks at the times of files, and a job only at what it reads. What was altered with its
time kept, and is read by no job any more, is found here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cfmf.data.manifest import verified_manifest
from cfmf.files import DamagedError, quarantine
from cfmf.workflow.job import ASIDE, hash_file, hashed, verify

RAW = "raw"  # the one result that is a folder: its manifest has the hashes of its files


def results() -> tuple[list[Path], list[Path]]:
    """Results below this folder's `results/` of which a hash is kept, and those of which none is.

    Hidden files and what was set aside are no results.
    """
    paths = sorted(Path("results").glob(f"*/{RAW}"))
    paths += [
        path
        for path in sorted(Path("results").glob("*/**/*"))
        if path.is_file()
        and path.parts[2] != RAW
        and not any(part.startswith(".") or part.endswith(".damaged") for part in path.parts)
    ]
    found: tuple[list[Path], list[Path]] = ([], [])
    for path in paths:
        kept = hash_file(hashed(path))
        if kept:
            found[not kept.is_file()].append(path)
    return found


def verify_results() -> int:
    """Compare every result of which a hash is kept with it; what differs is set aside.

    Returns
    -------
    How many were compared.

    Raises
    ------
    ValueError
        If any differs.
    """
    kept, _ = results()
    complaints = []
    try:
        verify(kept)
    except ValueError as error:
        complaints.append(str(error))
    for raw in (path for path in kept if path.parts[2:] == (RAW,) and path.exists()):
        try:
            verified_manifest(raw)
        except DamagedError as error:
            quarantine(raw)
            complaints.append(f"{error}. {ASIDE}")
    if complaints:
        raise ValueError("\n".join(complaints))
    return len(kept)


def main() -> int:
    """Say what was found; the exit status tells whether anything differs."""
    for path in results()[1]:
        print(f"{path}: no SHA-256 of it was kept", file=sys.stderr)
    try:
        print(verify_results(), "results are as they were written.")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
