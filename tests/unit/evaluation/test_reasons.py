"""Recommendations are the highest predictions, and their reasons add up."""

import numpy as np
import pytest

from cfmf.config import registry
from cfmf.evaluation import ranking, reasons
from cfmf.evaluation.fitting import fit
from cfmf.factorization.model import principal_factors
from cfmf.tables import COLUMNS


def values_of(model, users, items):
    """Predictions of pairs as an array."""
    predicted = model.predict(users, items)
    return getattr(predicted, "values", predicted)


METHODS = [name for name in registry() if name not in ("mf-jax", "mf-sgd")]


@pytest.fixture(scope="module")
def explained(ratings, setting_of, people, films):
    train, test = ratings
    users = np.array(reasons.typical_users(train, test))
    candidates = ranking.candidate_matrix(train, users)
    titles = reasons.item_titles(films)

    def make(method):
        setting = setting_of(method)
        found = fit(setting, train, candidates, scale=(1, 5))
        tables = reasons.recommend(setting, found, candidates, train, test, people, titles, 5, "d")
        return setting, found, users, titles, *tables

    return make


@pytest.mark.parametrize("method", METHODS)
def test_highest_predictions_among_the_unrated_are_recommended(ratings, explained, method):
    train, test = ratings
    _, found, users, titles, table, why = explained(method)
    assert list(table.columns) == COLUMNS["recommendations"]
    assert list(why.columns) == COLUMNS["reasons"]
    for user in users:
        rows = table[table["user"] == f"u{user}"]
        unrated = np.flatnonzero(train.toarray()[user] == 0)
        predicted = values_of(found.model, np.full(len(unrated), user), unrated)
        assert set(rows["item"]) <= set(unrated)
        assert rows["prediction"].is_monotonic_decreasing
        if not method.startswith("gibbs"):
            assert rows["prediction"].iloc[0] == pytest.approx(predicted.max(), rel=1e-5)
        assert rows["title"].tolist() == [titles[item] for item in rows["item"]]
        assert (rows["history"] == np.count_nonzero(train.toarray()[user])).all()
        given = test.toarray()[user][rows["item"]]
        assert rows["rating"].fillna(0).tolist() == given.tolist()
    assert table["sd"].notna().all() == method.startswith("gibbs")
    assert (why.groupby(["user", "rank"])["share"].sum() <= 1 + 1e-6).all()


def test_a_pair_is_told_with_its_place_and_reasons_wherever_it_stands(
    ratings, setting_of, people, films
):
    train, test = ratings
    user = reasons.typical_users(train, test)[0]
    candidates = ranking.candidate_matrix(train, np.array([user]))
    unrated = candidates.indices
    rated = train.indices[train.indptr[user]]
    setting = setting_of("baseline")
    found = fit(setting, train, candidates, scale=(1, 5))
    titles = reasons.item_titles(films)
    last = int(unrated[np.argmin(found.asked)])
    first = int(unrated[np.argmax(found.asked)])
    ids = films.set_index("item")["item_id"]
    asked = [[people["user_id"][user], int(ids[one])] for one in (last, first, rated)]
    pairs = reasons.pairs_of(asked, people, films)
    assert pairs == [(user, last), (user, first), (user, rated)]
    table, why = reasons.recommend(
        setting, found, candidates, train, test, people, titles, 5, "d", pairs
    )
    assert len(table) == 6
    assert table["item"].iloc[0] == first
    told = table.iloc[-1]
    assert (told["item"], told["rank"]) == (last, len(unrated))
    assert rated not in set(table["item"])
    parts = why[why["rank"] == len(unrated)]["contribution"].sum()
    assert found.model.biases.mean + parts == pytest.approx(told["prediction"], rel=1e-5)


def test_reasons_of_the_baseline_add_up(ratings, explained):
    _, found, _, _, table, why = explained("baseline")
    first = table[table["rank"] <= reasons.REASONED].set_index(["user", "rank"])
    parts = why.groupby(["user", "rank"])["contribution"].sum()
    total = found.model.biases.mean + parts.loc[first.index]
    assert total.to_numpy() == pytest.approx(first["prediction"].to_numpy(), rel=1e-5)


