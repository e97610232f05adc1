"""New users of a neighbour model: compared with the users of the training, never with each other.

Both functions give comparisons that the kernels take as any other: what must have no part in a
similarity has values of zero, so that it adds nothing to the sums over shared columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.kernels.similarities import Comparison, transposed
from cfmf.neighbours.biases import Biases
from cfmf.neighbours.compare import compare

Floats = NDArray[np.float32]


def stacked(train: sparse.csr_array, new: sparse.csr_array) -> sparse.csr_array:
    """The training ratings with those of new users below them."""
    return sparse.csr_array(sparse.vstack([train, new], format="csr"))


def fitted_users(arrays: Mapping[str, NDArray[Any]]) -> int:
    """How many of the users in a model's arrays it was fitted to; the rest were folded in.

    Raises
    ------
    ValueError
        If there are not so many.
    """
    found = int(arrays["fitted_users"])
    if not 0 < found <= len(arrays["user_bias"]):
        raise ValueError(f"the model was not fitted to {found} users")
    return found


def among_users(
    train: sparse.csr_array, new: sparse.csr_array, kind: str, biases: Biases, target: Floats
) -> tuple[Comparison, Floats]:
    """Users compared with new ones, and what their ratings are averaged as, in its order.

    The columns are there twice: items, over which users are compared, and then the same items
    again, with the training ratings alone, for which neighbours are sought.

    Parameters
    ----------
    target
        In the CSR order of the stacked ratings.
    """
    both = stacked(train, new)
    found, copies = compare(both, "users", kind, biases), train.nnz
    first = sparse.csr_array((np.arange(both.nnz), both.indices, both.indptr), shape=both.shape)
    ends = np.append(train.indptr, np.full(new.shape[0], copies, train.indptr.dtype))
    numbers = both.nnz + np.arange(copies)
    again = sparse.csr_array((numbers, train.indices, ends), shape=both.shape)
    # One more than the place, as a stored zero might be dropped.
    first.data, again.data = first.data + 1, again.data + 1
    wide = sparse.csr_array(sparse.hstack([first, again], format="csr"))
    wide.sort_indices()
    order = wide.data - 1

    def placed(values: Floats, copied: Floats) -> Floats:
        return np.concatenate([values, copied])[order]

    rows = sparse.csr_array(
        (placed(both.data, train.data), wide.indices, wide.indptr), shape=wide.shape
    )
    values = [placed(one, np.zeros(copies, np.float32)) for one in found.values]
    return replace(found, rows=rows, values=values), placed(target, target[:copies])


def among_items(
    train: sparse.csr_array, new: sparse.csr_array, kind: str, biases: Biases
) -> Comparison:
    """Items compared by the training ratings, with the new users' ratings as columns beside."""
    rows, order = transposed(stacked(train, new))
    learned = order < train.nnz  # in the order of the transposed training ratings
    found = compare(train, "items", kind, biases)
    values = []
    for one in found.values:
        wide = np.zeros(rows.nnz, np.float32)
        wide[learned] = one
        values.append(wide)
    return replace(found, rows=rows, values=values)
