"""Where raw files come from: a local folder, a download, or a package that ships them."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from cfmf.addresses import shown
from cfmf.data.archives import is_archive, unpack
from cfmf.data.download import Download, check_download, download, reason
from cfmf.data.synthetic import write_netflix_files
from cfmf.files import new_beside, sha256

log = logging.getLogger(__name__)

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
RECBOLE = "recbole==1.2.1"
RECBOLE_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"


@dataclass(frozen=True)
class Source:
    """Files of a source and where to get them.

    Parameters
    ----------
    needs
        Alternatives for each thing that is needed, as patterns of file names.
    takes
        Patterns of files that are taken along where they exist.
    renames
        Names that mirrors give to files, and their own.
    downloads
        Archives or files; entries of one name are mirrors of each other.
    """

    needs: tuple[tuple[str, ...], ...]
    takes: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    downloads: tuple[Download, ...] = ()

    def place(self, name: str) -> str | None:
        """Path under the raw folder of a file, by its name without folders; None if unwanted."""
        name = self.renames.get(name, name)
        patterns = [pattern for group in self.needs for pattern in group] + list(self.takes)
        for pattern in patterns:
            folder, _, file = pattern.rpartition("/")
            if fnmatch.fnmatchcase(name, file):
                return f"{folder}/{name}" if folder else name
        return None


def _movielens(name: str, sha256: str, size: int, files: tuple[str, ...], md5: str = "") -> Source:
    archive = Download(f"{GROUPLENS}{name}.zip", f"{name}.zip", sha256, md5, size)
    return Source(tuple((file,) for file in files), downloads=(archive,))


DAT = ("ratings.dat", "movies.dat")
CSV = ("ratings.csv", "movies.csv")
SUBSET = ("users.txt", "netflix_train.txt", "netflix_test.txt", "movie_titles.txt")
SOURCES = {
    "movielens-100k": Source(
        needs=(("u.data",), ("u.item", "ml-100k.item")),
        downloads=(
            Download(
                f"{GROUPLENS}ml-100k.zip",
                "ml-100k.zip",
                "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                "0e33842e24a9c977be4e0107933c0723",
                4_924_029,
            ),
        ),
    ),
    "movielens-1m": _movielens(
        "ml-1m", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", 5_917_549, DAT
    ),
    "movielens-10m": _movielens(
        "ml-10m",
        "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862",
        65_566_137,
        DAT,
    ),
    "movielens-20m": _movielens(
        "ml-20m",
        "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        198_702_078,
        CSV,
    ),
    "movielens-25m": _movielens(
        "ml-25m",
        "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
        261_978_986,
        CSV,
    ),
    "movielens-32m": _movielens(
        "ml-32m", "", 238_950_008, CSV, md5="d472be332d4daa821edc399621853b57"
    ),
    "movielens-latest-small": _movielens(
        "ml-latest-small",
        "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        978_202,
        CSV,
    ),
    "netflix-subset": Source(needs=tuple((name,) for name in SUBSET)),
    "netflix-prize": Source(
        needs=(
            ("movie_titles.txt",),
            ("training_set.tar", "combined_data_*.txt", "training_set/mv_*.txt"),
        ),
        takes=("probe.txt",),
        renames={"movie_titles.csv": "movie_titles.txt"},
        downloads=(
            Download(
                "https://archive.org/download/nf_prize_dataset.tar/nf_prize_dataset.tar.gz",
                "nf_prize_dataset.tar.gz",
                md5="a8f23d2d76461211c6b4c0ca6df2547d",
                size=697_552_028,
            ),
        ),
    ),
}
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
    building = new_beside(destination)
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
    source = _source(dataset)
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
        yield "folder", str(folder), lambda into: _from_folder(source, folder, into)
    files: dict[str, list[Download]] = {}
    for one in _configured(dataset) or source.downloads:
        files.setdefault(one.name, []).append(one)
    if files:
        addresses = " ".join(shown(one.url) for mirrors in files.values() for one in mirrors)
        keep = _downloads_folder(destination)
        yield "download", addresses, lambda into: _from_servers(source, files, keep, into)
    if dataset["source"] == "movielens-100k":
        yield "package", RECBOLE, _from_package


def _source(dataset: Mapping[str, Any]) -> Source:
    """The catalogue's entry, or one made from the description of a table."""
    if dataset["source"] == "synthetic":
        return SOURCES["netflix-subset"]
    if dataset["source"] != "table":
        return SOURCES[dataset["source"]]
    table = dataset["table"]
    names = (table["ratings"], table["test"], table["titles"]["file"])
    for name in filter(None, names):
        if Path(name).name != name:
            raise ValueError(f"{name!r} is not the name of a file; give its folder as `folder`")
    return Source(tuple((name.removesuffix(".gz"),) for name in names if name))


def _configured(dataset: Mapping[str, Any]) -> list[Download]:
    """Downloads of the config's `urls`."""
    downloads = []
    for one in dataset["urls"]:
        parts = urlsplit(one["url"])
        name = one.get("name") or unquote(parts.path).rsplit("/", 1)[-1]
        if parts.scheme not in ("http", "https") or name in ("", ".", ".."):
            raise ValueError(
                f"{shown(one['url'])!r} is no address of a file; mend `urls` of the data set"
            )
        downloads.append(Download(one["url"], name, one.get("sha256", "")))
    return downloads


def _downloads_folder(destination: Path) -> Path:
    """Where an interrupted download waits to be continued."""
    return destination.with_name(f".{destination.name}.downloads")


def _from_folder(source: Source, folder: Path, into: Path) -> dict[str, Any]:
    """Copy the files of a local folder, or unpack the archives that it holds."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; mend `folder` of the data set")
    archives = {one.name: one for one in source.downloads}
    told: dict[str, dict[str, Any]] = {}
    for path in sorted((*folder.iterdir(), *folder.glob("training_set/*"))):
        placed = source.place(path.name.removesuffix(".gz"))
        if path.name in archives:
            check_download(archives[path.name], path, str(path))
            told[path.name] = _unpacked(source, archives[path.name], path, into)
        elif placed is None:
            continue
        elif not path.is_file():
            raise ValueError(f"{path} is a directory, but a file of that name is needed")
        elif path.name.endswith(".gz"):
            unpack(path, source.place, into)
        else:
            (into / placed).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, into / placed)
    return {"archives": told}


def _unpacked(source: Source, one: Download, path: Path, into: Path) -> dict[str, Any]:
    """Unpack an archive; by which hash it was checked, whether the catalogue's, and its files."""
    before = set(into.rglob("*"))
    unpack(path, source.place, into)
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
    for alternatives in _source(dataset).needs:
        if not any(any(folder.glob(pattern)) for pattern in alternatives):
            raise ValueError(f"{' or '.join(alternatives)} is missing")
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
