"""Errors against plain formulas, and what is refused."""

import numpy as np
import pytest
from scipy import sparse

from cfmf.evaluation import metrics
from cfmf.observed import rmse


@pytest.fixture
def test_matrix():
    rows, columns = [0, 0, 2, 2, 2], [1, 3, 0, 1, 2]
    return sparse.csr_array((np.float32([4, 0, 5, 3, 1]), (rows, columns)), shape=(4, 5))


def test_user_errors_add_up_to_the_whole(test_matrix):
    predictions = np.array([3.5, 1.0, 5.0, 2.0, 2.0])
    found = metrics.user_errors(predictions, test_matrix)
    assert found["user"].tolist() == [0, 2]
    assert found["n"].tolist() == [2, 3]  # a stored rating of 0 counts
    assert found["squared_error"].tolist() == [1.25, 2.0]
    assert found["absolute_error"].tolist() == [1.5, 2.0]
    whole = np.sqrt(found["squared_error"].sum() / found["n"].sum())
    assert whole == pytest.approx(rmse(predictions, test_matrix.data))


@pytest.mark.parametrize(
    ("predictions", "ratings", "why"),
    [
        ([1.0], [1.0, 2.0], "cannot be compared"),
        ([], [], "no ratings"),
        ([np.nan, 1.0], [1.0, 1.0], "1 of 2 predictions or ratings are not finite"),
    ],
)
def test_refused(predictions, ratings, why):
    with pytest.raises(ValueError, match=why):
        metrics.errors(predictions, ratings)
