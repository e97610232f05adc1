"""User CF as published against the study's own matrix formula."""

import numpy as np
import pytest
from neighbour_references import matrix_of, pairs_of, ratings_of

from cfmf.kernels import scatter
from cfmf.published.methods.user_cf_published import UserCF


def published(ratings, itself):
    """(S @ X) / (S @ (X ≠ 0)) in float64, with or without each user's similarity 1 with itself."""
    table = ratings.toarray().astype(np.float64)
    norms = np.linalg.norm(table, axis=1)
    similarity = table @ table.T / np.outer(norms, norms)
    if not itself:
        np.fill_diagonal(similarity, 0)
    return (similarity @ table) / (similarity @ (table != 0))


@pytest.fixture
def many():
    return ratings_of(seed=21, users=600, items=50, density=0.3)


def test_leaves_the_user_out(many):
    users, items = np.indices(many.shape).reshape(2, -1)
    expected = published(many, itself=False).ravel()
    values, is_fallback, _ = UserCF().fit(many).predict(users, items)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert not is_fallback.any()


def test_training_predictions_with_and_without_the_user(many):
    users, items = pairs_of(many)
    without, with_own = UserCF().fit(many).predict_training(many).values()
    np.testing.assert_allclose(without, published(many, itself=False)[users, items], rtol=1e-5)
    np.testing.assert_allclose(with_own, published(many, itself=True)[users, items], rtol=1e-5)


def test_pair_without_neighbours_gets_a_mean_as_a_fallback():
    # User 2 shares nothing with the raters of item 0; item 3 has no rating at all.
    ratings = matrix_of([0, 0, 1, 1, 2], [0, 1, 0, 1, 2], [1, 5, 2, 4, 3], (3, 4))
    values, is_fallback, _ = UserCF().fit(ratings).predict([2, 2, 0], [0, 3, 0])
    np.testing.assert_allclose(values, [1.5, 3, 2])
    assert is_fallback.tolist() == [True, True, False]


def test_quotient_that_is_no_mean_of_ratings_is_a_fallback():
    # Ratings of −8 to 8: cosines of both signs, whose sum comes near 0 and below it.
    ratings = ratings_of(seed=5)
    ratings.data = ratings.data * 4 - 12
    users, items = np.indices(ratings.shape).reshape(2, -1)
    model = UserCF().fit(ratings)
    predicted, is_fallback, _ = model.predict(users, items)
    expected = published(ratings, itself=False).ravel()
    # The reference takes stored zeros for unknown pairs, so only items without any are compared.
    counts = np.bincount(ratings.indices, minlength=17)
    zeros = np.bincount(ratings.indices, ratings.data == 0, minlength=17) > 0
    assert np.abs(predicted).max() <= 8 + 1e-3
    assert 0 < is_fallback.sum() < len(users)
    means = np.bincount(ratings.indices, ratings.data) / counts
    np.testing.assert_allclose(predicted[is_fallback], means[items][is_fallback], rtol=1e-5)
    kept = ~is_fallback & ~zeros[items]
    np.testing.assert_allclose(predicted[kept], expected[kept], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fewest", [0, 16], ids=["one-by-one", "by-value"])
def test_sorting_raters_by_value_changes_nothing_but_rounding(monkeypatch, many, fewest):
    monkeypatch.setattr(scatter, "FEW_VALUES", fewest)
    users, items = np.indices(many.shape).reshape(2, -1)
    expected = published(many, itself=False).ravel()
    found = UserCF().fit(many).predict(users, items)
    np.testing.assert_allclose(found.values, expected, rtol=1e-5)


def test_many_values_are_not_sorted_by(many):
    assert not len(scatter._distinct(np.arange(17, dtype=np.float32), 16))
    assert sorted(scatter._distinct(many.data, 16)) == [1, 2, 3, 4, 5]


def test_item_means_are_computed_for_fallbacks_only(monkeypatch, many):
    monkeypatch.setattr("cfmf.published.methods.user_cf_published.means", None)
    assert not UserCF().fit(many).predict([0], [0]).is_fallback.any()


def test_depends_neither_on_threads_nor_on_blocks(many):
    users, items = pairs_of(ratings_of(seed=22, users=600, items=50, density=0.1))
    whole = UserCF().fit(many).predict(users, items)
    model = UserCF().fit(many, threads=2)
    parts = [
        model.predict(users[block], items[block]).values
        for block in np.split(np.arange(len(users)), np.searchsorted(users, [1, 333]))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole.values)


def test_torch_agrees_with_the_kernels(many):
    users, items = pairs_of(ratings_of(seed=23, users=600, items=50, density=0.1))
    expected = UserCF().fit(many).predict(users, items)
    found = UserCF().fit(many, device="cpu:0").predict(users, items)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-4)
