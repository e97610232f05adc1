"""Neighbour predictions in torch, for CUDA: blocked dense products and padded gathers.

It has the same functions, results and rule for ties as `scatter`. The similarity sums of a block of
rows are dense products of rows × columns matrices, which a GPU does so fast that sparsity does not
pay; predictions gather the similarities of just the rows that have a queried column. Memory is
O(block × rows), and the dense matrix itself where it fits into `DENSE_BYTES`.

Both paths agree to 1e-4 wherever they choose the same neighbours. Similarities are ranked in steps
of 2⁻²⁰ so that equal ones keep their order, but sums that differ in their last bits may still fall
on two sides of a step; where that happens at the K-th neighbour, another row takes part: 1 of
35,793 pairs, by 0.017, in `check_gpu.drawn(2500, 1500, 400_000)` with item-knn at its defaults.
`make check-gpu` requires 99.99% of the pairs within 1e-4, and RMSE equal to 1e-5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfmf.deadline import check_deadline
from cfmf.kernels.similarities import STEPS, Comparison, Query, combine, shrunk

BLOCK_ROWS = 512
GATHERED = 2**24
DENSE_BYTES = 8 * 2**30

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Columns:
    """Rows that hold each column, CSC, on the device."""

    starts: Tensor
    rows: Tensor


class Rows:
    """Rows × columns values of a comparison, made dense on the device as they are needed."""

    def __init__(self, comparison: Comparison, device: torch.device) -> None:
        matrix = comparison.rows
        self.shape: tuple[int, int] = matrix.shape
        self.device = device
        self.starts = matrix.indptr
        self.columns = torch.from_numpy(matrix.indices.astype(np.int64)).to(device)
        self.values = torch.from_numpy(comparison.values).to(device)
        needed = 4 * self.shape[0] * self.shape[1] * len(comparison.powers)
        self.whole: dict[int, Tensor] = {}
        if needed <= DENSE_BYTES:
            powers = comparison.powers
            self.whole = {power: self._dense(power, 0, self.shape[0]) for power in powers}

    def dense(self, power: int, start: int, stop: int) -> Tensor:
        """A power of the values of rows `start` to `stop`, absent entries 0."""
        if self.whole:
            return self.whole[power][start:stop]
        return self._dense(power, start, stop)

    def _dense(self, power: int, start: int, stop: int) -> Tensor:
        first, last = int(self.starts[start]), int(self.starts[stop])
        counts = torch.from_numpy(np.diff(self.starts[start : stop + 1]).astype(np.int64))
        rows = torch.repeat_interleave(counts).to(self.device)
        block = torch.zeros((stop - start, self.shape[1]), device=self.device)
        block[rows, self.columns[first:last]] = self.values[first:last] ** power
        return block


def block_sums(rows: Rows, comparison: Comparison, start: int, stop: int) -> list[Tensor]:
    """The sums of a comparison between rows `start` to `stop` and all rows, each block × rows."""
    row_count = rows.shape[0]
    sums = []
    for a, b in comparison.products:
        left = rows.dense(a, start, stop)
        parts = [
            left @ rows.dense(b, other, min(other + BLOCK_ROWS, row_count)).T
            for other in range(0, row_count, BLOCK_ROWS)
        ]
        sums.append(torch.cat(parts, dim=1))
    return sums


def similarities_of(
    comparison: Comparison, sums: list[Tensor], start: int, shrinkage: float
) -> Tensor:
    """Similarities of a block that starts at row `start`, 0 with itself; block × rows, float32."""
    similarities = shrunk(combine(comparison.kind, sums, _root), sums[-1], shrinkage)
    own = torch.arange(len(similarities), device=similarities.device)
    similarities[own, start + own] = 0
    return similarities


def _root(tensor: Tensor) -> Tensor:
    # torch's own root of float32 is off by a bit on some CPUs, which would part equal similarities.
    return tensor.to(torch.float64).sqrt().to(torch.float32)


def columns_of(query: Query, device: torch.device) -> Columns:
    """The rows that hold each column, in ascending order."""
    return Columns(
        starts=torch.from_numpy(query.starts.astype(np.int64)).to(device),
        rows=torch.from_numpy(query.held.astype(np.int64)).to(device),
    )


def candidates(
    columns: Columns, queried: Tensor, similarities: Tensor, local: Tensor
) -> tuple[Tensor, Tensor]:
    """Similarity of every row that holds the queried columns, and its entry, padded to a rectangle.

    Returns
    -------
    Pairs × most rows: similarities, 0 where padded, and places in the order of the columns.
    """
    starts = columns.starts[queried]
    counts = columns.starts[queried + 1] - starts
    offsets = torch.arange(int(counts.max()), device=queried.device)
    padded = offsets >= counts[:, None]
    entries = torch.where(padded, 0, starts[:, None] + offsets)
    found = similarities[local[:, None], columns.rows[entries]]
    return torch.where(padded, 0, found), entries


def chunks(columns: Columns, queried: Tensor) -> Iterator[Tensor]:
    """Places of queried pairs, by popularity of their column, in chunks that fit into memory."""
    counts = columns.starts[queried + 1] - columns.starts[queried]
    order = torch.argsort(counts, stable=True)
    sizes = counts[order].cpu().numpy()
    begin = 0
    while begin < len(sizes):
        end = begin + 1
        # Sizes ascend, so the last of a chunk decides its width.
        while end < len(sizes) and (end + 1 - begin) * sizes[end] <= GATHERED:
            end += 1
        if sizes[end - 1]:
            yield order[begin:end]
        begin = end


def blocks_of(
    rows: NDArray[np.int64], device: torch.device
) -> Iterator[tuple[int, NDArray[np.int64], Tensor]]:
    """First row of each block with queried pairs, places of these pairs, their rows within."""
    order = np.argsort(rows, kind="stable")
    block = rows[order] // BLOCK_ROWS
    for number in np.unique(block):
        places = order[np.searchsorted(block, number) : np.searchsorted(block, number, "right")]
        start = int(number) * BLOCK_ROWS
        yield start, places, torch.from_numpy(rows[places] - start).to(device)


def nearest_sums(
    comparison: Comparison,
    query: Query,
    shrinkages: list[float],
    neighbours: list[int],
    device: str,
    until: float | None = None,
) -> Floats:
    """As `scatter.nearest_sums`, on a torch device."""
    where = torch.device(device)
    laid = Rows(comparison, where)
    held = columns_of(query, where)
    summed = [torch.from_numpy(target).to(where) for target in query.targets]
    shape = (len(shrinkages), len(summed) + 1, len(neighbours), len(query.rows))
    result = np.zeros(shape, dtype=np.float32)
    for start, places, local in blocks_of(query.rows, where):
        check_deadline(until)
        stop = min(start + BLOCK_ROWS, laid.shape[0])
        sums = block_sums(laid, comparison, start, stop)
        queried = torch.from_numpy(query.columns[places]).to(where)
        for which, shrinkage in enumerate(shrinkages):
            similarities = similarities_of(comparison, sums, start, shrinkage)
            for chunk in chunks(held, queried):
                found = candidates(held, queried[chunk], similarities, local[chunk])
                totals = _nearest_totals(*found, summed, neighbours)
                result[which][:, :, places[chunk.cpu().numpy()]] = totals.cpu().numpy()
    return result


def _nearest_totals(
    similarities: Tensor, entries: Tensor, summed: list[Tensor], neighbours: list[int]
) -> Tensor:
    """Targets and weights × neighbours × pairs: sums over the nearest of each pair."""
    width = similarities.shape[1]
    # Rank above, complement of the position below: as in `scatter._ranked`.
    ranks = (similarities.clip(min=0) * float(STEPS) + 0.5).to(torch.int64)
    position = torch.arange(width, device=ranks.device)
    best = torch.topk(ranks * 2**32 + (2**32 - 1 - position), min(neighbours[-1], width), dim=1)
    chosen = 2**32 - 1 - best.values % 2**32
    weights = torch.gather(similarities, 1, chosen) * (best.values >= 2**32)
    taken = torch.gather(entries, 1, chosen)
    weights = weights.to(torch.float64)
    terms = [weights * target[taken] for target in summed]
    ends = torch.tensor([min(k, weights.shape[1]) - 1 for k in neighbours], device=ranks.device)
    running = torch.stack([*terms, weights]).cumsum(dim=2)
    return running[:, :, ends].permute(0, 2, 1).to(torch.float32)


def all_sums(comparison: Comparison, query: Query, device: str) -> tuple[Floats, Floats]:
    """As `scatter.all_sums`, on a torch device."""
    where = torch.device(device)
    laid = Rows(comparison, where)
    held = columns_of(query, where)
    summed = torch.from_numpy(query.targets[0]).to(where)
    totals = np.zeros(len(query.rows), dtype=np.float32)
    weights = np.zeros(len(query.rows), dtype=np.float32)
    for start, places, local in blocks_of(query.rows, where):
        stop = min(start + BLOCK_ROWS, laid.shape[0])
        sums = block_sums(laid, comparison, start, stop)
        similarities = similarities_of(comparison, sums, start, 0.0)
        queried = torch.from_numpy(query.columns[places]).to(where)
        for chunk in chunks(held, queried):
            found, entries = candidates(held, queried[chunk], similarities, local[chunk])
            at = places[chunk.cpu().numpy()]
            totals[at] = (found * summed[entries]).sum(dim=1).cpu().numpy()
            weights[at] = found.sum(dim=1).cpu().numpy()
    return totals, weights
