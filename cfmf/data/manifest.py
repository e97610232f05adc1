"""The manifest of a folder of raw files, whether the files agree with it, and their kept copies."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from cfmf.files import DamagedError, sha256, temporary_path

log = logging.getLogger(__name__)


def verified_manifest(raw: Path) -> dict[str, Any]:
    """The manifest of a folder of raw files, after comparing every file with its hash.

    Raises
    ------
    DamagedError
        If there is no manifest, or a file is missing or differs; its `path` is the folder.
    """
    raw = Path(raw)
    try:
        manifest: dict[str, Any] = json.loads((raw / "manifest.json").read_text("utf-8"))
        files = dict(manifest["files"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DamagedError(
            raw, f"{raw} has no readable manifest.json ({error}); retrieve the data set again"
        ) from None
    for name, facts in files.items():
        path = raw / name
        if not path.is_file():
            raise DamagedError(raw, f"{path} is missing; retrieve the data set again")
        size = path.stat().st_size
        if size != facts["bytes"] or sha256(path) != facts["sha256"]:
            raise DamagedError(
                raw,
                f"{path} was changed since it was retrieved: its {size:,} bytes differ from the"
                f" {facts['bytes']:,} bytes of the manifest; retrieve the data set again",
            )
    return manifest


def kept_folder(raw: Path) -> Path:
    """Where the files of a raw folder are kept for a rerun."""
    return raw.with_name(f".{raw.name}.kept")


def keep(raw: Path) -> None:
    """Keep the files of a raw folder beside it, in the place of those kept before.

    Snakemake deletes the folder before it is made anew, and then no server may serve it. The kept
    files are hard links, which take no space; copies where the file system has no links.
    """
    kept = kept_folder(raw)
    building = temporary_path(kept)
    try:
        link_files(raw, building)
        shutil.rmtree(kept, ignore_errors=True)
        building.rename(kept)
    except OSError as error:
        log.warning("%s is not kept for later runs: %s", raw, error)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def link_files(folder: Path, into: Path) -> None:
    """Link the files of a folder into another one, which is made; copy them where that fails."""
    ignored = shutil.ignore_patterns(".snakemake*")  # its time stamp of the folder
    shutil.copytree(folder, into, ignore=ignored, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def unverified_manifest(raw: Path) -> dict[str, Any]:
    """The manifest of a folder of raw files, without a look at the files; empty without one."""
    try:
        return dict(json.loads((raw / "manifest.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
