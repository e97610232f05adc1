"""Ratings as solvers see them: standard, in an order of their own, and back again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cfmf.factorization.als import ALS
from cfmf.factorization.gibbs import Gibbs
from cfmf.factorization.standard import Standard
from cfmf.observed import row_keys
from cfmf.tasks import Task


def changed(part, a, b):
    values = (a * part.data.astype(np.float64) + b).astype(np.float32)
    return sparse.csr_array((values, part.indices, part.indptr), shape=part.shape)


def permuted(part, users, items):
    found = part[users][:, items]
    found.sort_indices()
    return found


def test_ratings_are_standard_and_those_of_all_parts_alike(low_rank):
    train, validation, test = low_rank
    seen = Standard.of(train).task(Task(train, 3, validation, test, bounds=(0.0, 6.0)))
    values = seen.train.data.astype(np.float64)
    assert values.mean() == pytest.approx(0, abs=1e-6)
    assert values.std() == pytest.approx(1, rel=1e-6)
    mean, spread = train.data.mean(dtype="f8"), train.data.std(dtype="f8")
    np.testing.assert_allclose(
        np.sort(seen.test.data), np.sort((test.data - mean) / spread), atol=1e-6
    )
    np.testing.assert_allclose(seen.bounds, (np.array([0, 6]) - mean) / spread)
    assert seen.seed == 3


@given(seed=st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_order_comes_from_the_ratings_alone(seed):
    rng = np.random.default_rng(seed)
    dense = rng.integers(0, 6, (14, 11)) * (rng.random((14, 11)) < 0.6)
    users, items = rng.permutation(14), rng.permutation(11)
    train = sparse.csr_array(dense.astype("f4"))
    moved = sparse.csr_array(dense[users][:, items].astype("f4"))
    for before, after, order in zip(row_keys(train), row_keys(moved), (users, items), strict=True):
        np.testing.assert_array_equal(before[order], after)
    for a, b in ((4, -2), (1e-3, 0)):
        for before, after in zip(row_keys(train), row_keys(changed(train, a, b)), strict=True):
            np.testing.assert_array_equal(before, after)


def test_rows_of_other_ratings_have_other_numbers():
    rng = np.random.default_rng(1)
    dense = rng.integers(1, 6, (3000, 40)) * (rng.random((3000, 40)) < 0.2)
    keys = row_keys(sparse.csr_array(dense.astype("f4")))[0]
    assert len(np.unique(keys)) == len(np.unique(dense, axis=0))


@pytest.mark.parametrize("solver", [ALS(k=2), Gibbs(k=2, sweeps=6, burn_in=2, draws=2)])
def test_what_is_restored_is_in_the_scale_and_order_of_the_task(low_rank, solver):
    """The curve, the predictions of all parts and the model's own are about the given ratings."""
    train, validation, test = (changed(part, 25, 100) for part in low_rank)
    reports = []
    task = Task(train, 1, validation, test, report=lambda epoch, found: reports.append(found))
    standard = Standard.of(train)
    [fitted] = solver.fit_tasks([standard.task(task)])
    found = standard.restored(fitted, task)
    for name, part in task.parts().items():
        users, items = part.tocoo().coords
        error = found.predictions[name] - part.data
        if isinstance(solver, ALS):
            values = found.model.predict(users, items).values
            np.testing.assert_allclose(found.predictions[name], values, rtol=1e-5)
        rmse = np.sqrt(np.mean(np.square(error, dtype="f8")))
        assert rmse < 0.9 * part.data.std()
        if name != "test":
            assert rmse == pytest.approx(found.history[f"{name}_rmse"].iloc[-1], rel=0.02)
    history = found.history
    assert [one["train_rmse"] for one in reports] == pytest.approx(history["train_rmse"].tolist())
    assert [one["loss"] for one in reports] == pytest.approx(history["loss"].tolist())
    assert history["loss"].iloc[-1] > 0.5 * history["train_rmse"].iloc[-1] ** 2 * 0.9
    assert history["epoch"].dtype == np.int32


def test_numbering_users_and_items_otherwise_changes_no_bit(low_rank):
    rng = np.random.default_rng(2)
    users, items = rng.permutation(150), rng.permutation(120)
    found = []
    for parts in (low_rank, [permuted(part, users, items) for part in low_rank]):
        task = Task(parts[0], 1, parts[1])
        standard = Standard.of(task.train)
        [fitted] = ALS(k=3, max_epochs=5).fit_tasks([standard.task(task)])
        found.append(standard.restored(fitted, task).model)
    np.testing.assert_array_equal(found[0].user_factors[users], found[1].user_factors)
    np.testing.assert_array_equal(found[0].item_bias[items], found[1].item_bias)
