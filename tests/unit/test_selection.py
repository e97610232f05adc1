"""Which setting validation chooses, and on which edges of a grid it is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfmf import selection
from cfmf.tables import COLUMNS


def row(method, k, reg, seed, split, value, fold="u1", metric="rmse"):
    values = ["d", fold, method, k, reg, seed, split, metric, value]
    return dict(zip(COLUMNS["metrics"], values, strict=True))


def grid(validation, test=None):
    """Metrics of `mf` from {(k, reg): [validation RMSE of each seed]}."""
    rows = []
    for (k, reg), values in validation.items():
        for seed, value in enumerate(values):
            rows.append(row("mf", k, reg, str(seed), "validation", value))
            rows.append(row("mf", k, reg, str(seed), "test", (test or {}).get((k, reg), 9.0)))
            rows.append(row("mf", k, reg, str(seed), "validation", 0.0, metric="mae"))
    return pd.DataFrame(rows)


def test_choice_is_by_the_mean_over_seeds_and_never_by_test():
    validation = {
        ("4", "0.01"): [0.80, 1.20],
        ("4", "0.1"): [0.95, 0.96],
        ("16", "0.1"): [0.97, 0.97],
    }
    best = selection.choose(grid(validation, test={("16", "0.1"): 0.1})).iloc[0]
    assert (best["k"], best["reg"]) == ("4", "0.1")
    assert best["validation_rmse"] == pytest.approx(0.955)


def test_ties_go_to_the_simpler_model():
    validation = {("16", "0.1"): [0.9], ("4", "0.01"): [0.9], ("4", "0.1"): [0.9]}
    best = selection.choose(grid(validation)).iloc[0]
    assert (best["k"], best["reg"]) == ("4", "0.1")


@pytest.mark.parametrize(("excess", "chosen"), [(0.00009, "4"), (0.00011, "16")])
def test_a_difference_without_meaning_is_a_tie(excess, chosen):
    validation = {("16", "0.1"): [2.0], ("4", "0.1"): [2.0 * (1 + excess)], ("64", "0.1"): [2.0]}
    assert selection.choose(grid(validation)).iloc[0]["k"] == chosen


def test_of_equally_simple_settings_the_lower_error_counts():
    found = selection.choose_trial(trials(["reg_user=1", "reg_user=2"], [0.9001, 0.9]))
    assert found.iloc[0]["setting"] == "reg_user=2"


@pytest.mark.parametrize(
    ("best", "edge"),
    [
        (("16", "0.1"), ""),
        (("4", "0.1"), "k=lowest"),
        (("64", "0.01"), "k=highest;reg=lowest"),
        (("16", "1"), "reg=highest"),
    ],
)
def test_edges_of_the_grid_are_reported(best, edge):
    validation = {
        (k, reg): [0.8 if (k, reg) == best else 0.9]
        for k in ("4", "16", "64")
        for reg in ("0.01", "0.1", "1")
    }
    assert selection.choose(grid(validation)).iloc[0]["edge"] == edge


def trials(settings, values, states=None, method="user-knn"):
    """Trials of one method in fold u1."""
    return pd.DataFrame(
        {
            "dataset": "d",
            "fold": "u1",
            "method": method,
            "trial": range(len(settings)),
            "state": states or "COMPLETE",
            "setting": settings,
            "metric": "validation_rmse",
            "value": values,
        }
    )


NEIGHBOURS = [f"similarity=cosine shrinkage={s} neighbours={n}" for s in (0, 50, 200)
              for n in (10, 40, 160)]  # fmt: skip


@pytest.mark.parametrize(
    ("best", "edge"),
    [
        ("similarity=cosine shrinkage=50 neighbours=40", ""),
        ("similarity=cosine shrinkage=50 neighbours=10", "neighbours=lowest"),
        ("similarity=cosine shrinkage=200 neighbours=160", "shrinkage=highest;neighbours=highest"),
        ("similarity=cosine shrinkage=0 neighbours=40", ""),  # nothing is below 0
    ],
)
def test_edges_of_a_neighbour_grid_are_reported(best, edge):
    found = selection.choose_trial(
        trials(NEIGHBOURS, [0.9 - 0.1 * (one == best) for one in NEIGHBOURS])
    )
    assert found[["setting", "edge"]].to_numpy().tolist() == [[best, edge]]


def test_only_complete_trials_are_chosen():
    settings = [f"neighbours={n}" for n in (10, 40, 160)]
    found = selection.choose_trial(trials(settings, [0.9, 0.8, 0.1], [*["COMPLETE"] * 2, "PRUNED"]))
    assert found[["setting", "edge"]].to_numpy().tolist() == [["neighbours=40", ""]]
    with pytest.raises(ValueError, match="user-knn has no complete trial on fold u1"):
        selection.choose_trial(trials(settings, [0.9] * 3, ["OUT_OF_TIME"] * 3))


def test_a_method_without_settings_is_its_own_choice():
    found = selection.choose_trial(trials([np.nan], [0.9])).iloc[0]
    assert (found["setting"], found["edge"]) == ("", "")


@pytest.mark.parametrize(
    ("settings", "simplest"),
    [
        (["neighbours=40 shrinkage=50", "neighbours=10 shrinkage=0"], 1),
        (["neighbours=10 shrinkage=0", "neighbours=10 shrinkage=50"], 1),
        (["k=16 reg=0.1", "k=4 reg=0.01"], 1),
        (["similarity=cosine", "similarity=pearson"], 0),
    ],
)
def test_ties_of_trials_go_to_the_simpler_setting(settings, simplest):
    found = selection.choose_trial(trials(settings, [0.9, 0.9])).iloc[0]
    assert found["setting"] == settings[simplest]


@settings(max_examples=30, deadline=None)
@given(st.randoms(), st.lists(st.sampled_from([0.8, 0.9, 1.0]), min_size=9, max_size=9))
def test_the_order_of_rows_does_not_matter(random, values):
    """And points and trials with the same settings and errors are chosen by one rule."""
    points = [(k, reg) for k in ("4", "16", "64") for reg in ("0.01", "0.1", "1")]
    metrics = grid({point: [value] for point, value in zip(points, values, strict=True)})
    tried = trials([f"k={k} reg={reg}" for k, reg in points], values)
    order = random.sample(range(len(metrics)), len(metrics))
    shuffled = random.sample(range(9), 9)
    found = selection.choose(metrics.iloc[order], tried.iloc[shuffled])
    pd.testing.assert_frame_equal(found, selection.choose(metrics, tried))
    assert found["setting"].nunique() == found["edge"].nunique() == 1
    at = points.index((found.loc[0, "k"], found.loc[0, "reg"]))
    assert values[at] == min(values) == found.loc[0, "validation_rmse"]


def test_tables_of_several_methods_may_share_an_index():
    tried = [trials(NEIGHBOURS[:2], values, method=str(values)) for values in ([1, 2], [2, 1])]
    assert selection.choose_trial(pd.concat(tried))["setting"].tolist() == NEIGHBOURS[:2]


def test_the_choice_carries_the_first_seed_and_its_epochs():
    table = grid({("4", "0.1"): [0.9, 0.8]})
    fit = [("epochs", "1", 40.0), ("epochs", "0", 30.0), ("out_of_time", "0", 1.0)]
    rows = [row("mf", "4", "0.1", seed, "fit", v, metric=metric) for metric, seed, v in fit]
    found = selection.choose(pd.concat([pd.DataFrame(rows), table])).iloc[0]
    assert (found["seed"], found["epochs"], found["out_of_time"]) == ("0", 30, True)
    assert list(found.index) == COLUMNS["selection"]


@pytest.mark.parametrize(
    ("setting", "edge"),
    [
        ("k=8 reg=0.03", ""),
        ("k=1 reg=0.03", "k=lowest"),
        ("k=60 reg=0.0102", "k=highest;reg=lowest"),
        ("k=8 reg=0.098", "reg=highest"),
    ],
)
def test_bounds_of_a_search_are_reported(setting, edge):
    ranges = {"k": [1, 64], "reg": [0.01, 0.1], "neighbours": [5, 200]}
    found = selection.search_edges(trials([setting, "k=9 reg=0.05"], [0.8, 0.9]), ranges)
    assert found["edge"].tolist() == [edge]


def test_methods_without_a_grid_are_chosen_as_they_are():
    rows = [
        row("baseline", "", "", "", "test", 0.94),
        row("gibbs", "8", "inferred", "1", "test", 0.9),
    ]
    chosen = selection.choose(pd.DataFrame(rows))
    assert chosen["edge"].tolist() == ["", ""]
    assert chosen["setting"].tolist() == ["", "k=8 reg=inferred"]


def test_setting_without_validation_is_refused():
    table = grid({("4", "0.1"): [0.9], ("16", "0.1"): [0.9]})
    table = table[~((table["k"] == "16") & (table["split"] == "validation"))]
    with pytest.raises(ValueError, match=r"k=16 and reg=0\.1 has no finite validation"):
        selection.choose(table)


def test_rmse_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match=r"not finite.*'k': '4'"):
        selection.choose(grid({("4", "0.1"): [np.inf]}))


def test_chosen_rows_are_those_of_the_choice():
    table = grid({("4", "0.1"): [0.9, 0.9], ("16", "0.1"): [0.8, 0.8]})
    found = selection.chosen_rows(table, selection.choose(table))
    assert set(found["k"]) == {"16"}
    assert len(found) == 6
    assert list(found.columns) == COLUMNS["metrics"]


def test_the_setting_is_the_best_over_all_folds():
    """Not one that is best on a fold, and none that was not tried on all."""
    rows = [
        ("f1", "1", 0.9), ("f1", "2", 0.8), ("f1", "4", 1.2),
        ("f2", "1", 0.9), ("f2", "2", 1.1), ("f2", "4", 0.7), ("f2", "8", 0.1),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["fold", "k", "value"])
    table = table.assign(dataset="d", method="als", reg="0.2", seed="1", metric="rmse")
    found = selection.over_folds(table.assign(split="validation"))
    assert found.to_dict("records") == [
        {"dataset": "d", "method": "als", "setting": "k=1 reg=0.2", "validation_rmse": 0.9}
    ]
