"""Where raw files come from: a local folder, a download, or a package that ships them."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from cfmf.addresses import shown
from cfmf.data.archives import is_archive, unpack
from cfmf.data.catalogue import Download, Source, downloads_of, local_files, source_of
from cfmf.data.download import check_download, download, reason
from cfmf.data.synthetic import write_netflix_files
from cfmf.files import sha256, temporary_path

log = logging.getLogger(__name__)

RECBOLE = "recbole==1.2.1"
RECBOLE_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"


# Files whose content is known: what they are, by the SHA-256 (or MD5) of their bytes.
GENUINE = {
    "bf8b8a8ffbae6595bc5a0b99a29c880478fb7c5436c22dc3fae20af75df3496e": "the study's users.txt",
    "de837ff8af184cdbe127a98193fb08c8bfc82187dfcb3209276fb4cac38d8951": (
        "the study's netflix_train.txt"
    ),
    "fbfc55081bd864f35e772c2370bf81a5b54357a2ba5a4ed019e3ea0e49847b76": (
        "the study's netflix_test.txt"
    ),
    "5c1b39b39ed1f5b58da872414a49b77e921fa8a069f15b3d36f78a0705e6a153": (
        "the Netflix Prize's movie_titles.txt"
    ),
    "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490": "MovieLens 100K's u.data",
}
GENUINE_MD5 = {
    "training_set.tar": "0098ee8997ffda361a59bc0dd1bdad8b",
    "probe.txt": "ed843ae92adbc70db64edbf825024514",
    "u.data": "6e47046882bad158b0efbb84cd5cb987",
}


def retrieve(dataset: Mapping[str, Any], destination: Path) -> dict[str, Any]:
    """Put the raw files of a data set into a folder, from the first place that has them.

    The order is: the local folder of the config; the addresses of the config, or else those of the
    catalogue; for MovieLens 100K the package that ships it. The folder is built beside and renamed
    whole. Its manifest.json tells which place served, every file's size and SHA-256, which files
    are known to be genuine, and what was tried before in vain.

    Parameters
    ----------
    dataset
        The data set's config block, complete with the defaults of its schema.
    destination
        The folder to make; one that exists is replaced.

    Returns
    -------
    What manifest.json holds.

    Raises
    ------
    ValueError
        If no place serves the files, with the reason of each.
    """
    destination = Path(destination)
    building = temporary_path(destination)
    attempts: list[dict[str, str]] = []
    try:
        for way, address, get in _ways(dataset, destination):
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            try:
                told = get(building)
                _check_complete(dataset, building)
            except (ValueError, OSError, subprocess.SubprocessError) as error:
                attempts.append({"way": way, "address": address, "error": str(error)})
                log.warning("%s %s does not serve the data: %s", way, address, error)
                continue
            log.info("served by %s %s", way, address)
            manifest = _manifest(dataset, way, address, building, attempts, told)
            (building / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
            shutil.rmtree(destination, ignore_errors=True)
            building.rename(destination)
            shutil.rmtree(_downloads_folder(destination), ignore_errors=True)
            return manifest
    finally:
        shutil.rmtree(building, ignore_errors=True)
    tried = "".join(f"\n- {one['way']} {one['address']}: {one['error']}" for one in attempts)
    tried = tried or " nothing, for none is configured"
    raise ValueError(
        f"no place serves the files of {dataset['source']}; put them into a folder and name it as"
        f" `folder` of the data set, or give `urls`. Tried:{tried}"
    )


Get = Callable[[Path], dict[str, Any]]


def _ways(dataset: Mapping[str, Any], destination: Path) -> Iterator[tuple[str, str, Get]]:
    """Ways to get the files, in order: kind, address, and what does it."""
    if dataset["source"] == "synthetic":
        seed = f"seed {dataset['synthetic']['seed']}"
        yield (
            "generator",
            seed,
            lambda into: {"truth": write_netflix_files(dataset["synthetic"], into)},
        )
        return
    if dataset["folder"]:
        folder = Path(dataset["folder"]).expanduser()
        yield "folder", str(folder), lambda into: _from_folder(dataset, folder, into)
    source, files = source_of(dataset), downloads_of(dataset)
    if files:
        addresses = " ".join(shown(one.url) for mirrors in files.values() for one in mirrors)
        keep = _downloads_folder(destination)
        yield "download", addresses, lambda into: _from_servers(source, files, keep, into)
    if dataset["source"] == "movielens-100k":
        yield "package", RECBOLE, _from_package


def _downloads_folder(destination: Path) -> Path:
    """Where an interrupted download waits to be continued."""
    return destination.with_name(f".{destination.name}.downloads")


def _from_folder(dataset: Mapping[str, Any], folder: Path, into: Path) -> dict[str, Any]:
    """Copy the files of a local folder, or unpack the archives that it holds."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; mend `folder` of the data set")
    source, declared = source_of(dataset), downloads_of(dataset)
    taken: dict[str, Path] = {}
    told: dict[str, dict[str, Any]] = {}
    for path in local_files(dataset):
        if not path.is_file():
            raise ValueError(f"{path} is a directory, but a file of that name is needed")
        one = _declared(path, declared.get(path.name, []))
        placed = source.place(path.name.removesuffix(".gz"))
        if placed is None:
            told[path.name] = _unpacked(source, one, path, into)
            continue
        if placed in taken:
            raise ValueError(f"{path} and {taken[placed]} are the same file; take one of them away")
        taken[placed] = path
        if path.name.endswith(".gz"):
            unpack(path, source.place, into)
        else:
            (into / placed).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, into / placed)
    return {"archives": told}