def test_item_neighbours_are_titles_that_the_user_rated(ratings, explained, films):
    train, _ = ratings
    _, _, users, titles, _, why = explained("item-knn")
    for user in users:
        rows = why[why["user"] == f"u{user}"]
        rated = {titles[item] for item in np.flatnonzero(train.toarray()[user])}
        assert len(rows) > 0
        assert set(rows["reason"]) <= rated


def test_one_with_a_long_history_and_one_with_a_short_are_chosen(ratings):
    train, test = ratings
    counts = np.diff(train.indptr)
    able = (counts > 0) & (np.diff(test.indptr) > 0)
    longest, shortest = reasons.typical_users(train, test)
    assert counts[longest] == counts[able].max()
    assert counts[shortest] == counts[able].min() > 0


def test_titles_keep_their_text_and_ids_stand_in_for_missing_ones(films):
    titles = reasons.item_titles(films)
    assert titles[1] == "Film 1 (1951)"
    assert titles[2] == "Film 2"
    assert titles[3] == "<script>alert(1)</script> (1953)"
    assert titles[4] == "104"


def test_users_and_items_are_named_by_the_ids_of_the_data(people, films):
    assert reasons.numbers_of(["u7", "u2"], people, "user") == [7, 2]
    assert reasons.numbers_of([104, "107"], films, "item") == [4, 7]
    with pytest.raises(ValueError, match="asks for user u99, which the ratings do not have"):
        reasons.numbers_of(["u99"], people, "user")


def test_principal_factors_say_the_same_along_other_axes():
    rng = np.random.default_rng(2)
    left, right = rng.normal(size=(30, 4)), rng.normal(size=(20, 4))
    users, items = principal_factors(left, right)
    np.testing.assert_allclose(users @ items.T, left @ right.T, atol=1e-10)
    strength = np.linalg.svd(left @ right.T, compute_uv=False)[:4]
    np.testing.assert_allclose(users.T @ users, np.diag(strength), atol=1e-9)
    np.testing.assert_allclose(items.T @ items, np.diag(strength), atol=1e-9)
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    again = principal_factors(left @ turn, right @ turn)
    np.testing.assert_allclose(again[1], items, atol=1e-9)


def test_factor_that_made_the_ratings_is_found(setting_of):
    """Items of two kinds, users who like one of them: the first factor tells them apart."""
    from scipy import sparse

    rng = np.random.default_rng(4)
    kind, taste = np.arange(40) % 2, np.arange(80) % 2
    dense = np.where(kind[None, :] == taste[:, None], 5.0, 1.0).astype("f4")
    train = sparse.csr_array(np.where(rng.random((80, 40)) < 0.5, dense, 0))
    model = fit(setting_of("als"), train, scale=(1, 5)).model
    titles = [f"{'odd' if place % 2 else 'even'} {place}" for place in range(40)]
    table = reasons.factor_titles(setting_of("als"), model, train, titles)
    first = table[table["factor"] == 1]
    ends = first.groupby("end")["title"].agg(lambda names: {name.split()[0] for name in names})
    assert sorted(ends["high"] | ends["low"]) == ["even", "odd"]
    assert len(ends["high"]) == len(ends["low"]) == 1
    near = reasons.similar_titles(setting_of("als"), model, train, [0, 1], titles)
    for row in near.itertuples():
        assert row.title.split()[0] == row.similar.split()[0]
        assert row.title != row.similar
    strength = table.drop_duplicates("factor")["share"]
    assert strength.is_monotonic_decreasing
    assert strength.sum() <= 1 + 1e-9


def test_methods_without_items_to_compare_have_no_nearest_titles(ratings, explained):
    train, _ = ratings
    for method in ("baseline", "user-knn"):
        setting, found, _, titles, *_ = explained(method)
        assert reasons.similar_titles(setting, found.model, train, [1], titles).empty
        assert reasons.factor_titles(setting, found.model, train, titles).empty


def test_ties_go_to_the_item_with_more_ratings():
    places = reasons.best_items(
        np.array([1.0, 5.0, 5.0, 5.0]), np.array([3, 0, 2, 1]), np.array([4, 9, 9, 1]), 3
    )
    assert places.tolist() == [3, 2, 1]
