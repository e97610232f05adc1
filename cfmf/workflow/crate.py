"""The results as a research object: `ro-crate-metadata.json`, which other tools can read.

Follows RO-Crate 1.1 and its Process Run Crate profile: the raw files, the results, the software
that made them, and the action that ties all to the command.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from cfmf.files import atomic_write, sha256
from cfmf.workflow.layout import Results

VERSION = "1.1"
"""Version of RO-Crate that the profile builds on."""
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
SHA256 = "https://w3id.org/ro/terms/workflow-run#sha256"
"""Definition of the term: RO-Crate 1.1 has none of its own."""
TERMS = (
    "What cfmf computes may be used under the MIT licence. The ratings, and titles taken from them,"
    " keep the terms of their source."
)
FORMATS = {
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".html": "text/html",
    ".parquet": "application/vnd.apache.parquet",
}
KEPT = ["report", "report_static", "provenance", "audit", "folds", "plan"]
KEPT += ["evaluation", "user_errors", "statistics", "verdict"]
"""Results that are worth keeping; what they are computed from can be computed again."""


def write(files: Results, known: Mapping[str, Any]) -> Path:
    """Describe the results of one data set in `ro-crate-metadata.json` in its folder.

    Parameters
    ----------
    files
        The files of this study.
    known
        What `cfmf.workflow.provenance.collect` returned.

    Returns
    -------
    The file that was written, whole or not at all.
    """
    home = files.folder / files.dataset
    crate = ROCrate(gen_preview=False, version=VERSION)
    crate.metadata.extra_terms["sha256"] = SHA256
    crate.name = f"cfmf: results on {files.dataset}"
    crate.description = (
        "User-based collaborative filtering against matrix factorization: errors, tests, report."
    )
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    crate.root_dataset["conformsTo"] = crate.add(ContextEntity(crate, PROFILE, profile))
    terms = {"@type": "CreativeWork", "name": "Terms of use", "description": TERMS}
    crate.license = crate.add(ContextEntity(crate, "#terms", terms))
    run = crate.add(ContextEntity(crate, "#run", _action(known)))
    run["instrument"] = [
        _software(crate, name, version) for name, version in known.get("versions", {}).items()
    ]
    run["object"] = _raw(crate, files)
    run["result"] = [_described(crate, home, path) for path in results(files)]
    crate.root_dataset["mentions"] = run
    text = json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False)
    path = files.where("crate")
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def results(files: Results) -> list[Path]:
    """The results of one data set that are worth keeping, in their names' order."""
    return sorted(path for name in KEPT for path, _ in files.all(name))


def _action(known: Mapping[str, Any]) -> dict[str, Any]:
    """The run: its command, its times and what it was made with."""
    times = known.get("run", {})
    about = {name: known[name] for name in ("git", "machine", "config") if name in known}
    action = {
        "@type": "CreateAction",
        "name": known.get("command") or "snakemake",
        "endTime": times.get("reported", ""),
        "description": json.dumps(about, ensure_ascii=False, default=str),
    }
    return action | ({"startTime": times["started"]} if times.get("started") else {})


def _software(crate: ROCrate, name: str, version: str) -> Any:
    """A package as an entity, identified by its homepage where it has one."""
    address = _homepage(name)
    about = {"@type": "SoftwareApplication", "name": name, "softwareVersion": version}
    about |= {"url": address} if address else {}
    identity = f"{address}#{name}-{version}" if address else f"#{name}"
    return crate.add(ContextEntity(crate, identity, about))


def _homepage(name: str) -> str:
    """Homepage of an installed package, or else the address of its source; empty without one."""
    try:
        found = metadata.metadata(name).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    pairs = [re.split(r",\s*", line, maxsplit=1) for line in found if "," in line]
    named = {label.lower(): address for label, address in pairs}
    return next((named[key] for key in ("homepage", "source", "repository") if key in named), "")


def _raw(crate: ROCrate, files: Results) -> list[Any]:
    """The raw files, with the hashes that their manifest holds."""
    manifest = files.where("manifest")
    if not manifest.is_file():
        return []
    listed = json.loads(manifest.read_text(encoding="utf-8")).get("files", {})
    paths = {manifest.parent / name: about.get("sha256") for name, about in listed.items()}
    home = files.folder / files.dataset
    return [_described(crate, home, path, known) for path, known in paths.items() if path.is_file()]


def _described(crate: ROCrate, home: Path, path: Path, known: str | None = None) -> Any:
    """A file entity with its size, hash (computed where not known) and format."""
    about = {
        "name": path.name,
        "contentSize": str(path.stat().st_size),
        "sha256": known or sha256(path),
        "encodingFormat": FORMATS.get(path.suffix, "application/octet-stream"),
    }
    return crate.add_file(path, dest_path=str(path.relative_to(home)), properties=about)
