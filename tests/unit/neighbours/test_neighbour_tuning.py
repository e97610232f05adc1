"""Grids, trials and the choice among them."""

from functools import partial
from itertools import count
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from neighbour_references import pairs_of, ratings_of

from cfmf.neighbours.knn import predict_settings
from cfmf.neighbours.tuning import best_setting, grid, search, setting_text
from cfmf.neighbours.user_knn import UserKNN

LISTS = {"neighbours": [5, 2], "similarity": ["pearson", "cosine"], "shrinkage": [0, 10]}


@pytest.fixture
def parts():
    return ratings_of(seed=1, users=50, items=30), ratings_of(seed=2, users=50, items=30)


def test_grid_is_the_full_cross_in_a_canonical_order():
    found = grid("user-knn", LISTS)
    assert len(found) == 8
    assert [one["similarity"] for one in found] == ["pearson"] * 4 + ["cosine"] * 4
    assert [one["neighbours"] for one in found[:4]] == [5, 2, 5, 2]
    shuffled = {name: LISTS[name] for name in ("similarity", "shrinkage", "neighbours")}
    assert grid("user-knn", shuffled) == found


def test_single_value_is_a_list_of_one_and_missing_ones_are_the_defaults():
    assert grid("item-knn", {"damping": 0}) == [UserKNN(damping=0).setting() | {"damping": 0}]
    assert grid("user-cf-published", {}) == [{}]
    assert len(grid("baseline", {"reg_user": [1, 2], "reg_item": [3]})) == 2


def test_text_of_a_setting_has_no_exponents():
    [setting] = grid("baseline", {"reg_user": 1.0e-5, "reg_item": 1.0e6})
    assert setting_text(setting) == "reg_user=0.00001 reg_item=1000000"


@pytest.mark.parametrize(
    ("method", "settings", "complaint"),
    [
        ("user-knn", {"k": [1]}, "no parameter k; it has similarity"),
        ("user-knn", {"neighbours": []}, r"lists \[\] for neighbours"),
        ("user-knn", {"shrinkage": [1, 1.0]}, "list each value once"),
        ("svd", {}, "no neighbour method is called 'svd'"),
    ],
)
def test_grid_that_makes_no_sense_is_refused(method, settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        grid(method, settings)


def test_trials_hold_the_validation_rmse_of_every_setting(parts):
    fit, validation = parts
    trials = search("user-knn", fit, validation, LISTS, dataset="d", fold="u1")
    settings = grid("user-knn", LISTS)
    assert trials["setting"].tolist() == [setting_text(setting) for setting in settings]
    assert trials["trial"].tolist() == list(range(8))
    for value, setting in zip(trials["value"], settings, strict=True):
        predicted = UserKNN(**setting).fit(fit).predict(*pairs_of(validation))
        expected = np.sqrt(np.mean((predicted.astype(float) - validation.data) ** 2))
        assert value == pytest.approx(expected, rel=1e-9)


def test_best_is_the_least_rmse_of_its_fold_and_the_first_of_equals():
    rows = [
        ("u1", 0, "COMPLETE", 1.0, 5),
        ("u1", 1, "COMPLETE", 0.9, 4),
        ("u1", 2, "COMPLETE", 0.9, 3),
        ("u1", 3, "OUT_OF_TIME", np.nan, 2),
        ("u2", 0, "COMPLETE", 0.1, 5),
    ]
    lists = {"neighbours": [5, 4, 3, 2]}
    trials = pd.DataFrame(rows, columns=["fold", "trial", "state", "value", "neighbours"])
    trials["metric"] = "validation_rmse"
    named = {one["neighbours"]: setting_text(one) for one in grid("user-knn", lists)}
    trials["setting"] = trials["neighbours"].map(named)
    assert best_setting("user-knn", trials, "u1", lists)["neighbours"] == 4
    with pytest.raises(ValueError, match="no complete trial on fold u3"):
        best_setting("user-knn", trials, "u3", lists)
    with pytest.raises(ValueError, match="no longer"):
        best_setting("user-knn", trials, "u1", {"neighbours": [5]})


def test_no_time_left_is_said_and_not_guessed(parts):
    trials = search("user-knn", *parts, LISTS, seconds=0)
    assert set(trials["state"]) == {"OUT_OF_TIME"}
    assert trials["value"].isna().all()


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_a_pass_is_given_up_within_a_block(monkeypatch, caplog, parts, device):
    # A clock that moves on by a second whenever it is looked at; a block of 32 of 50 users.
    ticks = count()
    told = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr("cfmf.neighbours.tuning.time", told)
    monkeypatch.setattr("cfmf.deadline.time", told)
    monkeypatch.setattr("cfmf.neighbours.device.BLOCK_ROWS", 32)
    monkeypatch.setattr("cfmf.neighbours.kernels.BLOCK_BYTES", 4 * 50 * 32)
    search_of = partial(search, "user-knn", *parts, LISTS, device=device)
    trials = search_of(seconds=4.5)
    assert trials["state"].tolist() == ["COMPLETE"] * 4 + ["OUT_OF_TIME"] * 4
    assert trials["value"].notna().tolist() == [True] * 4 + [False] * 4
    assert not caplog.records
    assert next(ticks) < 7
    assert set(search_of(seconds=1000)["state"]) == {"COMPLETE"}


def test_overrun_of_the_first_pass_is_logged(monkeypatch, caplog, parts):
    clock = iter([0.0, 9.0, 10.0])  # at the start, after the first pass, before the second
    monkeypatch.setattr(
        "cfmf.neighbours.tuning.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    later = iter([1.0, 10.0])
    monkeypatch.setattr("cfmf.deadline.time", SimpleNamespace(monotonic=lambda: next(later)))
    trials = search("user-knn", *parts, LISTS, seconds=5)
    assert trials["state"].tolist() == ["COMPLETE"] * 4 + ["OUT_OF_TIME"] * 4
    assert "user-knn overran the 5 s of its search by 4.0 s" in caplog.text


def test_settings_of_one_similarity_share_its_computation(monkeypatch, parts):
    from cfmf.neighbours import kernels

    computed = []
    real = kernels.nearest_sums
    monkeypatch.setattr(
        kernels, "nearest_sums", lambda *given: computed.append(given[0].kind) or real(*given)
    )
    search("item-knn", *parts, LISTS | {"prediction": ["raw", "centred", "baseline"]})
    assert computed == ["pearson", "cosine"]


def test_unknown_setting_is_refused(parts):
    fit, validation = parts
    setting = UserKNN().setting() | {"similarity": "euclid"}
    with pytest.raises(ValueError, match="euclid"):
        predict_settings("users", fit, *pairs_of(validation), [setting])
