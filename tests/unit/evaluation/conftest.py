"""A small study with structure: biases, two factors, noise; and a setting for every method."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cfmf.evaluation.bootstrap import Resampling
from cfmf.evaluation.fitting import Setting
from cfmf.factorization import METHODS as FACTORIZATIONS
from cfmf.methods import registry

M, N = 60, 50
NEIGHBOURS = ["baseline", "user-cf-published", "user-knn", "item-knn"]
SHORT = {
    "mf-published": ("4", "0.01", {"max_epochs": 200}),
    "mf-published-jax": ("4", "0.01", {"max_epochs": 200}),
    "mf": ("4", "0.1", {"max_epochs": 100}),
    "mf-bounded": ("4", "0.1", {"max_epochs": 100}),
    "mf-cubic": ("4", "0.1", {"max_epochs": 100}),
    "als": ("4", "0.2", {"max_epochs": 10}),
    "gibbs": ("4", "", {"sweeps": 40, "burn_in": 10}),
    "gibbs-implicit": ("4", "", {"sweeps": 40, "burn_in": 10}),
}
METHODS = [*NEIGHBOURS, *SHORT]


@pytest.fixture(scope="session")
def ratings():
    """Train and test, users × items, 60 × 50; user 0 has no rating in train."""
    rng = np.random.default_rng(8)
    truth = 3.2 + rng.normal(0, 0.5, (M, 1)) + rng.normal(0, 0.5, (1, N))
    truth += rng.normal(size=(M, 2)) @ rng.normal(size=(2, N)) * 0.6
    values = np.clip(np.round(truth + rng.normal(0, 0.3, (M, N))), 1, 5)
    part = rng.choice(3, (M, N), p=[0.4, 0.45, 0.15])
    part[0][part[0] == 1] = 0
    found = []
    for wanted in (1, 2):
        users, items = np.nonzero(part == wanted)
        found.append(
            sparse.csr_array(
                (values[users, items].astype("f4"), (users.astype("i4"), items.astype("i4"))),
                shape=(M, N),
            )
        )
    return found


@pytest.fixture(scope="session")
def setting_of():
    def make(method):
        if method in NEIGHBOURS:
            return Setting(method, "f1", registry.method(method)().model_dump())
        k, reg, options = SHORT[method]
        epochs = 30 if FACTORIZATIONS[method].stops_on_validation else None
        return Setting(method, "f1", options, k, reg, "1", epochs)

    return make


@pytest.fixture(scope="session")
def people():
    return pd.DataFrame({"user": range(M), "user_id": [f"u{place}" for place in range(M)]})


@pytest.fixture(scope="session")
def films():
    titles = [f"Film {place}" for place in range(N)]
    titles[3], titles[4] = "<script>alert(1)</script>", None
    years = [1950 + place if place % 2 else None for place in range(N)]
    return pd.DataFrame({"item": range(N), "item_id": range(100, 100 + N), "title": titles}).assign(
        year=pd.array(years, dtype="Int32")
    )


@pytest.fixture(scope="session")
def resampling():
    return Resampling(400, 3, 0.95)
