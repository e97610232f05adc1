"""Similarities against dense float64 definitions, closed forms and published examples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neighbour_references import Dense, matrix_of, ratings_of
from scipy import sparse

from cfmf.kernels import scatter
from cfmf.kernels.similarities import SIMILARITIES
from cfmf.neighbours.biases import fit_biases
from cfmf.neighbours.compare import AXES, compare
from cfmf.neighbours.similarity import user_similarity
from cfmf.neighbours.stored import corner, distribution, load_similarity, save_similarity


def every_pair(fitted, shape):
    users, items = np.indices(shape).reshape(2, -1)
    return fitted.predict(users, items).reshape(shape)


@pytest.mark.parametrize("shrinkage", [0, 7.5])
@pytest.mark.parametrize("kind", SIMILARITIES)
@pytest.mark.parametrize("by", AXES)
@pytest.mark.parametrize("dense", [0.0, 0.45, 2.0], ids=["all-dense", "mixed", "all-sparse"])
def test_equals_definition(monkeypatch, by, kind, shrinkage, dense):
    monkeypatch.setattr(scatter, "DENSE", dense)
    ratings = ratings_of(seed=2, half_stars=True)
    baseline = fit_biases(ratings, 15, 10)
    expected = Dense(ratings, by, every_pair(baseline, ratings.shape)).similarity(kind, shrinkage)
    comparison = compare(ratings, by, kind, baseline, counted=shrinkage > 0)
    found = scatter.full_similarity(comparison, shrinkage)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_layout_holds_every_value_by_row_or_densely_and_by_column(monkeypatch):
    monkeypatch.setattr(scatter, "DENSE", 0.45)
    ratings = ratings_of(seed=3)
    baseline = fit_biases(ratings, 15, 10)
    comparison = compare(ratings, "users", "pearson-baseline", baseline)
    layout = scatter.arrange(comparison)
    by_column = ratings.tocsc()
    np.testing.assert_array_equal(layout.column_starts, by_column.indptr)
    np.testing.assert_array_equal(layout.column_rows, by_column.indices)
    columns = np.flatnonzero(np.diff(by_column.indptr) > 0.45 * ratings.shape[0])
    assert 0 < len(columns) < ratings.shape[1]
    whole = ratings.copy()
    whole.data = comparison.values
    np.testing.assert_array_equal(layout.column_values, whole.tocsc().data)
    sparse_part = (layout.row_values, layout.row_columns, layout.row_starts)
    rebuilt = sparse.csr_array(sparse_part, ratings.shape).toarray()
    rebuilt[:, columns] = layout.dense[1]
    np.testing.assert_array_equal(rebuilt, whole.toarray())
    np.testing.assert_array_equal(layout.dense[2], whole.toarray()[:, columns] ** 2)
    np.testing.assert_array_equal(layout.dense[0], ratings.toarray()[:, columns] != 0)


def test_pearson_of_the_grouplens_example():
    # Resnick et al. (1994), fig. 2: Ken agrees with Meg, disagrees with Lee, and not with Nan.
    table = np.array(
        [
            [1, 5, 0, 2, 4, 0],  # Ken
            [4, 2, 0, 5, 1, 2],  # Lee
            [2, 4, 3, 0, 0, 5],  # Meg
            [2, 4, 0, 5, 1, 0],  # Nan
        ]
    )
    users, items = np.nonzero(table)
    similarity = user_similarity(
        matrix_of(users, items, table[users, items], table.shape), "pearson"
    )
    np.testing.assert_allclose(similarity.matrix[0], [1, -0.8, 1, 0], atol=1e-6)


@given(
    seed=st.integers(0, 2**16),
    shift=st.floats(-3, 3, width=32),
    scale=st.floats(0.25, 4, width=32),
)
@settings(max_examples=25, deadline=None)
def test_pearson_feels_neither_shift_nor_scale_of_a_user(seed, shift, scale):
    ratings = ratings_of(seed, users=8, items=9)
    changed = ratings.copy()
    own = slice(ratings.indptr[3], ratings.indptr[4])
    changed.data[own] = changed.data[own] * scale + shift
    before, after = (user_similarity(one, "pearson").matrix for one in (ratings, changed))
    np.testing.assert_allclose(before, after, atol=2e-4)


@pytest.mark.parametrize("by", AXES)
@pytest.mark.parametrize("factor", [1e3, 1e6, 1e9])
def test_pearson_of_light_raters_is_exact_beside_huge_counts(by, factor):
    """Some rows hold counts up to `factor` times as large, as play counts do."""
    rng = np.random.default_rng(6)
    table = rng.integers(1, 6, (12, 40)).astype(float)
    table[:4] = np.round(table[:4] * factor * rng.lognormal(size=(4, 40)))
    expected = np.corrcoef(table)
    rows, columns = np.indices(table.shape).reshape(2, -1)
    ratings = matrix_of(rows, columns, table.ravel(), table.shape)
    if by == "items":
        ratings = sparse.csr_array(ratings.T.tocsr())
    found = scatter.full_similarity(compare(ratings, by, "pearson"), 0.0)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@given(seed=st.integers(0, 2**16), kind=st.sampled_from(SIMILARITIES))
@settings(max_examples=25, deadline=None)
def test_is_symmetric_and_bounded(seed, kind):
    matrix = user_similarity(ratings_of(seed, users=9, items=6), kind).matrix
    assert np.array_equal(matrix, matrix.T)
    assert np.abs(matrix).max() <= 1


@pytest.mark.parametrize("kind", ["cosine", "adjusted-cosine"])
def test_cosine_of_equal_rows_is_not_rounded_beyond_one(kind):
    # Summed up in float32, the cosine of some of these rows with their twins is 1.0000001.
    half = ratings_of(seed=4, users=40, items=90)
    twins = sparse.csr_array(sparse.vstack([half, half]))
    assert user_similarity(twins, kind).matrix.max() == 1


def test_shrinkage_halves_similarity_of_rows_sharing_beta_columns():
    ratings = matrix_of([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [1, 2, 3, 3, 2, 1], (2, 3))
    plain, shrunk = (user_similarity(ratings, shrinkage=beta).matrix[0, 1] for beta in (0, 3))
    assert plain == pytest.approx(10 / 14)
    assert shrunk == pytest.approx(plain / 2)


def test_a_rating_of_zero_is_shared_like_any_other():
    ratings = matrix_of([0, 0, 1, 1], [0, 1, 0, 1], [0, 4, 0, 2], (2, 2))
    # Two shared columns of two: c/(c + 2) is one half.
    assert user_similarity(ratings, shrinkage=2).matrix[0, 1] == pytest.approx(0.5)


@pytest.mark.parametrize("kind", SIMILARITIES)
def test_user_without_ratings_or_without_variance_is_like_nobody(kind):
    ratings = matrix_of([0, 0, 2, 2], [0, 1, 0, 1], [1, 5, 3, 3], (3, 2))
    matrix = user_similarity(ratings, kind).matrix
    assert not matrix[1].any()
    if kind == "pearson":
        assert matrix[0, 2] == 0


def test_pearson_of_constant_ratings_off_the_half_star_scale_is_zero():
    rng = np.random.default_rng(1)
    values = np.concatenate([np.full(40, 7.3), rng.normal(7, 2, 40)])
    ratings = matrix_of(np.repeat([0, 1], 40), np.tile(np.arange(40), 2), values, (2, 40))
    assert user_similarity(ratings, "pearson").matrix[0, 1] == 0


@pytest.mark.parametrize("dense", [0.0, 2.0], ids=["dense", "sparse"])
@pytest.mark.parametrize("by", AXES)
def test_pearson_of_long_constant_rows_off_the_half_star_scale_is_zero(monkeypatch, by, dense):
    # Rounding adds up over 2,000 shared ratings; what the constant row holds elsewhere varies.
    monkeypatch.setattr(scatter, "DENSE", dense)
    rng = np.random.default_rng(1)
    values = rng.integers(1, 6, (3, 2100)).astype(float)
    values[0, :2000], values[1, 2000:] = 3.3, 0
    rows, columns = np.nonzero(values)
    table = matrix_of(rows, columns, values[rows, columns], values.shape)
    if by == "items":
        table = table.T.tocsr()
    found = scatter.full_similarity(compare(table, by, "pearson"), 0.0)
    assert found[0, 1] == 0
    assert found[0, 2] != 0
    assert found[1, 2] != 0


@pytest.mark.parametrize("kind", SIMILARITIES)
def test_lists_hold_the_nearest_of_the_full_matrix(kind):
    ratings = ratings_of(seed=8, users=40)
    full = user_similarity(ratings, kind, 5).matrix
    lists = user_similarity(ratings, kind, 5, full_limit=0, top=7)
    assert lists.matrix is None
    np.fill_diagonal(full, -1)
    for user in range(40):
        best = np.sort(full[user][full[user] > 1e-5])[::-1][:7]
        count = len(best)
        np.testing.assert_allclose(lists.similarities[user, :count], best, atol=2e-5)
        chosen = lists.neighbours[user, :count]
        np.testing.assert_allclose(full[user, chosen], lists.similarities[user, :count], atol=1e-6)
        assert len(set(chosen)) == count
        assert (lists.neighbours[user, count:] == -1).all()


def test_equally_similar_users_are_listed_in_their_order():
    ratings = matrix_of([0, 1, 2, 3], [0, 0, 0, 0], [4, 4, 4, 4], (4, 1))
    lists = user_similarity(ratings, full_limit=0, top=2)
    assert lists.neighbours.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


@pytest.mark.parametrize("full_limit", [2**20, 0])
def test_does_not_depend_on_threads(full_limit):
    ratings = ratings_of(seed=3, users=300, items=40)
    one, many = (
        user_similarity(ratings, "pearson", 5, full_limit, 10, threads=threads)
        for threads in (1, 3)
    )
    for name in ("matrix", "neighbours", "similarities"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


@pytest.mark.parametrize("full_limit", [2**20, 0])
def test_file_gives_back_what_was_saved(tmp_path, ratings, full_limit):
    saved = user_similarity(ratings, "adjusted-cosine", 2.5, full_limit, top=3)
    save_similarity(tmp_path / "similarity.npz", saved)
    loaded = load_similarity(tmp_path / "similarity.npz")
    assert (loaded.users, loaded.kind, loaded.shrinkage) == (24, "adjusted-cosine", 2.5)
    for name in ("matrix", "neighbours", "similarities"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))


def test_damaged_or_foreign_file_is_refused(tmp_path, ratings):
    path = tmp_path / "similarity.npz"
    save_similarity(path, user_similarity(ratings))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="delete it and run again"):
        load_similarity(path)
    np.savez(path, users=3, kind="cosine", shrinkage=0.0, matrix=np.zeros((2, 2)))
    with pytest.raises(ValueError, match="of 3 users"):
        load_similarity(path)
    np.savez(path, users=3, kind="cosine", shrinkage=0.0, matrix=np.array([{}]))
    with pytest.raises(ValueError, match="delete it and run again"):
        load_similarity(path)


def test_distribution_counts_every_pair_once(ratings):
    similarity = user_similarity(ratings, "pearson-baseline")
    histogram, quantiles = distribution(similarity, bins=20)
    upper = similarity.matrix[np.triu_indices(24, 1)]
    assert histogram["count"].sum() == 24 * 23 / 2
    np.testing.assert_array_equal(
        histogram["count"], np.histogram(upper, bins=20, range=(upper.min(), upper.max()))[0]
    )
    assert quantiles["similarity"].iloc[0] == pytest.approx(upper.min(), abs=1e-4)
    assert quantiles["similarity"].iloc[-1] == pytest.approx(upper.max(), abs=1e-4)
    median = quantiles.set_index("quantile")["similarity"][0.5]
    assert np.mean(upper <= median) == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(corner(similarity), similarity.matrix[:5, :5])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"shrinkage": -1}, "shrinkage is -1"),
        ({"kind": "euclid"}, "no similarity is named 'euclid'"),
        ({"top": 0}, "top is 0"),
    ],
)
def test_parameter_out_of_range_is_refused(ratings, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        user_similarity(ratings, **arguments)
