"""Errors against plain formulas, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cfmf.evaluation import metrics
from cfmf.tables import COLUMNS


@pytest.fixture
def test_matrix():
    rows, columns = [0, 0, 2, 2, 2], [1, 3, 0, 1, 2]
    return sparse.csr_array((np.float32([4, 0, 5, 3, 1]), (rows, columns)), shape=(4, 5))


def test_closed_form():
    assert metrics.rmse([1, 2, 3], [1, 4, 7]) == pytest.approx(np.sqrt(20 / 3))
    assert metrics.mae([1, 2, 3], [1, 4, 7]) == pytest.approx(2.0)


def test_clipping_moves_predictions_into_the_scale_only_in_its_own_measure():
    found = metrics.measures([0.0, 7.0], [1.0, 5.0], scale=(1, 5))
    assert found["rmse_clipped"] == 0
    assert found["rmse"] == pytest.approx(np.sqrt((1 + 4) / 2))
    assert "rmse_clipped" not in metrics.measures([1.0], [2.0])


pairs = st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 5)), min_size=1, max_size=40)


@given(pairs)
def test_clipping_to_the_scale_never_adds_error(pairs):
    predictions, ratings = np.array(pairs, dtype=float).T
    found = metrics.measures(predictions, ratings, scale=(1, 5))
    assert found["rmse_clipped"] <= found["rmse"] + 1e-12
    assert found["mae"] <= found["rmse"] + 1e-12


def test_user_errors_add_up_to_the_whole(test_matrix):
    predictions = np.array([3.5, 1.0, 5.0, 2.0, 2.0])
    found = metrics.user_errors(predictions, test_matrix)
    assert found["user"].tolist() == [0, 2]
    assert found["n"].tolist() == [2, 3]  # a stored rating of 0 counts
    assert found["squared_error"].tolist() == [1.25, 2.0]
    assert found["absolute_error"].tolist() == [1.5, 2.0]
    whole = np.sqrt(found["squared_error"].sum() / found["n"].sum())
    assert whole == pytest.approx(metrics.rmse(predictions, test_matrix.data))


def test_score_makes_rows_of_the_metrics_table(test_matrix):
    rows = metrics.score(
        *(test_matrix.data, test_matrix, (1, 5)), dataset="d", fold="u1", method="mf", k="4"
    )
    assert all(sorted(row) == sorted(COLUMNS["metrics"]) for row in rows)
    assert {row["metric"]: row["value"] for row in rows}["rmse"] == 0
    assert {(row["split"], row["k"], row["reg"], row["seed"]) for row in rows} == {
        ("test", "4", "", "")
    }


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
        metrics.rmse(predictions, ratings)
