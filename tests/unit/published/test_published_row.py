"""The study's quotients written out on dense arrays, and how long its loop is judged to be."""

import numpy as np
import pytest
from neighbour_references import ratings_of
from scipy.spatial.distance import cdist

from cfmf.published import first_predictions as published


def test_first_user_equals_the_formulas_on_dense_arrays():
    ratings = ratings_of(seed=21, users=60, items=50, density=0.3)
    table = ratings.toarray().astype(np.float64)
    weights = 1 - cdist(table, table, "cosine")[0]
    row = published.first_user(ratings)
    assert row["item"].tolist() == [0, 1, 2]
    totals, among = weights @ table[:, :3], weights @ (table[:, :3] != 0)
    np.testing.assert_allclose(row["over_all_users"], totals / weights.sum(), rtol=1e-12)
    np.testing.assert_allclose(row["over_raters"], totals / among, rtol=1e-12)


def test_loop_is_judged_by_one_turn_times_users_and_blocks_of_items(monkeypatch):
    ratings = ratings_of(seed=21, users=60, items=50, density=0.3)
    monkeypatch.setattr(published, "BLOCK", 60 * 10)  # ten items of fifty are timed
    clock = iter([5.0, 5.5])
    monkeypatch.setattr(published.time, "perf_counter", lambda: next(clock))
    assert published.loop_seconds(ratings) == pytest.approx(0.5 * 60 * 5)
