"""Methods of other packages: what they declare here, and, where installed, that they keep to it."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import yaml
from scipy import sparse

from cfmf.imports import ROOT
from cfmf.methods.registry import load, schema
from cfmf.peers.common import Rows, factorization

STUDY = yaml.safe_load((ROOT / "config/peers.yaml").read_text("utf-8"))
CLASSES = {name: block["class"] for name, block in STUDY["methods"].items()}
PACKAGE = {name: path.split(":")[0].rpartition(".")[2] for name, path in CLASSES.items()}


@pytest.mark.parametrize("name", CLASSES)
def test_method_is_declared_without_its_package(name):
    found = load("", CLASSES[name])
    assert (found.name, found.environment) == (name, "peers")
    assert found.candidates({})
    assert set(schema(found)["properties"]) == set(found.settings())
    assert set(found.grids()) <= {"k", "reg"} or not found.job_per_point


@pytest.mark.parametrize("name", CLASSES)
def test_a_missing_package_is_named_with_its_extra(name):
    if find_spec(PACKAGE[name]):
        pytest.skip(f"{PACKAGE[name]} is installed")
    train = sparse.csr_array(np.ones((2, 2), np.float32))
    with pytest.raises(ModuleNotFoundError, match=rf"needs {PACKAGE[name]}, .*cfmf\[peers\]"):
        load("", CLASSES[name])().fit(train)


def test_parameters_go_back_to_the_numbers_of_users_and_items():
    train = sparse.csr_array(np.array([[0, 4, 2], [0, 0, 0], [5, 0, 0]], dtype=np.float32))
    rng = np.random.default_rng(3)
    users = Rows(np.array([2, 0]), rng.normal(size=(2, 4)), rng.normal(size=2))
    items = Rows(np.array([1, 0, 2]), rng.normal(size=(3, 4)), rng.normal(size=3))
    model = factorization(train, 3.5, users, items)
    found = model.predict(np.array([0, 2, 1]), np.array([1, 0, 2]))
    wanted = [
        3.5 + users.biases[1] + items.biases[0] + users.factors[1] @ items.factors[0],
        3.5 + users.biases[0] + items.biases[1] + users.factors[0] @ items.factors[1],
        3.5 + items.biases[2],
    ]
    np.testing.assert_allclose(found.values, wanted, rtol=1e-5)
    assert found.is_fallback.tolist() == [False, False, True]


SCRIPT = """
import sys
import numpy as np
from cfmf.methods.registry import load
from cfmf.observed import pairs, rmse
from cfmf.testing import example
ratings = example(60, 50)
method = load("", sys.argv[1])()
first, second = (method.fit(ratings.train, seed=1).predict(*pairs(ratings.test)) for _ in "ab")
assert first.values.tobytes() == second.values.tobytes(), "two fits differ"
assert np.isfinite(first.values).all() and first.values.dtype == np.float32
of_mean = np.full(ratings.test.nnz, ratings.train.data.mean())
assert rmse(first.values, ratings.test.data) < rmse(of_mean, ratings.test.data)
unknown = method.fit(ratings.train, seed=1).predict([2, 0], [0, 3])
assert unknown.is_fallback.all() and np.isfinite(unknown.values).all()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_method_learns_and_repeats_itself(name):
    """By the Python that CFMF_PEERS names, with the packages of requirements/peers.txt."""
    python = os.environ.get("CFMF_PEERS") or (find_spec(PACKAGE[name]) and sys.executable)
    if not python:
        pytest.skip("CFMF_PEERS names no Python that has the packages of requirements/peers.txt")
    done = subprocess.run(
        [python, "-W", "ignore", "-c", SCRIPT, CLASSES[name]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
