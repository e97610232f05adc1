"""Neighbour predictions from the similarities of just the rows that hold a queried column.

Where columns are short and the rows many, as with users of a sparse data set, most similarities are
of no use to any queried pair. Here the sums of a row with all others are scattered as in `scatter`,
but only those with the rows that hold a queried column are looked at: work and memory grow with
these, not with all rows. Every similarity, choice and sum is, to the last bit, that of
`scatter.nearest_sums`, as long as no column is so long that it goes through BLAS there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfmf.kernels.compiled import compiled
from cfmf.kernels.row_products import add_row
from cfmf.kernels.similarities import Comparison, Query, combine, shrunk

Floats = NDArray[np.float32]

SPARED = 8
"""It pays where so many times fewer similarities are looked at than the queried rows have."""
CANDIDATES = 2**20
"""Similarities that are looked at together."""
HALF = np.uint64(32)
LOW = np.uint64(2**32 - 1)


def few_pay(comparison: Comparison, query: Query, dense: float) -> bool:
    """Whether just the rows that hold the queried columns are few; never with dense columns.

    Parameters
    ----------
    dense
        Proportion of the rows from which on a column is dense.
    """
    row_count, column_count = comparison.rows.shape
    longest = np.bincount(comparison.rows.indices, minlength=max(column_count, 1)).max()
    looked_at = int(candidates_of(query).sum())
    queried = len(np.unique(query.rows))
    return bool(longest <= dense * row_count and SPARED * looked_at < row_count * queried)


def candidates_of(query: Query) -> NDArray[np.int64]:
    """How many rows hold the column of each pair."""
    held: NDArray[np.int64] = (query.starts[1:] - query.starts[:-1]).astype(np.int64)
    return held[query.columns]


def blocks_of(
    rows: NDArray[np.int64], candidates: NDArray[np.int64], limit: int = CANDIDATES
) -> list[slice]:
    """Pairs, sorted by row, in blocks of whole rows with about `limit` candidates."""
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    before = np.concatenate([[0], np.cumsum(candidates)])
    number = before[begins] // limit
    cuts = begins[np.flatnonzero(np.diff(number, prepend=-1))]
    ends = [*cuts[1:].tolist(), len(rows)]
    return [slice(int(start), int(end)) for start, end in zip(cuts, ends, strict=True)]


def nearest_of_block(
    layout: Any,
    comparison: Comparison,
    query: Query,
    settings: tuple[list[float], NDArray[np.int64], Floats],
) -> Callable[[slice, NDArray[np.int64]], Floats]:
    """A function of a block and the order of the pairs by row: sums of the block's pairs.

    Parameters
    ----------
    layout
        That of the comparison, as `scatter.arrange` makes it; without dense columns.
    settings
        Shrinkages; numbers of neighbours, ascending; targets × places of `query.held`.
    """
    shrinkages, neighbours, targets = settings
    row_count, product_count = comparison.rows.shape[0], len(comparison.products)

    def work(block: slice, order: NDArray[np.int64]) -> Floats:
        rows = query.rows[order[block]].astype(np.uint64)
        columns = query.columns[order[block]].astype(np.uint64)
        ends = np.cumsum(query.starts[columns + np.uint64(1)] - query.starts[columns])
        begins = np.concatenate([[0], ends]).astype(np.uint64)
        sums = np.empty((product_count, int(begins[-1])), dtype=np.float32)
        given = layout.row_starts, layout.row_columns, layout.row_values
        starts, stops = layout.column_starts[:-1], layout.column_starts[1:]
        by_column = starts, stops, layout.column_rows, layout.column_values
        line = np.zeros((row_count, product_count), dtype=np.float32)
        _gather(*given, *by_column, rows, columns, query.starts, query.held, begins, line, sums)
        shape = len(shrinkages), len(targets) + 1, len(neighbours), len(rows)
        found = np.empty(shape, dtype=np.float32)
        alike = combine(comparison.kind, list(sums))
        for which, shrinkage in enumerate(shrinkages):
            similarities = shrunk(alike, sums[-1], shrinkage)
            pairs = rows, columns, query.starts, query.held, begins
            _nearest(similarities, *pairs, targets, neighbours, found[which])
        return found

    return work


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
    steps, half = np.float32(2**20), np.float32(0.5)
    totals = np.empty(targets.shape[0] + 1, dtype=np.float64)
    for pair in range(rows.size):
        first, size = begins[pair], np.int64(begins[pair + 1] - begins[pair])
        start = held_starts[columns[pair]]
        # The most similar first: the complement of the rank above, the place below.
        keys = np.empty(size, dtype=np.uint64)
        count = 0
        for entry in range(size):
            rank = np.uint64(max(similarities[first + entry], np.float32(0)) * steps + half)
            if rank > 0 and held[start + np.uint64(entry)] != rows[pair]:
                keys[count] = ((LOW - rank) << HALF) | np.uint64(entry)
                count += 1
        keys[:count].sort()
        totals[:] = 0
        taken = 0
        for which in range(neighbours.size):
            while taken < min(neighbours[which], count):
                entry = keys[taken] & LOW
                weight = np.float64(similarities[first + entry])
                for target in range(targets.shape[0]):
                    totals[target] += weight * targets[target, start + entry]
                totals[-1] += weight
                taken += 1
            for total in range(totals.size):
                found[total, which, pair] = totals[total]
