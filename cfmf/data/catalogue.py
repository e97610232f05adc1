"""The files that a source needs, where to get them, and which of them a local folder has."""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cfmf.addresses import shown
from cfmf.data.archives import decompressed_name, is_archive

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"


@dataclass(frozen=True)
class Download:
    """A file to download: address, name to save it under, and what to check it against."""

    url: str
    name: str
    size: int = 0
    sha256: str = ""
    md5: str = ""

    @property
    def hashed(self) -> bool:
        """Whether there is a hash to verify the bytes with."""
        return bool(self.sha256 or self.md5)


@dataclass(frozen=True)
class Source:
    """Files of a source and where to get them.

    Parameters
    ----------
    needs
        For each needed file its alternatives, as patterns of file names.
    takes
        Patterns of optional files.
    renames
        Names of files on mirrors, and their original names.
    downloads
        Archives or files; entries with the same name are mirrors of each other.
    counts
        Users, items, ratings, and ratings of a separate test part, as its publisher states them;
        None where it does not.
    """

    needs: tuple[tuple[str, ...], ...]
    takes: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    downloads: tuple[Download, ...] = ()
    counts: tuple[int, int, int, int] | None = None

    def place(self, name: str) -> str | None:
        """Path under the raw folder of a file, by its name without folders; None if unwanted."""
        name = self.renames.get(name, name)
        patterns = [pattern for group in self.needs for pattern in group] + list(self.takes)
        for pattern in patterns:
            folder, _, file = pattern.rpartition("/")
            if fnmatch.fnmatchcase(name, file):
                return f"{folder}/{name}" if folder else name
        return None

    def lacks(self, placed: Iterable[str]) -> list[str]:
        """The needed files missing among some files, which are paths under the raw folder."""
        placed = list(placed)
        return [
            # Without the brackets of glob.escape.
            re.sub(r"\[([*?[])\]", r"\1", " or ".join(alternatives))
            for alternatives in self.needs
            if not any(fnmatch.filter(placed, pattern) for pattern in alternatives)
        ]


DAT = (("ratings.dat",), ("movies.dat",))
CSV = (("ratings.csv",), ("movies.csv",))
SUBSET = ("users.txt", "netflix_train.txt", "netflix_test.txt", "movie_titles.txt")
# Needed files, and bytes, SHA-256 and MD5 of the archive.
MOVIELENS: dict[str, tuple[tuple[tuple[str, ...], ...], int, str, str]] = {
    "100k": (
        (("u.data",), ("u.item", "ml-100k.item")),
        4_924_029,
        "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        "0e33842e24a9c977be4e0107933c0723",
    ),
    "1m": (
        DAT,
        5_917_549,
        "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        "",
    ),
    "10m": (
        DAT,
        65_566_137,
        "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862",
        "",
    ),
    "20m": (
        CSV,
        198_702_078,
        "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        "",
    ),
    "25m": (
        CSV,
        261_978_986,
        "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
        "",
    ),
    "32m": (CSV, 238_950_008, "", "d472be332d4daa821edc399621853b57"),
    "latest-small": (
        CSV,
        978_202,
        "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        "",
    ),
}
COUNTS = {
    "100k": (943, 1682, 100_000, 0),
    "1m": (6040, 3706, 1_000_209, 0),
    "10m": (69_878, 10_677, 10_000_054, 0),
    "20m": (138_493, 26_744, 20_000_263, 0),
    "25m": (162_541, 59_047, 25_000_095, 0),
    "32m": (200_948, 84_432, 32_000_204, 0),
    "latest-small": (610, 9724, 100_836, 0),
}
"""Users, items with a rating, ratings, and ratings of a separate test part, of MovieLens."""
ATTRIBUTES = {"100k": ("u.user", "ml-100k.user"), "1m": ("users.dat",)}
"""Optional files of these sources: attributes of users."""
SOURCES = {
    **{
        f"movielens-{name}": Source(
            needs,
            takes=ATTRIBUTES.get(name, ()),
            downloads=(Download(f"{GROUPLENS}ml-{name}.zip", f"ml-{name}.zip", size, sha256, md5),),
            counts=COUNTS[name],
        )
        for name, (needs, size, sha256, md5) in MOVIELENS.items()
    },
    "netflix-subset": Source(
        needs=tuple((name,) for name in SUBSET), counts=(10_000, 10_000, 8_617_212, 1_719_466)
    ),
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
        counts=(480_189, 17_770, 100_480_507, 1_408_395),
    ),
}


