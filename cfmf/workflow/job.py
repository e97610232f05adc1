"""The one seam between rules and package: a job's log, parameters and unaltered files."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cfmf.files import DamagedError, atomic_write, quarantine, sha256
from cfmf.workflow.machine import machine, versions

# Snakemake writes the one and the loggers the other, without hashes; the third holds them.
UNHASHED = ("benchmarks", "logs", "hashes")
ASIDE = "It was set aside as *.damaged; run the same command again, which makes it anew"


def hash_file(path: str | Path) -> Path | None:
    """Where the SHA-256 of a result is kept, `results/{dataset}/hashes/…`; None for other files."""
    parts = Path(path).parts
    if len(parts) < 3 or parts[0] != "results" or parts[2] in UNHASHED:
        return None
    return Path(*parts[:2], "hashes", *parts[2:-1], f"{parts[-1]}.sha256")


def hashed(path: Path) -> Path:
    """The file that is hashed: of a folder manifest.json, which holds the hashes of the others."""
    return path / "manifest.json" if path.is_dir() else path


def record(paths: Iterable[str | Path]) -> None:
    """Keep the SHA-256 of results (of folders, their manifest's), so that readers know them."""
    for path in map(hashed, map(Path, paths)):
        kept = hash_file(path)
        if kept and path.is_file():
            with atomic_write(kept) as beside:
                beside.write_text(f"{sha256(path)}  {path}\n", encoding="utf-8")


def verify(paths: Iterable[str | Path]) -> None:
    """Compare results with the SHA-256 that was kept when they were written.

    What differs is set aside, its name followed by `.damaged`, so that the next run makes it anew;
    so is a result of which none was kept, for every job keeps them.

    Raises
    ------
    ValueError
        If any differs or has no SHA-256.
    """
    altered, unknown = [], []
    for path in map(Path, paths):
        told = hashed(path)
        kept = hash_file(told)
        if not kept or not path.exists():
            continue
        if not kept.is_file():
            unknown.append(str(path))
        elif not told.is_file() or kept.read_text("utf-8").split("  ")[0] != sha256(told):
            altered.append(str(path))
    found = {"not as it was written": altered, "no SHA-256 of it was kept": unknown}
    complaints = [f"{', '.join(names)}: {what}" for what, names in found.items() if names]
    for name in altered + unknown:
        quarantine(name)
    if complaints:
        raise ValueError(f"{'; '.join(complaints)}. {ASIDE}")


@contextmanager
def job(snakemake: Any) -> Iterator[tuple[logging.Logger, Any]]:
    """Set up a rule's job: log to its file, check its inputs, and log the reason when it fails.

    The reason is logged last and in one line, after the traceback, and printed, so that whoever
    opens the log or looks at the terminal sees what to do without reading Python. A result that the
    package finds damaged is set aside, as in `verify`: Snakemake would take it for made.
    """
    logging.basicConfig(
        filename=snakemake.log[0],
        filemode="w",
        level=logging.INFO,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    log = logging.getLogger(snakemake.rule)
    start = time.perf_counter()
    log.info("%s started with %d threads", snakemake.rule, snakemake.threads)
    log.info("run by %s", sys.executable)
    log.info("runs with %s", json.dumps({"versions": versions(), "machine": machine()}))
    try:
        verify(snakemake.input)
        yield log, snakemake.params
        record(snakemake.output)
    except Exception as error:
        reason = f"{snakemake.rule} failed: {error}"
        if isinstance(error, DamagedError) and hash_file(error.path) and error.path.exists():
            quarantine(error.path)
            reason += f". {ASIDE}"
        log.exception("traceback")
        log.error("%s", reason)
        print(f"{reason}\nThe whole story is in {snakemake.log[0]}", file=sys.stderr)
        sys.exit(1)
    log.info("%s done in %.1f s", snakemake.rule, time.perf_counter() - start)


def folds_of(snakemake: Any, *parts: str) -> dict[str, dict[str, str]]:
    """For each of the job's folds, the paths of the named parts, in the order of the config.

    The rule gives `params.folds`, and under each part's name as many inputs in the same order.
    """
    return {
        fold: {part: snakemake.input[part][number] for part in parts}
        for number, fold in enumerate(snakemake.params.folds)
    }
