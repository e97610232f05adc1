"""Sums whose order is written down: right, and the same in every process."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from scipy import special

from cfmf.kernels.lanes import add_four, four_products, inner_product, inner_products_2_4, logistic
from cfmf.kernels.solve import inner_products

SUMS = """
import hashlib
import numpy as np
from scipy import sparse
from cfmf.factorization.adamw import AdamW
from cfmf.factorization.als import ALS
from cfmf.factorization.gibbs import Gibbs
from cfmf.factorization.sgd import SGD
from cfmf.tasks import Task

rng = np.random.default_rng(1)
ratings = sparse.random_array((40, 50), density=0.3, rng=rng, format="csr", dtype=np.float32)
for solver in (
    ALS(k=5, reg=0.1, max_epochs=4),
    SGD(k=5, reg=0.1, max_epochs=4),
    Gibbs(k=5, sweeps=4, burn_in=1, implicit="both"),
    AdamW(k=5, max_epochs=4),
    AdamW(k=5, max_epochs=4, bounded=True, penalty="cubic"),
):
    fitted = solver.fit_tasks([Task(ratings, 1, validation=ratings)])[0]
    told = fitted.history.drop(columns="seconds").to_csv()
    print(hashlib.sha256(told.encode() + fitted.predictions["train"].tobytes()).hexdigest())
"""


@numba.njit
def one(left, row, right, other, length):
    return inner_product(left, row, right, other, length)


@numba.njit
def eight(rows, a, b, length):
    return inner_products_2_4(rows, a, b, length)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [0, 4, 8, 20, 56])
def test_equals_float64(dtype, length):
    rows = np.random.default_rng(length).standard_normal((7, 60)).astype(dtype)
    exact = rows[:, :length].astype(np.float64) @ rows[:, :length].T.astype(np.float64)
    near = {"rtol": 0, "atol": 2e-5 if dtype == np.float32 else 1e-13}
    np.testing.assert_allclose(one(rows, 1, rows, 5, length), exact[1, 5], **near)
    np.testing.assert_allclose(eight(rows, 0, 2, length), [*exact[0, 2:6], *exact[1, 2:6]], **near)


@numba.njit
def four(left, row, right, others, at, found):
    four_products(left, row, right, others, at, found)


@numba.njit
def spread(left, row, right, others, at, factors, left_sums, right_sums):
    add_four(left, row, right, others, at, factors, left_sums, right_sums)


@numba.njit
def squash(values, length):
    logistic(values, length)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [8, 24, 136])
def test_four_products_are_inner_products(dtype, columns):
    rng = np.random.default_rng(columns)
    left, right = (rng.standard_normal((7, columns)).astype(dtype) for _ in range(2))
    others, found = np.array([9, 3, 0, 6, 1]), np.zeros((2, 8), dtype)
    four(left, 2, right, others, 1, found)
    expected = [one(left, 2, right, other, columns) for other in others[1:]]
    np.testing.assert_array_equal(found[0], [0, *expected, 0, 0, 0])
    assert not found[1].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_four_rows_are_added_to_one_and_one_to_four(dtype):
    rng = np.random.default_rng(0)
    left, right, left_sums, right_sums = (
        rng.standard_normal((7, 24)).astype(dtype) for _ in range(4)
    )
    others, factors = np.array([9, 3, 0, 6, 1]), rng.standard_normal((1, 8)).astype(dtype)
    pulls, chosen = factors[0, 1:5].astype(np.float64), others[1:]
    expected = left_sums.astype(np.float64), right_sums.astype(np.float64)
    expected[0][2] += pulls @ right[chosen]
    expected[1][chosen] += pulls[:, None] * left[2]
    spread(left, 2, right, others, 1, factors, left_sums, right_sums)
    near = {"rtol": 0, "atol": 2e-6 if dtype == np.float32 else 1e-14}
    np.testing.assert_allclose(left_sums, expected[0], **near)
    np.testing.assert_allclose(right_sums, expected[1], **near)


@pytest.mark.parametrize(("dtype", "near"), [(np.float32, 3e-7), (np.float64, 1e-14)])
def test_logistic_is_that_of_scipy(dtype, near):
    values = np.concatenate([np.linspace(-75, 75, 4001), [-1e30, 1e30, np.inf]])
    values = np.stack([values, values]).astype(dtype)
    found = np.ascontiguousarray(np.pad(values, ((0, 0), (0, 4))))
    squash(found, values.shape[1])
    expected = special.expit(np.clip(values[0].astype(np.float64), -80, 80))
    np.testing.assert_allclose(found[0, :-4], expected, rtol=near)
    np.testing.assert_array_equal(found[1, :-4], values[1])


def test_rounds_as_written_down():
    def summed(**entries):
        rows = np.zeros((2, 16), np.float32)
        for place, factors in entries.items():
            rows[:, int(place[1:])] = factors
        return one(rows, 0, rows, 1, 16)

    large, small = (2**12, 2**12), (1, 1)
    # 2²⁴ + 1 rounds to 2²⁴. Halves are added: 0 meets 2 before 1 does, but 1 and 3 meet first.
    assert summed(_0=large, _1=small, _2=small) == 2**24
    assert summed(_0=large, _1=small, _3=small) == 2**24 + 2
    # One rounding a multiply-add: (1 + 2⁻¹²)² - (1 + 2⁻¹¹) would be 0 with two.
    assert summed(_0=(1 + 2**-11, -1), _8=(1 + 2**-12, 1 + 2**-12)) == np.float32(2**-24)


def test_refuses_rows_that_are_not_filled_up(ratings):
    with pytest.raises(ValueError, match="columns"):
        inner_products(ratings, np.ones((12, 3), np.float32), np.ones((9, 3), np.float32))


def test_processes_that_compile_and_that_load_agree(tmp_path):
    surroundings = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    told = [
        subprocess.run(
            [sys.executable, "-c", SUMS],
            env=surroundings,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert told[0].count("\n") == 5
    assert told[0] == told[1]
