"""The baseline predictor against its normal equations and closed forms."""

import numpy as np
import pytest
from neighbour_references import matrix_of, pairs_of, ratings_of

from cfmf.methods.baseline import Baseline
from cfmf.neighbours import biases
from cfmf.neighbours.biases import fit_biases, tuned_regs


def solved(matrix, reg_user, reg_item):
    """Mean and biases that minimise the objective, by one linear system."""
    users, items = pairs_of(matrix)
    rows = np.arange(matrix.nnz)
    design = np.zeros((matrix.nnz, sum(matrix.shape)))
    design[rows, users] = 1
    design[rows, matrix.shape[0] + items] = 1
    penalty = np.diag([reg_user] * matrix.shape[0] + [reg_item] * matrix.shape[1])
    mean = matrix.data.mean(dtype=np.float64)
    biases = np.linalg.solve(design.T @ design + penalty, design.T @ (matrix.data - mean))
    return mean, biases[: matrix.shape[0]], biases[matrix.shape[0] :]


@pytest.mark.parametrize(("reg_user", "reg_item"), [(15, 10), (1, 0.5)])
def test_biases_solve_the_normal_equations(ratings, reg_user, reg_item):
    mean, user_bias, item_bias = solved(ratings, reg_user, reg_item)
    fitted = fit_biases(ratings, reg_user, reg_item, sweeps=300)
    assert fitted.mean == pytest.approx(mean)
    np.testing.assert_allclose(fitted.user, user_bias, atol=1e-7)
    np.testing.assert_allclose(fitted.item, item_bias, atol=1e-7)


def test_ten_sweeps_are_enough(ratings):
    _, user_bias, item_bias = solved(ratings, 15, 10)
    fitted = fit_biases(ratings, 15, 10)
    np.testing.assert_allclose(fitted.user, user_bias, atol=1e-3)
    np.testing.assert_allclose(fitted.item, item_bias, atol=1e-3)


def test_sweeps_are_the_alternating_closed_forms_of_the_residuals():
    matrix = ratings_of(seed=6, half_stars=True)
    users, items = pairs_of(matrix)
    centred = matrix.data - matrix.data.mean(dtype=np.float64)
    biases = [np.zeros(size) for size in matrix.shape]
    for _ in range(3):
        for own, other, which, weight in ((items, users, 1, 10), (users, items, 0, 15)):
            left = np.bincount(own, centred - biases[1 - which][other])
            biases[which] = left / (np.bincount(own) + weight)
    fitted = fit_biases(matrix, 15, 10, sweeps=3)
    np.testing.assert_allclose(fitted.user, biases[0], atol=1e-12)
    np.testing.assert_allclose(fitted.item, biases[1], atol=1e-12)
    assert fitted.user.dtype == fitted.item.dtype == np.float64


def test_without_regularization_a_full_table_is_row_mean_plus_column_mean():
    table = np.random.default_rng(0).integers(1, 6, (6, 4)).astype(float)
    users, items = np.indices(table.shape).reshape(2, -1)
    fitted = fit_biases(matrix_of(users, items, table.ravel(), table.shape), 0, 0)
    expected = table.mean(1, keepdims=True) + table.mean(0, keepdims=True) - table.mean()
    np.testing.assert_allclose(fitted.predict(users, items), expected.ravel(), rtol=1e-6)


def test_user_with_as_many_ratings_as_the_weight_keeps_half_of_their_deviation():
    # Heavily regularised items leave the users' biases to a closed form.
    matrix = matrix_of([0, 0, 1, 1], [0, 1, 0, 1], [5, 5, 1, 1], (2, 2))
    fitted = fit_biases(matrix, reg_user=2, reg_item=1e12)
    np.testing.assert_allclose(fitted.user, [1, -1], atol=1e-9)


def test_pairs_of_unknown_users_and_items_get_the_mean_as_a_fallback():
    matrix = matrix_of([0, 0, 1], [0, 1, 0], [5, 3, 1], (3, 3))
    fitted = Baseline(reg_user=1, reg_item=1).fit(matrix)
    values, is_fallback, _ = fitted.predict([2, 2, 0], [2, 0, 2])
    assert values[0] == pytest.approx(3)
    assert values[1] == pytest.approx(3 + fitted.biases.item[0])
    assert is_fallback.tolist() == [True, True, True]


