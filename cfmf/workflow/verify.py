"""Whether every result is still as it was written: `make verify`.

Snakemake looks at the times of files, and a job only at what it reads. What was altered with its
time kept, and is read by no job any more, is found here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cfmf.data.manifest import verified_manifest
from cfmf.files import DamagedError, quarantine
from cfmf.workflow.hashes import QUARANTINED, hashed, verify
from cfmf.workflow.layout import ROOT, hash_file, result

RAW = Path(result("raw")).name
"""The one result that is a folder: its manifest has the hashes of its files."""


def results() -> tuple[list[Path], list[Path]]:
    """Results below this folder's `results/` of which a hash is kept, and those of which none is.

    Hidden and quarantined files are no results.
    """
    paths = sorted(Path(ROOT).glob(f"*/{RAW}"))
    paths += [
        one
        for one in sorted(Path(ROOT).glob("*/**/*"))
        if one.is_file()
        and one.parts[2] != RAW
        and not any(part.startswith(".") or part.endswith(".damaged") for part in one.parts)
    ]
    found: tuple[list[Path], list[Path]] = ([], [])
    for one in paths:
        kept = hash_file(hashed(one))
        if kept:
            found[not kept.is_file()].append(one)
    return found


def verify_results() -> int:
    """Compare every result of which a hash is kept with it; what differs is quarantined.

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
    for raw in (one for one in kept if one.parts[2:] == (RAW,) and one.exists()):
        try:
            verified_manifest(raw)
        except DamagedError as error:
            quarantine(raw)
            complaints.append(f"{error}. {QUARANTINED}")
    if complaints:
        raise ValueError("\n".join(complaints))
    return len(kept)


def main() -> int:
    """Print what was found; the exit status is 1 if anything differs."""
    for unknown in results()[1]:
        print(f"{unknown}: no SHA-256 of it was kept", file=sys.stderr)
    try:
        print(verify_results(), "results are as they were written.")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
