"""Mean errors at the levels of each slice, against plain group means of pandas."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cfmf.evaluation.mean_errors import PARTS, bias_rows, by_rating, in_parts

RNG = np.random.default_rng(4)


def as_test(ratings):
    return sparse.csr_array(np.asarray(ratings, np.float32)[None, :])


@pytest.mark.parametrize(
    ("scale", "ratings"),
    [
        ((1, 5), RNG.integers(1, 6, 400)),
        ((-10, 10), RNG.uniform(-10, 10, 400)),
        ((0.5, 5), RNG.integers(1, 11, 400) / 2),
    ],
)
def test_bias_is_the_mean_of_prediction_minus_rating(scale, ratings):
    low, high = scale
    test = as_test(ratings)
    seeds = [RNG.uniform(low - 1, high + 1, 400).astype(np.float32) for _ in range(2)]
    at = RNG.integers(-1, 3, 400)
    found = bias_rows(seeds, test, {"user_ratings": (at, ["0", "1-9", "10+"])}, scale)
    frame = pd.DataFrame(
        {
            "prediction": np.concatenate(seeds).astype(float),
            "rating": np.tile(test.data, 2).astype(float),
            "at": np.tile(at, 2),
        }
    )
    frame["error"] = frame["prediction"] - frame["rating"]
    clipped = frame["prediction"].clip(low, high - 1e-9)
    by = {
        "user_ratings": frame["at"].map({0: "0", 1: "1-9", 2: "10+"}),
        "prediction": pd.cut(clipped, np.linspace(low, high, PARTS + 1), right=False),
    }
    if len(np.unique(ratings)) <= 20:
        by["rating"] = frame["rating"].map("{:g}".format)
    for name, level in by.items():
        wanted = frame.groupby(level, observed=True)["error"].agg(["mean", "size"])
        rows = found[found["slice"] == name]
        np.testing.assert_allclose(rows["value"], wanted["mean"], rtol=1e-9)
        assert rows["n"].tolist() == np.rint(wanted["size"] / 2).astype(int).tolist()
    assert set(found["metric"]) == {"bias"}


def test_ratings_of_few_values_are_levels_and_others_are_in_parts():
    assert by_rating([0.5, 5, 3, 0.5], (0.5, 5))[1] == ["0.5", "3", "5"]
    places, names = by_rating(np.linspace(-10, 10, 50), (-10, 10))
    assert names == ["-9", "-7", "-5", "-3", "-1", "1", "3", "5", "7", "9"]
    assert np.bincount(places).tolist() == [5] * 10


def test_what_is_off_the_scale_is_in_the_outer_parts():
    places, names = in_parts([-3, 1, 1.39, 1.41, 5, 9], (1, 5))
    assert places.tolist() == [0, 0, 0, 1, 9, 9]
    assert (names[0], names[-1]) == ("1.2", "4.8")
    assert in_parts([2, 2], (2, 2))[0].tolist() == [0, 0]


def test_predictions_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        bias_rows([np.array([np.nan, 1], np.float32)], as_test([1, 2]), {}, (1, 5))
