"""kNN predictions against dense float64 definitions and a textbook's worked example."""

from itertools import product

import numpy as np
import pytest
from neighbour_references import Dense, matrix_of, pairs_of, ratings_of

from cfmf.kernels import dense, few, scatter
from cfmf.kernels.similarities import SIMILARITIES, Query, transposed
from cfmf.methods import registry
from cfmf.methods.item_knn import ItemKNN
from cfmf.methods.user_knn import UserKNN
from cfmf.neighbours.biases import fit_biases
from cfmf.neighbours.compare import AXES, compare

PREDICTIONS = ("raw", "centred", "baseline")

CLASSES = {"users": UserKNN, "items": ItemKNN}


def expected_by_definition(ratings, by, users, items, setting):
    fitted = fit_biases(ratings, setting["reg_user"], setting["reg_item"])
    everyone, everything = np.indices(ratings.shape).reshape(2, -1)
    baseline = fitted.predict(everyone, everything).reshape(ratings.shape)
    return Dense(ratings, by, baseline).predict(users, items, setting)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("by", AXES)
def test_equals_definition(by, similarity, prediction):
    ratings = ratings_of(seed=4)
    users, items = np.indices(ratings.shape).reshape(2, -1)
    for shrinkage, neighbours, damping in [(0, 3, 0), (10, 5, 0.2), (2, 100, 0)]:
        method = CLASSES[by](
            similarity=similarity,
            prediction=prediction,
            shrinkage=shrinkage,
            neighbours=neighbours,
            damping=damping,
            reg_user=10,
            reg_item=5,
        )
        expected = expected_by_definition(ratings, by, users, items, method.model_dump())
        found = method.fit(ratings).predict(users, items)
        np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-5)


def test_worked_example_of_a_textbook():
    # Aggarwal, Recommender Systems (2016), table 2.1: user 3, items 1 and 6, the two nearest.
    # Its correlation centres by the mean of all ratings of a user, ours of the shared ones: .939
    # there is .971 here, which moves the predictions by a hundredth.
    table = np.array(
        [
            [7, 6, 7, 4, 5, 4],
            [6, 7, 0, 4, 3, 4],
            [0, 3, 3, 1, 1, 0],
            [1, 2, 2, 3, 3, 4],
            [1, 0, 1, 2, 3, 3],
        ]
    )
    users, items = np.nonzero(table)
    ratings = matrix_of(users, items, table[users, items], table.shape)
    plain, centred = (
        UserKNN(similarity="pearson", prediction=prediction, shrinkage=0, neighbours=2, damping=0)
        .fit(ratings)
        .predict([2, 2], [0, 5])
        .values
        for prediction in ("raw", "centred")
    )
    np.testing.assert_allclose(plain, [6.49, 4], atol=0.012)
    np.testing.assert_allclose(centred, [3.35, 0.86], atol=0.012)


@pytest.mark.parametrize("by", AXES)
def test_many_settings_at_once_equal_one_at_a_time(by):
    ratings = ratings_of(seed=6, users=60, items=40)
    users, items = pairs_of(ratings_of(seed=7, users=60, items=40))
    names = ("similarity", "shrinkage", "neighbours", "prediction", "damping", "reg_user")
    grid = product(SIMILARITIES, (0.0, 20.0), (9, 3), PREDICTIONS, (0.1, 0.0), (2.0, 10.0))
    candidates = [CLASSES[by](**dict(zip(names, values, strict=True))) for values in grid]
    together = CLASSES[by].predict_grid(candidates, ratings, users, items)
    for place in range(0, len(candidates), 17):
        single = candidates[place].fit(ratings).predict(users, items)
        np.testing.assert_array_equal(together[place].values, single.values)
        np.testing.assert_array_equal(together[place].is_fallback, single.is_fallback)


