"""Dates and attributes: kept, looked up, and given to the methods that use them only."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cfmf.data.matrices import day_matrix
from cfmf.evaluation.fitting import Setting
from cfmf.imports import ROOT
from cfmf.methods import registry
from cfmf.methods.baseline import Baseline
from cfmf.side import USES, Side, load_side, pair_days, save_side, usual_days
from cfmf.testing import PropertyError, check_property, example, informed, properties
from cfmf.tuning import Setup, tune
from cfmf.workflow.config import ConfigError, check
from cfmf.workflow.plan import Plan


class Dated(Baseline):
    """The baseline, for those who know beside the ratings what it does not use."""

    name = "dated"
    label = "Dated"
    uses = frozenset(USES)
    seen: ClassVar[list[Side]] = []

    def fit(self, train, validation=None, **given):
        self.seen.append(self.known(train.shape))
        return super().fit(train, validation, **given)


def random_days(rng, m, n, share):
    dense = rng.integers(1, 50, (m, n)) * (rng.random((m, n)) < share)
    return sparse.csr_array(dense.astype(np.int32))


def side_of(m=4, n=5, seed=0):
    rng = np.random.default_rng(seed)
    kinds = [sparse.csr_array(np.eye(2, dtype="f4")[rng.integers(0, 2, size)]) for size in (m, n)]
    return Side(random_days(rng, m, n, 0.5), *kinds, ("sex=F", "sex=M"), ("genre=a", "genre=b"))


def test_a_file_gives_what_was_saved_and_only_what_is_used(tmp_path):
    side, path = side_of(), tmp_path / "side.npz"
    save_side(path, side)
    whole = load_side(path)
    for name in USES.values():
        matrix, saved = getattr(whole, name), getattr(side, name)
        assert (matrix != saved).nnz == 0
        assert matrix.dtype == saved.dtype
    assert (whole.user_names, whole.item_names) == (side.user_names, side.item_names)
    dated = load_side(path, {"dates"})
    assert dated.users is dated.items is None
    assert dated.user_names == dated.item_names == ()
    assert load_side(path, ()) is None
    again = tmp_path / "again.npz"
    save_side(again, side_of())
    assert again.read_bytes() == path.read_bytes()


def test_what_is_not_known_is_not_given(tmp_path):
    save_side(tmp_path / "side.npz", Side(days=side_of().days))
    with pytest.raises(ValueError, match="has no user attributes and no item attributes"):
        load_side(tmp_path / "side.npz", set(USES))


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"no archive"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "side.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"side\.npz is not a readable file of dates"):
        load_side(tmp_path / "side.npz")


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6), st.sampled_from([0, 0.3, 1])
)
def test_the_day_of_a_pair_is_its_own_else_the_users_last_else_the_last(seed, m, n, share):
    rng = np.random.default_rng(seed)
    days = random_days(rng, m, n, share)
    train = sparse.csr_array((rng.random((m, n)) < 0.5).astype("f4"))
    users, items = rng.integers(0, m, 30), rng.integers(0, n, 30)
    known = days.toarray()
    expected = []
    for user, item in zip(users, items, strict=True):
        trained = (known[user] * (train.toarray()[user] > 0)).max()
        expected.append(known[user, item] or trained or max(1, known.max()))
    assert pair_days(days, usual_days(days, train), users, items).tolist() == expected


def test_days_count_from_the_first_and_leave_out_what_has_no_date():
    dates = ["2000-01-02T23:59:59", None, "2000-01-01T00:00:00", "2000-02-01T12:00:00"]
    ratings = pd.DataFrame(
        {"user": [0, 0, 1, 2], "item": [1, 0, 1, 0], "date": pd.to_datetime(pd.Series(dates))}
    )
    found = day_matrix(ratings, 3, 2)
    assert found.toarray().tolist() == [[0, 2], [0, 1], [32, 0]]
    assert found.dtype == np.int32
    assert day_matrix(ratings[1:2], 3, 2) is None


def test_a_method_is_given_the_side_by_every_way_that_fits_it():
    ratings = example()
    side = informed(Dated(), ratings.train.shape).side
    Dated.seen.clear()
    setup = Setup(Dated, {}, {"1": {"fit": ratings.train, "validation": ratings.validation}})
    with pytest.raises(ValueError, match="has no dates"):
        tune(setup)
    setup = Setup(Dated, {}, setup.folds, side=side)
    trials = tune(setup).trials
    assert len(trials) == len(Dated.seen) == len(Dated.candidates({}))
    chosen = {"method": "dated", "fold": "1", "setting": trials["setting"][0], "dataset": "d"}
    chosen |= {"k": "", "reg": "", "seed": "", "start": 0, "out_of_time": False, "epochs": np.nan}
    some = np.array([3, 5, 8])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cfmf.evaluation.fitting.method_named", lambda name: Dated)
        Setting.of(chosen, {}, side=side).of_users(some).fit(ratings.train[some])
    last = Dated.seen[-1]
    assert (last.days != side.days[some]).nnz == 0
    assert (last.users != side.users[some]).nnz == 0
    assert (last.items != side.items).nnz == 0
    with pytest.raises(ValueError, match="the days are of"):
        Dated(side=side).fit(ratings.train[some])


@pytest.mark.parametrize("name", properties())
def test_a_method_that_uses_it_is_checked_with_synthetic_days_and_attributes(name):
    check_property(name, Dated)


def test_what_is_no_setting_is_in_no_table():
    assert "side" not in Dated.settings()
    assert Dated(side=side_of()).model_dump() == Dated().model_dump()


@pytest.fixture
def config(monkeypatch):
    """A study of a method that uses everything, on a table."""
    monkeypatch.setitem(registry._of_config, "dated", Dated)
    text = (ROOT / "config/table.yaml").read_text("utf-8")
    found = yaml.safe_load(text)
    found["study"]["methods"] = ["baseline", "dated"]
    return found


def test_a_study_without_what_a_method_uses_is_refused_before_it_runs(config, monkeypatch):
    [name] = config["study"]["datasets"]
    config["datasets"][name]["table"]["columns"]["date"] = ""
    with pytest.raises(ConfigError, match=rf"dated, .*dates.* datasets\.{name} has none"):
        check(config)
    monkeypatch.setattr(Dated, "uses", frozenset())
    check(config)


def test_only_methods_that_use_it_wait_for_it(config, monkeypatch):
    monkeypatch.setattr(Dated, "uses", frozenset({"dates"}))
    [name] = config["study"]["datasets"]
    config["datasets"][name]["table"]["columns"]["date"] = "date"
    check(config)
    plan = Plan(config, NotImplemented)
    assert plan.side(name, "baseline") == []
    assert plan.side(name, "baseline", "dated") == [f"results/{name}/side/side.npz"]
    log = f"results/{name}/logs/build_side.log"
    assert log in plan.jobs("log", name, [])
    monkeypatch.setattr(Dated, "uses", frozenset())
    assert log not in plan.jobs("log", name, [])


class Allowed(Dated):
    """Learns from the days of training pairs only."""

    name = "allowed"

    def fit(self, train, validation=None, **given):
        days = self.known(train.shape).days
        counts = sparse.csr_array((days.data % 5 + 1.0, days.indices, days.indptr), days.shape)
        return super().fit(sparse.csr_array((train + counts * (train > 0)).astype("f4")), **given)


class Watching(Dated):
    """Learns from the days of all pairs, those of the test part too."""

    name = "watching"

    def fit(self, train, validation=None, **given):
        busiest = self.known(train.shape).days.sum(axis=0) % 7 + 1.0
        scaled = sparse.csr_array(train.multiply(busiest[None, :]).astype("f4"))
        return super().fit(scaled, **given)


def test_days_of_the_test_part_may_change_nothing_else():
    check_property("unseen_days", Allowed)
    with pytest.raises(PropertyError, match="days of test pairs change other predictions"):
        check_property("unseen_days", Watching)
