"""`make check-gpu` compares every kernel, tells a disagreement, and tells where there is no GPU."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks import check_gpu
from cfmf.methods.registry import installed
from tests.checkout import ROOT

SMALL = ["--users", "60", "--items", "40", "--ratings", "900"]


def run(*arguments, code=""):
    lines = ["import sys", "import benchmarks.check_gpu as check_gpu", code]
    return subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, "sys.exit(check_gpu.main())"]), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_kernel_is_compared():
    done = run("--device", "cpu:0", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All that were checked agree." in done.stdout
    assert "NOT CHECKED" not in done.stdout
    for method, found in installed().items():
        if found.job_per_point and found.on_gpu and method != "mf-jax":
            assert f"\n{method} " in done.stdout
    for name in ("user-cf-published", "user-knn, pearson ", "item-knn, cosine "):
        assert f"\n{name}" in done.stdout


def test_disagreement_is_told():
    wrong = (
        "check_gpu.factorized = lambda name, train, test, device: "
        "check_gpu.np.full(test.nnz, 3.0 + (device != 'cpu'))"
    )
    done = run("--device", "cpu:0", *SMALL, code=wrong)
    assert done.returncode == 1
    assert "1.00e+00  DISAGREES" in done.stdout


@pytest.mark.parametrize(
    ("family", "moved", "by", "fine"),
    [
        ("neighbours", 0, 0, True),
        ("neighbours", 1, 0.017, True),
        ("neighbours", 2, 0.017, False),
        ("neighbours", 1, -2.0, False),  # its RMSE tells
        ("factorization", 1, 0.017, False),
    ],
)
def test_neighbour_that_rounding_changed_is_told_from_a_fault(family, moved, by, fine):
    expected = np.full(10_000, 3.5)
    found = expected + 5e-5 * (np.arange(10_000) % 2 * 2 - 1)
    found[:moved] += by
    assert check_gpu.agree(family, expected, found, np.full(10_000, 4.0)) is fine


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_no_gpu_is_told():
    done = run()
    assert done.returncode == 2
    assert done.stdout.startswith("No GPU was checked: torch ")
    assert "Traceback" not in done.stderr
