"""Explanations add up to the prediction they explain."""

import numpy as np
import pytest
from neighbour_references import pairs_of, ratings_of

from cfmf.neighbours.explain import explain
from cfmf.neighbours.item_knn import ItemKNN
from cfmf.neighbours.user_cf import UserCF
from cfmf.neighbours.user_knn import UserKNN

MODELS = [
    UserCF(),
    UserKNN("pearson", 5, 4, "centred", damping=0),
    ItemKNN("adjusted-cosine", 5, 4, damping=0.3),
]


def around_zero(ratings):
    """Ratings from −8 to 8, so that cosines have both signs."""
    ratings = ratings.copy()
    ratings.data = ratings.data * 4 - 12
    return ratings


@pytest.mark.parametrize("changed", [lambda ratings: ratings, around_zero], ids=["1-5", "-8-8"])
@pytest.mark.parametrize("model", MODELS, ids=["all", "users", "items"])
def test_contributions_add_up_to_the_prediction(ratings, model, changed):
    ratings = changed(ratings)
    model.fit(ratings)
    for user in range(0, ratings.shape[0], 5):
        for item in range(0, ratings.shape[1], 4):
            table = explain(model, user, item)
            predicted = model.predict([user], [item])[0]
            assert table.attrs["prediction"] == pytest.approx(predicted)
            assert table.empty == model.alone[0]
            if len(table):
                total = table.attrs["expected"] + table["contribution"].sum()
                assert total == pytest.approx(predicted, abs=1e-5)
                damping = getattr(model, "damping", 0)
                weights = table["similarity"].sum()
                assert table["share"].sum() == pytest.approx(weights / (weights + damping))


@pytest.mark.parametrize(
    "model", [UserCF(), UserKNN("cosine", neighbours=4), ItemKNN("cosine", neighbours=4)]
)
def test_neighbours_are_told_with_their_own_ratings(ratings, model):
    dense = ratings.toarray()
    table = explain(model.fit(ratings), 3, 5, titles={5: "Brazil"})
    by_items = isinstance(model, ItemKNN)
    assert len(table) == (np.sum(dense[:, 5] > 0) if isinstance(model, UserCF) else 4)
    for row in table.itertuples():
        rater, rated = (3, row.neighbour) if by_items else (row.neighbour, 5)
        assert row.rating == dense[rater, rated] > 0
        assert row.item == rated
        assert row.title == ("" if by_items else "Brazil")
    assert (np.diff(table["similarity"]) <= 2**-20).all()


def test_all_neighbours_are_told_with_the_dissimilar_ones_last(ratings):
    ratings = around_zero(ratings)
    model = UserCF().fit(ratings)
    users, items = np.indices(ratings.shape).reshape(2, -1)
    model.predict(users, items)
    place = int(np.flatnonzero(~model.alone)[0])
    table = explain(model, users[place], items[place])
    raters = ratings.tocsc().indices[slice(*ratings.tocsc().indptr[items[place] :][:2])]
    assert sorted(table["neighbour"]) == sorted(set(raters) - {users[place]})
    assert table["similarity"].iloc[-1] < 0
    assert (np.diff(table["similarity"]) <= 0).all()


def test_nobody_is_their_own_neighbour(ratings):
    users, items = pairs_of(ratings)
    table = explain(UserCF().fit(ratings), users[7], items[7])
    assert users[7] not in set(table["neighbour"])


def test_pair_nobody_can_speak_for_has_no_neighbours():
    ratings = ratings_of(seed=1, users=10, items=5)
    ratings.resize((11, 5))
    model = UserKNN().fit(ratings)
    table = explain(model, 10, 2)
    assert table.empty
    assert table.attrs["prediction"] == pytest.approx(model.baseline.predict([10], [2])[0])


def test_pair_outside_the_matrix_is_refused(ratings):
    with pytest.raises(ValueError, match="training matrix has 24 users"):
        explain(UserCF().fit(ratings), 24, 0)
