"""Observed pairs of a matrix."""

import numpy as np
from scipy import sparse

from cfmf.observed import pairs


def test_pairs_are_in_the_order_of_the_data():
    matrix = sparse.csr_array(np.float32([[0, 2], [3, 4]]))
    users, items = pairs(matrix)
    assert list(zip(users, items, matrix.data, strict=True)) == [(0, 1, 2), (1, 0, 3), (1, 1, 4)]
