"""Sums whose order is written down: right, and the same in every process."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from scipy import linalg, special

from cfmf.kernels import lanes
from cfmf.kernels.lanes import add_four, four_products, inner_product, logistic
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [0, 4, 8, 20, 56])
def test_equals_float64(dtype, length):
    rows = np.random.default_rng(length).standard_normal((7, 60)).astype(dtype)
    exact = rows[:, :length].astype(np.float64) @ rows[:, :length].T.astype(np.float64)
    near = {"rtol": 0, "atol": 2e-5 if dtype == np.float32 else 1e-13}
    np.testing.assert_allclose(one(rows, 1, rows, 5, length), exact[1, 5], **near)


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 16), (4, 16)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tiles_are_products_of_columns(monkeypatch, dtype, height, width, negative):
    """And the same to the last digit whatever number of rows the registers hold."""
    rng = np.random.default_rng(height + width)
    rows, before = rng.standard_normal((50, 32)).astype(dtype), np.ones((16, 32), dtype)
    given = rows[:43].astype(np.float64)
    expected = before.astype(np.float64)
    part = slice(4, 4 + height), slice(8, 8 + width)
    expected[part] += (given.T @ given)[part] * (-1 if negative else 1)
    found = []
    for tall in (4, 8):
        monkeypatch.setattr(lanes, "TALL", tall)
        tile, after = lanes._tile(height, width, negative), before.copy()
        add_to(tile)(rows, 43, 4, 8, after)
        found.append(after)
    near = {"rtol": 0, "atol": 5e-5 if dtype == np.float32 else 1e-13}
    np.testing.assert_allclose(found[0], expected, **near)
    assert found[0].tobytes() == found[1].tobytes()


def add_to(tile):
    @numba.njit
    def run(rows, count, a, b, found):
        tile(rows, count, a, b, found)

    return run


@numba.njit
def eliminated(matrix, a, count):
    if count <= 2:
        return lanes.eliminate_2(matrix, a, count)
    return lanes.eliminate_8(matrix, a, count)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [2, 5, 8])
def test_elimination_is_that_of_cholesky(dtype, count):
    rng = np.random.default_rng(count)
    root = rng.standard_normal((30, 8))
    matrix = np.zeros((16, 32), dtype)
    matrix[:8, 8:16] = root.T @ root
    matrix[:8, 16:] = rng.standard_normal((8, 16))
    shifted = np.zeros((24, 32), dtype)
    shifted[8:] = matrix
    assert eliminated(shifted, 8, count) == 0
    exact = matrix[:count].astype(np.float64)
    upper = linalg.cholesky(exact[:, 8 : 8 + count])
    near = {"rtol": 0, "atol": 1e-4 if dtype == np.float32 else 1e-12}
    found = shifted[8 : 8 + count]
    np.testing.assert_allclose(np.diag(found[:, 8:]), 1 / np.diag(upper), **near)
    above = np.triu_indices(count, 1)
    np.testing.assert_allclose(found[:, 8 : 8 + count][above], upper[above], **near)
    solved = linalg.solve_triangular(upper, exact[:, 16:], trans="T")
    np.testing.assert_allclose(found[:, 16:], solved, **near)


def test_elimination_counts_pivots_that_are_not_positive():
    matrix = np.zeros((8, 8))
    matrix[np.diag_indices(8)] = [4, -1, 9, np.nan, 0, 1, 1, 0]
    assert eliminated(matrix, 0, 7) == 3
    np.testing.assert_array_equal(np.diag(matrix)[[0, 1, 2, 4]], [0.5, 1, 1 / 3, 1])


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
