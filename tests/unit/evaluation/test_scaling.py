"""Samples are nested, exponents are those of a known law, operations those of a count."""

from itertools import pairwise

import numpy as np
import pytest

from cfmf.config import registry
from cfmf.evaluation import scaling
from cfmf.observed import pairs


def test_samples_are_nested(ratings, setting_of):
    train, test = ratings
    found = list(scaling.samples(setting_of("mf"), train, test, [2, 8], seed=3))
    thin = [sample for sample in found if sample.axis == "ratings"]
    sets = [set(zip(*pairs(sample.train), strict=True)) for sample in thin]
    assert [len(some) for some in sets] == [round(s * train.nnz) for s in scaling.SHARES]
    assert all(less < more for less, more in pairwise(sets))
    assert all(sample.train.shape == train.shape for sample in thin)
    fewer = [sample for sample in found if sample.axis == "users"]
    assert [sample.train.shape[0] for sample in fewer] == [8, 15, 30, 60]
    assert fewer[-1].train.nnz == train.nnz
    assert [sample.setting.k for sample in found if sample.axis == "k"] == ["2", "8"]


def test_exponent_of_a_known_law_is_found(ratings, setting_of):
    train, test = ratings
    seconds = {"ratings": 1.5, "users": 2.0, "k": 0.5}
    timings = scaling.measure(
        *(setting_of("user-knn"), train, test, [4, 16]),
        clock=lambda sample: sample.size ** seconds[sample.axis] / 1e6,
    )
    found = scaling.exponents(timings).set_index("axis")
    for axis, exponent in seconds.items():
        assert found.loc[axis, "exponent"] == pytest.approx(exponent)
    assert found.loc["k", "theoretical"] == pytest.approx(0)
    assert np.isnan(found.loc["k", "se"])
    assert found.loc["ratings", "se"] == pytest.approx(0, abs=1e-6)


def test_operations_of_neighbours_are_a_count(ratings, setting_of):
    """Σ over ordered pairs of raters of an item, the first one asked about; and raters of pairs."""
    train, test = ratings
    dense, asked = train.toarray() != 0, test.toarray() != 0
    wanted = asked.any(axis=1)
    multiplications = (dense[wanted].astype(int) @ dense.T.astype(int)).sum()
    predictions = sum(dense[:, item].sum() for item in np.nonzero(asked)[1])
    sample = scaling.Sample("users", 60, setting_of("user-knn"), train, test)
    assert scaling.operations(sample) == multiplications + predictions
    turned = scaling.Sample("users", 60, setting_of("item-knn"), train, test)
    wanted = asked.any(axis=0)
    multiplications = (dense[:, wanted].T.astype(int) @ dense.astype(int)).sum()
    predictions = sum(dense[user].sum() for user in np.nonzero(asked)[0])
    assert scaling.operations(turned) == multiplications + predictions


@pytest.mark.parametrize(("method", "expected"), [("mf", 1), ("als", 2), ("gibbs", 2)])
def test_many_ratings_a_row_have_the_exponent_of_the_textbook(setting_of, method, expected):
    from scipy import sparse

    train = sparse.csr_array(np.ones((400, 400), "f4"))
    setting = setting_of(method)
    points = [
        scaling.operations(scaling.Sample("k", k, setting.with_k(k), train, train))
        for k in (64, 128)
    ]
    assert np.log2(points[1] / points[0]) == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize("method", ["user-cf-published", "mf-published", "mf", "als", "gibbs"])
def test_real_fits_are_timed(ratings, setting_of, method):
    train, test = ratings
    timings = scaling.measure(setting_of(method), train, test, [2, 4], scale=(1, 5))
    axes = {"ratings": 4, "users": 4} | ({"k": 2} if registry()[method] != "neighbours" else {})
    assert timings["axis"].value_counts().to_dict() == axes
    assert np.isfinite(timings["seconds"]).all()
    if registry()[method] == "neighbours":
        assert (timings["seconds"] > 0).all()


def test_large_data_is_cut_to_a_limit(ratings):
    train, test = ratings
    small, tested = scaling.limited(train, test, 300, seed=2)
    assert small.nnz <= 300 < small.nnz + np.diff(train.indptr).max()
    assert small.shape == tested.shape
    whole, _ = scaling.limited(train, test, 10**9, seed=2)
    assert (whole != train).nnz == 0