def test_new_users_get_the_bias_that_the_item_biases_imply(ratings):
    few, new = ratings[:20], ratings[20:]
    model = Baseline(reg_user=3).fit(few)
    folded = model.fold_in(new)
    users, items = pairs_of(new)
    left = new.data - model.biases.mean - model.biases.item[items]
    expected = np.bincount(users, left) / (np.bincount(users) + 3)
    np.testing.assert_allclose(folded.biases.user, [*model.biases.user, *expected])
    known = folded.predict([0, 19], [3, 4])
    np.testing.assert_array_equal(known.values, model.predict([0, 19], [3, 4]).values)


def drawn_with_biases(users, items, user_sd, item_sd, noise, seed=5):
    """Twenty ratings of a user, of biases and noise with known standard deviations."""
    rng = np.random.default_rng(seed)
    rated = np.flatnonzero(rng.random(users * items) < 20 / items)
    who, what = np.divmod(rated, items)
    values = rng.normal(0, user_sd, users)[who] + rng.normal(0, item_sd, items)[what]
    return matrix_of(who, what, values + rng.normal(0, noise, len(rated)), (users, items))


@pytest.mark.parametrize("most", [10**9, 40_000], ids=["all-users", "some-users"])
def test_tuned_weights_are_the_ratios_of_the_variances(monkeypatch, most):
    """The best weight is σ²/σ_b², whether all users are looked at or a third of them."""
    monkeypatch.setattr(biases, "MOST", most)
    matrix = drawn_with_biases(users=6000, items=6000, user_sd=0.5, item_sd=0.25, noise=1.0)
    user, item = tuned_regs(matrix)
    assert 2 < user < 8  # 4
    assert 8 < item < 32  # 16


def test_looking_at_some_users_takes_theirs_whole_in_any_order(monkeypatch):
    matrix = drawn_with_biases(users=600, items=80, user_sd=0.5, item_sd=0.5, noise=1.0)
    monkeypatch.setattr(biases, "MOST", matrix.nnz // 4)
    some = biases._some_users(matrix)
    assert matrix.nnz / 6 < some.nnz < matrix.nnz / 3
    counts = set(np.diff(some.indptr))
    assert counts <= set(np.diff(matrix.indptr))
    order = np.random.default_rng(1).permutation(600)
    again = biases._some_users(matrix[order])
    assert sorted(again.data) == sorted(some.data)


def test_explanation_is_the_two_biases(ratings):
    model = Baseline().fit(ratings)
    found = model.explain(3, 5)
    assert {part.kind for part in found.parts} == {"user", "item"}
    total = found.expected + sum(part.contribution for part in found.parts)
    assert total == pytest.approx(found.prediction, abs=1e-6)


def test_a_stored_zero_is_a_rating():
    matrix = matrix_of([0, 0, 1], [0, 1, 0], [0, 3, 3], (2, 2))
    assert matrix.nnz == 3
    assert fit_biases(matrix, 1, 1).mean == 2


@pytest.mark.parametrize(
    ("matrix", "complaint"),
    [
        (matrix_of([], [], [], (2, 2)), "has no rating"),
        (matrix_of([0], [0], [np.nan], (2, 2)), "not finite"),
    ],
)
def test_unusable_matrix_is_refused(matrix, complaint):
    with pytest.raises(ValueError, match=complaint):
        Baseline().fit(matrix)


def test_pair_held_twice_is_refused():
    matrix = matrix_of([0, 1], [0, 1], [3, 4], (2, 2))
    matrix.indices, matrix.indptr = np.array([1, 1], np.int32), np.array([0, 2, 2], np.int32)
    matrix.has_canonical_format = False
    with pytest.raises(ValueError, match="pair twice"):
        Baseline().fit(matrix)


def test_negative_regularization_is_refused(ratings):
    with pytest.raises(ValueError, match="reg_item"):
        Baseline(reg_item=-1)
    with pytest.raises(ValueError, match="reg_item -1"):
        fit_biases(ratings, 1, -1)


@pytest.mark.parametrize(("user", "item"), [(24, 0), (0, 17), (-1, 0)])
def test_pair_outside_the_matrix_is_refused(user, item):
    with pytest.raises(ValueError, match="training matrix has"):
        Baseline().fit(ratings_of(5)).predict([user], [item])
