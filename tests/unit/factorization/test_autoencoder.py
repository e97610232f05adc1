"""Item autoencoders: gradients, the kernel, and that watching the test part decides nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cfmf.factorization import autoencoder
from cfmf.factorization.autoencoder import OFFSET, Autoencoder, _Training
from cfmf.kernels.products import ObservedPairs
from cfmf.methods.autorec import AutoRec
from cfmf.methods.sparse_fc import SparseFC
from cfmf.observed import pairs, rmse
from cfmf.tasks import Task
from cfmf.training import Run, train_point

SHAPES = [(1, 0), (2, 0), (2, 3), (3, 2)]


def dense(ratings):
    """Ratings of items × users and who rated what, in float64."""
    users, items = pairs(ratings)
    values, rated = np.zeros((2, *ratings.shape[::-1]))
    values[items, users], rated[items, users] = ratings.data, 1
    return torch.from_numpy(values), torch.from_numpy(rated)


def loss_by_definition(tensors, settings, ratings):
    """The objective, of the whole table with a mask, and its predictions, users × items."""
    values, rated = dense(ratings)
    each = 4 if settings.kernel else 2
    hidden, penalty = rated * (values + OFFSET), 0.0
    for place in range(settings.layers + 1):
        plain, bias, *vectors = tensors[each * place : each * (place + 1)]
        kept = torch.ones_like(plain)
        if vectors:
            kept = (1 - torch.cdist(vectors[0], vectors[1]) ** 2).clamp(min=0)
            penalty = penalty + settings.sparsity * (kept**2).sum()
        penalty = penalty + (plain**2).sum()
        hidden = hidden @ (plain * kept) + bias
        if place < settings.layers:
            hidden = 1 / (1 + torch.exp(-hidden))
    strength = settings.reg * ratings.nnz / ratings.shape[0]
    errors = rated * (hidden - values)
    return (0.5 * (errors**2).sum() + 0.5 * strength * penalty) / ratings.nnz, hidden.T


@pytest.mark.parametrize(("layers", "kernel"), SHAPES)
def test_loss_and_gradients_are_those_of_the_definition(ratings, layers, kernel, monkeypatch):
    monkeypatch.setattr(autoencoder, "KERNEL_DEVIATION", 0.4)  # so that some weights are cut off
    settings = Autoencoder(4, 0.3, layers, kernel, sparsity=0.2, dtype=torch.float64)
    training = _Training(settings, Task(ratings))
    tensors = [one.detach().clone().requires_grad_() for one in training.tensors]
    expected, predictions = loss_by_definition(tensors, settings, ratings)
    assert training.measure()[0, 0] == pytest.approx(expected.item(), rel=1e-9)
    for found, one in zip(training.gradients, torch.autograd.grad(expected, tensors), strict=True):
        torch.testing.assert_close(found, one, rtol=1e-8, atol=1e-10)
    training.keep(np.array([True]))
    users, items = np.indices(ratings.shape).reshape(2, -1)
    rated = np.diff(ratings.indptr)[users] > 0
    values = training.model().values(users, items)
    np.testing.assert_allclose(
        values[rated], predictions.detach().numpy().ravel()[rated], atol=1e-5
    )


def test_gradients_are_those_of_small_differences(ratings):
    observed = ObservedPairs([ratings], dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(size, 3, generator=random, dtype=torch.float64, requires_grad=True)
        for size in ratings.shape
    )
    assert torch.autograd.gradcheck(
        lambda a, b: autoencoder._Products.apply(a, b, observed), (left, right)
    )
    assert torch.autograd.gradcheck(
        lambda a: autoencoder._Read.apply(a, observed, observed.ratings), (left,)
    )


def test_distant_units_are_not_connected():
    layer = autoencoder.Layer(3, 2, 2, torch.Generator().manual_seed(0))
    layer.tensors[2], layer.tensors[3] = torch.zeros(3, 2), torch.tensor([[0.5, 0.0], [1.0, 1.0]])
    used, kept = layer.weights()
    torch.testing.assert_close(kept, torch.tensor([[0.75, 0.0]] * 3))
    torch.testing.assert_close(used, layer.tensors[0] * kept)


@pytest.mark.parametrize("method", [SparseFC, AutoRec])
def test_learns_more_than_means(method, low_rank):
    train, validation, test = low_rank
    fitted = method(k=32).fit_tasks([Task(train, 1, validation, test)])[0]
    assert rmse(fitted.predictions["test"], test.data) < 0.85 * test.data.std()


def test_watching_goes_on_for_the_patience_and_changes_nothing(low_rank):
    train, _, test = low_rank
    settings = Autoencoder(8, 0.2, patience=7)
    task = Task(train, 1, test=test, epochs=5)
    plain, watched = (
        settings.fit_tasks([replace(task, watch_test=watch)])[0] for watch in (False, True)
    )
    assert plain.epochs == watched.epochs == 5
    assert (len(plain.history), len(watched.history)) == (6, 13)
    assert plain.predictions["test"].tobytes() == watched.predictions["test"].tobytes()
    at_end = watched.history["test_rmse"].iloc[5]
    assert rmse(watched.predictions["test"], test.data) == pytest.approx(at_end, rel=1e-5)


def test_lowest_epoch_on_test_is_a_metric_of_its_own(low_rank):
    train, validation, test = low_rank
    run = Run("f1", 1, train, validation, train, test)
    found = train_point(AutoRec(k=8, max_epochs=40), [run])
    of_test = found.metrics[found.metrics["split"] == "test"].set_index("metric")["value"]
    refits = found.history[found.history["phase"] == "refit"]
    assert of_test["rmse_lowest_epoch"] == pytest.approx(refits["test_rmse"].min(), rel=1e-6)
    assert of_test["rmse_lowest_epoch"] <= of_test["rmse"] + 1e-5
