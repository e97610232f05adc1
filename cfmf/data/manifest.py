"""The manifest of a folder of raw files, and whether the files still agree with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cfmf.files import DamagedError, sha256


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