@pytest.mark.parametrize("by", AXES)
def test_depends_neither_on_threads_nor_on_blocks(by):
    ratings = ratings_of(seed=9, users=700, items=600, density=0.1)
    users, items = pairs_of(ratings_of(seed=10, users=700, items=600, density=0.02))
    method = CLASSES[by](neighbours=7, shrinkage=5)
    whole = method.fit(ratings).predict(users, items).values
    model = method.fit(ratings, threads=3)
    np.testing.assert_array_equal(model.predict(users, items).values, whole)
    for blocks in (4, 7):
        block = (users if by == "users" else items) % blocks
        for number in range(blocks):
            own = block == number
            found = model.predict(users[own], items[own]).values
            np.testing.assert_array_equal(found, whole[own])


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("by", AXES)
def test_symmetry_changes_no_bit(monkeypatch, by, similarity):
    # Some columns go through BLAS, some are scattered; the last block is a narrow one.
    ratings = ratings_of(seed=15, users=550, items=530, density=0.15)
    users, items = pairs_of(ratings_of(seed=16, users=550, items=530, density=0.02))
    method = CLASSES[by](similarity=similarity, shrinkage=5.0, neighbours=7)
    found = []
    for limit in (scatter.WHOLE_BYTES, 0):
        monkeypatch.setattr(scatter, "WHOLE_BYTES", limit)
        monkeypatch.setattr(scatter, "WHOLE_BYTES_A_RATING", 0)
        model = method.fit(ratings)
        # Twice: computed, then from what was kept.
        found += [model.predict(users, items).values for _ in range(2)]
        assert (model.kept.matrix is None) == (limit == 0)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("by", AXES)
def test_looking_at_the_holders_alone_changes_no_bit(monkeypatch, by, similarity):
    # Sparse enough that no column is dense; blocks of a few candidates, and pairs asked twice.
    monkeypatch.setattr(few, "CANDIDATES", 50)
    ratings = ratings_of(seed=21, users=300, items=260, density=0.05)
    users, items = pairs_of(ratings_of(seed=22, users=300, items=260, density=0.02))
    users, items = np.append(users, users[:9]), np.append(items, items[:9])
    new = ratings_of(seed=23, users=20, items=260, density=0.05)
    new_users, new_items = pairs_of(ratings_of(seed=24, users=20, items=260, density=0.1))
    new_users = new_users + len(np.diff(ratings.indptr))
    candidates = [
        CLASSES[by](similarity=similarity, shrinkage=shrinkage, neighbours=neighbours)
        for shrinkage, neighbours in product((0, 9), (2, 30))
    ]
    used, found = [], []
    real = few.nearest_sums
    monkeypatch.setattr(few, "nearest_sums", lambda *given: used.append(1) or real(*given))
    for spared in (0, 10**9):
        monkeypatch.setattr(few, "SPARED", spared)
        before = len(used)
        grid = CLASSES[by].predict_grid(candidates, ratings, users, items, threads=2)
        folded = candidates[0].fit(ratings).fold_in(new).predict(new_users, new_items)
        found.append([*(one.values for one in grid), folded.values, folded.is_fallback])
        assert (len(used) > before) == (spared == 0)
    assert not found[0][-1].all()
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_all_rows_are_looked_at_where_many_are_queried_or_a_column_is_dense(monkeypatch):
    ratings = ratings_of(seed=25, users=1000, items=90, density=0.02)
    by_item, _ = transposed(ratings)
    users, items = np.indices(ratings.shape).reshape(2, -1)
    one, all_pairs, repeated = (
        Query.of(users[chosen], items[chosen], by_item, [by_item.data])
        for chosen in (slice(1), slice(None), np.zeros(90, int))
    )
    comparison = compare(ratings, "users", "cosine")
    assert few.pays(comparison, one)
    assert not few.pays(comparison, all_pairs)
    assert not few.pays(comparison, repeated)
    monkeypatch.setattr(scatter, "DENSE", 0.01)
    assert not few.pays(comparison, one)


@pytest.mark.parametrize("marks", [scatter.MARK_BYTES, 0], ids=["marked", "looked-up"])
@pytest.mark.parametrize("neighbours", [[1], [3, 40], [2000]])
def test_nearest_of_many_raters_are_found(monkeypatch, neighbours, marks):
    # Long columns are searched in the order of similarity; half of the similarities are equal.
    monkeypatch.setattr(scatter, "MARK_BYTES", marks)
    rng = np.random.default_rng(13)
    ratings = ratings_of(seed=14, users=1500, items=12, density=0.9)
    users, items = rng.integers(1500, size=300), rng.integers(12, size=300)
    comparison = compare(ratings, "users", "pearson")
    by_item, _ = transposed(ratings)
    query = Query.of(users, items, by_item, [by_item.data])
    found = scatter.nearest_sums(comparison, query, [0.0], neighbours)
    similarity = scatter.full_similarity(comparison, 0.0)
    dense = ratings.toarray()
    for pair, (user, item) in enumerate(zip(users, items, strict=True)):
        raters = np.flatnonzero(dense[:, item])
        steps = np.floor(similarity[user, raters] * 2**20 + 0.5)
        order = raters[np.lexsort((raters, -steps))]
        order = order[similarity[user, order] > 2**-21]
        for which, count in enumerate(neighbours):
            weights = similarity[user, order[:count]].astype(np.float64)
            expected = weights @ dense[order[:count], item], weights.sum()
            np.testing.assert_allclose(found[0, :, which, pair], expected, rtol=1e-6)


