"""Raw files that are there before a run, and that it must not lose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cfmf.data.manifest import keep, kept_folder, unverified_manifest
from cfmf.data.sources import adopt
from cfmf.workflow.hashes import record, recorded
from cfmf.workflow.layout import hash_file, result


def retain_raw_files(datasets: Mapping[str, Mapping[str, Any]], folder: str = "") -> None:
    """Before a run, keep the raw files of each data set, which it may delete to make them anew.

    Files that a user put into the folder of raw files are adopted if checksums confirm them.
    `folder` precedes `results/` in the paths of the run.
    """
    for name, dataset in datasets.items():
        raw = Path(folder + result("raw", dataset=name))
        if dataset["source"] == "synthetic" or not raw.is_dir():
            continue
        manifest = raw / "manifest.json"
        kept = hash_file(manifest, folder)
        laid = not manifest.is_file() and kept is not None and not kept.is_file()
        if laid and adopt(dataset, raw):
            record([raw], folder)
        if recorded(raw, folder) and unverified_manifest(raw) != unverified_manifest(
            kept_folder(raw)
        ):
            keep(raw)
        elif laid and not kept_folder(raw).exists():
            keep(raw)  # not to be used, but not to be lost either
