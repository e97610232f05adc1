"""Neighbour predictions from the similarities of just the rows that hold a queried column.

Where columns are short and the rows many, as with users of a sparse data set, most similarities are
of no use to any queried pair. Here the sums of a row with all others are scattered as in `scatter`,
but only those with the rows that hold a queried column are looked at: work and memory grow with
these, not with all rows. Every similarity, choice and sum is, to the last bit, that of
`scatter.nearest_sums`, as long as no column is so long that it goes through BLAS there.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfmf.kernels import scatter
from cfmf.kernels.compiled import compiled
from cfmf.kernels.row_products import add_row
from cfmf.kernels.scatter import add_nearest
from cfmf.kernels.similarities import STEPS, Comparison, Query, combine, shrunk

Floats = NDArray[np.float32]

SPARED = 8
"""It pays where so many times fewer similarities are looked at than the queried rows have."""
CANDIDATES = 2**20
"""Similarities that are looked at together."""
HALF = np.uint64(32)
LOW = np.uint64(2**32 - 1)


def pays(comparison: Comparison, query: Query) -> bool:
    """Whether just the rows that hold the queried columns are few; never with dense columns."""
    row_count, column_count = comparison.rows.shape
    longest = np.bincount(comparison.rows.indices, minlength=max(column_count, 1)).max()
    looked_at = int(_candidates(query).sum())
    queried = len(np.unique(query.rows))
    return bool(longest <= scatter.DENSE * row_count and SPARED * looked_at < row_count * queried)


def nearest_sums(
    comparison: Comparison,
    query: Query,
    shrinkages: list[float],
    neighbours: list[int],
    threads: int = 1,
    until: float | None = None,
) -> Floats:
    """As `scatter.nearest_sums`; of a comparison and a query for which it `pays`."""
    order = np.argsort(query.rows, kind="stable")
    blocks = _blocks(query.rows[order], _candidates(query)[order])
    limits, targets = np.asarray(neighbours, dtype=np.int64), np.stack(query.targets)
    layout = scatter.arrange(comparison)
    shape = (len(shrinkages), len(targets) + 1, len(neighbours), len(query.rows))
    sums = np.empty(shape, dtype=np.float32)

    def work(number: int) -> None:
        own = order[blocks[number]]
        rows, columns = query.rows[own].astype(np.uint64), query.columns[own].astype(np.uint64)
        begins = np.concatenate([[0], np.cumsum(_candidates(query)[own])]).astype(np.uint64)
        pairs = rows, columns, query.starts, query.held, begins
        found = _sums_with_candidates(layout, comparison, pairs)
        alike = combine(comparison.kind, list(found))
        for which, shrinkage in enumerate(shrinkages):
            nearest = np.empty((*shape[1:3], len(own)), dtype=np.float32)
            similarities = shrunk(alike, found[-1], shrinkage)
            _nearest(similarities, *pairs, targets, limits, nearest)
            sums[which][:, :, own] = nearest

    scatter.in_threads(work, range(len(blocks)), threads, "nearest neighbours", until)
    return sums


def _candidates(query: Query) -> NDArray[np.int64]:
    """How many rows hold the column of each pair."""
    held: NDArray[np.int64] = (query.starts[1:] - query.starts[:-1]).astype(np.int64)
    return held[query.columns]


def _blocks(rows: NDArray[np.int64], candidates: NDArray[np.int64]) -> list[slice]:
    """Pairs, sorted by row, in blocks of whole rows with about `CANDIDATES` candidates."""
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    before = np.concatenate([[0], np.cumsum(candidates)])
    number = before[begins] // CANDIDATES
    cuts = begins[np.flatnonzero(np.diff(number, prepend=-1))].tolist()
    return [slice(*ends) for ends in pairwise([*cuts, len(rows)])]


def _sums_with_candidates(
    layout: scatter.Layout, comparison: Comparison, pairs: tuple[NDArray[Any], ...]
) -> Floats:
    """The products of each pair's row with every row that holds its column, side by side."""
    sums = np.empty((len(comparison.products), int(pairs[-1][-1])), dtype=np.float32)
    line = np.zeros((comparison.rows.shape[0], len(sums)), dtype=np.float32)
    _gather(
        layout.row_starts,
        layout.row_columns,
        layout.row_values,
        layout.column_starts[:-1],
        layout.column_starts[1:],
        layout.column_rows,
        layout.column_values,
        *pairs,
        line,
        sums,
    )
    return sums


@compiled(nogil=True)
def _gather(  # type: ignore[no-untyped-def]
    row_starts, row_columns, left, column_starts, column_stops, column_rows, right,
    rows, columns, held_starts, held, begins, line, sums
):  # fmt: skip
    """Sums of each pair's row with the rows that hold its column; `line` is 0 before and after."""
    one = np.uint64(1)
    products = sums.shape[0]
    for pair in range(rows.size):
        row = rows[pair]
        if pair == 0 or row != rows[pair - 1]:
            of_row = row_starts, row_columns, left
            add_row(*of_row, column_starts, column_stops, column_rows, right, row, line)
        start, at = held_starts[columns[pair]], begins[pair]
        for entry in range(held_starts[columns[pair] + one] - start):
            other = held[start + np.uint64(entry)]
            for product in range(products):
                sums[product, at + np.uint64(entry)] = line[other, product]
        if pair + 1 == rows.size or row != rows[pair + 1]:
            for entry in range(row_starts[row], row_starts[row + one]):
                column = row_columns[entry]
                for place in range(column_starts[column], column_stops[column]):
                    line[column_rows[place]] = 0


@compiled(nogil=True)
def _nearest(  # type: ignore[no-untyped-def]
    similarities, rows, columns, held_starts, held, begins, targets, neighbours, found
):
    """Sums over the nearest of each pair, whose similarities are side by side."""
    half = np.float32(0.5)
    for pair in range(rows.size):
        first, size = begins[pair], np.int64(begins[pair + 1] - begins[pair])
        start = held_starts[columns[pair]]
        # The most similar first: the complement of the rank above, the place below.
        keys = np.empty(size, dtype=np.uint64)
        count = 0
        for entry in range(size):
            rank = np.uint64(max(similarities[first + entry], np.float32(0)) * STEPS + half)
            if rank > 0 and held[start + np.uint64(entry)] != rows[pair]:
                keys[count] = ((LOW - rank) << HALF) | np.uint64(entry)
                count += 1
        keys[:count].sort()
        keys &= LOW
        weights = np.empty(count, dtype=np.float64)
        for which in range(count):
            weights[which] = similarities[first + keys[which]]
            keys[which] += start
        add_nearest(weights, keys, targets, neighbours, found[:, :, pair])
