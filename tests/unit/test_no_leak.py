"""No method's predictions depend on the test ratings, nor on which pairs are asked."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from cfmf.methods import registry
from cfmf.prediction import predict_selected
from cfmf.selection import choose_trial
from cfmf.training import Run, train_point
from cfmf.tuning import Setup, tune

SETTINGS = {
    "mf-published": {"max_epochs": 20},
    "mf-published-jax": {"max_epochs": 20},
    "mf": {"max_epochs": 20},
    "mf-bounded": {"max_epochs": 20},
    "mf-cubic": {"max_epochs": 20},
    "mf-jax": {"max_epochs": 20},
    "mf-sgd": {"max_epochs": 10},
    "als": {"max_epochs": 4},
    "sparse-fc": {"max_epochs": 10},
    "autorec": {"max_epochs": 10},
    "gibbs": {"sweeps": 10, "burn_in": 2},
    "gibbs-implicit": {"sweeps": 10, "burn_in": 2},
}
NEIGHBOURS = {
    "baseline": {},
    "user-cf-published": {},
    "user-knn": {"neighbours": [5], "similarity": ["pearson-baseline"]},
    "item-linear": {"reg": [1]},
    "item-knn": {"neighbours": [5], "similarity": ["cosine"]},
}


@pytest.fixture(scope="module")
def parts():
    """The parts of a fold, with two test matrices: the second is the first and as much again."""
    rng = np.random.default_rng(3)
    ratings = rng.integers(1, 6, (40, 30)).astype(np.float32)
    part = rng.choice(
        ["fit", "validation", "few", "more", "none"], (40, 30), p=[0.3, *[0.1] * 3, 0.4]
    )

    def matrix(*names):
        rows, columns = np.nonzero(np.isin(part, names))
        return sparse.csr_array((ratings[rows, columns], (rows, columns)), shape=ratings.shape)

    other = matrix("few")
    other.data = 6 - other.data
    return {
        "fit": matrix("fit"),
        "validation": matrix("validation"),
        "train": matrix("fit", "validation"),
        "few": matrix("few"),
        "other": other,
        "many": matrix("few", "more"),
    }


def on_few(parts, test, predictions):
    """The predictions of the pairs of `few`, in its order."""
    dense = np.full(parts["few"].shape, np.nan, dtype=np.float32)
    rows = np.repeat(np.arange(dense.shape[0]), np.diff(test.indptr))
    dense[rows, test.indices] = predictions
    few = parts["few"]
    return dense[np.repeat(np.arange(dense.shape[0]), np.diff(few.indptr)), few.indices]


@pytest.mark.parametrize("method", SETTINGS)
def test_factorization(parts, method):
    if method == "mf-jax":
        pytest.importorskip("jax", reason="JAX is not installed")

    def predicted(test):
        run = Run("f1", 1, parts["fit"], parts["validation"], parts["train"], parts[test])
        settings = {"k": 2, **({} if method.startswith("gibbs") else {"reg": 0.1})}
        settings |= SETTINGS[method]
        found = train_point(registry.method(method)(**settings, scale=(1.0, 5.0)), [run])
        return on_few(parts, parts[test], found.predictions["prediction"].to_numpy())

    expected = predicted("few")
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(predicted("other"), expected)
    np.testing.assert_allclose(predicted("many"), expected, rtol=1e-6)


@pytest.mark.parametrize("method", NEIGHBOURS)
def test_neighbours(parts, method):
    setup = Setup(registry.method(method), NEIGHBOURS[method], {"f1": parts}, scale=(1.0, 5.0))
    trials = tune(setup).trials
    settings = choose_trial(trials)

    def predicted(test):
        folds = {"f1": {"train": parts["train"], "test": parts[test]}}
        found = predict_selected(replace(setup, folds=folds), settings)
        return on_few(parts, parts[test], found.predictions["prediction"].to_numpy())

    expected = predicted("few")
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(predicted("other"), expected)
    np.testing.assert_allclose(predicted("many"), expected, rtol=1e-6)
