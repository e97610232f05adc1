"""Similarities between users as they are stored, and what the report shows of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.files import atomic_write

Floats = NDArray[np.float32]
ARRAYS = ("matrix", "neighbours", "similarities")


@dataclass(frozen=True)
class Similarity:
    """Similarities of users, in full or of the nearest only.

    Attributes
    ----------
    users
        How many users.
    matrix
        Users × users, float32, symmetric, 1 on the diagonal of users with ratings; None where it
        would have been larger than the limit.
    neighbours, similarities
        Users × top: the nearest others of each user, best first (the first of equals first), and
        their similarity, float32; −1 and 0 where there are fewer with similarity above 0. None
        where the matrix is there.
    """

    users: int
    kind: str
    shrinkage: float
    matrix: Floats | None
    neighbours: NDArray[np.int32] | None
    similarities: Floats | None


def save_similarity(path: str | Path, similarity: Similarity) -> None:
    """Write a similarity as `.npz`, whole or not at all."""
    arrays: dict[str, Any] = {
        "users": np.int64(similarity.users),
        "kind": np.array(similarity.kind),
        "shrinkage": np.float64(similarity.shrinkage),
    }
    for name in ARRAYS:
        if getattr(similarity, name) is not None:
            arrays[name] = getattr(similarity, name)
    with atomic_write(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def load_similarity(path: str | Path) -> Similarity:
    """Read what `save_similarity` wrote.

    Raises
    ------
    ValueError
        If the file holds something else or is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            similarity = Similarity(
                users=int(file["users"]),
                kind=str(file["kind"]),
                shrinkage=float(file["shrinkage"]),
                **{name: file.get(name) for name in ARRAYS},
            )
    except Exception as error:
        raise ValueError(
            f"{path} is not a readable similarity ({error}); delete it and run again"
        ) from error
    _check_shapes(path, similarity)
    return similarity


def _check_shapes(path: str | Path, similarity: Similarity) -> None:
    """Raise ValueError unless there is either a matrix or lists, of as many rows as users."""
    size, lists = similarity.users, (similarity.neighbours, similarity.similarities)
    if similarity.matrix is not None:
        fine = similarity.matrix.shape == (size, size)
    else:
        fine = all(found is not None and found.ndim == 2 and len(found) == size for found in lists)
        fine = fine and lists[0].shape == lists[1].shape  # type: ignore[union-attr]
    if not fine:
        raise ValueError(
            f"{path} holds neither a matrix nor lists of {size} users; delete it and run again"
        )


def corner(similarity: Similarity, size: int = 5) -> Floats | None:
    """The first rows and columns of the matrix, or None where only the nearest were kept."""
    return None if similarity.matrix is None else similarity.matrix[:size, :size]


def distribution(similarity: Similarity, bins: int = 50) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Histogram and quantiles of the similarities of different users.

    Of every unordered pair where the matrix is there, else of the nearest that were kept.

    Returns
    -------
    Columns low, high, count; and columns quantile, similarity.
    """
    if similarity.matrix is not None:
        # Counted row by row: the upper triangle at once would double the memory.
        rows = [row[place + 1 :] for place, row in enumerate(similarity.matrix)]
        low = min((float(row.min()) for row in rows if row.size), default=0.0)
        high = max((float(row.max()) for row in rows if row.size), default=0.0)
    else:
        assert similarity.neighbours is not None
        assert similarity.similarities is not None
        rows = [similarity.similarities[similarity.neighbours >= 0]]
        low, high = (float(rows[0].min()), float(rows[0].max())) if rows[0].size else (0.0, 0.0)
    # Quantiles are read from a fine histogram: exact to a 20,000th of the range.
    edges = np.linspace(low, max(high, low + 1e-6), 20_000 // bins * bins + 1)
    counts = np.zeros(len(edges) - 1, dtype=np.int64)
    for row in rows:
        counts += np.histogram(row, edges)[0]
    coarse = edges[:: len(counts) // bins]
    histogram = pd.DataFrame(
        {"low": coarse[:-1], "high": coarse[1:], "count": counts.reshape(bins, -1).sum(axis=1)}
    )
    levels = np.array([0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1])
    below = np.concatenate([[0], np.cumsum(counts)])
    values = np.interp(levels * below[-1], below, edges)
    return histogram, pd.DataFrame({"quantile": levels, "similarity": values})
