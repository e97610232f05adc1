"""Neighbour predictions on the CPU: similarities of a block of rows, used while still in cache.

For a block of rows, the similarities with all rows are summed up, the queried predictions are made
from them, and the block is discarded: memory is O(block × rows). Where the whole matrix is small
and most of its rows are queried, symmetry halves the sums, and who keeps the matrix predicts again
without any (`whole_pays`). Blocks are independent and run in threads; each sum is always taken in
the same order, so results do not depend on the number of threads, on how a job was split into
blocks, or on whether symmetry was used.

The nearest rows that have a rating in a column are found in one of two ways. All rows are ranked
once per row, and the ranking is searched from the most similar row on: with K wanted of d that have
the column, among m, about K·m/d rows are visited instead of d. Where d is smaller, those d are
looked up in the ranking.

Similarity sums treat columns by their density. A column that d of m rows have costs d² scattered
multiply-adds (Σ d² in all) or m² dense ones, and BLAS does about forty dense ones in the time of a
scattered one: columns that more than `DENSE` of the rows have go through BLAS, the rest is
scattered over the sparse columns. `benchmarks.neighbours --only products` measures, for a single
product, where the two break even: at 0.16 of the rows on the machine where `DENSE` was set.

On a CPU these kernels are used at every density and size: the dense products of `dense` cost m²n
multiply-adds whatever the density. For CUDA, `dense` computes the same by
dense products alone, which suit GPUs; `make check-gpu` compares and times both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from cfmf.deadline import check_deadline
from cfmf.kernels.compiled import compiled
from cfmf.kernels.row_products import add_row
from cfmf.kernels.similarities import STEPS, Comparison, Query, combine, shrunk
from cfmf.progress import progress

DENSE = 0.16
DENSE_BYTES = 256 * 2**20
BLOCK_BYTES = 16 * 2**20
RATING_BYTES = 256
MARK_BYTES = 256 * 2**20
WHOLE_BYTES = 512 * 2**20
WHOLE_BYTES_A_RATING = 16
FEW_VALUES = 16
HIGHEST = np.uint32(2**22 - 1)
BITS, DIGIT = np.uint32(11), np.uint32(2**11 - 1)
WORD, HALF, ONE = np.uint64(64), np.uint64(32), np.uint64(1)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """A `Comparison` as the kernels need it.

    Attributes
    ----------
    row_starts, row_columns, row_values
        The sparse columns of each row, CSR.
    column_starts, column_rows, column_values
        All columns, CSC.
    dense
        Rows × dense columns, float32: each power of the values that a sum needs, by its exponent;
        absent entries are 0.
    """

    row_starts: NDArray[np.uint64]
    row_columns: NDArray[np.uint32]
    row_values: Floats
    column_starts: NDArray[np.uint64]
    column_rows: NDArray[np.uint32]
    column_values: Floats
    dense: dict[int, Floats]


def block_rows(rows: int, ratings: int) -> int:
    """Rows of a block: a power of two that depends only on the size of the matrix.

    A block takes a limited number of bytes for each rating, so that many rows with few ratings need
    little memory.
    """
    allowed = min(BLOCK_BYTES, RATING_BYTES * ratings)
    fitting = max(allowed // (4 * rows), 1)
    return int(np.clip(2 ** int(np.log2(fitting)), 8, 256))


def arrange(comparison: Comparison) -> Layout:
    """Sort the columns of a comparison into dense and sparse ones, and lay both out."""
    matrix, powers = comparison.rows, comparison.powers
    row_count, column_count = matrix.shape
    held = np.bincount(matrix.indices, minlength=column_count)
    by_density = np.argsort(-held, kind="stable")
    allowed = DENSE_BYTES // (4 * row_count * len(powers))
    chosen = by_density[: min(allowed, int(np.sum(held > DENSE * row_count)))]
    place = np.full(column_count, -1, dtype=np.int32)
    place[np.sort(chosen)] = np.arange(len(chosen))

    column_starts = np.concatenate([[0], np.cumsum(held)]).astype(np.uint64)
    scattered = matrix.nnz - int(held[chosen].sum())
    layout = Layout(
        row_starts=np.zeros(row_count + 1, dtype=np.uint64),
        row_columns=np.empty(scattered, dtype=np.uint32),
        row_values=np.empty(scattered, dtype=np.float32),
        column_starts=column_starts,
        column_rows=np.empty(matrix.nnz, dtype=np.uint32),
        column_values=np.empty(matrix.nnz, dtype=np.float32),
        dense={power: np.zeros((row_count, len(chosen)), dtype=np.float32) for power in powers},
    )
    _lay_out(
        matrix.indptr,
        matrix.indices,
        comparison.values,
        place,
        column_starts[:-1].copy(),
        layout.row_starts,
        layout.row_columns,
        layout.row_values,
        layout.column_rows,
        layout.column_values,
        layout.dense[1],
    )
    if 2 in powers:
        np.square(layout.dense[1], out=layout.dense[2])
    if 0 in powers:
        for column, number in enumerate(np.sort(chosen)):
            start, stop = column_starts[number : number + 2]
            layout.dense[0][layout.column_rows[start:stop], column] = 1
    return layout


@compiled(nogil=True)
def _lay_out(  # type: ignore[no-untyped-def]
    starts, columns, values, place, ends,
    row_starts, row_columns, row_values, column_rows, column_values, dense
):  # fmt: skip
    """Fill the arrays of a `Layout` in one pass over the entries.

    `place` is the number of a dense column, −1 for a sparse one; `ends` is where each column
    begins, and becomes where it ends.
    """
    scattered = np.uint64(0)
    for row in range(np.uint64(starts.size - 1)):
        for entry in range(np.uint64(starts[row]), np.uint64(starts[row + np.uint64(1)])):
            column = np.uint32(columns[entry])
            at = ends[column]
            ends[column] = at + np.uint64(1)
            column_rows[at] = row
            column_values[at] = values[entry]
            if place[column] < 0:
                row_columns[scattered] = column
                row_values[scattered] = values[entry]
                scattered += np.uint64(1)
            else:
                dense[row, place[column]] = values[entry]
        row_starts[row + np.uint64(1)] = scattered


@compiled(nogil=True)
def _scatter(  # type: ignore[no-untyped-def]
    row_starts, row_columns, left, column_starts, column_stops, column_rows, right, sums
):
    """Add the products over the sparse columns to `sums`, products × block × rows."""
    line = np.empty((sums.shape[2], sums.shape[0]), dtype=np.float32)
    of_columns = column_starts, column_stops, column_rows, right
    for row in range(np.uint64(sums.shape[1])):
        for product in range(sums.shape[0]):
            line[:, product] = sums[product, row]
        add_row(row_starts, row_columns, left, *of_columns, row, line)
        for product in range(sums.shape[0]):
            sums[product, row] = line[:, product]


@compiled(nogil=True)
def _first_from(column_starts, column_rows, start):  # type: ignore[no-untyped-def]
    """Place of the first entry of each column whose row is `start` or after it."""
    firsts = np.empty(column_starts.size - 1, dtype=np.uint64)
    for column in range(firsts.size):
        rows = column_rows[column_starts[column] : column_starts[column + 1]]
        firsts[column] = column_starts[column] + np.uint64(np.searchsorted(rows, start))
    return firsts


@compiled(nogil=True)
def _ranked(line, keys, rows, counts):  # type: ignore[no-untyped-def]
    """Rows of rank 1 and above into `rows[0]`, the most similar first; their number.

    A stable radix sort by the complement of the rank, so that equals keep their order.
    """
    size = np.uint64(0)
    counts[:] = 0
    for row in range(line.size):
        # Without a branch, which would be mispredicted half of the time: a row of rank 0 is
        # overwritten by the next one, and counted where nothing comes after it.
        rank = np.uint32(max(line[row], np.float32(0)) * STEPS + np.float32(0.5))
        key = HIGHEST - rank
        keys[0, size] = key
        rows[0, size] = row
        counts[0, key & DIGIT] += np.uint32(1)
        counts[1, key >> BITS] += np.uint32(1)
        size += np.uint64(rank > np.uint32(0))
    for digit in range(2):
        before = np.uint32(0)
        for value in range(counts.shape[1]):
            count = counts[digit, value]
            counts[digit, value] = before
            before += count
        source, target = digit, 1 - digit
        for which in range(size):
            key = keys[source, which]
            value = key >> BITS if digit else key & DIGIT
            place = counts[digit, value]
            counts[digit, value] = place + np.uint32(1)
            keys[target, place] = key
            rows[target, place] = rows[source, which]
    return size


@compiled(nogil=True)
def _marks(column_starts, column_rows, columns, held, before):  # type: ignore[no-untyped-def]
    """Mark in `held` who holds each of the `columns`; count in `before` the marks before a word."""
    for which in range(columns.size):
        start, stop = column_starts[columns[which]], column_starts[columns[which] + np.uint64(1)]
        for entry in range(start, stop):
            row = np.uint64(column_rows[entry])
            held[which, row // WORD] |= ONE << (row % WORD)
            before[which, row // WORD] += np.uint32(1)
        total = np.uint32(0)
        for word in range(before.shape[1]):
            count = before[which, word]
            before[which, word] = total
            total += count


@compiled(nogil=True)
def _ones(word):  # type: ignore[no-untyped-def]
    """How many bits of a word are 1."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@compiled(nogil=True)
