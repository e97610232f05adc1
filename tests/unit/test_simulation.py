"""Who wins is what the truth says where it is known: benchmarks/simulation.py, and small ones."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import defaults, simulation
from benchmarks.common import RESULTS
from benchmarks.development import RANK, SHAPES, synthetic

SMALL = {"users": 250, "items": 100, "train": 9000, "test": 2500}
GRIDS = {
    "baseline": {},
    "item-knn": {"similarity": ["pearson-baseline"], "neighbours": [20], "shrinkage": [20, 2000]},
    "als": {"k": [1, 4], "reg": [0.15, 0.5, 5]},
    "gibbs": {"k": [4], "sweeps": 60},
}


def compared(**settings):
    simulated = synthetic(3, **settings)
    table = simulation.compare("truth", simulated, GRIDS).set_index("method")
    assert (table["above_oracle"] > 0).all()  # nothing beats the truth
    return table


def test_factors_win_where_there_are_some():
    table = compared(**{**SMALL, **RANK, "rank": 3, "signal": 0.8})
    assert set(table.index[:2]) == {"als", "gibbs"}
    assert table["above_oracle"].iloc[0] < 0.7 * table.loc["baseline", "above_oracle"]
    gap = table.loc[["als", "gibbs"], "difference"] / table.loc[["als", "gibbs"], "se"]
    assert (gap < -4).all()


def test_nothing_wins_where_there_are_biases_only():
    table = compared(**{**SMALL, **RANK, "rank": 0})
    assert table.loc["baseline", "above_oracle"] < 0.02
    others = table.drop("baseline")
    assert (others["difference"].abs() < 0.01 + 2 * others["se"]).all()


def test_three_ratings_a_user_show_no_factors():
    shape = {"users": 1500, "items": 150, "train": 4500, "test": 1500}
    table = compared(**{**shape, **RANK})
    others = table.drop("baseline")
    assert (others["difference"].abs() < 0.02 + 2 * others["se"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("truth", simulation.TRUTHS)
def test_whole_simulation_is_the_committed_table(truth):
    kept = pd.read_csv(RESULTS / "simulation.tsv", sep="\t")
    kept = kept[kept["truth"] == truth].set_index("method")
    found = simulation.compare(truth, synthetic(1, **simulation.TRUTHS[truth]))
    found = found.set_index("method").loc[kept.index]
    np.testing.assert_allclose(found["test_rmse"], kept["test_rmse"], atol=0.003)
    factors = ["mf", "als", "gibbs"]
    others = found.drop("baseline")
    if truth in ("dense", "rank 10"):
        assert found.loc[factors, "test_rmse"].max() < found.drop(factors)["test_rmse"].min()
    else:
        gap = others["test_rmse"] - found.loc["baseline", "test_rmse"]
        # Gibbs sampling infers a noise of every user and item, which these ratings do not have.
        most = np.where(others.index == "gibbs", 0.002, 0.001)
        assert ((gap <= most) | (others["difference"] < 2 * others["se"])).all()


def test_defaults_of_settings_are_measured_and_the_rule_chooses():
    data = {"one": [synthetic(1, **SMALL, **RANK).run]}
    values = {"als": {"initial_scale": [0.5, 1.0]}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defaults, "VALUES", values)
        patch.setitem(defaults.GRIDS, "als", {"k": [2], "reg": [0.15, 0.5]})
        table = defaults.table_of("als", data)
    assert list(table.columns) == defaults.COLUMNS
    usual = table[(table["value"] == table["default"]) & (table["dataset"] == "one")]
    assert usual["change"].tolist() == [0]


def test_a_value_replaces_a_default_only_where_it_is_better_by_enough_and_nowhere_worse():
    changes = {
        ("a", "2"): (-0.01, -0.002),
        ("a", "3"): (-0.02, 0.0),
        ("b", "2"): (-0.05, 0.002),
        ("c", "2"): (-0.001, 0.0),
    }
    rows = [
        ["mf", setting, value, "1", dataset, 1, 1.0, change, np.nan]
        for (setting, value), pair in changes.items()
        for dataset, change in [*zip(("x", "y"), pair, strict=True), ("all", np.mean(pair))]
    ]
    found = defaults.better(pd.DataFrame(rows, columns=defaults.COLUMNS))
    assert found[["setting", "value"]].values.tolist() == [["a", "3"]]


def test_every_shape_of_development_data_is_as_sparse_as_it_says():
    for name, shape in SHAPES.items():
        share = shape["train"] / shape["users"]
        assert {"sparse": 3, "dense": 100}.get(name, share) == share
