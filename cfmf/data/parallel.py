"""Threads for work that releases the interpreter's lock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray


def in_threads(threads: int, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
    """Results of a function for each tuple of arguments, in order; `threads` calls at a time."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, *arguments))


def even_groups(start: NDArray[np.int64], count: int) -> list[tuple[int, int]]:
    """Consecutive groups of keys with about equal numbers of rows: first key and end of each group.

    Parameters
    ----------
    start
        Position of each key's first row when sorted by key, and the number of rows.
    count
        Number of groups.
    """
    cuts = np.searchsorted(start, np.linspace(0, start[-1], count + 1)[1:-1])
    return list(itertools.pairwise([0, *cuts.tolist(), len(start) - 1]))
