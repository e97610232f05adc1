"""NDCG and recall against worked examples, enumeration of ties, and what is a candidate."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cfmf.evaluation import ranking

# Worked by hand: gains 3, 2, 3, 0, 1, 2 in the order given (the example of Wikipedia's article on
# discounted cumulative gain, with linear gains): DCG 6.861, ideal order 3, 3, 2, 2, 1, 0.
GAINS = [3, 2, 3, 0, 1, 2]


def test_published_worked_example():
    scores = [6, 5, 4, 3, 2, 1]
    found = ranking.expected_top(scores, GAINS, ranking.discounts(6))
    assert found == pytest.approx(6.861, abs=5e-4)
    ideal = 3 + 3 / np.log2(3) + 2 / 2 + 2 / np.log2(5) + 1 / np.log2(6)
    assert ranking.ndcg(scores, GAINS, 6) == pytest.approx(6.861127 / ideal, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "top", "expected"),
    [
        ([0.1, 0.2, 0.3, 4, 70], 5, 0.6956940443813076),
        ([0.1, 0.2, 0.3, 4, 70], 4, 0.4123818817534531),
        ([0.05, 1.1, 1.0, 0.5, 0.0], 5, 0.493680191377376),
        ([0.05, 1.1, 1.0, 0.5, 0.0], 4, 0.3520241100634488),
        ([1, 0, 0, 0, 1], 5, 0.9279733094794905),
        ([1, 0, 0, 0, 1], 4, 0.9185295707252287),
        ([1, 0, 0, 0, 1], 1, 0.75),
    ],
)
def test_stored_values_of_scikit_learn(scores, top, expected):
    """What ndcg_score of scikit-learn 1.9.1 gives, its ties averaged, for these gains."""
    assert ranking.ndcg(scores, [10, 0, 0, 1, 5], top) == pytest.approx(expected, rel=1e-12)


def test_recall_counts_what_is_found():
    relevant = [True, False, True, True, False]
    assert ranking.recall([5, 4, 3, 2, 1], relevant, 3) == pytest.approx(2 / 3)
    assert ranking.recall([5, 4, 3, 2, 1], relevant, 9) == 1
    # all equal: of 3 relevant among 5, 2 places find 6 / 5 on average
    assert ranking.recall([1] * 5, relevant, 2) == pytest.approx(2 / 5)


tied = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=6)


@given(tied, st.integers(1, 7))
def test_ties_are_the_mean_over_their_orders(pairs, top):
    scores, gains = np.array(pairs).T
    weights = ranking.discounts(top)
    values = []
    for order in itertools.permutations(range(len(scores))):
        ranked = scores[list(order)]
        if (np.diff(ranked) <= 0).all():
            best = gains[list(order)][:top]
            values.append(best @ weights[: len(best)])
    assert ranking.expected_top(scores, gains, weights) == pytest.approx(np.mean(values))


def test_candidates_are_what_the_user_has_not_rated(ratings):
    train, _ = ratings
    users = np.array([0, 7, 30])
    found = ranking.candidate_matrix(train, users)
    dense = train.toarray() != 0
    asked = np.zeros(train.shape, bool)
    rows = np.repeat(np.arange(train.shape[0]), np.diff(found.indptr))
    asked[rows, found.indices] = True
    assert (asked[users] == ~dense[users]).all()
    assert asked.sum() == (~dense[users]).sum()


def test_best_order_scores_one_and_worst_none(ratings):
    train, test = ratings
    users = ranking.ranked_users(test, 4, 20, seed=1)
    assert len(users) == 20
    candidates = ranking.candidate_matrix(train, users)
    rows = np.repeat(np.arange(train.shape[0]), np.diff(candidates.indptr))
    known = test.toarray()[rows, candidates.indices]
    best = ranking.rank_users(candidates, known, train, test, 4, 50)
    assert best["user"].tolist() == users.tolist()
    assert best["ndcg"].to_numpy() == pytest.approx(1)
    assert best["recall"].to_numpy() == pytest.approx(1)
    worst = ranking.rank_users(candidates, -known, train, test, 4, 1)
    assert (worst["ndcg"] == 0).all()
    counts = np.bincount(train.indices, minlength=train.shape[1])
    popular = ranking.rank_users(candidates, counts[candidates.indices], train, test, 4, 1)
    one = candidates.indices[candidates.indptr[users[0]] : candidates.indptr[users[0] + 1]]
    assert popular["popularity"].iloc[0] == counts[one].max()


def test_means_over_users_have_intervals(ratings, resampling):
    train, test = ratings
    users = ranking.ranked_users(test, 4, 50, seed=1)
    candidates = ranking.candidate_matrix(train, users)
    random = np.random.default_rng(0).random(candidates.nnz).astype("f4")
    by_user = ranking.rank_users(candidates, random, train, test, 4, 10)
    rows = ranking.ranking_rows(by_user, 10, resampling, dataset="d", fold="f", method="mf")
    rows = rows.set_index("metric")
    for metric in ranking.METRICS:
        assert rows.loc[metric, "value"] == pytest.approx(by_user[metric].mean())
        spread = by_user[metric].std() / np.sqrt(len(by_user))
        width = rows.loc[metric, "ci_high"] - rows.loc[metric, "ci_low"]
        assert width == pytest.approx(2 * 1.96 * spread, rel=0.25)


def test_threshold_is_three_quarters_up_the_scale():
    assert ranking.relevance_threshold((1, 5)) == 4
    assert ranking.relevance_threshold((0.5, 5)) == pytest.approx(3.875)


def test_nobody_to_rank_makes_no_rows(ratings, resampling):
    train, test = ratings
    nobody = ranking.ranked_users(test, 6, 50, seed=1)
    empty = ranking.candidate_matrix(train, nobody)
    assert empty.nnz == 0
    by_user = ranking.rank_users(empty, np.zeros(0, "f4"), train, test, 6, 10)
    keys = {"dataset": "d", "fold": "f", "method": "mf"}
    assert ranking.ranking_rows(by_user, 10, resampling, **keys).empty
    assert sparse.issparse(empty)
