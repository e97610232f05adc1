"""Rows in pieces and groups, so that temporary arrays stay small, and threads to work on them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 1 << 20


def pieces(count: int) -> list[slice]:
    """Slices of up to `ROWS_AT_ONCE` rows."""
    return [slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE)]


def key_starts(key: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    """Position of the first row of each of `size` keys when sorted by key, and number of rows."""
    start = np.zeros(size + 1, np.int64)
    for rows in pieces(len(key)):
        start[1:] += np.bincount(key[rows], minlength=size)
    return np.cumsum(start, out=start)


def rows_of(key: NDArray[np.int32], group: tuple[int, int]) -> NDArray[np.int64]:
    """Rows with a key from the first of a group up to its end."""
    found = [
        rows.start + np.flatnonzero((key[rows] >= group[0]) & (key[rows] < group[1]))
        for rows in pieces(len(key))
    ]
    return np.concatenate([np.zeros(0, np.int64), *found])


def in_threads(threads: int, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
    """Results of a function for each tuple of arguments, in order; `threads` calls at a time."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, *arguments))


def even_groups(start: NDArray[np.int64], count: int) -> list[tuple[int, int]]:
    """Consecutive groups of keys with about equal numbers of rows: first key and end of each group.

    Parameters
    ----------
    start
        As `key_starts` returns it.
    count
        Number of groups.
    """
    cuts = np.searchsorted(start, np.linspace(0, start[-1], count + 1)[1:-1])
    return list(itertools.pairwise([0, *cuts.tolist(), len(start) - 1]))
