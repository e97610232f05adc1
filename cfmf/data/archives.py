"""Unpacking of archives that are not trusted."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, Protocol, cast

log = logging.getLogger(__name__)

LARGEST = 8 << 30
# Text of ratings compresses to a tenth; a member that grows more than 200-fold is a bomb.
LARGEST_RATIO = 200
SMALL = 1 << 20
# What a tar may hold between two members: headers, long names and the padding of blocks.
LARGEST_HEADERS = 1 << 20
COMPRESSED: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
ZIPS = (".zip", ".whl")
TARS = (".tar", ".tgz", *(f".tar{suffix}" for suffix in COMPRESSED))
ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
)

Place = Callable[[str], str | None]


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` at most."""


@dataclass
class Member:
    """A file of an archive: its path there, its declared size, and how to open it.

    `most` is the largest size that is plausible for its compressed size; `refused` is the reason
    if it is not a regular file.
    """

    name: str
    size: int
    open: Callable[[], Readable]
    most: int = LARGEST
    refused: str = ""


def is_archive(name: str) -> bool:
    """Whether a file of this name is to be unpacked; `training_set.tar` is read as it is."""
    return name.endswith((*ZIPS, *TARS, *COMPRESSED)) and name != "training_set.tar"


def decompressed_name(name: str) -> str:
    """A file name without the suffix of a compressed file (not of an archive of several files)."""
    return name[: -len(Path(name).suffix)] if name.endswith(tuple(COMPRESSED)) else name


def unpack(archive: Path, place: Place, into: Path, largest: int = LARGEST) -> None:
    """Unpack the wanted files of an archive or a compressed file.

    Parameters
    ----------
    archive
        The file; its suffix gives its format.
    place
        Returns where under `into` a member goes, by its name without folders; None if unwanted.
    into
        Folder to write to; nothing is written elsewhere.
    largest
        Number of bytes that all members together may declare.

    Raises
    ------
    ValueError
        If the archive is damaged, declares more bytes than allowed or compresses them implausibly
        well, contains a path outside its folder, or a wanted member is a link, a device, or one of
        two for the same place.
    """
    total = 0
    try:
        if archive.stat().st_size == 0:
            raise EOFError("it is empty")
        for member in _members(archive, largest):
            target = _target(archive, member.name, place, into)
            if target is None:
                continue
            if member.refused:
                raise ValueError(f"{archive.name}: {member.name} {member.refused}; refused")
            total += member.size
            if total > largest or member.size > member.most:
                raise _bomb(archive, member.name, total)
            _copy(member.open(), target, member.size, archive)
    except (OSError, *ERRORS) as error:
        # Damage of gz and bz2 is an OSError without a number; one with a number is of the system.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"{archive.name} is damaged or not an archive ({error}); delete it and get it again"
        ) from error


def _members(archive: Path, largest: int) -> Iterator[Member]:
    if archive.name.endswith(ZIPS):
        return _zip_members(archive)
    return (_tar_members if archive.name.endswith(TARS) else _compressed_member)(archive, largest)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for one in file.infolist():
            if not one.is_dir():
                opened = partial(file.open, one)
                refused = "is a link" if one.external_attr >> 28 == 0o12 else ""
                most = SMALL + LARGEST_RATIO * one.compress_size
                yield Member(one.filename, one.file_size, opened, most, refused)


def _tar_members(archive: Path, largest: int) -> Iterator[Member]:
    opened = next((COMPRESSED[end] for end in COMPRESSED if archive.name.endswith(end)), open)
    if archive.name.endswith(".tgz"):
        opened = gzip.open
    # As a stream: a tar has no directory, so each member's declared size is checked on the way.
    with opened(archive, "rb") as stream:
        limited = _Limited(stream, archive)
        total = 0
        with tarfile.open(fileobj=cast(Any, limited), mode="r|") as file:
            for one in file:
                limited.left = one.size + LARGEST_HEADERS
                total += one.size
                if total > largest:
                    raise _bomb(archive, one.name, total)
                if not one.isdir():
                    refused = "" if one.isreg() else "is not a regular file"
                    member = cast(Callable[[], Readable], partial(file.extractfile, one))
                    yield Member(one.name, one.size, member, refused=refused)
        # The checksum is at the very end, after what tarfile reads.
        while data := stream.read(1 << 20):
            total += len(data)
            if total > largest:
                raise _bomb(archive, "the end", total)


class _Limited:
    """A stream from which tarfile may read only a member and headers at a time.

    It would read a name or a header of any declared size into memory before it returns a member.
    """

    def __init__(self, stream: Readable, archive: Path) -> None:
        self.stream, self.archive = stream, archive
        self.left = LARGEST_HEADERS

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most."""
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise _bomb(self.archive, "a header", LARGEST_HEADERS)
        return data


def _compressed_member(archive: Path, largest: int) -> Iterator[Member]:
    size = min(largest, SMALL + LARGEST_RATIO * archive.stat().st_size)
    with COMPRESSED[archive.suffix](archive) as packed:
        yield Member(decompressed_name(archive.name), size, lambda: packed)


def _target(archive: Path, name: str, place: Place, into: Path) -> Path | None:
    """Where a member is written to."""
    path = PureWindowsPath(name)  # which knows drives and both kinds of slashes
    if path.drive or path.root or ".." in path.parts:
        raise ValueError(
            f"{archive.name} contains {name!r}, a path outside its folder, so nothing of it is"
            " used; get the archive from its original source"
        )
    placed = place(path.name)
    if placed is None:
        return None
    target = into / placed
    if target.exists():
        raise ValueError(f"{archive.name} contains {path.name} twice; refused")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _copy(packed: Readable, target: Path, size: int, archive: Path) -> None:
    """Copy a member of at most `size` bytes."""
    with open(target, "xb") as file:
        left = size
        while data := packed.read(min(1 << 20, left + 1)):
            left -= len(data)
            if left < 0:
                raise _bomb(archive, target.name, size + 1)
            file.write(data)
    log.info("unpacked %s (%d bytes) from %s", target.name, size - left, archive.name)


def _bomb(archive: Path, name: str, size: int) -> ValueError:
    return ValueError(
        f"{archive.name}: {name} would unpack to {size:,} bytes or more, which is implausibly much;"
        " refused"
    )
