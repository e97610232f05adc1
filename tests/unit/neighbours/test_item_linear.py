"""Item regression against the dense equations in float64, and what it must get right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neighbour_references import matrix_of, pairs_of, ratings_of

from cfmf.methods.item_linear import ItemLinear
from cfmf.neighbours.biases import fit_biases, tuned_regs
from cfmf.neighbours.regression import Relations
from cfmf.observed import pairs, rmse

SETTINGS = [
    {},
    {"reg": 0.3, "implicit": 0.0},
    {"reg": 3.0, "implicit": 1.0, "agreement": 1.0, "shrinkage": 0.0},
    {"agreement": 0.0, "shrinkage": 2.0},
]


def residuals_of(ratings):
    """Baseline of all pairs, dense residuals in their unit (0 where missing), who rated, unit."""
    biases = fit_biases(ratings, *tuned_regs(ratings))
    users, items = pairs(ratings)
    residuals = biases.residuals(ratings).astype("f8")
    unit = residuals.std() or 1.0
    dense, rated = np.zeros((2, *ratings.shape))
    dense[users, items], rated[users, items] = residuals / unit, 1
    everyone, everything = np.indices(ratings.shape).reshape(2, -1)
    return biases.predict(everyone, everything).reshape(ratings.shape), dense, rated, unit


def covariance(dense, rated, method):
    """s_ij(u), users × items × items, and t_uv(i), items × users × users, by their definitions."""
    m, n = dense.shape
    weighted = []
    for x, share in ((dense, method.agreement), (rated, 1 - method.agreement)):
        norms = np.square(x).sum(0) + method.shrinkage
        weighted.append(x * np.sqrt(share / np.maximum(norms, 1e-12)))
    of_items = np.zeros((m, n, n))
    for user in range(m):
        others = np.arange(m) != user
        of_items[user] = sum(x[others].T @ x[others] for x in weighted)
    scaled = rated / np.sqrt(np.maximum(rated.sum(1, keepdims=True), 1))
    of_users = np.zeros((n, m, m))
    for item in range(n):
        others = np.arange(n) != item
        of_users[item] = method.implicit * scaled[:, others] @ scaled[:, others].T
    return of_items, of_users


def expected(ratings, method):
    """Predictions of all pairs, users × items, from one dense solution."""
    baseline, dense, rated, unit = residuals_of(ratings)
    of_items, of_users = covariance(dense, rated, method)
    users, items = pairs(ratings)
    everyone, everything = np.indices(ratings.shape).reshape(2, -1)

    def between(rows, columns):
        same_user = rows[0][:, None] == columns[0]
        same_item = rows[1][:, None] == columns[1]
        of_item = of_items[rows[0][:, None], rows[1][:, None], columns[1]]
        of_user = of_users[rows[1][:, None], rows[0][:, None], columns[0]]
        return same_user * of_item + same_item * of_user

    observed = (users, items)
    matrix = between(observed, observed) + method.reg * np.eye(ratings.nnz)
    weights = np.linalg.solve(matrix, dense[observed])
    moved = between((everyone, everything), observed) @ weights
    return baseline + unit * moved.reshape(ratings.shape)


@pytest.mark.parametrize("chosen", SETTINGS, ids=str)
def test_equals_the_dense_equations(chosen):
    ratings = ratings_of(seed=4)
    method = ItemLinear(**chosen)
    users, items = np.indices(ratings.shape).reshape(2, -1)
    found = method.fit(ratings).predict(users, items).values
    # Conjugate gradients leave a thousandth of the residuals.
    np.testing.assert_allclose(found, expected(ratings, method).ravel(), atol=5e-3)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31), st.floats(0.05, 20), st.lists(st.floats(0, 50), min_size=0, max_size=3)
)
def test_penalties_solved_together_equal_those_solved_alone(seed, lowest, more):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 12, 2)
    users, items = np.nonzero(rng.random(shape) < 0.5)
    if not len(users):
        return
    residuals = matrix_of(users, items, rng.normal(size=len(users)), tuple(shape))
    relations = Relations.of(residuals, 0.4, 1.0, 0.3)
    regs = [lowest, *(lowest + one for one in more)]
    for reg, together in zip(regs, relations.solve(regs), strict=True):
        [alone] = relations.solve([reg])
        left = residuals.data - sum(relations.sums(together, residuals)) - reg * together
        np.testing.assert_allclose(together, alone, atol=5e-3 * np.abs(residuals.data).max() / reg)
        assert np.linalg.norm(left) <= 3e-3 * np.linalg.norm(residuals.data)


def test_penalties_far_apart_are_solved_together():
    """The factors of a large one would be 0 in float64 long before the lowest one is solved."""
    ratings = ratings_of(seed=2, users=150, items=120, density=0.3)
    residuals = matrix_of(*pairs(ratings), ratings.data - 3, ratings.shape)
    relations = Relations.of(residuals, 0.35, 0.0, 0.3)
    regs = [1e-3, 1.0, 1e6, 1e12]
    for reg, found in zip(regs, relations.solve(regs), strict=True):
        left = residuals.data - sum(relations.sums(found, residuals)) - reg * found
        assert np.linalg.norm(left) <= 1e-2 * np.linalg.norm(residuals.data)


def test_grid_predicts_as_single_fits(ratings):
    users, items = pairs(ratings)
    grid = [ItemLinear(reg=reg) for reg in (0.5, 2, 1)]
    together = ItemLinear.predict_grid(grid, ratings, users[::-1], items[::-1])
    for method, one in zip(grid, together, strict=True):
        alone = method.fit(ratings).predict(users[::-1], items[::-1])
        np.testing.assert_allclose(one.values, alone.values, atol=5e-3)


def test_a_weight_is_of_the_other_users_alone():
    """Of two items that only one user rated, nothing is learned about that user."""
    ratings = matrix_of([0, 0, 1, 2], [0, 1, 2, 2], [5, 1, 3, 2], (3, 4))
    model = ItemLinear(implicit=0.0).fit(ratings)
    assert model.predict([0, 0, 1], [0, 1, 0]).is_fallback.all()


def test_equal_items_share_their_weight():
    """A neighbour and its copy add about what the neighbour alone does, unlike in an average."""
    rng = np.random.default_rng(0)
    taste = rng.normal(size=200)
    columns = [taste + 0.3 * rng.normal(size=200) for _ in range(3)]
    noise = [rng.normal(size=200) for _ in range(3)]
    values = np.column_stack([*columns, columns[-1], *noise])
    users, items = np.nonzero(np.ones_like(values))
    kept = ~((items == 0) & (users < 50))
    ratings = matrix_of(users[kept], items[kept], values[users[kept], items[kept]], values.shape)
    model = ItemLinear(reg=0.5, implicit=0.0, agreement=1.0, shrinkage=0.0).fit(ratings)
    shares = {part.number: part.contribution for part in model.explain(0, 0).parts}
    assert abs(shares[2] - shares[3]) < 1e-3
    error = rmse(model.predict(np.arange(50), np.zeros(50, int)).values, values[:50, 0])
    assert error < 0.6 * values[:50, 0].std()


def test_movielens(movielens):
    """No setting is chosen here: the default, on one official fold."""
    train, test = (movielens["u1"][part] for part in ("train", "test"))
    found = rmse(ItemLinear().fit(train).predict(*pairs_of(test)).values, test.data)
    assert found == pytest.approx(0.903, abs=0.001)
