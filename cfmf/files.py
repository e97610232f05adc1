"""Writing files whole or not at all, and telling them apart by their hash."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy import sparse

# A name of this machine that can be part of a file's; machines may share a folder.
HOST = re.sub(r"[^A-Za-z0-9]", "-", socket.gethostname())
ABANDONED_SECONDS = 86_400


def temporary_path(path: Path) -> Path:
    """A temporary name in the folder of `path`, which no other writer has.

    The temporary files of killed writers of `path` are removed, with the journals of SQLite. The
    suffix is kept, for writers that depend on it (NumPy, pandas).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for begun in path.parent.glob(f".{glob.escape(path.stem)}.*.partial{path.suffix}*"):
        if not _abandoned(begun):
            continue
        if begun.is_dir():
            shutil.rmtree(begun, ignore_errors=True)
        else:
            begun.unlink(missing_ok=True)
    writer = f"{HOST}.{os.getpid()}.{secrets.token_hex(4)}"
    return path.with_name(f".{path.stem}.{writer}.partial{path.suffix}")


def _abandoned(begun: Path) -> bool:
    """Whether the writer of a name of `temporary_path` is dead, or has written nothing for a day.

    Whether processes on another machine are dead can only be inferred from their inactivity.
    """
    named = re.search(r"\.([\w-]+)\.(\d+)\.\w+\.partial", begun.name)
    if named and named[1] == HOST and not _runs(int(named[2])):
        return True
    try:
        return time.time() - begun.stat().st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:  # its writer has finished
        return False


def _runs(process: int) -> bool:
    """Whether a process of this machine runs; a zombie does not. Windows is not asked: yes."""
    if sys.platform == "win32":  # where signal 0 is Ctrl+C
        return True
    try:
        os.kill(process, 0)  # signal 0 asks whether there is such a process
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    status = Path(f"/proc/{process}/stat")
    state = status.read_text("utf-8").rpartition(")")[2].split()[0] if status.exists() else ""
    return state != "Z"


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, and rename it to `path` if the block ends without an error.

    A killed job leaves `path` as it was: absent, or the old file. Of two that write it at
    once each writes a file of its own (see `temporary_path`), and the last one stays.
    """
    path = Path(path)
    temporary = temporary_path(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class DamagedError(ValueError):
    """A file or folder is not as it was written: `path`."""

    def __init__(self, path: str | Path, what: str):
        super().__init__(what)
        self.path = Path(path)


def quarantine(path: str | Path) -> None:
    """Rename a file or folder to its name followed by `.damaged`, replacing an older one."""
    path = Path(path)
    damaged = path.with_name(f"{path.name}.damaged")
    if damaged.is_dir():
        shutil.rmtree(damaged)
    path.replace(damaged)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_matrix(path: str | Path, matrix: sparse.csr_array) -> None:
    """Write a CSR matrix as `.npz`, whole or not at all."""
    with atomic_write(path) as temporary:
        sparse.save_npz(temporary, matrix)


def load_matrix(path: str | Path) -> sparse.csr_array:
    """Read a CSR matrix written by `save_matrix`: float32 data, sorted int32 indices.

    Raises
    ------
    ValueError
        If the file holds something else or is damaged.
    """
    try:
        matrix = sparse.csr_array(sparse.load_npz(path))
    except Exception as error:
        raise ValueError(
            f"{path} is not a readable sparse matrix ({error}); delete it and run again"
        ) from error
    matrix.sort_indices()
    return matrix.astype(np.float32, copy=False)


def seen_from_here(file: str | Path) -> str:
    """A path relative to the working directory where the file is below it, else an absolute one."""
    relative = os.path.relpath(file)
    return os.path.abspath(file) if relative.startswith("..") else relative
