"""User CF as published on the official folds, against the dense formula of the study."""

import numpy as np
import pandas as pd
import pytest

from cfmf.data.matrices import build_matrix
from cfmf.published.methods.user_cf_published import UserCF


def read(path):
    names = ["user", "item", "rating", "date"]
    table = pd.read_csv(path, sep="\t", names=names)
    return table.assign(user=table["user"] - 1, item=table["item"] - 1).astype(np.int32)


@pytest.mark.parametrize("fold", ["u1", "u2", "u3", "u4", "u5"])
def test_equals_the_dense_formula(real_data, fold):
    train = read(real_data / f"ml-100k/{fold}.base")
    test = read(real_data / f"ml-100k/{fold}.test")
    X = np.zeros((943, 1682))
    X[train["user"], train["item"]] = train["rating"]
    unit = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-300)
    S = unit @ unit.T
    np.fill_diagonal(S, 0)
    with np.errstate(invalid="ignore"):
        expected = ((S @ X) / (S @ (X != 0)))[test["user"], test["item"]]
    rated = np.isfinite(expected)

    matrix = build_matrix(train, np.arange(len(train)), 943, 1682)
    queried = test["user"].to_numpy(), test["item"].to_numpy()
    found = UserCF().fit(matrix).predict(*queried).values

    assert rated.mean() > 0.99
    np.testing.assert_allclose(found[rated], expected[rated], rtol=0, atol=3e-6)
    rmse = [np.sqrt(np.mean((p[rated] - test["rating"][rated]) ** 2)) for p in (found, expected)]
    assert rmse[0] == pytest.approx(rmse[1], abs=1e-6)
