"""Who is trimmed to what, what is left, and errors that know the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfmf.evaluation import trimming
from cfmf.observed import pairs, rmse

LENGTHS = (0, 2, 5)


@given(st.integers(1, 60), st.integers(1, 5), st.integers(0, 9))
def test_users_are_shared_evenly_and_never_twice_at_one_length(ratings, users, rounds, seed):
    train, test = ratings
    plan = trimming.design(train, test, LENGTHS, users, rounds, seed)
    assert len(set(plan.users)) == len(plan.users) <= users
    assert (np.diff(train.indptr)[plan.users] > max(LENGTHS)).all()
    assert (np.diff(test.indptr)[plan.users] > 0).all()
    assert len(plan.assigned) == min(rounds, len(LENGTHS))
    for assigned in plan.assigned:
        counts = np.bincount(assigned, minlength=len(LENGTHS))
        assert counts.max() - counts.min() <= 1
    for of_user in plan.assigned.T:
        assert len(set(of_user)) == len(of_user)


def test_what_is_left_is_nested_and_others_keep_all(ratings):
    train, _ = ratings
    users = np.array([3, 10, 11])
    before = set(zip(*pairs(train), strict=True))
    found = []
    for length in (0, 1, 4, 9, 10**6):
        kept = np.full(train.shape[0], trimming.KEEP_ALL)
        kept[users] = length
        left = trimming.trim(train, kept, seed=5)
        assert left.shape == train.shape
        had = np.diff(train.indptr)
        assert np.diff(left.indptr)[users].tolist() == np.minimum(had[users], length).tolist()
        others = np.setdiff1d(np.arange(train.shape[0]), users)
        assert (np.diff(left.indptr)[others] == had[others]).all()
        dense = left.toarray()
        assert (dense[dense != 0] == train.toarray()[dense != 0]).all()
        found.append(set(zip(*pairs(left), strict=True)))
    for less, more in zip(found, [*found[1:], before], strict=True):
        assert less <= more
    assert found[-1] == before


def test_errors_are_those_of_one_fit_when_nothing_is_cut(ratings, setting_of, resampling):
    """With one length longer than all histories, every number is that of the whole history."""
    train, test = ratings
    setting = setting_of("baseline")
    whole = setting.fit(train, test).predictions
    plan = trimming.design(train, test, [8], 20, 1, 2)
    plan = trimming.Design(plan.users, (10**6,), plan.assigned, 2)
    rows = trimming.trimmed_errors(setting, train, test, whole, plan, resampling)
    tested = np.isin(pairs(test)[0], plan.users)
    expected = rmse(whole[tested], test.data[tested])
    rows = rows[rows["metric"] == "rmse"]
    assert rows["level"].tolist() == ["1000000", "all"]
    assert rows["value"].to_numpy() == pytest.approx(expected)
    assert rows["n"].tolist() == [tested.sum()] * 2
    assert (rows["ci_low"] < expected).all()
    assert (rows["ci_high"] > expected).all()


def test_complete_square_is_the_plain_error_at_every_length(ratings, setting_of, resampling):
    """When every user is seen at every length, the ratio estimate is the plain RMSE."""
    train, test = ratings
    setting = setting_of("user-knn")
    whole = setting.fit(train, test).predictions
    plan = trimming.design(train, test, LENGTHS, 21, len(LENGTHS), 4)
    rows = trimming.trimmed_errors(setting, train, test, whole, plan, resampling)
    queried = trimming.rows_of(test, plan.users)
    users = pairs(queried)[0]
    errors = {place: [] for place in range(len(LENGTHS))}
    for assigned in plan.assigned:
        kept = np.full(train.shape[0], trimming.KEEP_ALL)
        kept[plan.users] = np.array(LENGTHS)[assigned]
        predicted = setting.fit(trimming.trim(train, kept, 4), queried).predictions
        place = dict(zip(plan.users, assigned, strict=True))
        for user, error in zip(users, (predicted - queried.data) ** 2, strict=True):
            errors[place[user]].append(error)
    found = rows[(rows["metric"] == "rmse") & (rows["level"] != "all")]["value"]
    plain = [np.sqrt(np.mean(errors[place])) for place in errors]
    assert found.tolist() == pytest.approx(plain, rel=1e-5)
    assert plain[0] > plain[-1]  # somebody unknown is harder to predict


def test_nobody_with_enough_ratings_makes_no_rows(ratings, setting_of, resampling):
    train, test = ratings
    plan = trimming.design(train, test, [1000], 20, 2, 2)
    assert len(plan.users) == 0
    whole = np.zeros(test.nnz, "f4")
    keys = (setting_of("baseline"), train, test, whole, plan, resampling)
    assert trimming.trimmed_errors(*keys).empty
