"""ALS: exact solutions, a falling objective, and the same minimum as gradient descent."""

import numpy as np
import pytest
import torch

from cfmf.factorization.adamw import AdamW
from cfmf.factorization.als import ALS, ALSTraining
from cfmf.factorization.torch_adamw import TorchAdamW
from cfmf.factorization.torch_adamw import _Training as Descent
from cfmf.kernels.solve import inner_products, solve_rows
from cfmf.methods import registry
from cfmf.tasks import Task


def test_rows_solve_their_normal_equations(ratings):
    rng = np.random.default_rng(0)
    design, offsets = rng.normal(size=(9, 8)), rng.normal(size=9)
    precision, pull = rng.uniform(0.5, 2, (12, 8)), rng.normal(size=(12, 8))
    roots = rng.uniform(0.5, 2, 9)
    found = solve_rows(ratings, design, offsets, roots, precision, pull, 6)
    for row in range(12):
        items = ratings.indices[ratings.indptr[row] : ratings.indptr[row + 1]]
        values = ratings.data[ratings.indptr[row] : ratings.indptr[row + 1]] - offsets[items]
        chosen = design[items, :6]
        weighted = chosen.T * roots[items] ** 2
        matrix = np.diag(precision[row, :6]) + weighted @ chosen
        expected = np.linalg.solve(matrix, pull[row, :6] + weighted @ values)
        np.testing.assert_allclose(found[row, :6], expected, rtol=1e-10)
        assert not found[row, 6:].any()


def test_noise_has_the_inverse_matrix_as_covariance(ratings):
    """p - mean = L⁻ᵀ z, so unit vectors for z give the columns of a root of A⁻¹."""
    rng = np.random.default_rng(0)
    design, zeros = rng.normal(size=(9, 8)), np.zeros((12, 8))
    settings = (ratings, design, np.zeros(9), np.full(9, 2**0.5), np.ones((12, 8)), zeros, 8)
    root = np.stack([solve_rows(*settings, np.tile(z, (12, 1))) for z in np.eye(8)], axis=2)
    root -= solve_rows(*settings)[:, :, None]
    for row in range(12):
        chosen = design[ratings.indices[ratings.indptr[row] : ratings.indptr[row + 1]]]
        expected = np.linalg.inv(np.eye(8) + 2 * chosen.T @ chosen)
        np.testing.assert_allclose(root[row] @ root[row].T, expected, atol=1e-12)


def test_rows_without_a_unique_solution_are_refused(ratings):
    zeros = np.zeros((12, 8), np.float32)
    with pytest.raises(FloatingPointError, match="rows have no unique solution"):
        solve_rows(ratings, np.zeros((9, 8), np.float32), np.zeros(9), np.ones(9), zeros, zeros, 8)


def test_inner_products_equal_dense_ones(ratings, dense_of):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(12, 8)), rng.normal(size=(9, 8))
    _, mask = dense_of(ratings)
    np.testing.assert_allclose(inner_products(ratings, left, right), (left @ right.T)[mask])


@pytest.mark.parametrize("weighting", [0.0, 0.5, 1.0])
def test_objective_never_rises_and_falls_to_a_stationary_point(low_rank, weighting):
    train = low_rank[0]
    options = {"k": 5, "reg": 0.1, "weighting": weighting, "dtype": np.float64}
    training = ALSTraining(ALS(**options), Task(train))
    losses = [training.measure()[0, 0]]
    for _ in range(300):
        training.step()
        losses.append(training.measure()[0, 0])
    assert (np.diff(losses) <= 1e-13).all()
    descent = Descent(TorchAdamW(**options, device="cpu"), [Task(train)])
    descent.left[:] = torch.from_numpy(training.left)
    descent.right[:] = torch.from_numpy(training.right)
    assert descent.measure()[0, 0] == pytest.approx(losses[-1], rel=1e-7)  # the mean is float32
    assert max(*(gradient.abs().max() for gradient in descent.gradients)) < 1e-6


def test_gradient_descent_finds_the_same_minimum(low_rank):
    train = low_rank[0]
    exact = ALS(k=3, reg=0.1, tolerance=1e-8, max_epochs=300).fit(train)
    descent = AdamW(k=3, reg=0.1, max_epochs=600, learning_rate=0.02, patience=None).fit(train)
    assert descent.history["loss"].iloc[-1] == pytest.approx(
        exact.history["loss"].iloc[-1], rel=1e-3
    )


def test_same_seed_same_bits(low_rank):
    train, validation, _ = low_rank
    first, second = (ALS(k=4).fit(train, validation, seed=3) for _ in range(2))
    assert first.model.user_factors.tobytes() == second.model.user_factors.tobytes()
    assert first.epochs == second.epochs


@pytest.mark.parametrize(
    ("options", "message"), [({"k": 0}, "k is 0"), ({"k": 2, "reg": 0}, "needs both above 0")]
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ALS(**options)


def test_known_user_who_is_folded_in_is_predicted_as_before(low_rank):
    """At the minimum of the objective, no user's row can be improved with the items held fixed."""
    train, _, _ = low_rank
    method = registry.method("als")(k=3, reg=0.2, max_epochs=300, tolerance=0)
    model = method.fit(train)
    wider = model.fold_in(train[:20])
    users, items = np.indices((20, train.shape[1])).reshape(2, -1)
    known = model.predict(users, items).values
    again = wider.predict(users + train.shape[0], items).values
    np.testing.assert_allclose(again, known, atol=2e-3)
    assert np.ptp(known) > 1