def source_of(dataset: Mapping[str, Any]) -> Source:
    """The catalogue's entry, or one made from the description of a table.

    Raises
    ------
    ValueError
        If a table's file is given as a path.
    """
    if dataset["source"] == "synthetic":
        return SOURCES["netflix-subset"]
    if dataset["source"] != "table":
        return SOURCES[dataset["source"]]
    table = dataset["table"]
    attributes = (one["file"] for one in table["attributes"].values())
    names = (table["ratings"], table["test"], table["titles"]["file"], *attributes)
    for name in filter(None, names):
        if Path(name).name != name:
            raise ValueError(
                f"{name!r} is not a file name; set its folder as `folder` of the data set, and"
                " only its name in `table`"
            )
    return Source(tuple((glob.escape(decompressed_name(name)),) for name in names if name))


def stated_counts(dataset: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """Users, items, ratings, and ratings of a separate test part, known without the files.

    Of synthetic ratings the config states them, of others their publisher; None where neither does.
    """
    if dataset["source"] == "synthetic":
        drawn = dataset["synthetic"]
        return drawn["users"], drawn["items"], drawn["train"] + drawn["test"], drawn["test"]
    return SOURCES[dataset["source"]].counts if dataset["source"] in SOURCES else None


def downloads_of(dataset: Mapping[str, Any]) -> dict[str, list[Download]]:
    """Mirrors of each file of the config's `urls`, or else of the catalogue, by file name.

    Raises
    ------
    ValueError
        If an address is not that of a file.
    """
    files: dict[str, list[Download]] = {}
    for one in _configured(dataset) or source_of(dataset).downloads:
        files.setdefault(one.name, []).append(one)
    return files


def _configured(dataset: Mapping[str, Any]) -> list[Download]:
    """Downloads of the config's `urls`."""
    downloads = []
    for one in dataset["urls"]:
        parts = urlsplit(one["url"])
        name = one.get("name") or unquote(parts.path).rsplit("/", 1)[-1]
        named = name not in ("", ".", "..") and name.isprintable() and "\\" not in name
        if parts.scheme not in ("http", "https") or not named:
            raise ValueError(f"{shown(one['url'])!r} is not the address of a file; correct `urls`")
        downloads.append(Download(one["url"], name, sha256=one.get("sha256", "")))
    return downloads


def known_beside(dataset: Mapping[str, Any]) -> frozenset[str]:
    """What the description of a data set says is known beside its ratings; see `cfmf.side.USES`."""
    source = dataset["source"]
    if source == "table":
        table = dataset["table"]
        known = {
            "dates": table["columns"]["date"] != "",
            "user_attributes": bool(table["attributes"]["users"]["file"]),
            "item_attributes": bool(table["attributes"]["items"]["file"]),
        }
        return frozenset(name for name, there in known.items() if there)
    of_users = {"user_attributes"} if source in ("movielens-100k", "movielens-1m") else set()
    return frozenset({"dates", "item_attributes"} | of_users)


def local_files(dataset: Mapping[str, Any]) -> list[Path]:
    """The files used from a data set's local folder, and archives if a needed file is missing.

    These are the archives with a name in `downloads_of`, or all if there is none.

    Raises
    ------
    ValueError
        If the config gives a file as a path, or an address that is not that of a file.
    """
    folder = Path(dataset["folder"]).expanduser()
    if dataset["source"] == "synthetic" or not dataset["folder"] or not folder.is_dir():
        return []
    source = source_of(dataset)
    found = sorted((*folder.iterdir(), *folder.glob("training_set/*")))
    taken = {path: source.place(decompressed_name(path.name)) for path in found}
    files = [path for path, placed in taken.items() if placed]
    if not source.lacks(placed for placed in taken.values() if placed):
        return files
    archives = [path for path in found if is_archive(path.name) and path not in files]
    known = downloads_of(dataset)
    return files + ([path for path in archives if path.name in known] or archives)
