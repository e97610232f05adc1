"""Compilation of kernels by numba, whose cache on disk may be damaged, full, or not to be had.

numba's own cache takes whatever it reads for what it wrote: a damaged file ends the process or
computes something else, and a full disk ends it too. It also looks at the time of one source file
only, though a kernel holds the code of those that it calls. Here each entry has a checksum and its
key, and all files of this package decide whether it is fresh. What fails is said once and done
without: the kernel is compiled anew.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

DIGEST = 32
"""Bytes of a SHA-256, at the end of a file of compiled code."""

log = logging.getLogger(__name__)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: `numba.njit` with these options, and the cache of this module.

    Where no folder for a cache can be written, there is none.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(**options)(function)
        try:
            dispatcher._cache = _Cache(function)
        except (OSError, RuntimeError) as error:
            log.warning("%s is compiled in every process: %s", function.__name__, error)
        return dispatcher

    return decorate


@cache
def sources() -> str:
    """Hash of all files of this package: what was compiled from others is stale."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Files(IndexDataCacheFile):
    """An index and the compiled code that it names, each entry with its key and a checksum."""

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        found = super().load(key)
        if found is None:
            return None
        kept, data = found
        if kept != key:
            raise ValueError(f"{self._index_path} names the code of another call")
        return data

    def _save_data(self, name: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(content + hashlib.sha256(content).digest())

    def _load_data(self, name: str) -> Any:
        content = Path(self._data_path(name)).read_bytes()
        if hashlib.sha256(content[:-DIGEST]).digest() != content[-DIGEST:]:
            raise ValueError(f"{self._data_path(name)} is not as it was written")
        return super()._load_data(name)  # which ignores what follows the data


class _Cache(FunctionCache):
    """numba's cache of a function; what it cannot read or write it does without."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _Files(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=sources(),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever pickle raises of damaged files
            log.warning("%s is compiled anew: %s", self._name, error)
            self._without(self.flush)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        self._without(lambda: super(_Cache, self).save_overload(sig, data))

    def _without(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # a full disk, a folder that is none
            log.warning("%s could not be kept compiled: %s", self._name, error)
