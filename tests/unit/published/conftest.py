"""Tests of the published study share the rating matrices of the neighbour methods' tests."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

sys.path.append(str(Path(__file__).parents[1] / "neighbours"))


def drawn(seed: int, users: int, items: int, share: float) -> sparse.csr_array:
    """Ratings from 1 to 5 of a share of all pairs."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 6, (users, items)) * (rng.random((users, items)) < share)
    return sparse.csr_array(values.astype(np.float32))


@pytest.fixture
def ratings() -> sparse.csr_array:
    return drawn(3, 12, 9, 0.5)


@pytest.fixture
def parts() -> tuple[sparse.csr_array, sparse.csr_array]:
    """Train and test of the same users and items."""
    return drawn(5, 60, 40, 0.4), drawn(6, 60, 40, 0.1)