def _walk(rows, size, held, before, limit, positions, entries):  # type: ignore[no-untyped-def]
    """Positions of the first of the ranked `rows` that hold a marked column, and their entries."""
    count = 0
    for which in range(size):
        row = np.uint64(rows[which])
        word = held[row // WORD]
        if (word >> (row % WORD)) & ONE:
            earlier = _ones(word & ((ONE << (row % WORD)) - ONE))
            positions[count] = which
            entries[count] = before[row // WORD] + earlier
            count += 1
            if count == limit:
                break
    return count


@compiled(nogil=True)
def _look_up(position_of, size, raters, limit, positions, entries):  # type: ignore[no-untyped-def]
    """As `_walk`, from the rows that hold the column, whose ranked positions are looked up."""
    count = 0
    for entry in range(raters.size):
        position = position_of[raters[entry]]
        if position < size:
            entries[count] = (np.uint64(position) << HALF) | np.uint64(entry)
            count += 1
    entries[:count].sort()
    count = min(count, limit)
    for which in range(count):
        positions[which] = entries[which] >> HALF
        entries[which] &= (ONE << HALF) - ONE
    return count


@compiled(nogil=True)
def _nearest_sums(  # type: ignore[no-untyped-def]
    similarities, pair_starts, pair_columns, column_starts, column_rows, marked, held, before,
    targets, neighbours, sums
):  # fmt: skip
    row_count = similarities.shape[1]
    keys = np.empty((2, row_count), dtype=np.uint32)
    rows = np.empty((2, row_count), dtype=np.uint32)
    counts = np.empty((2, DIGIT + 1), dtype=np.uint32)
    position_of = np.empty(row_count, dtype=np.uint32)
    positions = np.empty(row_count, dtype=np.uint32)
    entries = np.empty(row_count, dtype=np.uint64)
    weights = np.empty(row_count, dtype=np.float64)
    for row in range(similarities.shape[0]):
        if pair_starts[row] == pair_starts[row + 1]:
            continue
        line = similarities[row]
        size = _ranked(line, keys, rows, counts)
        position_of[:] = size
        for position in range(size):
            position_of[rows[0, position]] = position
        for pair in range(pair_starts[row], pair_starts[row + 1]):
            column = pair_columns[pair]
            start = column_starts[column]
            raters = column_rows[start : column_starts[column + np.uint64(1)]]
            mark = marked[column]
            limit = neighbours[-1]
            if mark >= 0 and _walking_pays(limit, size, raters.size):
                count = _walk(rows[0], size, held[mark], before[mark], limit, positions, entries)
            else:
                count = _look_up(position_of, size, raters, limit, positions, entries)
            for which in range(count):
                weights[which] = line[rows[0, positions[which]]]
                entries[which] += start
            add_nearest(weights[:count], entries, targets, neighbours, sums[:, :, pair])


@compiled(nogil=True)
def add_nearest(weights, places, targets, neighbours, sums):  # type: ignore[no-untyped-def]
    """Running sums of the weighted targets, and of the weights, after each number of neighbours.

    `weights`, float64, and the `places` of their targets are in the order of similarity.
    """
    totals = np.zeros(targets.shape[0] + 1, dtype=np.float64)
    taken = 0
    for which in range(neighbours.size):
        while taken < min(neighbours[which], weights.size):
            for target in range(targets.shape[0]):
                totals[target] += weights[taken] * targets[target, places[taken]]
            totals[-1] += weights[taken]
            taken += 1
        for total in range(totals.size):
            sums[total, which] = totals[total]


@compiled(nogil=True)
def _nearest_rows(similarities, neighbours, values):  # type: ignore[no-untyped-def]
    row_count = similarities.shape[1]
    keys = np.empty((2, row_count), dtype=np.uint32)
    rows = np.empty((2, row_count), dtype=np.uint32)
    counts = np.empty((2, DIGIT + 1), dtype=np.uint32)
    for row in range(similarities.shape[0]):
        size = _ranked(similarities[row], keys, rows, counts)
        for which in range(min(neighbours.shape[1], size)):
            neighbours[row, which] = rows[0, which]
            values[row, which] = similarities[row, rows[0, which]]


@compiled(nogil=True, fastmath={"reassoc", "contract"})
def _all_sums(  # type: ignore[no-untyped-def]
    similarities, pair_starts, pair_columns, column_starts, column_rows, target, totals, weights
):
    for row in range(similarities.shape[0]):
        line = similarities[row]
        for pair in range(pair_starts[row], pair_starts[row + 1]):
            column = pair_columns[pair]
            total = np.float32(0)
            weight = np.float32(0)
            for entry in range(column_starts[column], column_starts[column + np.uint64(1)]):
                similarity = line[column_rows[entry]]
                total += similarity * target[entry]
                weight += similarity
            totals[pair] = total
            weights[pair] = weight


@compiled(nogil=True, fastmath={"reassoc", "contract"})
def _all_sums_by_value(  # type: ignore[no-untyped-def]
    similarities, pair_starts, pair_columns, group_starts, grouped_rows, values, totals, weights
):
    for row in range(similarities.shape[0]):
        line = similarities[row]
        for pair in range(pair_starts[row], pair_starts[row + 1]):
            group = np.uint64(pair_columns[pair]) * np.uint64(values.size)
            total = np.float32(0)
            weight = np.float32(0)
            for value in values:
                similarity = np.float32(0)
                for entry in range(group_starts[group], group_starts[group + np.uint64(1)]):
                    similarity += line[grouped_rows[entry]]
                total += similarity * value
                weight += similarity
                group += np.uint64(1)
            totals[pair] = total
            weights[pair] = weight


@compiled(nogil=True)
def _distinct(values, limit):  # type: ignore[no-untyped-def]
    """The distinct ones of `values`, in the order of their first; none where they pass `limit`."""
    found = np.empty(limit, dtype=values.dtype)
    count = 0
    for value in values:
        which = 0
        while which < count and found[which] != value:
            which += 1
        if which == limit:
            return found[:0]
        if which == count:
            found[count] = value
            count += 1
    return found[:count]


@compiled(nogil=True)
def _group(column_starts, column_rows, target, values, group_starts, grouped):  # type: ignore[no-untyped-def]
    """Sort the rows that hold each column by their target, one of `values`, into `grouped`."""
    size = np.uint64(values.size)
    ends = np.empty(values.size, dtype=np.uint64)
    for column in range(np.uint64(column_starts.size - 1)):
        start, stop = column_starts[column], column_starts[column + np.uint64(1)]
        ends[:] = 0
        for entry in range(start, stop):
            ends[_place_in(values, target[entry])] += np.uint64(1)
        for value in range(size):
            group_starts[column * size + value] = start
            start += ends[value]
            ends[value] = group_starts[column * size + value]
        for entry in range(column_starts[column], stop):
            value = _place_in(values, target[entry])
            grouped[ends[value]] = column_rows[entry]
            ends[value] += np.uint64(1)
    group_starts[-1] = column_starts[-1]


@compiled(nogil=True)
def _place_in(values, value):  # type: ignore[no-untyped-def]
    which = np.uint64(0)
    while values[which] != value:
        which += np.uint64(1)
    return which


def block_sums(
    layout: Layout, comparison: Comparison, start: int, stop: int, upper: bool = False
) -> list[Floats]:
    """The sums of a comparison between rows `start` to `stop` and all rows, each block × rows.

    With `upper`, only those with rows from `start` on: all that a symmetric matrix needs. What is
    left of `start` then means nothing.
    """
    column_starts = layout.column_starts[:-1]
    if upper:
        column_starts = _first_from(layout.column_starts, layout.column_rows, start)
    row_count = comparison.rows.shape[0]
    size = block_rows(row_count, comparison.rows.nnz)
    sums = np.zeros((len(comparison.products), stop - start, row_count), dtype=np.float32)
    for block, (a, b) in zip(sums, comparison.products, strict=True):
        _dense_products(layout.dense[a], layout.dense[b], start, stop, upper, block, size)
    _scatter(
        layout.row_starts[start : stop + 1],
        layout.row_columns,
        layout.row_values,
        column_starts,
        layout.column_starts[1:],
        layout.column_rows,
        layout.column_values,
        sums,
    )
    return list(sums)


def _dense_products(
    left: Floats, right: Floats, start: int, stop: int, upper: bool, block: Floats, size: int
) -> None:
    """Products of rows `start` to `stop` of `left` with all of `right`, square by square.

    A square below the diagonal is computed as its counterpart above is, and turned: BLAS may round
    a sum differently at another place, and the two halves shall be equal to the last bit.
    """
    if not left.shape[1]:
        return
    for other in range(start if upper else 0, len(left), size):
        end = min(other + size, len(left))
        if other > start:
            np.matmul(left[start:stop], right[other:end].T, out=block[:, other:end])
        elif other < start:
            block[:, other:end] = (right[other:end] @ left[start:stop].T).T
        else:
            above, below = (
                left[start:stop] @ right[start:stop].T,
                right[start:stop] @ left[start:stop].T,
            )
            block[:, start:stop] = np.triu(above) + np.tril(below.T, -1)


def similarities_of(
    comparison: Comparison, sums: list[Floats], start: int, shrinkage: float
) -> Floats:
    """Similarities of a block that starts at row `start`, 0 with itself; block × rows, float32."""
    similarities = shrunk(combine(comparison.kind, sums), sums[-1], shrinkage)
    own = np.arange(len(similarities))
    similarities[own, start + own] = 0
    return similarities


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def in_threads(
    work: Callable[[int], None],
    blocks: Iterable[int],
    threads: int,
    label: str,
    until: float | None = None,
) -> None:
    """Call `work` with each of `blocks`, `threads` at a time, each with one thread of BLAS.

    Raises
    ------
    OutOfTimeError
        If a block would begin after `until`, by the monotonic clock.
    """

    def work_in_time(block: int) -> None:
        check_deadline(until)
        work(block)

    with _libraries().limit(limits=1), ThreadPoolExecutor(threads) as pool:
        blocks = list(blocks)
        for _ in progress(pool.map(work_in_time, blocks), label, total=len(blocks)):
            pass


@dataclass(frozen=True)
class Sorted:
    """Queried pairs sorted by row: their order, and where each row of the matrix starts in it."""

    order: NDArray[np.int64]
    starts: NDArray[np.uint64]
    columns: NDArray[np.uint32]

    def blocks(self, size: int) -> list[int]:
        """First rows of the blocks that have a queried pair; their grid depends on `size`."""
        queried = np.flatnonzero(np.diff(self.starts.astype(np.int64)))
        return [int(block) * size for block in np.unique(queried // size)]

    def pairs(self, start: int, stop: int) -> slice:
        """Places in `order` of the pairs of rows `start` to `stop`."""
        return slice(int(self.starts[start]), int(self.starts[stop]))


def sort_pairs(query: Query, row_count: int) -> Sorted:
    """Sort queried pairs by row."""
    order = np.argsort(query.rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(query.rows, minlength=row_count))])
    return Sorted(order, starts.astype(np.uint64), query.columns[order].astype(np.uint32))


Similar = Comparison | Floats
"""Rows whose similarities are to be computed, or these, rows × rows."""
Blocks = Callable[[int, int], Iterable[Floats]]


def blocks_of(similar: Similar, shrinkages: list[float]) -> tuple[Blocks, int, int]:
    """Similarities of rows `start` to `stop` for each shrinkage, rows of a block, and all rows."""
    if not isinstance(similar, Comparison):
        whole = similar
        size = block_rows(len(whole), len(whole) ** 2)
        return lambda start, stop: [whole[start:stop]], size, len(whole)
    comparison, layout = similar, arrange(similar)

    def computed(start: int, stop: int) -> Iterable[Floats]:
        sums = block_sums(layout, comparison, start, stop)
        return (similarities_of(comparison, sums, start, beta) for beta in shrinkages)

    row_count = comparison.rows.shape[0]
    return computed, block_rows(row_count, comparison.rows.nnz), row_count


def nearest_sums(
    similar: Similar,
    query: Query,
    shrinkages: list[float],
    neighbours: list[int],
    threads: int = 1,
    until: float | None = None,
) -> Floats:
    """Σ_v s_uv t_vi for each target t, and Σ_v s_uv, over the nearest rows v that hold a column i.

    Parameters
    ----------
    shrinkages
        Each β gives its own similarities, all from the same sums; one where the similarities are
        given.
    neighbours
        Each K ≥ 1, ascending: how many of the rows with similarity above 0 that hold the column
        count. Of equally similar rows (in steps of 2⁻²⁰) the first ones are taken.
    until
        See `in_threads`.

    Returns
    -------
    Shrinkages × (targets, and the weights last) × neighbours × pairs, float32; all 0 where no
    neighbour holds the column.

    Raises
    ------
    OutOfTimeError
        If it is not done by `until`.
    """
    blocks, size, row_count = blocks_of(similar, shrinkages)
    queried = sort_pairs(query, row_count)
    targets = query.targets
    summed = np.stack(targets) if len(targets) > 1 else targets[0][None]
    limits = np.minimum(np.asarray(neighbours, dtype=np.int64), row_count)
    shape = (len(shrinkages), len(targets) + 1, len(neighbours), len(query.rows))
    sums = np.empty(shape, dtype=np.float32)
    held = query.starts, query.held
    marks = mark(*held, row_count, int(limits[-1]))

    def work(start: int) -> None:
        stop = min(start + size, row_count)
        own = queried.pairs(start, stop)
        for which, similarities in enumerate(blocks(start, stop)):
            found = np.empty((*shape[1:3], own.stop - own.start), dtype=np.float32)
            _nearest_sums(
                similarities,
                queried.starts[start : stop + 1] - queried.starts[start],
                queried.columns[own],
                *held,
                *marks,
                summed,
                limits,
                found,
            )
            sums[which][:, :, queried.order[own]] = found

    in_threads(work, queried.blocks(size), threads, "nearest neighbours", until)
    return sums


@compiled(nogil=True)
def _walking_pays(limit, ranked, raters):  # type: ignore[no-untyped-def]
    """Whether fewer rows are looked at from the most similar on than among those of the column."""
    return min(limit, raters) * ranked < 8 * raters * raters


def mark(
    column_starts: NDArray[np.uint64], column_rows: NDArray[np.uint32], row_count: int, limit: int
) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.uint32]]:
    """Bit sets of who holds a column, for the columns where it pays; at most `MARK_BYTES`.

    Returns
    -------
    Number of each column's bit set, −1 where it has none; bit sets, columns × words; how many bits
    are set before each word.
    """
    starts = column_starts.astype(np.int64)
    raters = starts[1:] - starts[:-1]
    words = row_count // 64 + 1
    chosen = np.argsort(-raters, kind="stable")[: MARK_BYTES // (12 * words)]
    pays = np.minimum(limit, raters) * row_count < 8 * raters * raters
    chosen = np.sort(chosen[pays[chosen]])
    marked = np.full(len(raters), -1, dtype=np.int32)
    marked[chosen] = np.arange(len(chosen))
    held = np.zeros((len(chosen), words), dtype=np.uint64)
    before = np.zeros((len(chosen), words), dtype=np.uint32)
    _marks(column_starts, column_rows, chosen.astype(np.uint64), held, before)
    return marked, held, before


def whole_pays(comparison: Comparison, query: Query) -> bool:
    """Whether all similarities are few enough to keep, and blocks with most rows are queried.

    Few enough: as large as `WHOLE_BYTES`, or as a few copies of the ratings. Symmetry then halves
    the sums.
    """
    row_count, ratings = comparison.rows.shape[0], comparison.rows.nnz
    size = block_rows(row_count, ratings)
    wanted = size * len(np.unique(query.rows // size))
    allowed = max(WHOLE_BYTES, WHOLE_BYTES_A_RATING * ratings)
    return bool(4 * row_count**2 <= allowed and 2 * wanted > row_count)


def all_sums(similar: Similar, query: Query, threads: int = 1) -> tuple[Floats, Floats]:
    """Σ_v s_uv t_vi and Σ_v s_uv of each queried pair, over all other rows v that hold its column.

    Where the target, the first one, has few values, as ratings have, the rows of a column are
    sorted by it: a similarity is then added once, not twice, and not multiplied.
    """
    blocks, size, row_count = blocks_of(similar, [0.0])
    queried = sort_pairs(query, row_count)
    held, averaged = (query.starts, query.held), query.targets[0]
    sum_up: Callable[..., None] = _all_sums
    arrays: tuple[NDArray[Any], ...] = (*held, averaged)
    values = np.sort(_distinct(averaged, FEW_VALUES))
    if len(values):
        groups = np.empty((len(held[0]) - 1) * len(values) + 1, dtype=np.uint64)
        grouped = np.empty(len(averaged), dtype=np.uint16 if row_count <= 2**16 else np.uint32)
        _group(*held, averaged, values, groups, grouped)
        sum_up, arrays = _all_sums_by_value, (groups, grouped, values)
    totals = np.empty(len(query.rows), dtype=np.float32)
    weights = np.empty(len(query.rows), dtype=np.float32)

    def work(start: int) -> None:
        stop = min(start + size, row_count)
        own = queried.pairs(start, stop)
        found = np.empty((2, own.stop - own.start), dtype=np.float32)
        sum_up(
            *blocks(start, stop),
            queried.starts[start : stop + 1] - queried.starts[start],
            queried.columns[own],
            *arrays,
            found[0],
            found[1],
        )
        totals[queried.order[own]], weights[queried.order[own]] = found

    in_threads(work, queried.blocks(size), threads, "all neighbours")
    return totals, weights


def full_similarity(
    comparison: Comparison,
    shrinkage: float,
    threads: int = 1,
    until: float | None = None,
) -> Floats:
    """Similarity of every two rows, rows × rows, float32, exactly symmetric, 0 on the diagonal.

    Only the upper half is computed; every value is, to the last bit, what `similarities_of` gives
    for the block of its row.

    Raises
    ------
    OutOfTimeError
        If it is not done by `until`.
    """
    layout = arrange(comparison)
    row_count = comparison.rows.shape[0]
    size = block_rows(row_count, comparison.rows.nnz)
    matrix = np.zeros((row_count, row_count), dtype=np.float32)

    def work(start: int) -> None:
        stop = min(start + size, row_count)
        sums = block_sums(layout, comparison, start, stop, upper=True)
        sums = [block[:, start:] for block in sums]
        matrix[start:stop, start:] = similarities_of(comparison, sums, 0, shrinkage)

    def mirror(start: int) -> None:
        stop = min(start + size, row_count)
        square = np.triu(matrix[start:stop, start:stop])
        matrix[start:stop, start:stop] = square + square.T
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T

    in_threads(work, range(0, row_count, size), threads, f"{comparison.kind} similarity", until)
    in_threads(mirror, range(0, row_count, size), threads, "lower half")
    return matrix


def nearest_rows(
    comparison: Comparison, shrinkage: float, top: int, threads: int = 1
) -> tuple[NDArray[np.int32], Floats]:
    """The `top` most similar other rows of each row, best first, and their similarities.

    Rows × top each; −1 and 0 where fewer rows have a similarity above 0.
    """
    layout = arrange(comparison)
    row_count = comparison.rows.shape[0]
    size = block_rows(row_count, comparison.rows.nnz)
    neighbours = np.full((row_count, top), -1, dtype=np.int32)
    values = np.zeros((row_count, top), dtype=np.float32)

    def work(start: int) -> None:
        stop = min(start + size, row_count)
        sums = block_sums(layout, comparison, start, stop)
        similarities = similarities_of(comparison, sums, start, shrinkage)
        _nearest_rows(similarities, neighbours[start:stop], values[start:stop])

    in_threads(work, range(0, row_count, size), threads, f"nearest by {comparison.kind}")
    return neighbours, values


def similarity_row(comparison: Comparison, row: int, shrinkage: float) -> Floats:
    """Similarities of one row with all rows, 0 with itself: just those that predictions use."""
    row_count = comparison.rows.shape[0]
    size = block_rows(row_count, comparison.rows.nnz)
    start = row // size * size
    sums = block_sums(arrange(comparison), comparison, start, min(start + size, row_count))
    return similarities_of(comparison, sums, start, shrinkage)[row - start]


def nearest(similarities: Floats, rows: NDArray[np.integer], limit: int) -> NDArray[np.int64]:
    """Places in `rows` of the most similar ones, at most `limit`, best first."""
    ranks = np.floor(similarities[rows] * STEPS + np.float32(0.5))
    order = np.argsort(-ranks, kind="stable")
    return order[ranks[order] >= 1][:limit]
