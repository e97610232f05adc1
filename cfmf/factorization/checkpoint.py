"""State of a long run in a file, so that a killed job goes on where it was."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy import sparse

from cfmf.files import written_whole

EVERY_SECONDS = 60.0


def fingerprint(settings: object, *matrices: sparse.csr_array | None) -> str:
    """Hash of what decides a run, so that another run's state is never taken for it."""
    digest = hashlib.sha256(repr(settings).encode())
    for matrix in matrices:
        if matrix is not None:
            for array in (matrix.indptr, matrix.indices, matrix.data):
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


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

    def save(self, run: str, state: Mapping[str, np.ndarray]) -> None:
        """Keep the state of the run with this fingerprint, whole or not at all."""
        if self.path is not None:
            with written_whole(self.path) as beside:
                np.savez(beside, allow_pickle=False, run=np.array(run), **state)
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
