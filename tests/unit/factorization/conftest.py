"""Small rating matrices, some of whose ratings are 0: the structure says what is observed."""

import numba
import numpy as np
import pytest
import torch
from scipy import sparse


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    numba.set_num_threads(1)


def matrix(rng, m, n, share, values=None):
    """CSR with about `share` of the pairs observed, ratings 0 … 5 or the given dense values."""
    users, items = np.nonzero(rng.random((m, n)) < share)
    ratings = rng.integers(0, 6, len(users)) if values is None else values[users, items]
    found = sparse.csr_array(
        (ratings.astype(np.float32), (users.astype(np.int32), items.astype(np.int32))), shape=(m, n)
    )
    found.sort_indices()
    return found


@pytest.fixture
def make_matrix():
    return matrix


@pytest.fixture
def ratings():
    return matrix(np.random.default_rng(3), 12, 9, 0.5)


@pytest.fixture
def validation():
    return matrix(np.random.default_rng(4), 12, 9, 0.2)


@pytest.fixture
def low_rank():
    """Train, validation and test of mean + rank 3 + noise of deviation 0.5, 150 × 120."""
    rng = np.random.default_rng(5)
    m, n, k = 150, 120, 3
    scores = 3 + rng.normal(size=(m, k)) @ rng.normal(size=(k, n)) / np.sqrt(k)
    scores += rng.normal(0, 0.5, (m, n))
    part = rng.choice(4, (m, n), p=[0.4, 0.5, 0.05, 0.05])
    parts = []
    for number in (1, 2, 3):
        users, items = np.nonzero(part == number)
        values = scores[users, items].astype(np.float32)
        parts.append(
            sparse.csr_array((values, (users.astype("i4"), items.astype("i4"))), shape=(m, n))
        )
    return parts


def observed(matrix):
    """Dense float64 ratings and the mask of what is observed."""
    dense = np.zeros(matrix.shape)
    mask = np.zeros(matrix.shape, bool)
    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    dense[users, matrix.indices] = matrix.data
    mask[users, matrix.indices] = True
    return dense, mask


@pytest.fixture
def dense_of():
    return observed
