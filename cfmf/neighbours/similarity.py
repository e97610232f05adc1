"""Similarity between users as a result of its own: the whole matrix, or the nearest of each."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cfmf.neighbours.biases import REGS, fit_biases
from cfmf.neighbours.compare import compare
from cfmf.neighbours.stored import Similarity
from cfmf.observed import checked

FULL_LIMIT = 512 * 2**20


def user_similarity(
    train: sparse.csr_array,
    kind: str = "cosine",
    shrinkage: float = 0.0,
    full_limit: int = FULL_LIMIT,
    top: int = 100,
    threads: int = 1,
) -> Similarity:
    """Similarity of every pair of users, or exactly the `top` nearest of each where that is large.

    Parameters
    ----------
    train
        Users × items.
    kind, shrinkage
        See `compare.compare` and `compare.shrunk`.
    full_limit
        Largest matrix that is kept in full, in bytes; 4 · users² are needed.
    top
        Nearest users kept of each user otherwise.
    threads
        Cores to use; no result depends on it.

    Raises
    ------
    ValueError
        If a parameter is out of its range or the matrix is not usable.
    """
    # Imported here because numba takes a while, and readers of a similarity do not need it.
    from cfmf.kernels import scatter

    if not shrinkage >= 0:
        raise ValueError(f"shrinkage is {shrinkage}; it must not be negative")
    if top < 1:
        raise ValueError(f"top is {top}; at least 1 neighbour must be kept")
    train = checked(train)
    biases = fit_biases(train, *REGS) if kind == "pearson-baseline" else None
    comparison = compare(train, "users", kind, biases, counted=shrinkage > 0)
    users = train.shape[0]
    if 4 * users**2 <= full_limit:
        matrix = scatter.full_similarity(comparison, shrinkage, threads)
        np.fill_diagonal(matrix, np.diff(train.indptr) > 0)
        return Similarity(users, kind, shrinkage, matrix, None, None)
    neighbours, similarities = scatter.nearest_rows(comparison, shrinkage, min(top, users), threads)
    return Similarity(users, kind, shrinkage, None, neighbours, similarities)
