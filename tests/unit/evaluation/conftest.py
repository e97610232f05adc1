"""A small study with structure: biases, two factors, noise; and a setting for every method."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cfmf.evaluation.bootstrap import Resampling
from cfmf.evaluation.fitting import Setting
from cfmf.evaluation.recommendations import Labels
from cfmf.methods.base import Method
from cfmf.methods.registry import methods
from cfmf.models import Model, Prediction
from cfmf.testing import informed

M, N = 60, 50
SHORT = {
    "mf-published": {"k": 4, "reg": 0.01, "max_epochs": 200},
    "mf-published-jax": {"k": 4, "reg": 0.01, "max_epochs": 200},
    "mf": {"k": 4, "reg": 0.1, "max_epochs": 100},
    "mf-bounded": {"k": 4, "reg": 0.1, "max_epochs": 100},
    "mf-cubic": {"k": 4, "reg": 0.1, "max_epochs": 100},
    "als": {"k": 4, "reg": 0.2, "max_epochs": 10},
    "sparse-fc": {"k": 4, "reg": 0.1, "max_epochs": 100},
    "autorec": {"k": 4, "reg": 0.1, "max_epochs": 100},
    "gibbs": {"k": 4, "sweeps": 40, "burn_in": 10},
    "gibbs-implicit": {"k": 4, "sweeps": 40, "burn_in": 10},
    "gibbs-dated": {"k": 4, "sweeps": 40, "burn_in": 10},
    "gibbs-full": {"k": 4, "sweeps": 40, "burn_in": 10},
}


class ItemMeans(Model):
    """Nothing but what every model has to have."""

    def __init__(self, means):
        self.means = means

    def predict(self, users, items):
        return Prediction(self.means[items], np.zeros(len(items), bool))

    def arrays(self):
        return {"means": self.means}

    @classmethod
    def from_arrays(cls, arrays):
        return cls(arrays["means"])


class Strange(Method):
    """A method of somebody else's, which declares nothing."""

    name = "strange"
    label = "the mean of every item"
    family = "baseline"

    def fit(self, train, validation=None, **options):
        counts = np.bincount(train.indices, minlength=train.shape[1])
        sums = np.bincount(train.indices, train.data, train.shape[1])
        everything = sums.sum() / counts.sum()
        return ItemMeans(np.float32(np.where(counts, sums / np.maximum(counts, 1), everything)))


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
    def make(name):
        found = Strange if name == "strange" else methods()[name]
        options = SHORT.get(name, {})
        epochs = 30 if found.stops_on_validation else None
        keys = {key: str(options[key]) for key in ("k", "reg") if key in options}
        keys |= {"seed": "1"} if found.stochastic else {}
        method = informed(found(**options, scale=(1, 5)), (M, N))
        return Setting(method, "f1", "d", **keys, epochs=epochs)

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


@pytest.fixture(scope="session")
def labels(people, films):
    return Labels.of(people, films)


def pytest_generate_tests(metafunc):
    """A test with `name` runs for every method but two that take long, and for a stranger's."""
    if "name" in metafunc.fixturenames:
        names = [name for name in methods() if name not in ("als-spark", "mf-jax", "mf-sgd")]
        metafunc.parametrize("name", [*names, "strange"])
