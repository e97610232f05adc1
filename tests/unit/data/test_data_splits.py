"""Folds: the official ones against their own files, the others by what they promise."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfmf.data.formats import read
from cfmf.data.splits import fold_names, load, save, split
from cfmf.files import DamagedError
from cfmf.workflow.plan import split_scheme

DEFAULTS = {"folds": 4, "seed": 1, "validation": 0.1, "leave": 2, "test": 0.2, "folder": ""}
KINDS = ["predefined", "kfold", "kfold-per-user", "leave-last", "timeline"]


def rule(kind, **changes):
    return DEFAULTS | {"kind": kind} | changes


@pytest.fixture(scope="module")
def ratings():
    rng = np.random.default_rng(3)
    pairs = rng.permutation(40 * 60)[:1000]
    return pd.DataFrame(
        {
            "user": (pairs // 60).astype(np.int32),
            "item": (pairs % 60).astype(np.int32),
            "rating": np.float32(3),
            "date": rng.integers(0, 10**9, 1000).astype("datetime64[s]"),
            "part": pd.Categorical(np.where(rng.random(1000) < 0.2, "test", "train")),
        }
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_rating_before_the_test_is_in_one_part_of_a_fold(ratings, kind):
    folds = split(ratings, rule(kind))
    assert list(folds) == fold_names(rule(kind))
    for fold in folds.values():
        rows = np.concatenate([fold.fit, fold.validation, fold.test])
        assert len(np.unique(rows)) == len(rows)
        assert kind == "timeline" or len(rows) == len(ratings)
        for part in (fold.fit, fold.validation, fold.test):
            assert part.dtype == np.int64
            assert (np.diff(part) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fold_depends_only_on_rule_and_seed(ratings, kind):
    once, again = split(ratings, rule(kind)), split(ratings, rule(kind))
    for name, fold in once.items():
        np.testing.assert_array_equal(fold.validation, again[name].validation)
        np.testing.assert_array_equal(fold.test, again[name].test)
    other = split(ratings, rule(kind, seed=2))
    drawn = kind not in ("leave-last", "timeline")
    first = next(iter(once))
    assert drawn != np.array_equal(once[first].validation, other[first].validation)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 10), st.integers(0, 99), st.sampled_from(["kfold", "kfold-per-user"]))
def test_kfold_tests_each_rating_once_in_equal_shares(ratings, folds, seed, kind):
    made = split(ratings, rule(kind, folds=folds, seed=seed))
    tests = [fold.test for fold in made.values()]
    np.testing.assert_array_equal(np.sort(np.concatenate(tests)), np.arange(1000))
    groups = ratings["user"] if kind == "kfold-per-user" else pd.Series(np.zeros(1000))
    shares = [groups.iloc[test].value_counts() for test in tests]
    shares = pd.concat(shares, axis=1).fillna(0)
    assert (shares.max(axis=1) - shares.min(axis=1)).max() <= 1


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 5), st.integers(1, 4), st.sampled_from(["kfold", "kfold-per-user"]))
def test_every_repeat_is_a_partition_of_its_own_and_the_first_that_without_repeats(
    ratings, folds, repeats, kind
):
    made = split(ratings, rule(kind, folds=folds, repeats=repeats))
    assert list(made) == fold_names(rule(kind, folds=folds, repeats=repeats))
    assert len(made) == folds * repeats
    parts = [fold for _, fold in sorted(made.items())]
    for first in range(0, len(parts), folds):
        tested = np.concatenate([fold.test for fold in parts[first : first + folds]])
        np.testing.assert_array_equal(np.sort(tested), np.arange(1000))
    drawn = {(tuple(fold.test), tuple(fold.validation)) for fold in parts}
    assert len(drawn) == folds * repeats
    once = split(ratings, rule(kind, folds=folds))
    assert list(once) == [f"f{number}" for number in range(1, folds + 1)]
    for name, fold in once.items():
        same = made[name if repeats == 1 else f"r1{name}"]
        np.testing.assert_array_equal(fold.test, same.test)
        np.testing.assert_array_equal(fold.validation, same.validation)


def test_only_folds_drawn_at_random_are_repeated():
    assert fold_names(rule("timeline", folds=2, repeats=3)) == ["t1", "t2"]
    assert fold_names(rule("kfold", folds=2, repeats=2)) == ["r1f1", "r1f2", "r2f1", "r2f2"]


def test_validation_is_the_share_of_train_in_the_rule(ratings):
    for kind in ("kfold", "kfold-per-user", "timeline"):
        fold = next(iter(split(ratings, rule(kind, validation=0.25)).values()))
        train = len(fold.fit) + len(fold.validation)
        assert len(fold.validation) == pytest.approx(train / 4, rel=0.1)


def test_validation_per_user_takes_the_share_of_each_user(ratings):
    fold = split(ratings, rule("kfold-per-user", validation=0.25))["f1"]
    train = ratings["user"].iloc[np.append(fold.fit, fold.validation)].value_counts()
    held = ratings["user"].iloc[fold.validation].value_counts().reindex(train.index, fill_value=0)
    assert ((held - train / 4).abs() < 1).all()


def test_leave_last_tests_the_latest_of_each_user_and_validates_on_those_before(ratings):
    fold = split(ratings, rule("leave-last"))["leave-last"]
    by_date = ratings.sort_values("date", ascending=False, kind="stable").groupby("user")
    np.testing.assert_array_equal(fold.test, np.sort(by_date.head(2).index))
    np.testing.assert_array_equal(
        np.union1d(fold.test, fold.validation), np.sort(by_date.head(4).index)
    )


@pytest.mark.parametrize(
    ("leave", "sizes"),
    [
        (1, {1: (1, 0, 0), 2: (1, 0, 1), 3: (1, 1, 1), 4: (2, 1, 1)}),
        (2, {1: (1, 0, 0), 2: (1, 0, 1), 3: (1, 0, 2), 4: (1, 1, 2), 5: (1, 2, 2), 6: (2, 2, 2)}),
    ],
)
def test_leave_last_leaves_every_user_the_first_rating_to_learn_from(leave, sizes):
    users = np.repeat(list(sizes), list(sizes))
    ratings = pd.DataFrame({"user": users.astype(np.int32), "item": 0, "part": ""})
    ratings["date"] = np.arange(len(users))[::-1].astype("datetime64[s]")
    fold = split(ratings, rule("leave-last", leave=leave))["leave-last"]
    for user, expected in sizes.items():
        parts = [ratings.iloc[rows] for rows in (fold.fit, fold.validation, fold.test)]
        assert tuple((part["user"] == user).sum() for part in parts) == expected
        first = ratings[ratings["user"] == user]["date"].idxmin()
        assert first in fold.fit


@pytest.mark.parametrize("days", [1, 2, 3])
def test_a_timeline_of_few_days_says_that_dates_are_tied(ratings, days):
    tied = ratings.assign(date=(np.arange(1000) % days * 86_400).astype("datetime64[s]"))
    with pytest.raises(ValueError, match=rf"because of ties: .* there are {days} in all"):
        split(tied, rule("timeline", folds=4))


def test_leave_last_tells_how_many_users_have_tied_dates(ratings, caplog):
    split(ratings, rule("leave-last", leave=1))
    assert not caplog.records
    days = ratings.assign(
        date=ratings["date"].mask(ratings["user"] < 3, np.datetime64("2001-01-01"))
    )
    split(days, rule("leave-last", leave=1))
    assert "the latest ratings of 3 of 40 users have the same date" in caplog.text


def test_fractions_of_a_second_decide_which_rating_is_the_last(ratings):
    second = pd.Timestamp("2024-01-01 10:00:00")
    parts = np.random.default_rng(5).permutation(1000)
    exact = ratings.assign(date=second + pd.to_timedelta(parts, unit="us"))
    fold = split(exact, rule("leave-last", leave=1))["leave-last"]
    latest = exact.groupby("user")["date"].idxmax()
    np.testing.assert_array_equal(fold.test, np.sort(latest))
    (window,) = split(exact, rule("timeline", folds=1)).values()
    np.testing.assert_array_equal(window.test, np.sort(np.argsort(parts)[-200:]))


def test_timeline_trains_on_the_past_of_each_window(ratings):
    folds = split(ratings, rule("timeline"))
    date = ratings["date"].to_numpy()
    ends = []
    for fold in folds.values():
        assert date[fold.fit].max() <= date[fold.validation].min()
        assert date[fold.validation].max() < date[fold.test].min()
        ends += [date[fold.test].min(), date[fold.test].max()]
    assert ends == sorted(ends)
    tested = np.concatenate([fold.test for fold in folds.values()])
    assert len(np.unique(tested)) == len(tested) == pytest.approx(200, abs=2)


def test_timeline_never_divides_a_moment(ratings):
    days = ratings.assign(date=ratings["date"].dt.floor("1000D"))
    fold = split(days, rule("timeline", folds=1))["t1"]
    train = days["date"].iloc[np.append(fold.fit, fold.validation)]
    assert train.max() < days["date"].iloc[fold.test].min()


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("official", {}, "divide the 100,000 rows of MovieLens 100K, not 1,000"),
        ("official", {"folds": 6}, "there are 5 official folds"),
        ("kfold", {"folds": 1}, "needs 2 or more"),
        ("kfold", {"validation": 0.999}, "fit part of fold f1 is empty"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(ratings, kind, change, message):
    few = ratings if kind == "official" else ratings.iloc[:8]
    with pytest.raises(ValueError, match=message):
        split(few, rule(kind, **change))


def test_dates_or_parts_that_are_missing_are_refused(ratings):
    with pytest.raises(ValueError, match="has no separate train and test parts"):
        split(ratings.assign(part=""), rule("predefined"))
    for kind in ("timeline", "leave-last"):
        with pytest.raises(ValueError, match="needs the date of every rating"):
            split(ratings.assign(date=pd.NaT), rule(kind))


def test_saved_folds_come_back_and_a_changed_one_is_noticed(ratings, tmp_path):
    folds = split(ratings, rule("kfold"))
    save(folds, rule("kfold"), tmp_path, ratings)
    for name, fold in folds.items():
        for part in ("fit", "validation", "test"):
            found = getattr(load(tmp_path, name), part)
            np.testing.assert_array_equal(found, getattr(fold, part))
    first = (tmp_path / "folds.npz").read_bytes()
    save(folds, rule("kfold"), tmp_path, ratings)
    assert (tmp_path / "folds.npz").read_bytes() == first
    facts = json.loads((tmp_path / "folds.json").read_text())
    assert facts["rule"] == rule("kfold")
    assert facts["folds"]["f2"]["test"] == len(folds["f2"].test)
    with pytest.raises(ValueError, match="no fold f9, only f1, f2"):
        load(tmp_path, "f9")
    for spoil in (lambda path: path.write_bytes(first[:-1] + b"?"), Path.unlink):
        spoil(tmp_path / "folds.npz")
        with pytest.raises(
            DamagedError, match=r"folds\.npz does not have the hash in folds\.json"
        ) as error:
            load(tmp_path, "f2")
        assert error.value.path == tmp_path / "folds.npz"


def test_saved_folds_are_taken_by_a_run_of_the_same_ratings_only(ratings, tmp_path):
    folds = split(ratings, rule("timeline"))
    save(folds, rule("timeline"), tmp_path, ratings)
    saved = rule("saved", folder=str(tmp_path))
    assert fold_names(saved) == list(folds)
    assert split_scheme(saved) == "temporal"
    for name, fold in split(ratings, saved).items():
        np.testing.assert_array_equal(fold.test, folds[name].test)
        np.testing.assert_array_equal(fold.validation, folds[name].validation)
    swapped = ratings.iloc[::-1].reset_index(drop=True)
    with pytest.raises(ValueError, match="divide other ratings"):
        split(swapped, saved)
    facts = json.loads((tmp_path / "folds.json").read_text())
    facts["folds"]["../t1"] = facts["folds"]["t1"]
    (tmp_path / "folds.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="only letters, digits"):
        fold_names(saved)
    with pytest.raises(ValueError, match="is not a list of saved folds"):
        fold_names(rule("saved", folder=str(tmp_path / "nowhere")))


def test_official_folds_are_those_of_the_official_files(real_data, dataset):
    folder = real_data / "ml-100k"
    ratings = read(folder, dataset(source="movielens-100k")).ratings
    own = (ratings[["user", "item"]] + 1).assign(
        rating=ratings["rating"].astype(int),
        time=ratings["date"].astype("datetime64[s]").astype("int64"),
    )
    folds = split(ratings, rule("official", folds=5))
    assert list(folds) == ["u1", "u2", "u3", "u4", "u5"]
    for name, fold in folds.items():
        parts = {"base": np.union1d(fold.fit, fold.validation), "test": fold.test}
        for part, rows in parts.items():
            official = pd.read_csv(folder / f"{name}.{part}", sep="\t", header=None)
            mine = own.iloc[rows].sort_values(["user", "item"])
            np.testing.assert_array_equal(mine.to_numpy(), official.sort_values([0, 1]).to_numpy())
