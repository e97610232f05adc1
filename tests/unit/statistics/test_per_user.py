"""For how many users a method is better, against counts by hand and by NumPy."""

import numpy as np
import pandas as pd
import pytest

from cfmf.statistics.per_user import user_differences


def errors(rng, users=40, folds=3, methods=("a", "b")):
    rows = [
        (f"f{fold}", method, user, n, float((rng.normal(size=n) ** 2).sum()))
        for fold in range(folds)
        for user in range(users)
        for n in [int(rng.integers(1, 9))]
        for method in methods
    ]
    return pd.DataFrame(rows, columns=["fold", "method", "user", "n", "squared_error"])


def test_shares_and_quantiles_are_those_of_the_users_own_errors():
    table = errors(np.random.default_rng(1))
    (row,) = user_differences(table, [("a", "b")], 0.95).to_dict("records")
    own = []
    for user in range(40):
        pair = []
        for method in ("a", "b"):
            rows = table[(table["user"] == user) & (table["method"] == method)]
            pair.append(np.sqrt(rows["squared_error"].sum() / rows["n"].sum()))
        own.append(pair[0] - pair[1])
    assert (row["users"], row["better"]) == (40, int(np.sum(np.array(own) < 0)))
    assert row["better"] + row["worse"] == 40
    assert row["q25"] == pytest.approx(np.quantile(own, 0.25), rel=1e-12)
    assert row["q50"] == pytest.approx(np.median(own), rel=1e-12)
    p, z = row["share_better"], 1.959963984540054
    centre = (p + z**2 / 80) / (1 + z**2 / 40)
    half = z / (1 + z**2 / 40) * np.sqrt(p * (1 - p) / 40 + z**2 / (4 * 40**2))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((centre - half, centre + half))


def test_the_order_of_a_pair_mirrors_its_row():
    table = errors(np.random.default_rng(2))
    one, other = user_differences(table, [("a", "b"), ("b", "a")], 0.9).to_dict("records")
    assert one["better"] == other["worse"]
    assert one["share_better"] == pytest.approx(1 - other["share_better"])
    assert one["q05"] == pytest.approx(-other["q95"])


def test_equal_methods_have_no_share_and_unknown_ones_no_row():
    table = errors(np.random.default_rng(3), methods=("a",))
    same = pd.concat([table, table.assign(method="b")])
    (row,) = user_differences(same, [("a", "b"), ("a", "c")], 0.95).to_dict("records")
    assert (row["better"], row["worse"], row["q50"]) == (0, 0, 0)
    assert np.isnan(row["share_better"])
    assert user_differences(table, [], 0.95).empty
