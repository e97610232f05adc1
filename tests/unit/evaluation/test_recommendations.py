"""Recommendations are the highest predictions, and their explanations add up."""

import numpy as np
import pytest
from scipy import sparse

from cfmf.evaluation import ranking, recommendations
from cfmf.evaluation.recommendations import Labels, Wanted
from cfmf.tables import COLUMNS


@pytest.fixture(scope="module")
def explained(ratings, setting_of, labels):
    train, test = ratings
    users = np.array(recommendations.typical_users(train, test))
    wanted = Wanted(ranking.candidate_matrix(train, users), 5)

    def make(name):
        setting = setting_of(name)
        found = setting.fit(train, wanted.candidates)
        tables = recommendations.recommend(setting, found, wanted, train, test, labels)
        return setting, found, users, *tables

    return make


def test_highest_predictions_among_the_unrated_are_recommended(ratings, explained, labels, name):
    train, test = ratings
    setting, found, users, table, why = explained(name)
    assert list(table.columns) == COLUMNS["recommendations"]
    assert list(why.columns) == COLUMNS["explanations"]
    for user in users:
        rows = table[table["user"] == f"u{user}"]
        unrated = np.flatnonzero(train.toarray()[user] == 0)
        predicted = found.model.predict(np.full(len(unrated), user), unrated).values
        assert set(rows["item"]) <= set(unrated)
        assert rows["prediction"].is_monotonic_decreasing
        if setting.method.iterates != "sweeps":
            assert rows["prediction"].iloc[0] == pytest.approx(predicted.max(), rel=1e-5)
        assert rows["title"].tolist() == [labels.items[item] for item in rows["item"]]
        assert (rows["history"] == np.count_nonzero(train.toarray()[user])).all()
        given = test.toarray()[user][rows["item"]]
        assert rows["rating"].fillna(0).tolist() == given.tolist()
    assert table["sd"].notna().all() == ("sd" in setting.method.can)
    assert (why.groupby(["user", "rank"])["share"].sum() <= 1 + 1e-6).all()
    assert why.empty == ("explain" not in setting.method.can)


def test_a_pair_is_listed_with_its_rank_and_explanation_whatever_its_rank(
    ratings, setting_of, people, films, labels
):
    train, test = ratings
    user = recommendations.typical_users(train, test)[0]
    candidates = ranking.candidate_matrix(train, np.array([user]))
    unrated, rated = candidates.indices, train.indices[train.indptr[user]]
    setting = setting_of("baseline")
    found = setting.fit(train, candidates)
    last = int(unrated[np.argmin(found.predictions)])
    first = int(unrated[np.argmax(found.predictions)])
    ids = films.set_index("item")["item_id"]
    queried = [[people["user_id"][user], int(ids[one])] for one in (last, first, rated)]
    pairs = recommendations.pairs_of(queried, people, films)
    assert pairs == [(user, last), (user, first), (user, rated)]
    wanted = Wanted(candidates, 5, pairs)
    table, why = recommendations.recommend(setting, found, wanted, train, test, labels)
    assert len(table) == 6
    assert table["item"].iloc[0] == first
    lowest = table.iloc[-1]
    assert (lowest["item"], lowest["rank"]) == (last, len(unrated))
    assert rated not in set(table["item"])
    parts = why[why["rank"] == len(unrated)]["contribution"].sum()
    expected = found.model.explain(user, last).expected
    assert expected + parts == pytest.approx(lowest["prediction"], rel=1e-5)


def test_explanations_of_the_baseline_add_up(explained):
    _, found, users, table, why = explained("baseline")
    first = table[table["rank"] <= recommendations.EXPLAINED].set_index(["user", "rank"])
    parts = why.groupby(["user", "rank"])["contribution"].sum()
    mean = found.model.explain(int(users[0]), 0).expected
    total = mean + parts.loc[first.index]
    assert total.to_numpy() == pytest.approx(first["prediction"].to_numpy(), rel=1e-5)
    assert set(why["kind"]) == {"user", "item"}
    assert set(why["part"]) == {""}


