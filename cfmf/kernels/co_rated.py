"""Products with similarities that are sums over shared columns, without keeping a similarity.

Where s_ij = Σ_v f_iv f_jv, the sum Σ_j a_j s_ij is Σ_v f_iv (Σ_j a_j f_jv): spread the weights over
the columns, then gather. That costs the ratings of the rows concerned, and memory of one row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from scipy import sparse

from cfmf.kernels.compiled import compiled
from cfmf.kernels.similarities import Features, Floats

GROUPS = 64
"""Rows are dealt to so many groups, each computed by one thread with one buffer."""


def co_rated_sums(
    held: sparse.csr_array, weights: Floats, features: Features, queried: sparse.csr_array
) -> Floats:
    """Σ_j a_uj s_ij(u) of every queried pair (u, i), over the j that row u holds.

    s_ij(u) = Σ_{v ≠ u} f_iv · f_jv is without row u's own column, so that a pair in `held` is
    compared as one that is not.

    Parameters
    ----------
    held
        Rows × columns, CSR: which columns j each row holds.
    weights
        a in the CSR order of `held`, float32.
    features
        A row for each column of `held`, a column for each row of it.
    queried
        Pairs of the same shape as `held`.

    Returns
    -------
    float32, in the CSR order of `queried`. It does not depend on the number of threads, nor on
    which other pairs are queried.
    """
    found = np.zeros(queried.nnz, np.float32)
    _co_rated_sums(
        held.indptr,
        held.indices,
        np.ascontiguousarray(weights, np.float32),
        features.rows.indptr,
        features.rows.indices,
        features.scales,
        features.values,
        queried.indptr,
        queried.indices,
        features.rows.shape[1],
        found,
    )
    return found


_parallel: Any = compiled(parallel=True, fastmath={"reassoc", "contract"})


@_parallel
def _co_rated_sums(  # type: ignore[no-untyped-def]
    starts, columns, weights, firsts, places, scales, values, query_starts, queries, width, found
):
    # Unsigned, so that no index is checked for being negative.
    one = np.uint64(1)
    rows = len(starts) - 1
    groups = min(GROUPS, rows)
    paired = len(values) > 0
    for group in prange(groups):
        spread = np.zeros((width, 2 if paired else 1), np.float32)
        for row in range(group, rows, groups):
            if query_starts[row] == query_starts[row + 1]:
                continue
            for entry in range(np.uint64(starts[row]), np.uint64(starts[row + 1])):
                column = np.uint64(columns[entry])
                weight = weights[entry]
                common = weight * scales[column]
                for place in range(np.uint64(firsts[column]), np.uint64(firsts[column + one])):
                    at = np.uint64(places[place])
                    spread[at, 0] += common
                    if paired:
                        spread[at, 1] += weight * values[place]
            spread[row] = 0
            for query in range(np.uint64(query_starts[row]), np.uint64(query_starts[row + 1])):
                column = np.uint64(queries[query])
                common, own = np.float32(0), np.float32(0)
                for place in range(np.uint64(firsts[column]), np.uint64(firsts[column + one])):
                    at = np.uint64(places[place])
                    common += spread[at, 0]
                    if paired:
                        own += spread[at, 1] * values[place]
                found[query] = common * scales[column] + own
            # Only what was written, where that is less than everything.
            written = np.int64(0)
            for entry in range(np.uint64(starts[row]), np.uint64(starts[row + 1])):
                column = np.uint64(columns[entry])
                written += firsts[column + one] - firsts[column]
            if written > width:
                spread[:] = 0
                continue
            for entry in range(np.uint64(starts[row]), np.uint64(starts[row + 1])):
                column = np.uint64(columns[entry])
                for place in range(np.uint64(firsts[column]), np.uint64(firsts[column + one])):
                    spread[np.uint64(places[place])] = 0
