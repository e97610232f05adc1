"""Sparse products against dense ones in float64."""

import numpy as np
import pytest
import torch

from cfmf.kernels.products import ObservedPairs, sum_of_squares


@pytest.mark.parametrize("mkl", [True, False])
def test_products_equal_dense_ones(ratings, dense_of, monkeypatch, mkl):
    if mkl and not torch.backends.mkl.is_available():
        pytest.skip("this build of torch has no MKL")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    x, mask = dense_of(ratings)
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(12, 8)), rng.normal(size=(9, 8))
    pairs = ObservedPairs([ratings], dtype=torch.float64)
    P, Q = torch.from_numpy(left), torch.from_numpy(right)
    error = pairs.inner_products(P, Q, minus=pairs.ratings)
    expected = (left @ right.T - x) * mask
    np.testing.assert_allclose(error, expected[mask], rtol=1e-12)
    by_user, by_item = pairs.spread(error, P, Q)
    np.testing.assert_allclose(by_user, expected @ right, atol=1e-12)
    np.testing.assert_allclose(by_item, expected.T @ left, atol=1e-12)
    np.testing.assert_allclose(pairs.mean_squares(error), (expected[mask] ** 2).mean())


@pytest.mark.parametrize(("n", "size"), [(0, 4), (3, 4), (8, 4), (100_003, 4096)])
def test_sum_of_squares_equals_that_of_all_in_float64(n, size):
    values = np.random.default_rng(n).normal(size=n).astype("f4")
    found = sum_of_squares(torch.from_numpy(values), size)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(np.square(values, dtype=float).sum(), rel=1e-7)


def test_runs_side_by_side_do_not_touch(ratings, validation):
    rng = np.random.default_rng(0)
    left, right = (
        torch.from_numpy(rng.normal(size=(24, 8))),
        torch.from_numpy(rng.normal(size=(18, 8))),
    )
    both = ObservedPairs([ratings, validation], dtype=torch.float64)
    together = both.inner_products(left, right, both.ratings)
    alone = []
    for run, matrix in enumerate((ratings, validation)):
        pairs = ObservedPairs([matrix], dtype=torch.float64)
        mine = (left[12 * run : 12 * run + 12], right[9 * run : 9 * run + 9])
        alone.append(pairs.inner_products(*mine, pairs.ratings))
    assert torch.equal(together, torch.cat(alone))
    torch.testing.assert_close(
        both.mean_squares(together), torch.stack([part.square().mean() for part in alone])
    )
