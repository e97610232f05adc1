"""ALS on Spark: the model of `als`, whatever the blocks, and nothing left behind."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

pytest.importorskip("pyspark", reason="Spark is not installed; `make spark` does that")
if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
    pytest.skip("Spark needs Java, which is not installed", allow_module_level=True)

from pyspark import SparkContext

from cfmf.factorization import checkpoint
from cfmf.factorization.als import ALS
from cfmf.factorization.spark_als import SparkALS, blocks_of_rows
from cfmf.imports import ROOT
from cfmf.methods import registry
from cfmf.tasks import Task
from cfmf.testing import check_method, example

pytestmark = pytest.mark.xdist_group("spark")  # one Java machine for all


def assert_same(found, expected):
    """Factors and predictions to the byte; the curve adds the squared errors in another order."""
    for name, array in expected.model.arrays().items():
        np.testing.assert_array_equal(found.model.arrays()[name], array, err_msg=name)
    for name, values in expected.predictions.items():
        assert found.predictions[name].tobytes() == values.tobytes(), name
    columns = ["epoch", "loss", "train_rmse", "validation_rmse"]
    np.testing.assert_allclose(found.history[columns], expected.history[columns], rtol=1e-12)
    assert found.epochs == expected.epochs


@pytest.mark.parametrize("partitions", [1, 5, None])
def test_model_is_that_of_als_whatever_the_blocks(partitions):
    """Of ratings with an empty row and an empty column."""
    ratings = example(70, 50)
    task = Task(ratings.train, 3, ratings.validation, ratings.test)
    [expected] = ALS(k=5, max_epochs=4).fit_tasks([task])
    [found] = SparkALS(k=5, max_epochs=4, partitions=partitions).fit_tasks([task])
    assert_same(found, expected)


def test_model_of_real_ratings_is_that_of_als(real_data):
    def read(name):
        table = pd.read_csv(real_data / "ml-100k" / name, sep="\t", header=None)
        places = table[0].to_numpy("i4") - 1, table[1].to_numpy("i4") - 1
        found = sparse.csr_array((table[2].to_numpy("f4"), places), shape=(943, 1682))
        found.sort_indices()
        return found

    task = Task(read("u1.base"), 1, test=read("u1.test"), epochs=5)
    settings = {"k": 16, "reg": 0.15}
    [expected] = registry.method("als")(**settings).fit_tasks([task])
    [found] = registry.method("als-spark")(**settings).fit_tasks([task])
    assert_same(found, expected)
    errors = found.predictions["test"] - task.test.data
    assert np.sqrt(np.mean(np.square(errors, dtype=np.float64))) < 0.94


def test_a_stopped_training_goes_on_with_other_blocks_and_leaves_no_folder(
    low_rank, tmp_path, monkeypatch
):
    train, validation, test = low_rank
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    path = tmp_path / "results" / "checkpoint.npz"

    def stop(epoch, measured):
        if epoch == 3:
            raise InterruptedError("stopped")

    settings = {"k": 4, "max_epochs": 6}
    with pytest.raises(InterruptedError, match="stopped"):
        SparkALS(**settings).fit_tasks([Task(train, 1, validation, test, report=stop)], path)
    assert [one.name for one in path.parent.iterdir()] == ["checkpoint-0-0.npz"]
    assert SparkContext._active_spark_context is None
    epochs = []
    task = Task(train, 1, validation, test, report=lambda epoch, measured: epochs.append(epoch))
    [found] = SparkALS(**settings, partitions=3).fit_tasks([task], path)
    assert epochs[0] == 3
    assert_same(found, ALS(**settings).fit(train, validation, test, seed=1))


def test_rows_without_a_unique_solution_are_refused():
    """Users with one rating each, and penalties that vanish in float32."""
    rng = np.random.default_rng(0)
    places = np.arange(400), rng.integers(0, 20, 400)
    train = sparse.csr_array((rng.normal(size=400).astype(np.float32), places), shape=(400, 20))
    for solver in (ALS, SparkALS):
        with pytest.raises(FloatingPointError, match="rows have no unique solution at epoch 0"):
            solver(k=8, reg=1e-60).fit(train)


def test_unknown_master_is_named(low_rank):
    with pytest.raises(ConnectionError, match=r"with the master nowhere \(.*nowhere.*Java 17"):
        SparkALS(k=2, master="nowhere").fit(low_rank[0])


@pytest.mark.parametrize("count", [1, 3, 100])
def test_blocks_have_every_row_once_and_about_as_many_ratings(count):
    ratings = np.random.default_rng(1).poisson(20, 500)
    ratings[7:300] = 0
    indptr = np.concatenate([[0], np.cumsum(ratings)])
    blocks = blocks_of_rows(indptr, count)
    assert [row for begin, end in blocks for row in range(begin, end)] == list(range(500))
    work = [indptr[end] - indptr[begin] + end - begin for begin, end in blocks]
    assert max(work) <= (indptr[-1] + 500) / count + ratings.max() + 1


FIT = """
from cfmf.methods import registry
from cfmf.testing import example
registry.method("als-spark")(k=2, max_epochs=1).fit(example().train)
"""


def fitted_elsewhere(tmp_path, **variables):
    """A fit in a process of its own, whose temporary files are in `tmp_path`."""
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", FIT]
    return subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )


def test_nothing_is_left_behind(tmp_path):
    done = fitted_elsewhere(tmp_path)
    assert done.returncode == 0, done.stderr
    until = time.monotonic() + 60  # Java ends, and removes its folders, after Python
    while list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.2)
    assert list(tmp_path.iterdir()) == []


def test_missing_java_is_named(tmp_path):
    done = fitted_elsewhere(tmp_path, JAVA_HOME=str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "Spark does not start with the master local[" in done.stderr
    assert "needs Java 17 or newer on the PATH or in JAVA_HOME" in done.stderr


@pytest.mark.slow
def test_als_spark_has_the_properties_of_a_method():
    check_method(registry.method("als-spark"), max_epochs=2, partitions=2)
