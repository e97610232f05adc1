"""Metrics against plain formulas, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cfmf import metrics
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


def test_closed_form():
    found = metrics.score([1, 2, 3], [1, 4, 7], (1, 7))
    expected = {"rmse": np.sqrt(20 / 3), "rmse_clipped": np.sqrt(20 / 3), "mae": 2}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert np.isnan(list(metrics.score([], [], (1, 5)).values())).all()


def test_clipping_moves_predictions_into_the_scale_only_in_its_own_measure():
    found = metrics.score([0.0, 7.0], [1.0, 5.0], (1, 5))
    assert found["rmse_clipped"] == 0
    assert found["rmse"] == pytest.approx(np.sqrt((1 + 4) / 2))


rated = st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 5)), min_size=1, max_size=40)


@given(rated)
def test_clipping_to_the_scale_never_adds_error(rated):
    predictions, ratings = np.array(rated, dtype=float).T
    found = metrics.score(predictions, ratings, (1, 5))
    assert found["rmse_clipped"] <= found["rmse"] + 1e-12
    assert found["mae"] <= found["rmse"] + 1e-12


def test_coverage_and_fallbacks_are_counted_where_they_are_defined():
    """Of four ratings three are within 1.645 deviations; of one that is exactly there, too."""
    errors, sd = np.array([0.0, 1.6, -1.7, 3.2]), np.array([1.0, 1.0, 1.0, 2.0])
    found = metrics.score(3 + errors, [3, 3, 3, 3], (1, 5), sd, np.array([True, False] * 2))
    assert found["coverage_90"] == 0.75
    assert found["fallback_share"] == 0.5
    assert not {"coverage_90", "fallback_share"} & set(metrics.score([1], [1], (1, 5)))


def test_a_new_metric_is_an_entry(monkeypatch):
    worst = metrics.Metric(lambda scored: float(np.abs(scored.predictions - scored.ratings).max()))
    monkeypatch.setitem(metrics.METRICS, "worst", worst)
    assert metrics.score([1.0, 2.0], [1.0, 5.0], (1, 5))["worst"] == 3