def test_item_neighbours_are_titles_that_the_user_rated(ratings, explained, labels):
    train, _ = ratings
    _, _, users, _, why = explained("item-knn")
    for user in users:
        rows = why[why["user"] == f"u{user}"]
        rated = {labels.items[item] for item in np.flatnonzero(train.toarray()[user])}
        assert len(rows) > 0
        assert set(rows["part"]) <= rated


def test_user_neighbours_are_ids_and_factors_are_numbers(explained, people):
    assert set(explained("user-knn")[-1]["part"]) <= set(people["user_id"])
    rows = explained("mf")[-1]
    factors = rows[rows["kind"] == "factor"]["part"]
    assert set(factors) <= {"1", "2", "3", "4"}
    assert len(factors) > 0


def test_one_with_a_long_history_and_one_with_a_short_are_chosen(ratings):
    train, test = ratings
    counts = np.diff(train.indptr)
    able = (counts > 0) & (np.diff(test.indptr) > 0)
    longest, shortest = recommendations.typical_users(train, test)
    assert counts[longest] == counts[able].max()
    assert counts[shortest] == counts[able].min() > 0


def test_titles_keep_their_text_and_ids_stand_in_for_missing_ones(films):
    titles = recommendations.item_titles(films)
    assert titles[1] == "Film 1 (1951)"
    assert titles[2] == "Film 2"
    assert titles[3] == "<script>alert(1)</script> (1953)"
    assert titles[4] == "104"


def test_users_and_items_are_named_by_the_ids_of_the_data(people, films):
    assert recommendations.numbers_of(["u7", "u2"], people, "user") == [7, 2]
    assert recommendations.numbers_of([104, "107", "0107"], films, "item") == [4, 7, 7]
    padded = people.assign(user_id=people["user_id"].replace({"u7": "007", "u2": "7"}))
    assert recommendations.numbers_of(["007", "7"], padded, "user") == [7, 2]
    with pytest.raises(ValueError, match="asks for user u99, which the ratings do not have"):
        recommendations.numbers_of(["u99"], people, "user")


def test_factor_that_made_the_ratings_is_found(setting_of):
    """Items of two kinds, users who like one of them: the first factor separates them."""
    rng = np.random.default_rng(4)
    kind, taste = np.arange(40) % 2, np.arange(80) % 2
    dense = np.where(kind[None, :] == taste[:, None], 5.0, 1.0).astype("f4")
    train = sparse.csr_array(np.where(rng.random((80, 40)) < 0.5, dense, 0))
    model = setting_of("als").fit(train).model
    labels = Labels([], [f"{'odd' if place % 2 else 'even'} {place}" for place in range(40)])
    table = recommendations.factor_titles(setting_of("als"), model, train, labels)
    first = table[table["factor"] == 1]
    ends = first.groupby("end")["title"].agg(lambda names: {name.split()[0] for name in names})
    assert sorted(ends["high"] | ends["low"]) == ["even", "odd"]
    assert len(ends["high"]) == len(ends["low"]) == 1
    near = recommendations.similar_titles(setting_of("als"), model, train, [0, 1], labels)
    for row in near.itertuples():
        assert row.title.split()[0] == row.similar.split()[0]
        assert row.title != row.similar
    strength = table.drop_duplicates("factor")["share"]
    assert strength.is_monotonic_decreasing
    assert strength.sum() <= 1 + 1e-9


def test_what_a_method_does_not_declare_has_no_rows(ratings, setting_of, labels, name):
    train, _ = ratings
    setting = setting_of(name)
    model = setting.fit(train).model
    similar = recommendations.similar_titles(setting, model, train, [1], labels)
    assert similar.empty == ("similar_items" not in setting.method.can)
    factors = recommendations.factor_titles(setting, model, train, labels)
    assert factors.empty == ("factors" not in setting.method.can)


def test_ties_go_to_the_item_with_more_ratings():
    places = recommendations.best_items(
        np.array([1.0, 5.0, 5.0, 5.0]), np.array([3, 0, 2, 1]), np.array([4, 9, 9, 1]), 3
    )
    assert places.tolist() == [3, 2, 1]
