"""kNN predictions against dense float64 definitions and a textbook's worked example."""

from itertools import product

import numpy as np
import pytest
from neighbour_references import Dense, matrix_of, pairs_of, ratings_of

from cfmf.neighbours import METHODS, device, kernels, method_class
from cfmf.neighbours.baseline import Baseline
from cfmf.neighbours.compare import AXES, SIMILARITIES, compare
from cfmf.neighbours.item_knn import ItemKNN
from cfmf.neighbours.knn import PREDICTIONS, predict_settings
from cfmf.neighbours.user_knn import UserKNN

CLASSES = {"users": UserKNN, "items": ItemKNN}


def expected_by_definition(ratings, by, users, items, setting):
    fitted = Baseline(setting["reg_user"], setting["reg_item"]).fit(ratings)
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
        model = CLASSES[by](similarity, shrinkage, neighbours, prediction, damping).fit(ratings)
        expected = expected_by_definition(ratings, by, users, items, model.setting())
        np.testing.assert_allclose(model.predict(users, items), expected, rtol=1e-5, atol=1e-5)


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
        UserKNN("pearson", 0, 2, prediction, damping=0).fit(ratings).predict([2, 2], [0, 5])
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
    settings = [dict(zip(names, values, strict=True), reg_item=5.0) for values in grid]
    together, alone = predict_settings(by, ratings, users, items, settings)
    for place in range(0, len(settings), 17):
        model = CLASSES[by](**settings[place]).fit(ratings)
        np.testing.assert_array_equal(together[place], model.predict(users, items))
        np.testing.assert_array_equal(alone[place], model.alone)


@pytest.mark.parametrize("by", AXES)
def test_depends_neither_on_threads_nor_on_blocks(by):
    ratings = ratings_of(seed=9, users=700, items=600, density=0.1)
    asked = ratings_of(seed=10, users=700, items=600, density=0.02)
    model = CLASSES[by](neighbours=7, shrinkage=5).fit(ratings)
    whole = model.predict(*pairs_of(asked))
    model.threads = 3
    np.testing.assert_array_equal(model.predict(*pairs_of(asked)), whole)
    size = asked.shape[AXES.index(by)]
    for blocks in (1, 4, 7):
        gathered = np.full(asked.nnz, np.nan, dtype=np.float32)
        for block in range(blocks):
            start, stop = size * block // blocks, size * (block + 1) // blocks
            places, predicted = model.predict_block(asked, start, stop)
            assert np.isnan(gathered[places]).all()
            gathered[places] = predicted
        np.testing.assert_array_equal(gathered, whole)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("by", AXES)
def test_symmetry_changes_no_bit(monkeypatch, by, similarity):
    # Some columns go through BLAS, some are scattered; the last block is a narrow one.
    ratings = ratings_of(seed=15, users=550, items=530, density=0.15)
    users, items = pairs_of(ratings_of(seed=16, users=550, items=530, density=0.02))
    comparison = compare(ratings, by, similarity, Baseline().fit(ratings), counted=True)
    target = ratings.data
    rows, columns = (users, items) if by == "users" else (items, users)
    found = []
    for limit in (kernels.WHOLE_BYTES, 0):
        monkeypatch.setattr(kernels, "WHOLE_BYTES", limit)
        found.append(kernels.nearest_sums(comparison, [target], rows, columns, [5.0], [3, 40]))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("marks", [kernels.MARK_BYTES, 0], ids=["marked", "looked-up"])
@pytest.mark.parametrize("neighbours", [[1], [3, 40], [2000]])
def test_nearest_of_many_raters_are_found(monkeypatch, neighbours, marks):
    # Long columns are searched in the order of similarity; half of the similarities are equal.
    monkeypatch.setattr(kernels, "MARK_BYTES", marks)
    rng = np.random.default_rng(13)
    ratings = ratings_of(seed=14, users=1500, items=12, density=0.9)
    users, items = rng.integers(1500, size=300), rng.integers(12, size=300)
    comparison = compare(ratings, "users", "pearson")
    found = kernels.nearest_sums(comparison, [ratings.data], users, items, [0.0], neighbours)
    similarity = kernels.full_similarity(comparison, 0.0)
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
    expected = model.predict(users, items)[order]
    np.testing.assert_array_equal(model.predict(users[order], items[order]), expected)


