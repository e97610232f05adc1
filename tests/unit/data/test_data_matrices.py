"""Rating matrices against pandas' pivot."""

import numpy as np
import pandas as pd
import pytest

from cfmf.data.matrices import build_matrix


@pytest.fixture
def ratings():
    rng = np.random.default_rng(5)
    pairs = rng.permutation(30 * 20)[:200]
    return pd.DataFrame(
        {
            "user": (pairs // 20).astype(np.int32),
            "item": (pairs % 20).astype(np.int32),
            "rating": rng.integers(0, 6, 200).astype(np.float32),
        }
    )


def test_equals_pivot_and_keeps_ratings_of_zero(ratings):
    rows = np.random.default_rng(6).permutation(200)[:150]
    matrix = build_matrix(ratings, rows, 31, 22)
    assert matrix.shape == (31, 22)
    assert (matrix.data.dtype, matrix.indices.dtype) == (np.float32, np.int32)
    assert matrix.nnz == 150
    assert matrix.has_canonical_format
    assert (matrix.data == 0).any()
    chosen = ratings.iloc[rows]
    pivot = chosen.pivot_table(index="user", columns="item", values="rating").fillna(0)
    pivot = pivot.reindex(index=range(31), columns=range(22), fill_value=0)
    np.testing.assert_array_equal(matrix.toarray(), pivot.to_numpy())


def test_pairs_that_occur_twice_are_an_error_and_never_summed(ratings):
    rows = np.arange(200)
    user, item = ratings.loc[7, ["user", "item"]].astype(int)
    with pytest.raises(ValueError, match=rf"user {user} and item {item} occurs twice"):
        build_matrix(ratings, np.append(rows, 7), 30, 20)


@pytest.mark.parametrize("shape", [(29, 20), (30, 19)])
def test_indices_outside_the_shape_are_an_error(ratings, shape):
    with pytest.raises(ValueError, match="parse the data set again"):
        build_matrix(ratings, np.arange(200), *shape)


def test_no_rows_make_an_empty_matrix(ratings):
    assert build_matrix(ratings, np.arange(0), 30, 20).nnz == 0
