"""Whether every result is still as it was written: `make verify`.

Snakemake looks at the times of files, and a job only at what it reads. What was altered with its
time kept, and is read by no job any more, is found here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cfmf.data.manifest import verified_manifest
from cfmf.files import DamagedError, quarantine
from cfmf.workflow.hashes import QUARANTINED, hashed, verify
from cfmf.workflow.layout import ROOT, hash_file, hashed_file, is_kept, result

RAW = Path(result("raw")).name
"""The one result that is a folder: its manifest has the hashes of its files."""


def files(folder: Path) -> Iterator[Path]:
    """Files below a folder, also below linked folders, but never the same folder twice."""
    seen = set()
    for where, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(where)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(where, name) for name in sorted(names))


def results() -> tuple[list[Path], list[Path], list[Path]]:
    """What is below this folder's `results/`, and what should be.

    Hidden and quarantined files are no results.

    Returns
    -------
    Results of which a hash is kept; those of which none is; and those that are gone, though their
    hash is kept. What Snakemake deletes once it has been read is not gone.
    """
    kept: set[Path] = set()
    unknown: set[Path] = set()
    gone: set[Path] = set()
    for one in files(Path(ROOT)):
        owner = hashed_file(one)
        if owner and is_kept(owner) and not owner.is_file():
            gone.add(owner.parent if owner.parts[2:-1] == (RAW,) else owner)
        below = one.parts[2:]
        if any(part.startswith(".") or part.endswith(".damaged") for part in below):
            continue
        if below[:1] == (RAW,):
            one = Path(*one.parts[:3])
        if expected := hash_file(hashed(one)):
            (kept if expected.is_file() else unknown).add(one)
    return sorted(kept), sorted(unknown), sorted(gone - kept)


def verify_results() -> int:
    """Compare every result of which a hash is kept with it; what differs is quarantined.

    Returns
    -------
    How many were compared.

    Raises
    ------
    ValueError
        If any differs or is gone, or there are none.
    """
    kept, _, gone = results()
    complaints = [f"{one}: missing. Run the same command again to compute it" for one in gone]
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
    if not kept:
        raise ValueError(
            f"{Path(ROOT).resolve()} has no results. Run this from the folder in which the study"
            " was run"
        )
    return len(kept)


def main(arguments: Sequence[str] = ()) -> int:
    """Print what was found; the exit status is 1 if anything differs or is missing.

    `arguments` may name the folder in which `results/` is, as `runs/NAME`.
    """
    if arguments:
        os.chdir(arguments[0])
    for unknown in results()[1]:
        print(f"{unknown}: no SHA-256 of it was kept", file=sys.stderr)
    try:
        print(verify_results(), "results are as they were written.")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
