"""Archives, read without trusting them."""

from __future__ import annotations

import gzip
import logging
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, cast

log = logging.getLogger(__name__)

LARGEST = 8 << 30
# Text of ratings packs to a tenth; a member that grows 200-fold and more is a bomb.
LARGEST_RATIO = 200
SMALL = 1 << 20
# What a tar may hold between two members: headers, long names and the filling of blocks.
LARGEST_HEADERS = 1 << 20
SUFFIXES = (".zip", ".whl", ".tar", ".tar.gz", ".tgz", ".gz")


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` at most."""


def is_archive(name: str) -> bool:
    """Whether a file of this name is to be unpacked; `training_set.tar` is read as it is."""
    return name.endswith(SUFFIXES) and name != "training_set.tar"


def unpack(
    archive: Path, place: Callable[[str], str | None], into: Path, largest: int = LARGEST
) -> None:
    """Unpack the wanted files of a zip, tar, tar.gz or gz file.

    Parameters
    ----------
    archive
        The file; its name tells the kind.
    place
        Where under `into` a member goes, by its name without folders; None for not at all.
    into
        Folder to write to; nothing is written elsewhere.
    largest
        Bytes that all members together may declare.

    Raises
    ------
    ValueError
        If the archive is damaged, declares more bytes than allowed or packs them too well, holds a
        path that leads elsewhere, or wants a link, a device or two files in one place.
    """
    try:
        if archive.stat().st_size == 0:
            raise EOFError("it is empty")
        if archive.name.endswith((".zip", ".whl")):
            _unpack_zip(archive, place, into, largest)
        elif archive.name.endswith((".tar", ".tar.gz", ".tgz")):
            _unpack_tar(archive, place, into, largest)
        else:
            _unpack_gzip(archive, place, into, largest)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        lzma.LZMAError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ValueError(
            f"{archive.name} is damaged or no archive ({error}); delete it and get it again"
        ) from error


def _unpack_zip(
    archive: Path, place: Callable[[str], str | None], into: Path, largest: int
) -> None:
    with zipfile.ZipFile(archive) as file:
        total = 0
        for member in file.infolist():
            target = _target(archive, member.filename, place, into)
            if target is None or member.is_dir():
                continue
            if member.external_attr >> 28 == 0o12:
                raise ValueError(f"{archive.name}: {member.filename} is a link; refused")
            total += member.file_size
            if member.file_size > SMALL + LARGEST_RATIO * member.compress_size:
                raise _bomb(archive, member.filename, member.file_size)
            if total > largest:
                raise _bomb(archive, member.filename, total)
            with file.open(member) as packed:
                _copy(packed, target, member.file_size, archive)


def _unpack_tar(
    archive: Path, place: Callable[[str], str | None], into: Path, largest: int
) -> None:
    opened: Any = gzip.open if archive.name.endswith("gz") else open
    # As a stream: a tar has no directory, and each member's declared size is checked on the way.
    with opened(archive, "rb") as stream:
        rationed = _Rationed(stream, archive)
        total = 0
        with tarfile.open(fileobj=cast(Any, rationed), mode="r|") as file:
            for member in file:
                rationed.left = member.size + LARGEST_HEADERS
                target = _target(archive, member.name, place, into)
                total += member.size
                if total > largest:
                    raise _bomb(archive, member.name, total)
                if target is None or member.isdir():
                    continue
                packed = file.extractfile(member) if member.isreg() else None
                if packed is None:
                    raise ValueError(f"{archive.name}: {member.name} is no plain file; refused")
                _copy(packed, target, member.size, archive)
        # gzip's checksum stands at the very end, behind what tar reads.
        while data := stream.read(1 << 20):
            total += len(data)
            if total > largest:
                raise _bomb(archive, "the end", total)


class _Rationed:
    """A stream of which tarfile may read a member and headers at a time.

    For it reads a name or a header of any declared size into memory before it shows the member.
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


def _unpack_gzip(
    archive: Path, place: Callable[[str], str | None], into: Path, largest: int
) -> None:
    target = _target(archive, archive.name.removesuffix(".gz"), place, into)
    if target is not None:
        size = min(largest, SMALL + LARGEST_RATIO * archive.stat().st_size)
        with gzip.open(archive) as packed:
            _copy(packed, target, size, archive)


def _target(
    archive: Path, name: str, place: Callable[[str], str | None], into: Path
) -> Path | None:
    """Where a member is written to."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise ValueError(
            f"{archive.name} holds {name!r}, a path that leads out of its folder; the archive is"
            " not what it claims to be and nothing of it is used"
        )
    placed = place(path.name)
    if placed is None:
        return None
    target = into / placed
    if target.exists():
        raise ValueError(f"{archive.name} holds {path.name} twice; refused")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _copy(packed: Readable, target: Path, size: int, archive: Path) -> None:
    """Copy a member that may have `size` bytes at most."""
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
        f"{archive.name}: {name} would unpack to {size:,} bytes or more, which is too much for it;"
        " refused"
    )
