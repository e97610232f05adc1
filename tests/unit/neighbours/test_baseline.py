"""The baseline predictor against its normal equations and closed forms."""

import numpy as np
import pytest
from neighbour_references import matrix_of, pairs_of, ratings_of

from cfmf.neighbours.baseline import Baseline


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
    fitted = Baseline(reg_user, reg_item, sweeps=300).fit(ratings)
    assert fitted.mean == pytest.approx(mean)
    np.testing.assert_allclose(fitted.user_bias, user_bias, atol=1e-7)
    np.testing.assert_allclose(fitted.item_bias, item_bias, atol=1e-7)


def test_ten_sweeps_are_enough(ratings):
    _, user_bias, item_bias = solved(ratings, 15, 10)
    fitted = Baseline(15, 10).fit(ratings)
    np.testing.assert_allclose(fitted.user_bias, user_bias, atol=1e-3)
    np.testing.assert_allclose(fitted.item_bias, item_bias, atol=1e-3)


def test_sweeps_are_the_alternating_closed_forms_of_the_residuals():
    matrix = ratings_of(seed=6, half_stars=True)
    users, items = pairs_of(matrix)
    centred = matrix.data - matrix.data.mean(dtype=np.float64)
    biases = [np.zeros(size) for size in matrix.shape]
    for _ in range(3):
        for own, other, which, weight in ((items, users, 1, 10), (users, items, 0, 15)):
            left = np.bincount(own, centred - biases[1 - which][other])
            biases[which] = left / (np.bincount(own) + weight)
    fitted = Baseline(15, 10, sweeps=3).fit(matrix)
    np.testing.assert_allclose(fitted.user_bias, biases[0], atol=1e-12)
    np.testing.assert_allclose(fitted.item_bias, biases[1], atol=1e-12)
    assert fitted.user_bias.dtype == fitted.item_bias.dtype == np.float64


def test_without_regularization_a_full_table_is_row_mean_plus_column_mean():
    table = np.random.default_rng(0).integers(1, 6, (6, 4)).astype(float)
    users, items = np.indices(table.shape).reshape(2, -1)
    fitted = Baseline(0, 0).fit(matrix_of(users, items, table.ravel(), table.shape))
    expected = table.mean(1, keepdims=True) + table.mean(0, keepdims=True) - table.mean()
    np.testing.assert_allclose(fitted.predict(users, items), expected.ravel(), rtol=1e-6)


def test_user_with_as_many_ratings_as_the_weight_keeps_half_of_their_deviation():
    # Heavily regularised items leave the users' biases to a closed form.
    matrix = matrix_of([0, 0, 1, 1], [0, 1, 0, 1], [5, 5, 1, 1], (2, 2))
    fitted = Baseline(reg_user=2, reg_item=1e12).fit(matrix)
    np.testing.assert_allclose(fitted.user_bias, [1, -1], atol=1e-9)


def test_pairs_nobody_knows_get_the_mean_and_are_counted():
    matrix = matrix_of([0, 0, 1], [0, 1, 0], [5, 3, 1], (3, 3))
    fitted = Baseline(1, 1).fit(matrix)
    predicted = fitted.predict([2, 2, 0], [2, 0, 2])
    assert predicted[0] == pytest.approx(3)
    assert predicted[1] == pytest.approx(3 + fitted.item_bias[0])
    assert fitted.fallbacks == 1


def test_a_stored_zero_is_a_rating():
    matrix = matrix_of([0, 0, 1], [0, 1, 0], [0, 3, 3], (2, 2))
    assert matrix.nnz == 3
    assert Baseline().fit(matrix).mean == 2


@pytest.mark.parametrize(
    ("matrix", "complaint"),
    [
        (matrix_of([], [], [], (2, 2)), "holds no rating"),
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
    with pytest.raises(ValueError, match="reg_item -1"):
        Baseline(reg_item=-1).fit(ratings)


@pytest.mark.parametrize(("user", "item"), [(24, 0), (0, 17), (-1, 0)])
def test_pair_outside_the_matrix_is_refused(user, item):
    with pytest.raises(ValueError, match="training matrix has"):
        Baseline().fit(ratings_of(5)).predict([user], [item])