@pytest.mark.parametrize("by", AXES)
def test_pair_without_neighbours_gets_the_baseline_and_is_counted(by):
    ratings = matrix_of([0, 0, 1, 1, 2], [0, 1, 0, 1, 2], [1, 5, 2, 4, 3], (4, 4))
    model = CLASSES[by]("cosine", 0).fit(ratings)
    predicted = model.predict([2, 3, 0, 0], [0, 3, 1, 2])
    baseline = Baseline(model.reg_user, model.reg_item).fit(ratings)
    assert model.alone.tolist() == [True, True, False, True]
    assert model.fallbacks == 3
    np.testing.assert_array_equal(predicted[model.alone], baseline.predict([2, 3, 0], [0, 3, 2]))


def test_dissimilar_users_are_no_neighbours():
    ratings = matrix_of([0, 0, 1, 1, 1], [0, 1, 0, 1, 2], [1, 5, 5, 1, 4], (2, 3))
    model = UserKNN("pearson", 0).fit(ratings)
    model.predict([0], [2])
    assert model.fallbacks == 1


def test_no_pairs_give_no_predictions(ratings):
    assert UserKNN().fit(ratings).predict([], []).shape == (0,)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("by", AXES)
@pytest.mark.parametrize("whole", [True, False], ids=["dense-kept", "dense-made-anew"])
def test_torch_agrees_with_the_kernels(monkeypatch, by, similarity, whole):
    monkeypatch.setattr(device, "BLOCK_ROWS", 32)
    monkeypatch.setattr(device, "GATHERED", 2000)
    if not whole:
        monkeypatch.setattr(device, "DENSE_BYTES", 0)
    ratings = ratings_of(seed=11, users=100, items=50)
    users, items = pairs_of(ratings_of(seed=12, users=100, items=50, density=0.2))
    settings = [
        dict(UserKNN(similarity, shrinkage, neighbours).setting())
        for shrinkage in (0, 30)
        for neighbours in (1, 5, 200)
    ]
    expected, alone = predict_settings(by, ratings, users, items, settings, device="cpu")
    monkeypatch.setattr(kernels, "nearest_sums", None)
    found, torch_alone = predict_settings(by, ratings, users, items, settings, device="cpu:0")
    np.testing.assert_array_equal(torch_alone, alone)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_pearson_baseline_needs_a_baseline(ratings):
    with pytest.raises(ValueError, match="fitted baseline"):
        compare(ratings, "users", "pearson-baseline")


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"similarity": "euclid"}, "no similarity is called 'euclid'"),
        ({"prediction": "z-score"}, "no prediction is called 'z-score'"),
        ({"neighbours": 0}, "neighbours is 0"),
        ({"neighbours": 2.5}, "neighbours is 2.5"),
        ({"shrinkage": -1}, "shrinkage is -1"),
        ({"damping": float("nan")}, "damping is nan"),
    ],
)
def test_parameter_out_of_range_is_refused(ratings, parameters, complaint):
    with pytest.raises(ValueError, match=complaint):
        UserKNN(**parameters).fit(ratings)


def test_lists_of_different_lengths_are_refused(ratings):
    with pytest.raises(ValueError, match="lists of one length"):
        UserKNN().fit(ratings).predict([0, 1], [0])


def test_every_registered_method_fits_and_predicts(ratings):
    for name in METHODS:
        predicted = method_class(name)().fit(ratings).predict([0, 1], [1, 0])
        assert predicted.dtype == np.float32
        assert np.isfinite(predicted).all()
    with pytest.raises(ValueError, match="no neighbour method is called 'knn'"):
        method_class("knn")
