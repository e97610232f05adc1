"""Where raw files come from: a local folder, a download, or a package that contains them."""

from __future__ import annotations

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
from cfmf.data.archives import decompressed_name, is_archive, unpack
from cfmf.data.catalogue import Download, Source, downloads_of, local_files, source_of
from cfmf.data.download import check_download, digest, download, reason
from cfmf.data.kinds import kind_of
from cfmf.data.manifest import (
    keep,
    kept_folder,
    link_files,
    unverified_manifest,
    verified_manifest,
)
from cfmf.data.synthetic import write_netflix_files
from cfmf.files import temporary_path
from cfmf.terminal import printable

log = logging.getLogger(__name__)

RECBOLE = "recbole==1.2.1"
RECBOLE_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
U_DATA_MD5 = "6e47046882bad158b0efbb84cd5cb987"

# Files with known content, by the SHA-256 or MD5 of their bytes.
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
    "0098ee8997ffda361a59bc0dd1bdad8b": "the Netflix Prize's training_set.tar",
    "ed843ae92adbc70db64edbf825024514": "the Netflix Prize's probe.txt",
    U_DATA_MD5: "MovieLens 100K's u.data",
}

KNOWN_BY_MD5 = ("training_set.tar", "probe.txt", "u.data")

Facts = dict[str, Any]
Get = Callable[[Path], Facts]


def retrieve(dataset: Mapping[str, Any], destination: Path) -> Facts:
    """Put the raw files of a data set into a folder, from the first place that has them.

    The order is: the files that an earlier run kept, if they are known to be those declared; the
    local folder of the config; the addresses of the config, or else those of the catalogue; for
    MovieLens 100K the package that contains it; the files that were kept for the same request. The
    folder is complete before it gets its name. Its manifest.json lists the place that served, every
    file's size and SHA-256, the files known to be genuine, and the failed attempts.

    Parameters
    ----------
    dataset
        The data set's config block, complete with the defaults of its schema.
    destination
        The folder to make; an existing one is replaced.

    Returns
    -------
    The content of manifest.json.

    Raises
    ------
    ValueError
        If no place serves the files, with the reason of each.
    """
    destination = Path(destination)
    attempts: list[dict[str, str]] = []
    for way, address, get in _ways(dataset, destination):
        try:
            manifest = _made(dataset, destination, (way, address, get), attempts)
        except (ValueError, OSError, MemoryError, subprocess.SubprocessError) as error:
            attempts.append({"way": way, "address": address, "error": _why(error)})
            log.warning("%s %s does not serve the data: %s", way, address, _why(error))
            continue
        log.info("served by %s %s", way, address)
        shutil.rmtree(_downloads_folder(destination), ignore_errors=True)
        if dataset["source"] != "synthetic":
            keep(destination)
        return manifest
    raise _not_served(dataset["source"], attempts, kept_folder(destination))


def adopt(dataset: Mapping[str, Any], raw: Path) -> bool:
    """Make a raw folder of files that a user put into it, if checksums confirm them.

    Those of the config, of the catalogue and of the files with known content are compared.

    Returns
    -------
    Whether it was made; if not, nothing was changed.
    """
    block = {**dataset, "folder": str(raw)}

    def get(into: Path) -> Facts:
        facts = _from_folder(block, raw, into)
        found = {digest(into / name) for name in _files_below(into)}
        declared = {one.sha256 for mirrors in downloads_of(dataset).values() for one in mirrors}
        known = _file_facts(into, facts)["genuine"]
        checked = any(about["checked"] for about in facts["archives"].values())
        if not (known or checked or found & declared):
            raise ValueError("no checksum confirms its files")
        return facts

    try:
        _made(block, raw, ("folder", str(raw), get), [])
    except (ValueError, OSError) as error:
        log.warning("%s cannot be used as it is: %s", raw, _why(error))
        return False
    return True


