"""Neighbour predictions on the CPU: similarities of a block of rows, used while still in cache.

For a block of rows, the similarities with all rows are summed up, the asked predictions are made
from them, and the block is forgotten: memory is O(block × rows), never rows². Blocks are
independent and run in threads; each sum is always taken in the same order, so results depend
neither on the number of threads nor on how a job was cut into blocks.

Similarity sums treat columns by their density. A column held by d of m rows costs d² scattered
multiply-adds (Σ d² in all) or m² dense ones, and BLAS does some forty dense ones in the time of a
scattered one: columns that more than `DENSE` of the rows hold go through BLAS, the rest is
scattered over the sparse columns. `benchmarks/neighbours.py --only products` measures where the two
break even: at 0.16 of the rows on the machine where `DENSE` was set.

For CUDA, `device` computes the same by dense products alone; no command here has timed it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numba
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from cfmf.neighbours.compare import Comparison, combine, shrunk, turned
from cfmf.neighbours.ratings import row_numbers
from cfmf.progress import progress

DENSE = 0.16
DENSE_BYTES = 256 * 2**20
BLOCK_BYTES = 16 * 2**20
# Similarities are ranked in steps of 2^-20, so that equal ones do not change places with the
# order of summation; below half a step a row is no neighbour at all.
STEPS = np.float32(2**20)
SAMPLE = 128

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """A `Comparison` as the kernels want it.

    Attributes
    ----------
    row_starts, row_columns, row_values
        The sparse columns of each row, CSR; one array of `row_values` for each of `values`.
    column_starts, column_rows, column_values
        All columns, CSC.
    dense
        Rows × dense columns, float32, one for each of `values`; absent entries are 0.
    order
        Place in the CSR order of the comparison of each entry in the order of the columns.
    """

    row_starts: NDArray[np.uint64]
    row_columns: NDArray[np.uint32]
    row_values: list[Floats]
    column_starts: NDArray[np.uint64]
    column_rows: NDArray[np.uint32]
    column_values: list[Floats]
    dense: list[Floats]
    order: NDArray[np.integer]


def block_rows(rows: int) -> int:
    """Rows of a block: a power of two that depends on the size of the matrix alone."""
    fitting = max(BLOCK_BYTES // (4 * rows), 1)
    return int(np.clip(2 ** int(np.log2(fitting)), 32, 256))


def arrange(comparison: Comparison) -> Layout:
    """Sort the columns of a comparison into dense and sparse ones, and lay both out."""
    matrix = comparison.rows
    row_count, column_count = matrix.shape
    columns = turned(matrix)
    held = np.diff(columns.indptr)
    by_density = np.argsort(-held, kind="stable")
    allowed = DENSE_BYTES // (4 * row_count * len(comparison.values))
    chosen = by_density[: min(allowed, int(np.sum(held > DENSE * row_count)))]
    place = np.full(column_count, -1, dtype=np.int32)
    place[np.sort(chosen)] = np.arange(len(chosen))

    at = place[matrix.indices]
    scattered = at < 0
    before = np.concatenate([[0], np.cumsum(scattered, dtype=np.int64)])
    rows, at = row_numbers(matrix)[~scattered], at[~scattered]
    dense = []
    for values in comparison.values:
        block = np.zeros((row_count, len(chosen)), dtype=np.float32)
        block[rows, at] = values[~scattered]
        dense.append(block)
    return Layout(
        row_starts=before[matrix.indptr].astype(np.uint64),
        row_columns=matrix.indices[scattered].astype(np.uint32),
        row_values=[values[scattered] for values in comparison.values],
        column_starts=columns.indptr.astype(np.uint64),
        column_rows=columns.indices.astype(np.uint32),
        column_values=[values[columns.data] for values in comparison.values],
        dense=dense,
        order=columns.data,
    )


@numba.njit(nogil=True, cache=True)
def _scatter(  # type: ignore[no-untyped-def]
    row_starts, row_columns, left, column_starts, column_stops, column_rows, right, sums
):
    # Unsigned indices spare the check for negative ones, which costs more than the sum itself.
    for row in range(sums.shape[0]):
        line = sums[row]
        for entry in range(row_starts[row], row_starts[row + 1]):
            column = row_columns[entry]
            value = left[entry]
            for other in range(column_starts[column], column_stops[column]):
                line[column_rows[other]] += value * right[other]


@numba.njit(nogil=True, cache=True)
def _first_from(column_starts, column_rows, start):  # type: ignore[no-untyped-def]
    """Place of the first entry of each column whose row is `start` or after it."""
    firsts = np.empty(column_starts.size - 1, dtype=np.uint64)
    for column in range(firsts.size):
        rows = column_rows[column_starts[column] : column_starts[column + 1]]
        firsts[column] = column_starts[column] + np.uint64(np.searchsorted(rows, start))
    return firsts


@numba.njit(nogil=True, cache=True)
def _greatest(keys, size, count):  # type: ignore[no-untyped-def]
    """The `count`-th greatest of the first `size` keys, which change their order (quickselect)."""
    first, last, wanted = 0, size - 1, size - count
    while first < last:
        middle = keys[(first + last) // 2]
        # The median of three as pivot: keys often come nearly sorted.
        pivot = max(min(keys[first], keys[last]), min(max(keys[first], keys[last]), middle))
        left, right = first, last
        while left <= right:
            while keys[left] < pivot:
                left += 1
            while keys[right] > pivot:
                right -= 1
            if left <= right:
                keys[left], keys[right] = keys[right], keys[left]
                left += 1
                right -= 1
        if wanted <= right:
            last = right
        elif wanted >= left:
            first = left
        else:
            break
    return keys[wanted]


@numba.njit(nogil=True, cache=True)
def _rank(similarity):  # type: ignore[no-untyped-def]
    return np.uint64(similarity * STEPS + np.float32(0.5))


@numba.njit(nogil=True, cache=True)
def _floor(rank):  # type: ignore[no-untyped-def]
    """Least similarity of a rank."""
    return (np.float32(rank) - np.float32(0.5)) / STEPS


@numba.njit(nogil=True, cache=True)
def _similar(line, rows, least, places):  # type: ignore[no-untyped-def]
    """Places of the `rows` that are at least so similar, in order; their number."""
    size = 0
    for place in range(rows.size):
        if line[rows[place]] >= least:
            places[size] = place
            size += 1
    return size


@numba.njit(nogil=True, cache=True)
def _sampled(line, rows, greatest):  # type: ignore[no-untyped-def]
    """Least of the few greatest similarities in a sample of `rows`."""
    greatest[:] = 0
    step = max(rows.size // SAMPLE, 1)
    for place in range(0, step * min(SAMPLE, rows.size), step):
        similarity = line[rows[place]]
        if similarity > greatest[-1]:
            hole = greatest.size - 1
            while hole > 0 and greatest[hole - 1] < similarity:
                greatest[hole] = greatest[hole - 1]
                hole -= 1
            greatest[hole] = similarity
    return greatest[-1]


@numba.njit(nogil=True, cache=True)
def _candidates(line, rows, limit, places, keys, greatest):  # type: ignore[no-untyped-def]
    """A few `rows` that hold the `limit` most similar ones among them, in order; their number.

    Their `places`, and as `keys` the rank of the similarity above the complement of the place: the
    greatest keys are the most similar rows, the first of equals before the others.
    """
    least = _floor(1)
    if rows.size > 8 * limit:
        # What a sample says of the place where the limit lies, with a margin of two deviations.
        expected = limit * SAMPLE / rows.size
        above = int(expected + 2 * np.sqrt(expected)) + 1
        guess = _sampled(line, rows, greatest[:above])
        if guess > least:
            least = _floor(_rank(guess))
    size = _similar(line, rows, least, places)
    if size < limit and least > _floor(1):
        size = _similar(line, rows, _floor(1), places)
    for which in range(size):
        place = places[which]
        rank = _rank(line[rows[place]])
        keys[which] = (rank << np.uint64(32)) | (np.uint64(0xFFFFFFFF) - np.uint64(place))
    return size


@numba.njit(nogil=True, cache=True)
def _nearest_sums(  # type: ignore[no-untyped-def]
    similarities, pair_starts, pair_columns, column_starts, column_rows, targets, neighbours, sums
):
    places = np.empty(similarities.shape[1], dtype=np.uint32)
    keys = np.empty(similarities.shape[1], dtype=np.uint64)
    selected = np.empty(similarities.shape[1], dtype=np.uint64)
    greatest = np.empty(SAMPLE, dtype=np.float32)
    totals = np.empty(targets.shape[0] + 1, dtype=np.float64)
    for row in range(similarities.shape[0]):
        line = similarities[row]
        for pair in range(pair_starts[row], pair_starts[row + 1]):
            start = column_starts[pair_columns[pair]]
            rows = column_rows[start : column_starts[pair_columns[pair] + 1]]
            size = _candidates(line, rows, neighbours[-1], places, keys, greatest)
            selected[:size] = keys[:size]
            for which in range(neighbours.size):
                least = np.uint64(0)
                if neighbours[which] < size:
                    least = _greatest(selected, size, neighbours[which])
                totals[:] = 0
                # In the order of the rows, whatever was selected before: exactly the same sums.
                for found in range(size):
                    if keys[found] >= least:
                        weight = np.float64(line[rows[places[found]]])
                        for target in range(targets.shape[0]):
                            totals[target] += weight * targets[target, start + places[found]]
                        totals[-1] += weight
                for total in range(totals.size):
                    sums[total, which, pair] = totals[total]


@numba.njit(nogil=True, cache=True)
def _nearest_rows(similarities, neighbours, values):  # type: ignore[no-untyped-def]
    limit = neighbours.shape[1]
    everyone = np.arange(similarities.shape[1], dtype=np.uint32)
    places = np.empty(everyone.size, dtype=np.uint32)
    keys = np.empty(everyone.size, dtype=np.uint64)
    greatest = np.empty(SAMPLE, dtype=np.float32)
    for row in range(similarities.shape[0]):
        size = _candidates(similarities[row], everyone, limit, places, keys, greatest)
        best = np.sort(keys[:size])[::-1]
        for which in range(min(limit, size)):
            place = np.uint64(0xFFFFFFFF) - (best[which] & np.uint64(0xFFFFFFFF))
            neighbours[row, which] = place
            values[row, which] = similarities[row, place]


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _all_sums(  # type: ignore[no-untyped-def]
    similarities, pair_starts, pair_columns, column_starts, column_rows, target, totals, weights
):
    for row in range(similarities.shape[0]):
        line = similarities[row]
        for pair in range(pair_starts[row], pair_starts[row + 1]):
            column = pair_columns[pair]
            total = np.float32(0)
            weight = np.float32(0)
            for entry in range(column_starts[column], column_starts[column + 1]):
                similarity = line[column_rows[entry]]
                total += similarity * target[entry]
                weight += similarity
            totals[pair] = total
            weights[pair] = weight


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
    since = start if upper else 0
    sums = []
    for a, b in comparison.products:
        block = np.zeros((stop - start, len(layout.dense[b])), dtype=np.float32)
        np.matmul(layout.dense[a][start:stop], layout.dense[b][since:].T, out=block[:, since:])
        _scatter(
            layout.row_starts[start : stop + 1],
            layout.row_columns,
            layout.row_values[a],
            column_starts,
            layout.column_starts[1:],
            layout.column_rows,
            layout.column_values[b],
            block,
        )
        sums.append(block)
    return sums


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
    work: Callable[[int], None], blocks: Iterable[int], threads: int, label: str
) -> None:
    """Call `work` with each of `blocks`, `threads` at a time, each with one thread of BLAS."""
    with _libraries().limit(limits=1), ThreadPoolExecutor(threads) as pool:
        blocks = list(blocks)
        for _ in progress(pool.map(work, blocks), label, total=len(blocks)):
            pass


@dataclass(frozen=True)
class Asked:
    """Asked pairs sorted by row: their order, and where each row of the matrix starts in it."""

    order: NDArray[np.int64]
    starts: NDArray[np.uint64]
    columns: NDArray[np.uint32]

    def blocks(self, size: int) -> list[int]:
        """First rows of the blocks that hold an asked pair, on a grid fixed by `size` alone."""
        asked = np.flatnonzero(np.diff(self.starts.astype(np.int64)))
        return [int(block) * size for block in np.unique(asked // size)]


def ask(rows: NDArray[np.int64], columns: NDArray[np.int64], row_count: int) -> Asked:
    """Sort asked pairs by row."""
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=row_count))])
    return Asked(order, starts.astype(np.uint64), columns[order].astype(np.uint32))


def nearest_sums(
    comparison: Comparison,
    targets: list[Floats],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    shrinkages: list[float],
    neighbours: list[int],
    threads: int = 1,
) -> Floats:
    """Σ_v s_uv t_vi for each target t, and Σ_v s_uv, over the nearest rows v that hold a column i.

    Parameters
    ----------
    targets
        Values to sum up, each in the CSR order of `comparison.rows`.
    rows, columns
        Asked pairs.
    shrinkages
        Each β gives its own similarities, all from the same sums.
    neighbours
        Each K ≥ 1, ascending: how many of the rows with similarity above 0 that hold the column
        count. Of equally similar rows (in steps of 2⁻²⁰) the first ones are taken.

    Returns
    -------
    Shrinkages × (targets, and the weights last) × neighbours × pairs, float32; all 0 where no
    neighbour holds the column.
    """
    layout = arrange(comparison)
    row_count = comparison.rows.shape[0]
    size = block_rows(row_count)
    asked = ask(rows, columns, row_count)
    summed = np.stack([target[layout.order] for target in targets])
    limits = np.minimum(np.asarray(neighbours, dtype=np.int64), row_count)
    shape = (len(shrinkages), len(targets) + 1, len(neighbours), len(rows))
    sums = np.empty(shape, dtype=np.float32)

    def work(start: int) -> None:
        stop = min(start + size, row_count)
        compared = block_sums(layout, comparison, start, stop)
        first, last = int(asked.starts[start]), int(asked.starts[stop])
        for which, shrinkage in enumerate(shrinkages):
            found = np.empty((*shape[1:3], last - first), dtype=np.float32)
            _nearest_sums(
                similarities_of(comparison, compared, start, shrinkage),
                asked.starts[start : stop + 1] - asked.starts[start],
                asked.columns[first:last],
                layout.column_starts,
                layout.column_rows,
                summed,
                limits,
                found,
            )
            sums[which][:, :, asked.order[first:last]] = found

    in_threads(work, asked.blocks(size), threads, f"{comparison.kind} neighbours")
    return sums


def all_sums(
    comparison: Comparison,
    target: Floats,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    threads: int = 1,
) -> tuple[Floats, Floats]:
    """Σ_v s_uv t_vi and Σ_v s_uv of each asked pair, over all other rows v that hold its column."""
    layout = arrange(comparison)
    row_count = comparison.rows.shape[0]
    size = block_rows(row_count)
    asked = ask(rows, columns, row_count)
    averaged = target[layout.order]
    totals = np.empty(len(rows), dtype=np.float32)
    weights = np.empty(len(rows), dtype=np.float32)

    def work(start: int) -> None:
        stop = min(start + size, row_count)
        sums = block_sums(layout, comparison, start, stop)
        first, last = int(asked.starts[start]), int(asked.starts[stop])
        found = np.empty((2, last - first), dtype=np.float32)
        _all_sums(
            similarities_of(comparison, sums, start, 0.0),
            asked.starts[start : stop + 1] - asked.starts[start],
            asked.columns[first:last],
            layout.column_starts,
            layout.column_rows,
            averaged,
            found[0],
            found[1],
        )
        totals[asked.order[first:last]], weights[asked.order[first:last]] = found

    in_threads(work, asked.blocks(size), threads, "all neighbours")
    return totals, weights


def full_similarity(comparison: Comparison, shrinkage: float, threads: int = 1) -> Floats:
    """Similarity of every two rows, rows × rows, float32, exactly symmetric, 0 on the diagonal.

    Only the upper half is computed.
    """
    layout = arrange(comparison)
    row_count = comparison.rows.shape[0]
    size = block_rows(row_count)
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

    in_threads(work, range(0, row_count, size), threads, f"{comparison.kind} similarity")
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
    size = block_rows(row_count)
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
    size = block_rows(row_count)
    start = row // size * size
    sums = block_sums(arrange(comparison), comparison, start, min(start + size, row_count))
    return similarities_of(comparison, sums, start, shrinkage)[row - start]


def nearest(similarities: Floats, rows: NDArray[np.integer], limit: int) -> NDArray[np.int64]:
    """Places in `rows` of the most similar ones, at most `limit`, best first."""
    ranks = np.floor(similarities[rows] * STEPS + np.float32(0.5))
    order = np.argsort(-ranks, kind="stable")
    return order[ranks[order] >= 1][:limit]
