"""Candidates, trials, and what a limit of time does to them."""

from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from neighbour_references import pairs_of, ratings_of

from cfmf.methods.base import Method, Model, Prediction, setting
from cfmf.methods.baseline import Baseline
from cfmf.methods.item_knn import ItemKNN
from cfmf.methods.user_knn import UserKNN
from cfmf.published.methods.user_cf_published import UserCF
from cfmf.tuning import Setup, search

LISTS = {
    "neighbours": [5, 2],
    "similarity": ["pearson", "cosine"],
    "shrinkage": [0, 10],
    "damping": [0.1],
}


@pytest.fixture
def parts():
    fit, validation = ratings_of(seed=1, users=50, items=30), ratings_of(seed=2, users=50, items=30)
    return {"u1": {"fit": fit, "validation": validation}}


def test_grid_is_the_full_cross_in_a_canonical_order():
    found = UserKNN.candidates(LISTS)
    assert len(found) == 8
    assert [one.similarity for one in found] == ["pearson"] * 4 + ["cosine"] * 4
    assert [one.neighbours for one in found[:4]] == [5, 2, 5, 2]
    shuffled = {name: LISTS[name] for name in reversed(LISTS)}
    assert UserKNN.candidates(shuffled) == found
    assert len(UserKNN.candidates({})) == len(ItemKNN.candidates({})) == 8
    assert UserCF.candidates({}) == [UserCF()]


def test_text_of_a_setting_has_no_exponents_and_names_its_candidate():
    block = {"reg_user": [1.0e-5, 3], "reg_item": 1.0e6}
    candidate = Baseline.candidates(block)[0]
    assert candidate.chosen_text() == "reg_user=0.00001 reg_item=1000000"
    assert Baseline.named(block, candidate.chosen_text()) == candidate
    assert UserCF.named({}, np.nan) == UserCF()
    assert Baseline.named({"reg_user": [3]}, candidate.chosen_text()) == candidate
    with pytest.raises(ValueError, match="no setting of it any more"):
        Baseline.named({}, "reg_user=3")


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ({"k": [1]}, "no setting k; it has similarity"),
        ({"neighbours": []}, r"lists \[\] for neighbours"),
        ({"shrinkage": [1, 1.0]}, "list each value once"),
        ({"similarity": ["euclid"]}, "euclid"),
    ],
)
def test_grid_that_makes_no_sense_is_refused(block, complaint):
    with pytest.raises(ValueError, match=complaint):
        UserKNN.candidates(block)


def test_trials_hold_the_validation_rmse_of_every_setting(parts):
    fit, validation = parts["u1"].values()
    trials, _ = search(Setup(UserKNN, LISTS, parts, "d"), "u1")
    candidates = UserKNN.candidates(LISTS)
    assert trials["setting"].tolist() == [one.chosen_text() for one in candidates]
    assert trials["trial"].tolist() == list(range(8))
    for value, candidate in zip(trials["value"], candidates, strict=True):
        predicted = candidate.fit(fit).predict(*pairs_of(validation)).values
        expected = np.sqrt(np.mean((predicted.astype(float) - validation.data) ** 2))
        assert value == pytest.approx(expected, rel=1e-9)


def test_without_time_no_trial_has_a_value(parts):
    trials, _ = search(Setup(UserKNN, LISTS, parts), "u1", 0)
    assert set(trials["state"]) == {"OUT_OF_TIME"}
    assert trials["value"].isna().all()


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_a_pass_is_given_up_within_a_block(monkeypatch, caplog, parts, device):
    # A clock that moves on by a second whenever it is looked at; a block of 32 of 50 users.
    ticks = count()
    clock = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr("cfmf.tuning.time", clock)
    monkeypatch.setattr("cfmf.deadline.time", clock)
    monkeypatch.setattr("cfmf.kernels.dense.BLOCK_ROWS", 32)
    monkeypatch.setattr("cfmf.kernels.scatter.BLOCK_BYTES", 4 * 50 * 32)
    setup = Setup(UserKNN, LISTS, parts, device=device)
    trials, _ = search(setup, "u1", 4.5)
    assert trials["state"].tolist() == ["COMPLETE"] * 4 + ["OUT_OF_TIME"] * 4
    assert trials["value"].notna().tolist() == [True] * 4 + [False] * 4
    assert not caplog.records
    assert next(ticks) < 7
    assert set(search(setup, "u1", 1000)[0]["state"]) == {"COMPLETE"}


def test_overrun_of_the_first_pass_is_logged(monkeypatch, caplog, parts):
    clock = iter([0.0, 9.0, 10.0])  # at the start, after the first pass, before the second
    monkeypatch.setattr("cfmf.tuning.time", SimpleNamespace(monotonic=lambda: next(clock)))
    later = iter([1.0, 10.0])
    monkeypatch.setattr("cfmf.deadline.time", SimpleNamespace(monotonic=lambda: next(later)))
    trials, _ = search(Setup(UserKNN, LISTS, parts), "u1", 5)
    assert trials["state"].tolist() == ["COMPLETE"] * 4 + ["OUT_OF_TIME"] * 4
    assert "user-knn exceeded the 5 s of its search by 4.0 s" in caplog.text


def test_settings_of_one_similarity_share_its_computation(monkeypatch, parts):
    from cfmf.kernels import scatter

    computed = []
    real = scatter.arrange
    monkeypatch.setattr(scatter, "arrange", lambda one: computed.append(one.kind) or real(one))
    block = LISTS | {"prediction": ["raw", "centred", "baseline"]}
    search(Setup(ItemKNN, block, parts), "u1")
    assert computed == ["pearson", "cosine"]


class Constant(Method):
    """A stranger's method, of which each candidate is fitted by itself."""

    name = "constant"
    label = "constant"
    family = "baseline"

    value: float = setting(1.0, "What it predicts.", grid=[1, 2, 3])

    def fit(self, train, validation=None, **_):
        return Same(self.value)


class Same(Model):
    def __init__(self, value):
        self.value = value

    def predict(self, users, items):
        size = len(users)
        return Prediction(np.full(size, self.value, np.float32), np.zeros(size, bool))

    def arrays(self):
        return {"value": np.array(self.value)}

    @classmethod
    def from_arrays(cls, arrays):
        return cls(float(arrays["value"]))


def test_candidates_of_any_method_are_tried_one_after_the_other(monkeypatch, parts):
    ticks = count()
    monkeypatch.setattr("cfmf.tuning.time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    late = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr("cfmf.deadline.time", late)
    trials, _ = search(Setup(Constant, {}, parts), "u1", 3.5)
    assert trials["setting"].tolist() == ["value=1", "value=2", "value=3"]
    assert trials["state"].tolist() == ["COMPLETE", "OUT_OF_TIME", "OUT_OF_TIME"]
    data = parts["u1"]["validation"].data
    assert trials["value"].iloc[0] == pytest.approx(np.sqrt(np.mean((data - 1.0) ** 2)))