def _made(
    dataset: Mapping[str, Any], destination: Path, way: tuple[str, str, Get], attempts: list[Any]
) -> Facts:
    """Make the raw folder in one way: its manifest. Until it is complete the old one remains."""
    building = temporary_path(destination)
    kind, address, get = way
    try:
        building.mkdir()
        facts = get(building)
        _check_complete(dataset, building)
        manifest = facts.get("kept") or {
            "source": dataset["source"],
            "served_by": kind,
            "address": address,
            **_file_facts(building, facts),
            "truth": facts.get("truth", {}),
        }
        manifest |= {"attempts": attempts, "request": _request(dataset)}
        (building / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        shutil.rmtree(destination, ignore_errors=True)
        building.rename(destination)
        return manifest
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _not_served(source: str, attempts: list[dict[str, str]], kept: Path) -> ValueError:
    """The error that no place serves the files; those of an earlier run may be `kept`."""
    tried = "".join(f"\n- {one['way']} {one['address']}: {one['error']}" for one in attempts)
    return ValueError(
        f"no place serves the files of {source}; put them into a folder and set it as `folder` of"
        f" the data set, or set `urls`. Tried:{tried or ' nothing, as no place is configured'}"
        + (f"\nThe files of an earlier config are still in {kept}" if kept.is_dir() else "")
    )


def _ways(dataset: Mapping[str, Any], destination: Path) -> Iterator[tuple[str, str, Get]]:
    """Ways to get the files, in order: kind, address, and a function that gets them."""
    if dataset["source"] == "synthetic":
        settings = dataset["synthetic"]
        seed = f"seed {settings['seed']}"
        yield "generator", seed, lambda into: {"truth": write_netflix_files(settings, into)}
        return
    kept = kept_folder(destination)
    known = unverified_manifest(kept)
    from_kept: tuple[str, str, Get] = ("kept", str(kept), lambda into: _from_kept(kept, into))
    source, files = source_of(dataset), downloads_of(dataset)
    declared = bool(known) and not dataset["folder"] and _is_declared(dataset, known)
    if declared:
        yield from_kept
    if dataset["folder"]:
        folder = Path(dataset["folder"]).expanduser()
        yield "folder", str(folder), lambda into: _from_folder(dataset, folder, into)
    if files:
        addresses = " ".join(shown(one.url) for mirrors in files.values() for one in mirrors)
        parts = _downloads_folder(destination)
        yield "download", addresses, lambda into: _from_servers(source, files, parts, into)
    if dataset["source"] == "movielens-100k":
        yield "package", RECBOLE, _from_package
    if known and not declared and _answers(dataset, known):
        yield from_kept


def _request(dataset: Mapping[str, Any]) -> Facts:
    """What of a data set's description determines its raw files, without secrets of addresses."""
    table = dataset["table"]
    names = [table["ratings"], table["test"], table["titles"]["file"]]
    names += [name for one in table["attributes"].values() if (name := one["file"])]
    return {
        "source": dataset["source"],
        "folder": dataset["folder"],
        "urls": [{**one, "url": shown(one["url"])} for one in dataset["urls"]],
        "files": names if dataset["source"] == "table" else [],
    }


def _is_declared(dataset: Mapping[str, Any], manifest: Facts) -> bool:
    """Whether raw files of a manifest are those that a data set declares, by their checksums."""
    if manifest.get("source") != dataset["source"]:
        return False
    if manifest.get("served_by") == "package":  # of which the version and its hash are fixed
        return _answers(dataset, manifest)
    files = downloads_of(dataset)
    for name, mirrors in files.items():
        checked = manifest.get("archives", {}).get(name, {}).get("checked", {})
        placed = source_of(dataset).place(name)
        found = {*checked.values(), manifest.get("files", {}).get(placed, {}).get("sha256")}
        if not found & {hash for one in mirrors for hash in (one.sha256, one.md5) if hash}:
            return False
    return bool(files)


def _answers(dataset: Mapping[str, Any], manifest: Facts) -> bool:
    """Whether raw files were retrieved for the same description of a data set.

    Manifests of earlier versions do not list the request; the files of a source in the catalogue
    are always the same.
    """
    if "request" in manifest:
        return bool(manifest["request"] == _request(dataset))
    return dataset["source"] != "table" and manifest.get("source") == dataset["source"]


def _from_kept(kept: Path, into: Path) -> Facts:
    """The files that an earlier run kept, if they are still as they were, and their manifest."""
    manifest = verified_manifest(kept)
    link_files(kept, into)
    (into / "manifest.json").unlink()
    log.warning("the raw files that an earlier run retrieved are used again")
    return {"kept": manifest}


def _downloads_folder(destination: Path) -> Path:
    """Where interrupted downloads are kept until they are continued."""
    return destination.with_name(f".{destination.name}.downloads")


def _from_folder(dataset: Mapping[str, Any], folder: Path, into: Path) -> Facts:
    """Copy the files of a local folder, or unpack its archives."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; correct `folder` of the data set")
    source, declared = source_of(dataset), downloads_of(dataset)
    taken: dict[str, Path] = {}
    archives: Facts = {}
    for path in local_files(dataset):
        if not path.is_file():
            raise ValueError(f"{path} is a directory, but a file of that name is needed")
        one = _declared(path, declared.get(path.name, []))
        placed = source.place(decompressed_name(path.name))
        if placed is None:
            archives[path.name] = _unpacked(source, one, path, into)
            continue
        if placed in taken:
            raise ValueError(f"{path} and {taken[placed]} are the same file; remove one of them")
        taken[placed] = path
        if decompressed_name(path.name) == path.name:
            _copied(path, into / placed)
        else:
            unpack(path, source.place, into)
    for missing in source.lacks(_files_below(into)):
        raise ValueError(f"{missing} is missing in {folder}{_unread(folder)}")
    return {"archives": archives}


def _unread(folder: Path) -> str:
    """Files of a folder that may hold the ratings but are of a kind that is not read."""
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        kind, ending = kind_of(path)
        if kind and not ending:
            return (
                f"; {path.name} is {kind}, which is not read: unpack it, or save its table as text,"
                " Parquet or JSON lines"
            )
    return ""


def _copied(path: Path, target: Path) -> None:
    """Copy a file, into a new folder if need be."""
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, target)


def _declared(path: Path, mirrors: list[Download]) -> Download:
    """The first mirror whose hash a local file has; one without a hash if none has any."""
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


def _unpacked(source: Source, one: Download, path: Path, into: Path) -> Facts:
    """Unpack an archive: the hash it was checked with, whether the catalogue's, and its files.

    If that fails, nothing of it is left.
    """
    before = _files_below(into)

    def place(name: str) -> str | None:
        placed = source.place(name)
        return None if placed in before else placed

    try:
        unpack(path, place, into)
    except BaseException:
        for name in _files_below(into) - before:
            (into / name).unlink()
        raise
    known = {hash for entry in source.downloads for hash in (entry.sha256, entry.md5) if hash}
    checked = {kind: getattr(one, kind) for kind in ("sha256", "md5") if getattr(one, kind)}
    return {
        "checked": checked,
        "genuine": bool(known & set(checked.values())),
        "files": sorted(_files_below(into) - before),
    }


def _files_below(folder: Path) -> set[str]:
    """The files below a folder, by their paths there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _from_servers(
    source: Source, files: Mapping[str, list[Download]], keep: Path, into: Path
) -> Facts:
    """Download every file from the first of its mirrors that serves it."""
    keep.mkdir(exist_ok=True)
    archives: Facts = {}
    try:
        for name, mirrors in files.items():
            if not is_archive(name) and not source.place(name):
                raise ValueError(
                    f"{name} is neither an archive nor a file of the layout ({source.needs});"
                    " set its `name` in `urls`"
                )
            archives |= _from_mirrors(source, mirrors, keep, into)
    finally:
        # Files verified by a hash are kept with the partial ones for the next run.
        hashed = {one.name for mirrors in files.values() for one in mirrors if one.hashed}
        for path in keep.iterdir():
            if path.suffix != ".part" and path.name not in hashed:
                path.unlink()
        if not any(keep.iterdir()):
            keep.rmdir()
    return {"archives": archives}


def _from_mirrors(source: Source, mirrors: list[Download], keep: Path, into: Path) -> Facts:
    """Get a file, unpacked if it is an archive, from the first mirror that serves a good one."""
    errors = []
    for one in mirrors:
        log.info("downloading %s", shown(one.url))
        try:
            path = download(one, keep)
            placed = source.place(one.name)
            if is_archive(one.name):
                return {one.name: _unpacked(source, one, path, into)}
            _copied(path, into / str(placed))
            return {}
        except (requests.RequestException, ValueError, OSError, MemoryError) as error:
            errors.append(f"{shown(one.url)}: {_why(error)}")
            log.warning("%s", errors[-1])
    raise ValueError("; ".join(errors))


def _why(error: Exception) -> str:
    """An error in a few words, for one of several places that were tried."""
    if isinstance(error, requests.RequestException):
        return reason(error)
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    return printable(str(error), keep="\n")


def _from_package(into: Path) -> Facts:
    """MovieLens 100K from the wheel that contains it, fetched by pip of the running Python."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        command += ["--disable-pip-version-check", "--no-cache-dir", "--dest", folder, RECBOLE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise ValueError(f"pip download {RECBOLE} failed: {printable(last[0])}")
        found = digest(wheels[0])
        if found != RECBOLE_SHA256:
            raise ValueError(f"{wheels[0].name} has SHA-256 {found}, not {RECBOLE_SHA256}; refused")
        wanted = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")
        unpack(wheels[0], lambda name: name if name in wanted else None, into)
    ratings = into / "ml-100k.inter"
    (into / "u.data").write_bytes(ratings.read_bytes().split(b"\n", 1)[1])
    ratings.unlink()
    return {}


def _check_complete(dataset: Mapping[str, Any], folder: Path) -> None:
    """Check that no needed file is missing, and that u.data is MovieLens 100K's."""
    there = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    for missing in source_of(dataset).lacks(there):
        raise ValueError(f"{missing} is missing")
    if dataset["source"] == "movielens-100k":
        found = digest(folder / "u.data", "md5")
        if found != U_DATA_MD5:
            raise ValueError(
                f"u.data has MD5 {found}, not {U_DATA_MD5}: it is not the ratings file of"
                " MovieLens 100K; get it again, or describe it as a `table`"
            )


def _file_facts(folder: Path, facts: Facts) -> Facts:
    """Size and SHA-256 of every file of a folder, the genuine ones, and the archives unpacked."""
    archives = facts.get("archives", {})
    genuine = {
        file: f"a file of {archive}"
        for archive, about in archives.items()
        if about["genuine"]
        for file in about["files"]
    }
    files: Facts = {}
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = path.relative_to(folder).as_posix()
        files[name] = {"bytes": path.stat().st_size, "sha256": digest(path)}
        known = GENUINE.get(files[name]["sha256"])
        if not known and name in KNOWN_BY_MD5:
            known = GENUINE.get(digest(path, "md5"))
        if known:
            genuine[name] = known
            log.info("%s is %s", name, known)
    return {"files": files, "genuine": genuine, "archives": archives}
