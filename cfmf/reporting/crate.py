"""The results as a research object: `ro-crate-metadata.json`, which other tools can read.

Follows the Process Run Crate profile: the files, the software that made them, and the action that
ties both to the command.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from cfmf.files import sha256, written_whole

NAME = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
FORMATS = {
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".html": "text/html",
    ".parquet": "application/vnd.apache.parquet",
}
PATTERNS = ["*.html", "ratings/audit.json", "folds/folds.json", "evaluation/*", "statistics/*"]
"""Results that are worth keeping; what they are computed from can be computed again."""


def write(home: str | Path, known: Mapping[str, Any]) -> Path:
    """Describe the results of one data set in `ro-crate-metadata.json` beside them.

    Parameters
    ----------
    home
        results/{dataset}
    known
        What `cfmf.reporting.provenance.collect` returned.

    Returns
    -------
    The file that was written, whole or not at all.
    """
    home = Path(home)
    crate = ROCrate(gen_preview=False)
    crate.name = f"cfmf: results on {home.name}"
    crate.description = (
        "User-based collaborative filtering against matrix factorization: errors, tests, report."
    )
    profile = crate.add(ContextEntity(crate, PROFILE, {"@type": "CreativeWork"}))
    crate.root_dataset["conformsTo"] = profile
    found = sorted({path for pattern in PATTERNS for path in home.glob(pattern)})
    files = [_described(crate, home, path) for path in found if path.is_file()]
    software = [
        crate.add(
            ContextEntity(
                crate,
                f"#{name}",
                {"@type": "SoftwareApplication", "name": name, "softwareVersion": version},
            )
        )
        for name, version in known.get("versions", {}).items()
    ]
    action = crate.add(
        ContextEntity(
            crate,
            "#run",
            {
                "@type": "CreateAction",
                "name": known.get("command") or "snakemake",
                "endTime": known.get("run", {}).get("started", ""),
                "description": json.dumps(
                    {name: known[name] for name in ("git", "machine", "config") if name in known},
                    ensure_ascii=False,
                    default=str,
                ),
            },
        )
    )
    action["instrument"] = software
    action["result"] = files
    crate.root_dataset["mentions"] = [action]
    text = json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False)
    with written_whole(home / NAME) as beside:
        beside.write_text(text, encoding="utf-8")
    return home / NAME


def _described(crate: ROCrate, home: Path, path: Path) -> Any:
    """A file entity with its size, hash and format."""
    about = {
        "contentSize": str(path.stat().st_size),
        "sha256": sha256(path),
        "encodingFormat": FORMATS.get(path.suffix, "application/octet-stream"),
    }
    return crate.add_file(path, dest_path=str(path.relative_to(home)), properties=about)
