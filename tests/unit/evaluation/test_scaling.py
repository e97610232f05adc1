"""Samples are nested, exponents are those of a known law, operations those of a count."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

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


def test_samples_without_ratings_are_left_out(setting_of):
    train = sparse.csr_array(np.array([[4.0, 0], [0, 2]], np.float32))
    test = sparse.csr_array(np.array([[0, 3.0], [0, 0]], np.float32))
    found = list(scaling.samples(setting_of("mf"), train, test, [1], seed=3))
    assert {sample.axis for sample in found} == {"ratings", "users", "k"}
    assert all(sample.train.nnz and sample.queried.nnz for sample in found)


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


@pytest.mark.parametrize(("method", "expected"), [("mf", 1), ("als", 2), ("gibbs", 2)])
def test_many_ratings_a_row_have_the_exponent_of_the_textbook(setting_of, method, expected):
    train = sparse.csr_array(np.ones((400, 400), "f4"))
    sized = [setting_of(method).with_size(k).method for k in (64, 128)]
    points = [one.operations(train, train) for one in sized]
    assert np.log2(points[1] / points[0]) == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize(
    "method", ["user-cf-published", "mf-published", "mf", "als", "gibbs", "strange"]
)
def test_real_fits_are_timed(ratings, setting_of, method):
    train, test = ratings
    setting = setting_of(method)
    timings = scaling.measure(setting, train, test, [2, 4])
    axes = {"ratings": 4, "users": 4} | ({"k": 2} if setting.k else {})
    assert timings["axis"].value_counts().to_dict() == axes
    assert np.isfinite(timings["seconds"]).all()
    if not setting.method.iterates:
        assert (timings["seconds"] > 0).all()


def test_large_data_is_cut_to_a_limit(ratings):
    train, test = ratings
    kept = scaling.limited(train, 300, seed=2)
    small, tested = train[kept], test[kept]
    assert small.nnz <= 300 < small.nnz + np.diff(train.indptr).max()
    assert small.shape == tested.shape
    whole = train[scaling.limited(train, 10**9, seed=2)]
    assert (whole != train).nnz == 0
