"""Errors of predictions against plain formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cfmf.observed import accuracy, pairs


def test_pairs_are_in_the_order_of_the_data():
    matrix = sparse.csr_array(np.float32([[0, 2], [3, 4]]))
    users, items = pairs(matrix)
    assert list(zip(users, items, matrix.data, strict=True)) == [(0, 1, 2), (1, 0, 3), (1, 1, 4)]


def test_closed_form():
    found = accuracy([1, 2, 3], [1, 4, 7], (1, 7))
    assert found == pytest.approx(
        {"rmse": np.sqrt(20 / 3), "rmse_clipped": np.sqrt(20 / 3), "mae": 2}
    )
    assert np.isnan(list(accuracy([], [], (1, 5)).values())).all()


def test_clipping_moves_predictions_into_the_scale_only_in_its_own_measure():
    found = accuracy([0.0, 7.0], [1.0, 5.0], (1, 5))
    assert found["rmse_clipped"] == 0
    assert found["rmse"] == pytest.approx(np.sqrt((1 + 4) / 2))


rated = st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 5)), min_size=1, max_size=40)


@given(rated)
def test_clipping_to_the_scale_never_adds_error(rated):
    predictions, ratings = np.array(rated, dtype=float).T
    found = accuracy(predictions, ratings, (1, 5))
    assert found["rmse_clipped"] <= found["rmse"] + 1e-12
    assert found["mae"] <= found["rmse"] + 1e-12
