"""Who is trimmed to what, what is left, and errors that know the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cfmf.evaluation import trimming
from cfmf.evaluation.bootstrap import LevelSums
from cfmf.evaluation.item_mean import CHANGE, OVER
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


def test_difference_from_the_item_mean_is_paired(ratings, setting_of, resampling):
    """Of the plain errors of both where every user is seen at every length; 0 of the item mean."""
    train, test = ratings
    plan = trimming.design(train, test, LENGTHS, 60, len(LENGTHS), 4)
    found = {}
    for name in ("strange", "user-knn"):
        whole = setting_of(name).fit(train, test).predictions
        rows = trimming.trimmed_errors(setting_of(name), train, test, whole, plan, resampling)
        found[name] = rows.set_index(["metric", "level"])
    of_mean, of_method = found["strange"], found["user-knn"]
    for metric in (OVER, CHANGE):
        same = of_mean.loc[metric]
        assert same[["value", "ci_low", "ci_high"]].abs().to_numpy().max() < 1e-6
    plain = of_method.loc["rmse", "value"] - of_mean.loc["rmse", "value"]
    over, change = (of_method.loc[metric] for metric in (OVER, CHANGE))
    assert over["value"].to_numpy() == pytest.approx(plain.to_numpy(), abs=1e-6)
    expected = (plain - plain["all"]).drop("all").to_numpy()
    assert change["value"].to_numpy() == pytest.approx(expected, abs=1e-6)
    assert over["users"].tolist() == [len(plan.users)] * 4
    # Without anything of the user, a neighbour method has nothing but means.
    assert over.loc["0", "ci_low"] <= 0.02
    assert over.loc["all", "ci_high"] < over.loc["0", "value"]


@pytest.mark.parametrize("metric", [OVER, CHANGE])
def test_its_interval_is_that_of_resampling_users(metric):
    """Normal intervals of the ratio estimates against the bootstrap, on errors made up."""
    rng = np.random.default_rng(5)
    n = rng.integers(1, 30, (200, 3)).astype(float)
    hard = rng.gamma(4, 0.25, (200, 1))
    plan = trimming.Design(np.arange(200), (0, 5, 9), np.zeros((3, 200), int))

    def sums(level):
        cut, uncut = (n * hard * rng.gamma(20, level / 20, n.shape) for _ in range(2))
        whole = n.sum(1, keepdims=True)
        parts = [(n, cut), (n, uncut), (whole, uncut.sum(1, keepdims=True))]
        return tuple(LevelSums(count, squared, squared) for count, squared in parts)

    both = sums(1.0), sums(1.2)
    rows = trimming._over(*both, plan, 0.95)
    rows = rows[rows["metric"] == metric]
    order = np.random.default_rng(1).integers(0, 200, (2000, 200))

    def values(chosen):
        found = []
        for one in both:
            cut, uncut, whole = (part.squared[chosen].sum(0) for part in one)
            found.append(np.sqrt(whole / one[2].n[chosen].sum() * np.append(cut / uncut, 1)))
        difference = found[0] - found[1]
        return difference if metric == OVER else (difference - difference[-1])[:-1]

    spread = np.std([values(chosen) for chosen in order], axis=0)
    assert rows["value"].to_numpy() == pytest.approx(values(np.arange(200)), abs=1e-12)
    half = (rows["ci_high"] - rows["value"]).to_numpy() / stats.t.isf(0.025, 199)
    assert half == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("known", ["baseline", "user-knn", "item-knn", "als"])
def test_folding_in_is_compared_with_a_new_fit(ratings, setting_of, resampling, known):
    """On the same ratings and users: the plain errors where every user is seen at every length."""
    train, test = ratings
    setting = setting_of(known)
    whole = setting.fit(train, test).predictions
    plan = trimming.design(train, test, LENGTHS, 21, len(LENGTHS), 4)
    rows = trimming.trimmed_errors(setting, train, test, whole, plan, resampling)
    found = rows.set_index(["metric", "level"])["value"]
    without = np.full(train.shape[0], trimming.KEEP_ALL)
    without[plan.users] = 0
    model = setting.fit(trimming.trim(train, without, 4)).model
    queried = trimming.rows_of(test, plan.users)
    users = train.shape[0] + np.searchsorted(plan.users, pairs(queried)[0])
    for length in LENGTHS:
        kept = np.full(train.shape[0], trimming.KEEP_ALL)
        kept[plan.users] = length
        new = model.fold_in(trimming.trim(train, kept, 4)[plan.users])
        plain = rmse(new.predict(users, queried.indices).values, queried.data)
        at = str(length)
        assert found[trimming.FOLDED, at] == pytest.approx(plain, rel=1e-5)
        loss = plain - found["rmse", at]
        assert found[trimming.LOSS, at] == pytest.approx(loss, abs=1e-5)
        assert abs(loss) < 0.2


def test_a_method_that_cannot_fold_in_has_no_such_rows(ratings, setting_of, resampling):
    train, test = ratings
    setting = setting_of("strange")
    plan = trimming.design(train, test, LENGTHS, 21, 1, 4)
    whole = setting.fit(train, test).predictions
    rows = trimming.trimmed_errors(setting, train, test, whole, plan, resampling)
    assert not set(rows["metric"]) & {trimming.FOLDED, trimming.LOSS}
