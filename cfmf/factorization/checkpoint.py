"""State of a long run in a file, so that a killed job resumes where it stopped."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cfmf.files import atomic_write, sha256
from cfmf.imports import ROOT, imported_files
from cfmf.tasks import Solver, Task

EVERY_SECONDS = 60.0


def fingerprint(solver: Solver, tasks: Sequence[Task]) -> str:
    """Hash of what decides a training and its measures, so that no other's state is taken for it.

    That is the solver's settings, the factors it was given to start from, the files of the package
    that it imports, and of every task all parts, its start, what is known beside the ratings, and
    all settings but its name, its report and what is predicted at the end; of these two, whether
    they leave the curve unread.
    """
    digest = hashlib.sha256(repr(solver).encode())
    for array in getattr(solver, "start", None) or ():
        _add(digest, array)
    for path in imported_files(type(solver).__module__):
        digest.update(f"{path} {sha256(ROOT / path)}".encode())
    for task in tasks:
        for array in task.start.arrays().values() if task.start is not None else ():
            _add(digest, array)
        for array in task.side.arrays().values() if task.side is not None else ():
            _add(digest, array)
        settings = (task.seed, task.watch_test, task.epochs, task.seconds, task.curve_is_unread())
        digest.update(repr((*settings, task.bounds, task.bias_reg)).encode())
        for part, matrix in task.parts().items():
            digest.update(f"{part} {matrix.shape}".encode())
            for array in (matrix.indptr, matrix.indices, matrix.data):
                _add(digest, array)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, array: np.ndarray) -> None:
    digest.update(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)


class Checkpoint:
    """A file that holds the arrays of one run's state.

    Parameters
    ----------
    path
        The file, `.npz`; None keeps nothing.
    every
        Seconds between two saves; None means `EVERY_SECONDS`.
    """

    def __init__(self, path: Path | None, every: float | None = None) -> None:
        self.path = path
        self.every = EVERY_SECONDS if every is None else every
        self.saved = time.monotonic()

    def due(self) -> bool:
        """Whether it is time to save."""
        return self.path is not None and time.monotonic() - self.saved >= self.every

    def save(self, run: str, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Keep the state of the run with this fingerprint, whole or not at all."""
        if self.path is not None:
            with atomic_write(self.path) as temporary:
                np.savez(temporary, allow_pickle=False, run=np.array(run), **state())
            self.saved = time.monotonic()

    def load(self, run: str) -> dict[str, np.ndarray] | None:
        """State of the run with this fingerprint; None without a file, or if it is another's."""
        if self.path is None or not self.path.exists():
            return None
        log = logging.getLogger(__name__)
        try:
            with np.load(self.path, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
        except Exception as error:
            log.warning("%s is damaged (%s); starting from the beginning", self.path, error)
            return None
        if str(state.pop("run", "")) != run:
            log.info("%s is of other settings or data; starting from the beginning", self.path)
            return None
        log.info("going on from %s", self.path)
        return state
