"""JAX against torch from one start."""

import numpy as np
import pytest

pytest.importorskip("jax", reason="JAX is not installed")

import jax
import jax.numpy as jnp

from cfmf.devices import DeviceError
from cfmf.factorization.checkpoint import fingerprint
from cfmf.factorization.jax_adamw import JaxAdamW, mean_square, on_device
from cfmf.factorization.objective import start_factors
from cfmf.factorization.torch_adamw import TorchAdamW
from cfmf.observed import pairs
from cfmf.published.methods.mf_published import PUBLISHED
from cfmf.tasks import Task


@pytest.mark.parametrize("options", [{}, {**PUBLISHED, "learning_rate": 5e-3, "reg": 0.01}])
def test_torch_and_jax_agree_over_100_steps(low_rank, options):
    train, validation, test = low_rank
    options = {"max_epochs": 100, **options, "patience": None}
    deviation = options.get("initial_scale", 0.1) / (3**0.5 if "biases" not in options else 1)
    start = start_factors(*train.shape, 3, deviation, 1)
    task = Task(train, 1, validation, test, watch_test=True)
    [torch_one] = TorchAdamW(k=3, **options, device="cpu").fit_tasks([task])
    [jax_one] = JaxAdamW(k=3, start=start, **options).fit_tasks([task])
    columns = ["epoch", "loss", "train_rmse", "validation_rmse", "test_rmse"]
    assert len(jax_one.history) == 101
    np.testing.assert_allclose(jax_one.history[columns], torch_one.history[columns], rtol=1e-4)
    for name in ("user_factors", "item_factors", "user_bias", "item_bias"):
        ours, theirs = getattr(torch_one.model, name), getattr(jax_one.model, name)
        np.testing.assert_allclose(theirs, ours, atol=1e-4)


def test_gradients_of_the_inner_products_are_those_that_jax_finds_itself(ratings):
    ratings.data[:] = np.arange(ratings.nnz)
    rng = np.random.default_rng(2)
    blocks = [jnp.asarray(rng.normal(size=(rows, 3)), jnp.float32) for rows in ratings.shape]
    part = on_device(ratings, 3.0)
    users, items = pairs(ratings)

    def plain(left, right):
        return jnp.mean(jnp.square(jnp.sum(left[users] * right[items], 1) + 3 - ratings.data))

    ours, theirs = (
        jax.value_and_grad(function, argnums=(0, 1))(*blocks)
        for function in (lambda left, right: mean_square(left, right, part), plain)
    )
    assert ours[0] == pytest.approx(float(theirs[0]))
    for our, their in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-6)


def test_users_and_items_start_from_different_keys(make_matrix):
    square = make_matrix(np.random.default_rng(0), 10, 10, 0.5)
    found = JaxAdamW(k=3, max_epochs=1, **PUBLISHED | {"epsilon": 1e-8})
    [fitted] = found.fit_tasks([Task(square, epochs=0)])
    assert not np.allclose(fitted.model.user_factors, fitted.model.item_factors)
    assert abs(fitted.model.user_factors).max() > 1


def test_checkpoint_of_another_start_is_not_resumed(ratings):
    """Two starts of a thousand rows each, which print alike."""
    first = tuple(np.ones((1000, 2), np.float32) for _ in range(2))
    second = (first[0], first[1].copy())
    second[1][500, 1] = 2
    found = {fingerprint(JaxAdamW(k=2, start=start), [Task(ratings)]) for start in (first, second)}
    assert len(found) == 2


def test_runs_repeat(low_rank):
    train, validation, test = low_rank
    first, second = (JaxAdamW(k=3, reg=0.05).fit(train, validation, test) for _ in range(2))
    assert first.predictions["test"].tobytes() == second.predictions["test"].tobytes()


def test_penalties_it_does_not_have_are_refused():
    with pytest.raises(ValueError, match="in JAX it must be l2 or decay"):
        JaxAdamW(k=2, penalty="cubic")


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is a GPU here")
def test_build_without_cuda_is_told_as_what_it_is(low_rank):
    with pytest.raises(DeviceError, match=r"JAX \S+ sees no device called cuda .*JAX=cuda"):
        JaxAdamW(k=2, device="cuda").fit_tasks([Task(low_rank[0], epochs=1)])
