"""Whether results are as their jobs wrote them: a SHA-256 of each, kept in `hashes/`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cfmf.data.manifest import verified_manifest
from cfmf.files import DamagedError, atomic_write, quarantine, sha256
from cfmf.workflow.layout import hash_file

QUARANTINED = "It was renamed to *.damaged; run the same command again to compute it anew"


def hashed(path: Path) -> Path:
    """The file that is hashed: of a folder manifest.json, which holds the hashes of the others."""
    return path / "manifest.json" if path.is_dir() else path


def record(paths: Iterable[str | Path], prefix: str = "") -> None:
    """Keep the SHA-256 of results (of folders, their manifest's) for the jobs that read them.

    Parameters
    ----------
    paths
        Results; other files are left out.
    prefix
        What precedes `results/` in the paths of results; see `cfmf.workflow.layout.prefix`.
    """
    for path in map(hashed, map(Path, paths)):
        kept = hash_file(path, prefix)
        if kept and path.is_file():
            with atomic_write(kept) as temporary:
                temporary.write_text(f"{sha256(path)}  {path}\n", encoding="utf-8")


def verify(paths: Iterable[str | Path], prefix: str = "") -> None:
    """Compare results with the SHA-256 that was kept when they were written.

    A result that differs is quarantined (renamed to `*.damaged`), so that the next run computes it
    anew; so is one without a SHA-256, for every job keeps one. Only a folder of raw files may come
    from elsewhere: it passes if its manifest confirms it, and else is left where it is.

    Raises
    ------
    ValueError
        If any differs or has no SHA-256.
    """
    altered, unknown, foreign = [], [], []
    for path in map(Path, paths):
        file = hashed(path)
        kept = hash_file(file, prefix)
        if not kept or not path.exists():
            continue
        if not kept.is_file() and path.is_dir():
            if not recorded(path, prefix):
                foreign.append(str(path))
        elif not kept.is_file():
            unknown.append(str(path))
        elif not file.is_file() or kept.read_bytes().split(b"  ")[0] != sha256(file).encode():
            altered.append(str(path))
    found = {"not as it was written": altered, "no SHA-256 of it was kept": unknown}
    complaints = [f"{', '.join(names)}: {what}" for what, names in found.items() if names]
    for name in altered + unknown:
        quarantine(name)
    if complaints:
        raise ValueError(f"{'; '.join(complaints)}. {QUARANTINED}")
    if foreign:
        raise ValueError(
            f"{', '.join(foreign)}: no run made this folder and no checksum confirms its files."
            " Move them into a folder of your own, and set it as `folder` of the data set"
        )


def recorded(raw: Path, prefix: str = "") -> bool:
    """Whether a folder of raw files has a recorded SHA-256, or its manifest confirms it.

    In the second case it is recorded now.
    """
    kept = hash_file(raw / "manifest.json", prefix)
    if kept is not None and not kept.is_file():
        try:
            verified_manifest(raw)
        except DamagedError:
            return False
        record([raw], prefix)
    return kept is not None
