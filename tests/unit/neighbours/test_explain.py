"""Explanations add up to the prediction they explain."""

import numpy as np
import pytest
from neighbour_references import pairs_of, ratings_of

from cfmf.methods.item_knn import ItemKNN
from cfmf.methods.user_knn import UserKNN
from cfmf.published.methods.user_cf_published import UserCF

FEW = {"shrinkage": 5, "neighbours": 4}
METHODS = [
    UserCF(),
    UserKNN(similarity="pearson", prediction="centred", damping=0, **FEW),
    ItemKNN(similarity="adjusted-cosine", damping=0.3, **FEW),
]


def around_zero(ratings):
    """Ratings from −8 to 8, so that cosines have both signs."""
    ratings = ratings.copy()
    ratings.data = ratings.data * 4 - 12
    return ratings


@pytest.mark.parametrize("changed", [lambda ratings: ratings, around_zero], ids=["1-5", "-8-8"])
@pytest.mark.parametrize("method", METHODS, ids=["all", "users", "items"])
def test_contributions_add_up_to_the_prediction(ratings, method, changed):
    ratings = changed(ratings)
    model = method.fit(ratings)
    for user in range(0, ratings.shape[0], 5):
        for item in range(0, ratings.shape[1], 4):
            found = model.explain(user, item)
            values, is_fallback, _ = model.predict([user], [item])
            assert found.prediction == pytest.approx(values[0])
            assert (not found.parts) == is_fallback[0]
            total = found.expected + sum(part.contribution for part in found.parts)
            assert total == pytest.approx(values[0], abs=1e-5)
            if found.parts:
                damping = getattr(method, "damping", 0)
                weights = sum(part.similarity for part in found.parts)
                shares = sum(part.share for part in found.parts)
                assert shares == pytest.approx(weights / (weights + damping))


@pytest.mark.parametrize(
    "method",
    [
        UserCF(),
        UserKNN(similarity="cosine", neighbours=4),
        ItemKNN(similarity="cosine", neighbours=4),
    ],
    ids=["all", "users", "items"],
)
def test_neighbours_come_with_their_own_ratings(ratings, method):
    dense = ratings.toarray()
    parts = method.fit(ratings).explain(3, 5).parts
    assert len(parts) == (np.sum(dense[:, 5] > 0) if isinstance(method, UserCF) else 4)
    for part in parts:
        by_items = part.kind == "neighbour_item"
        rater, rated = (3, part.number) if by_items else (part.number, 5)
        assert part.rating == dense[rater, rated] > 0
    assert (np.diff([part.similarity for part in parts]) <= 2**-20).all()


def test_all_neighbours_are_listed_with_the_least_influential_last(ratings):
    ratings = around_zero(ratings)
    model = UserCF().fit(ratings)
    users, items = np.indices(ratings.shape).reshape(2, -1)
    place = int(np.flatnonzero(~model.predict(users, items).is_fallback)[0])
    parts = model.explain(users[place], items[place]).parts
    raters = ratings.tocsc().indices[slice(*ratings.tocsc().indptr[items[place] :][:2])]
    assert sorted(part.number for part in parts) == sorted(set(raters) - {users[place]})
    assert min(part.similarity for part in parts) < 0
    assert (np.diff([abs(part.share) for part in parts]) <= 0).all()


def test_nobody_is_their_own_neighbour(ratings):
    users, items = pairs_of(ratings)
    parts = UserCF().fit(ratings).explain(users[7], items[7]).parts
    assert users[7] not in {part.number for part in parts}


def test_pair_without_neighbours_has_no_parts():
    ratings = ratings_of(seed=1, users=10, items=5)
    ratings.resize((11, 5))
    model = UserKNN().fit(ratings)
    found = model.explain(10, 2)
    assert not found.parts
    assert found.prediction == pytest.approx(model.biases.predict([10], [2])[0])


def test_pair_outside_the_matrix_is_refused(ratings):
    with pytest.raises(ValueError, match="training matrix has 24 users"):
        UserCF().fit(ratings).explain(24, 0)