def _declared(path: Path, mirrors: list[Download]) -> Download:
    """The first of some mirrors whose hash a local file has; one without where none has any."""
    hashed = [one for one in mirrors if one.hashed]
    for one in hashed:
        try:
            check_download(one, path, str(path))
        except ValueError:
            if one is hashed[-1]:
                raise
        else:
            return one
    return Download("", path.name)


def _unpacked(source: Source, one: Download, path: Path, into: Path) -> dict[str, Any]:
    """Unpack an archive; by which hash it was checked, whether the catalogue's, and its files."""
    before = set(into.rglob("*"))
    there = {file.relative_to(into).as_posix() for file in before}

    def place(name: str) -> str | None:
        placed = source.place(name)
        return None if placed in there else placed

    unpack(path, place, into)
    files = sorted(path for path in set(into.rglob("*")) - before if path.is_file())
    known = {hash for entry in source.downloads for hash in (entry.sha256, entry.md5) if hash}
    checked = {kind: getattr(one, kind) for kind in ("sha256", "md5") if getattr(one, kind)}
    return {
        "checked": checked,
        "genuine": bool(known & set(checked.values())),
        "files": [file.relative_to(into).as_posix() for file in files],
    }


def _from_servers(
    source: Source, files: Mapping[str, list[Download]], keep: Path, into: Path
) -> dict[str, Any]:
    """Download every file from the first of its mirrors that serves it."""
    keep.mkdir(exist_ok=True)
    told: dict[str, dict[str, Any]] = {}
    try:
        for name, mirrors in files.items():
            path, one = _from_mirrors(mirrors, keep)
            if is_archive(name):
                told[name] = _unpacked(source, one, path, into)
            elif placed := source.place(name):
                (into / placed).parent.mkdir(exist_ok=True)
                shutil.copyfile(path, into / placed)
            else:
                raise ValueError(
                    f"{name} is neither an archive nor a file that the layout knows"
                    f" ({source.needs}); give its `name` in `urls`"
                )
    finally:
        # What a hash vouches for waits with the parts for the next run.
        hashed = {one.name for mirrors in files.values() for one in mirrors if one.hashed}
        for path in keep.iterdir():
            if path.suffix != ".part" and path.name not in hashed:
                path.unlink()
        if not any(keep.iterdir()):
            keep.rmdir()
    return {"archives": told}


def _from_mirrors(mirrors: list[Download], keep: Path) -> tuple[Path, Download]:
    """Download a file from the first mirror that serves it; where it is, and that mirror."""
    errors = []
    for one in mirrors:
        log.info("downloading %s", shown(one.url))
        try:
            return download(one, keep), one
        except (requests.RequestException, ValueError) as error:
            told = reason(error) if isinstance(error, requests.RequestException) else str(error)
            errors.append(f"{shown(one.url)}: {told}")
            log.warning("%s", errors[-1])
    raise ValueError("; ".join(errors))


def _from_package(into: Path) -> dict[str, Any]:
    """MovieLens 100K from the wheel that ships it, fetched with the Python that runs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        command += ["--disable-pip-version-check", "--no-cache-dir", "--dest", folder, RECBOLE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise ValueError(f"pip download {RECBOLE} failed: {last[0]}")
        found = sha256(wheels[0])
        if found != RECBOLE_SHA256:
            raise ValueError(f"{wheels[0].name} has SHA-256 {found}, not {RECBOLE_SHA256}; refused")
        wanted = ("ml-100k.inter", "ml-100k.item")
        unpack(wheels[0], lambda name: name if name in wanted else None, into)
    ratings = into / "ml-100k.inter"
    (into / "u.data").write_bytes(ratings.read_bytes().split(b"\n", 1)[1])
    ratings.unlink()
    return {}


def _check_complete(dataset: Mapping[str, Any], folder: Path) -> None:
    """Check that all needed files are there, and that u.data is MovieLens 100K's."""
    there = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    for lacking in source_of(dataset).lacks(there):
        raise ValueError(f"{lacking} is missing")
    if dataset["source"] == "movielens-100k":
        found = _md5(folder / "u.data")
        if found != GENUINE_MD5["u.data"]:
            raise ValueError(
                f"u.data has MD5 {found}, not {GENUINE_MD5['u.data']}: it is not the ratings of"
                " MovieLens 100K; get it again, or describe it as a `table`"
            )


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _manifest(
    dataset: Mapping[str, Any],
    way: str,
    address: str,
    folder: Path,
    attempts: list[dict[str, str]],
    told: dict[str, Any],
) -> dict[str, Any]:
    """What is known about the files of a folder, and what the way that served them told."""
    files: dict[str, dict[str, Any]] = {}
    archives = told.get("archives", {})
    genuine = {
        file: f"a file of {archive}"
        for archive, facts in archives.items()
        if facts["genuine"]
        for file in facts["files"]
    }
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        digest = sha256(path)
        files[name] = {"bytes": path.stat().st_size, "sha256": digest}
        known = GENUINE.get(digest)
        if known is None and name in GENUINE_MD5 and _md5(path) == GENUINE_MD5[name]:
            known = f"the Netflix Prize's {name}"
        if known:
            genuine[name] = known
            log.info("%s is %s", name, known)
    return {
        "source": dataset["source"],
        "served_by": way,
        "address": address,
        "files": files,
        "genuine": genuine,
        "archives": archives,
        "attempts": attempts,
        "truth": told.get("truth", {}),
    }