def test_order_and_repetition_of_asked_pairs_do_not_matter(ratings):
    model = UserKNN(neighbours=4).fit(ratings)
    users, items = np.indices(ratings.shape).reshape(2, -1)
    order = np.random.default_rng(0).integers(len(users), size=1000)
    expected = model.predict(users, items).values[order]
    np.testing.assert_array_equal(model.predict(users[order], items[order]).values, expected)


@pytest.mark.parametrize("by", AXES)
def test_pair_without_neighbours_gets_the_baseline_as_a_fallback(by):
    ratings = matrix_of([0, 0, 1, 1, 2], [0, 1, 0, 1, 2], [1, 5, 2, 4, 3], (4, 4))
    model = CLASSES[by](similarity="cosine", shrinkage=0, reg_user=10, reg_item=5).fit(ratings)
    values, is_fallback, _ = model.predict([2, 3, 0, 0], [0, 3, 1, 2])
    assert is_fallback.tolist() == [True, True, False, True]
    expected = fit_biases(ratings, 10, 5).predict([2, 3, 0], [0, 3, 2])
    np.testing.assert_array_equal(values[is_fallback], expected)


def test_dissimilar_users_are_no_neighbours():
    ratings = matrix_of([0, 0, 1, 1, 1], [0, 1, 0, 1, 2], [1, 5, 5, 1, 4], (2, 3))
    model = UserKNN(similarity="pearson", shrinkage=0).fit(ratings)
    assert model.predict([0], [2]).is_fallback.tolist() == [True]


def test_no_pairs_give_no_predictions(ratings):
    assert UserKNN().fit(ratings).predict([], []).values.shape == (0,)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("by", AXES)
@pytest.mark.parametrize("whole", [True, False], ids=["dense-kept", "dense-made-anew"])
def test_torch_agrees_with_the_kernels(monkeypatch, by, similarity, whole):
    monkeypatch.setattr(dense, "BLOCK_ROWS", 32)
    monkeypatch.setattr(dense, "GATHERED", 2000)
    if not whole:
        monkeypatch.setattr(dense, "DENSE_BYTES", 0)
    ratings = ratings_of(seed=11, users=100, items=50)
    users, items = pairs_of(ratings_of(seed=12, users=100, items=50, density=0.2))
    candidates = [
        CLASSES[by](similarity=similarity, shrinkage=shrinkage, neighbours=neighbours)
        for shrinkage in (0, 30)
        for neighbours in (1, 5, 200)
    ]
    given = (candidates, ratings, users, items)
    expected = CLASSES[by].predict_grid(*given)
    monkeypatch.setattr(scatter, "nearest_sums", None)
    found = CLASSES[by].predict_grid(*given, device="cpu:0")
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.is_fallback, theirs.is_fallback)
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-4)


def test_pearson_baseline_needs_a_baseline(ratings):
    with pytest.raises(ValueError, match="give it the biases"):
        compare(ratings, "users", "pearson-baseline")


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"similarity": "euclid"}, "similarity\n.*'cosine', 'adjusted-cosine'"),
        ({"prediction": "z-score"}, "prediction\n.*'raw', 'centred'"),
        ({"neighbours": 0}, "neighbours\n.*greater than or equal to 1"),
        ({"neighbours": 2.5}, "neighbours\n.*valid integer"),
        ({"shrinkage": -1}, "shrinkage\n.*greater than or equal to 0"),
        ({"damping": float("nan")}, "damping\n.*greater than or equal to 0"),
    ],
)
def test_setting_out_of_range_is_refused(parameters, complaint):
    with pytest.raises(ValueError, match=complaint):
        UserKNN(**parameters)


def test_lists_of_different_lengths_are_refused(ratings):
    with pytest.raises(ValueError, match="two lists of the same length"):
        UserKNN().fit(ratings).predict([0, 1], [0])


@pytest.mark.parametrize("name", ["baseline", "user-cf-published", "user-knn", "item-knn"])
def test_saved_model_predicts_the_same_bytes(tmp_path, ratings, name):
    model = registry.method(name)().fit(ratings)
    np.savez(tmp_path / "model.npz", **model.arrays())
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        loaded = type(model).from_arrays(dict(file))
    users, items = np.indices(ratings.shape).reshape(2, -1)
    for ours, theirs in zip(loaded.predict(users, items), model.predict(users, items), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert model.predict([0, 1], [1, 0]).values.dtype == np.float32
