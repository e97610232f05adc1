"""Unpacking of archives that are not trusted."""

from __future__ import annotations

import bz2
import copy
import gzip
import io
import logging
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO, Protocol, cast

from cfmf.data.kinds import kind_of
from cfmf.terminal import printable

log = logging.getLogger(__name__)

LARGEST = 8 << 30
# Text of ratings compresses to a tenth; an archive that grows more than 200-fold is a bomb.
LARGEST_RATIO = 200
SMALL = 1 << 20
# What a tar may hold between two members: headers, long names and the padding of blocks.
LARGEST_HEADERS = 1 << 20
# Memory that an LZMA decompressor may ask for; the highest preset of xz takes 65 MiB.
LARGEST_MEMORY = 256 << 20
PIECE = 1 << 16

Place = Callable[[str], str | None]


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` at most."""


class ArchiveError(ValueError):
    """An archive is refused; the message says why."""


class _Decompressed(io.RawIOBase):
    """The content of compressed streams that follow each other, read piece by piece.

    `make` returns a decompressor of the kind of `bz2.BZ2Decompressor`; `first` precedes the bytes
    of `packed`.
    """

    def __init__(self, packed: Readable, make: Callable[[], Any], first: bytes = b"") -> None:
        self._packed, self._make, self._first = packed, make, first
        self._decompressor = make()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes, and never decompress more than fits."""
        data = b""
        while not data:
            one, more = self._decompressor, self._first
            self._first = b""
            if one.eof:
                more = one.unused_data.lstrip(b"\0")
                while not more:  # zeros may pad a stream
                    piece = self._packed.read(PIECE)
                    if not piece:
                        return 0
                    more = piece.lstrip(b"\0")
                one = self._decompressor = self._make()
            elif not more and one.needs_input:
                more = self._packed.read(PIECE)
                if not more:
                    raise EOFError("it ends too early")
            data = one.decompress(more, len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Checked(io.RawIOBase):
    """A member of a ZIP archive whose size and CRC-32 are compared at its end."""

    def __init__(self, stream: Readable, one: zipfile.ZipInfo) -> None:
        self._stream, self._left, self._wanted, self._crc = stream, one.file_size, one.CRC, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes."""
        data = self._stream.read(min(len(buffer), self._left + 1))
        self._left -= len(data)
        self._crc = zlib.crc32(data, self._crc)
        if self._left < 0 or (not data and (self._left or self._crc != self._wanted)):
            raise zipfile.BadZipFile("the size or the CRC-32 of a file differs")
        buffer[: len(data)] = data
        return len(data)


def _lzma(packed: Readable, first: bytes = b"", form: int = lzma.FORMAT_AUTO) -> BinaryIO:
    make = partial(lzma.LZMADecompressor, form, memlimit=LARGEST_MEMORY)
    return io.BufferedReader(_Decompressed(packed, make, first))


def _bz2(packed: Readable) -> BinaryIO:
    return io.BufferedReader(_Decompressed(packed, bz2.BZ2Decompressor))


def _zstd(packed: Readable) -> BinaryIO:
    import pyarrow as pa  # here, as it takes long and few need it

    return cast(BinaryIO, pa.CompressedInputStream(packed, "zstd"))


def _gzip(packed: Readable) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=cast(Any, packed)))


COMPRESSED: dict[str, Callable[[Any], BinaryIO]] = {
    ".gz": _gzip,
    ".bz2": _bz2,
    ".xz": _lzma,
    ".zst": _zstd,
}
ZIPS = (".zip", ".whl")
# The endings of tar archives, and that of the compression of each.
TARS = {
    **{f".tar{ending}": ending for ending in COMPRESSED},
    ".tgz": ".gz",
    ".tbz2": ".bz2",
    ".txz": ".xz",
    ".tzst": ".zst",
    ".tar": "",
}
ZIP_LZMA_ENDS = 2  # the flag of LZMA whose end is marked
ZIP_ZSTD = 93
ZIP_METHODS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
    zipfile.ZIP_BZIP2,
    zipfile.ZIP_LZMA,
    ZIP_ZSTD,
)


@dataclass
class Member:
    """A file of an archive: its path there, its declared size, and how to open it.

    The size is 0 if it is not declared; `refused` is the reason if it is no file that can be read.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]
    refused: str = ""


class _Budget:
    """The number of bytes that an archive may still unpack to."""

    def __init__(self, archive: Path, largest: int) -> None:
        self.archive, self.total = archive, 0
        self.most = min(largest, SMALL + LARGEST_RATIO * archive.stat().st_size)

    def check(self, name: str, size: int) -> None:
        """Raise ArchiveError if so many further bytes would be too many."""
        if self.total + size > self.most:
            raise _bomb(self.archive, name, self.total + size)


def is_archive(name: str) -> bool:
    """Whether a file of this name is to be unpacked; `training_set.tar` is read as it is."""
    return name.endswith((*ZIPS, *TARS, *COMPRESSED)) and name != "training_set.tar"


def decompressed_name(name: str) -> str:
    """A file name without the endings of compressed files (not of an archive of several files)."""
    while name.endswith(tuple(COMPRESSED)):
        name = name[: -len(Path(name).suffix)]
    return name


def unpack(archive: Path, place: Place, into: Path, largest: int = LARGEST) -> None:
    """Unpack the wanted files of an archive or a compressed file.

    A wanted file that is compressed within the archive, as `ratings.csv.gz` in a ZIP, is
    decompressed too.

    Parameters
    ----------
    archive
        The file; its endings give its format.
    place
        Returns where under `into` a member goes, by its name without folders and without the
        endings of compressed files; None if unwanted.
    into
        Folder to write to; nothing is written elsewhere.
    largest
        Number of bytes that all members together may have, whatever the format.

    Raises
    ------
    ValueError
        If the archive is damaged, has more bytes than allowed, compresses them implausibly well or
        needs too much memory, contains a path outside its folder, or a wanted member is a link, a
        device, encrypted, or one of two for the same place.
    """
    try:
        if archive.stat().st_size == 0:
            raise EOFError("it is empty")
        budget = _Budget(archive, largest)
        for member in _members(archive):
            target = _target(archive, member.name, place, into)
            if target is None:
                continue
            name = printable(member.name)
            if member.refused:
                raise ArchiveError(f"{archive.name}: {name} {member.refused}; refused")
            budget.check(name, member.size)
            _copy(member, target, budget)
    except ArchiveError:
        raise
    except Exception as error:
        # Damage of gz and zst is an OSError without a number; one with a number is of the system.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(archive, error) from error


def _damaged(archive: Path, error: Exception) -> ArchiveError:
    """The error for an archive whose reading failed."""
    why = printable(str(error)) or type(error).__name__
    if isinstance(error, MemoryError) or "emory" in why:
        return ArchiveError(
            f"{archive.name} needs more memory to unpack than the {LARGEST_MEMORY >> 20} MiB that"
            " it may have; refused"
        )
    kind, ending = kind_of(archive)
    if kind and (not ending or ending not in archive.name):
        why += f"; it is {kind}"
    return ArchiveError(
        f"{archive.name} is damaged or not an archive ({why}); delete it and get it again"
    )


def _members(archive: Path) -> Iterator[Member]:
    if archive.name.endswith(ZIPS):
        return _zip_members(archive)
    if archive.name.endswith(tuple(TARS)):
        return _tar_members(archive)
    return iter([Member(archive.name, 0, lambda: archive.open("rb"))])


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for one in file.infolist():
            refused = ""
            if one.external_attr >> 28 == 0o12:
                refused = "is a link"
            elif one.flag_bits & 1:
                refused = "is encrypted"
            elif one.compress_type not in ZIP_METHODS:
                refused = f"is compressed by method {one.compress_type}, which is not supported"
            if not one.is_dir():
                yield Member(one.filename, one.file_size, partial(_opened, file, one), refused)


def _opened(file: zipfile.ZipFile, one: zipfile.ZipInfo) -> BinaryIO:
    """A member of a ZIP archive.

    Of other methods than deflate zipfile decompresses whole pieces, however large they become. So
    their bytes are taken as they are stored and decompressed here.
    """
    if one.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return cast(BinaryIO, file.open(one))
    stored = copy.copy(one)
    stored.compress_type, stored.file_size = zipfile.ZIP_STORED, one.compress_size
    del stored.CRC
    packed = file.open(stored)
    if one.compress_type == zipfile.ZIP_BZIP2:
        stream = _bz2(packed)
    elif one.compress_type == ZIP_ZSTD:
        stream = _zstd(packed)
    else:
        # Version, size of the properties, properties: .lzma files have these and the size.
        properties = packed.read(9)[4:]
        marked = one.flag_bits & ZIP_LZMA_ENDS
        size = b"\xff" * 8 if marked else one.file_size.to_bytes(8, "little")
        stream = _lzma(packed, properties + size, lzma.FORMAT_ALONE)
    return cast(BinaryIO, _Checked(stream, one))


def _tar_members(archive: Path) -> Iterator[Member]:
    compression = next(TARS[ending] for ending in TARS if archive.name.endswith(ending))
    # As a stream: a tar has no directory, so each member's declared size is checked on the way.
    with open(archive, "rb") as packed:
        stream = COMPRESSED[compression](packed) if compression else packed
        limited = _Limited(stream, archive)
        with tarfile.open(fileobj=cast(Any, limited), mode="r|") as file:
            while (one := file.next()) is not None:
                limited.left = one.size + LARGEST_HEADERS
                if not one.isdir():
                    refused = "" if one.isreg() else "is not a regular file"
                    opened = cast(Callable[[], BinaryIO], partial(file.extractfile, one))
                    yield Member(one.name, one.size, opened, refused)
                cast(Any, file).members.clear()  # which it would keep
            # tarfile takes a damaged header for the end; behind the real one are zeros. Any
            # checksum of the compression is at the very end too.
            limited.left = LARGEST
            while data := cast(Any, file.fileobj).read(PIECE):
                if data.strip(b"\0"):
                    raise tarfile.ReadError("a header is damaged")
        if len(limited.tail) < tarfile.BLOCKSIZE or limited.tail.strip(b"\0"):
            raise EOFError("it ends too early")


class _Limited:
    """A stream from which tarfile may read only a member and headers at a time.

    It would read a name or a header of any declared size into memory before it returns a member.
    All together may not be more than an archive may unpack to, wanted or not.
    """

    def __init__(self, stream: Readable, archive: Path) -> None:
        self.stream, self.archive = stream, archive
        self.left, self.tail = LARGEST_HEADERS, b""
        self.budget = _Budget(archive, LARGEST)

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most."""
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise _bomb(self.archive, "a header", LARGEST_HEADERS)
        self.budget.check("its end", len(data))
        self.budget.total += len(data)
        self.tail = (self.tail + data)[-tarfile.BLOCKSIZE :] if data else self.tail
        return data


def _target(archive: Path, name: str, place: Place, into: Path) -> Path | None:
    """Where a member is written to."""
    path = PureWindowsPath(name)  # which knows drives and both kinds of slashes
    if path.drive or path.root or ".." in path.parts:
        raise ArchiveError(
            f"{archive.name} contains {name!r}, a path outside its folder, so nothing of"
            " it is used; get the archive from its original source"
        )
    placed = place(decompressed_name(path.name))
    if placed is None:
        return None
    if not path.name.isprintable():
        raise ArchiveError(
            f"{archive.name} contains {path.name!r}, a name with control characters; refused"
        )
    target = into / placed
    if target.exists():
        raise ArchiveError(f"{archive.name} contains {path.name} twice; refused")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _copy(member: Member, target: Path, budget: _Budget) -> None:
    """Copy a member, decompressed."""
    start, name = budget.total, member.name
    with member.open() as packed, open(target, "xb") as file:
        stream = packed
        while name.endswith(tuple(COMPRESSED)):
            suffix = Path(name).suffix
            stream, name = COMPRESSED[suffix](stream), name[: -len(suffix)]
        while data := stream.read(PIECE):
            budget.check(target.name, len(data))
            budget.total += len(data)
            file.write(data)
    log.info(
        "unpacked %s (%d bytes) from %s", target.name, budget.total - start, budget.archive.name
    )


def _bomb(archive: Path, name: str, size: int) -> ArchiveError:
    return ArchiveError(
        f"{archive.name}: {name} would unpack to {size:,} bytes or more, which is implausibly much;"
        " refused"
    )
