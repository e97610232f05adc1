"""Rating matrices for the tests of this folder, made up and real."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))

from neighbour_references import matrix_of, pairs_of, ratings_of


@pytest.fixture
def ratings():
    return ratings_of(seed=5)


@pytest.fixture(scope="session")
def movielens():
    """The official folds of MovieLens 100K, each cut into fit, validation, train and test."""
    if "CFMF_REAL_DATA" not in os.environ:
        pytest.skip("CFMF_REAL_DATA is not set: the real MovieLens 100K is not here")
    folder = Path(os.environ["CFMF_REAL_DATA"]) / "ml-100k"
    folds = {}
    for number in range(1, 6):
        parts = {}
        for part, suffix in (("train", "base"), ("test", "test")):
            rows = np.loadtxt(folder / f"u{number}.{suffix}", dtype=np.int64)
            parts[part] = matrix_of(rows[:, 0] - 1, rows[:, 1] - 1, rows[:, 2], (943, 1682))
        train = parts["train"]
        users, items = pairs_of(train)
        validation = np.zeros(train.nnz, dtype=bool)
        validation[np.random.default_rng(number).permutation(train.nnz)[: train.nnz // 10]] = True
        for part, chosen in (("fit", ~validation), ("validation", validation)):
            parts[part] = matrix_of(users[chosen], items[chosen], train.data[chosen], train.shape)
        folds[f"u{number}"] = parts
    return folds
