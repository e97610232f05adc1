"""Methods over several data sets, and the same ratings split at random and by time."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cfmf import verdict
from cfmf.evaluation import data_sets
from cfmf.statistics import across
from cfmf.statistics.results import Analysis
from cfmf.tables import COLUMNS
from cfmf.workflow.plan import same_ratings, split_scheme

METHODS = ["baseline", "user-knn", "mf", "als"]


def selected(name, values, folds=2):
    """Rows of a `selected` table: two seeds about the value of each method in each fold."""
    rows = [
        {"dataset": name, "fold": f"f{fold}", "method": method, "k": "", "reg": "", "seed": seed}
        | {"split": split, "metric": "rmse", "value": value + fold / 100 + shift}
        for method, value in values.items()
        for fold in range(folds)
        for seed, shift in (("1", -0.001), ("2", 0.001))
        for split in ("validation", "test")
    ]
    return pd.DataFrame(rows)


def tables(rows, described, block):
    """The tables and the verdict, made as the script of the stage does."""
    table = data_sets.errors(rows, described)
    folds = {
        str(name): across.OfFolds(of_name, 0.25, 4.0)
        for name, of_name in rows.groupby("dataset", sort=False)
    }
    tests = across.across(table, folds, block)
    return table, Analysis(tests).tables()["tests"], verdict.across(table, tests, block)


def random_split(*names):
    return {name: {"ratings": name, "split_scheme": "random"} for name in names}


@pytest.fixture
def three():
    rng = np.random.default_rng(2)
    values = {name: dict(zip(METHODS, rng.normal(0.9, 0.05, 4), strict=True)) for name in "abc"}
    return values, pd.concat(selected(name, of_name) for name, of_name in values.items())


def test_three_data_sets_are_blocks_of_means_over_folds(three, block):
    values, rows = three
    table, tests, said = tables(rows, random_split(*"abc"), block)
    assert list(table.columns) == COLUMNS["datasets"]
    assert sorted(tests.columns) == sorted(COLUMNS["tests"])
    got = table.set_index(["dataset", "method"])["rmse"]
    for name, of_name in values.items():
        for method, value in of_name.items():
            assert got[name, method] == pytest.approx(value + 0.005)
    friedman = tests[tests["test"] == "friedman"].iloc[0]
    expected = stats.friedmanchisquare(*([values[n][m] for n in "abc"] for m in METHODS))
    assert friedman.stat == pytest.approx(expected.statistic)
    assert friedman.p_raw == pytest.approx(expected.pvalue)
    assert friedman.n_blocks == 3
    assert set(tests["design"]) == {"by_dataset"}
    assert (tests["test"] == "critical_difference").sum() == 1
    assert [one["key"] for one in said] == ["datasets_order"]
    unseen = tests[tests["test"] == "hierarchical_bayes"]
    assert unseen["note"].tolist() == ["too_few_data_sets_or_folds"]  # there are two folds


def test_the_primary_comparisons_are_told_for_a_data_set_not_yet_seen(block):
    """In shares of the scale: four stars' width here, so 0.02 stars are half a per cent."""
    rng = np.random.default_rng(6)
    frames = []
    for name in "abcdef":
        level = rng.uniform(0.8, 1.1)
        ahead = {"baseline": 0.06, "user-knn": 0.03, "mf": 0.01, "als": 0}
        rows = selected(name, {method: level + by for method, by in ahead.items()}, folds=5)
        frames.append(rows.assign(value=rows["value"] + rng.normal(0, 0.002, len(rows))))
    used = block | {"control": "user-knn", "primary": "mf", "margin": 0.0025}
    _, tests, said = tables(pd.concat(frames), random_split(*"abcdef"), used)
    found = tests[tests["test"] == "hierarchical_bayes"]
    assert found["effect_name"].eq("difference_of_rmse_over_scale").all()
    chances = found.pivot(index=["group_a", "group_b"], columns="stat_name", values="stat")
    assert chances.sum(axis=1).to_numpy() == pytest.approx(1)
    composites = "best_factorization", "best_neighbours"
    for pair, true in {("mf", "user-knn"): 0.02, composites: 0.03}.items():
        assert chances.loc[pair, "p_first_lower"] > 0.9
        effect = found[found["group_a"] == pair[0]]["effect"].iloc[0]
        assert effect == pytest.approx(-true / 4, abs=0.0005)
    told = [one["numbers"] for one in said if one["key"] == "datasets_next"]
    assert [(one["first"], one["second"]) for one in told] == list(
        found[["group_a", "group_b"]].drop_duplicates().itertuples(index=False, name=None)
    )
    assert told[0]["datasets"] == 6


def test_one_data_set_is_told_and_not_tested(three, block):
    rows = three[1]
    _, tests, said = tables(rows[rows["dataset"] == "a"], random_split("a"), block)
    assert tests["p_raw"].isna().all()
    assert set(tests["note"]) == {"too_few_data_sets_or_methods"}
    assert [one["key"] for one in said] == ["datasets_few"]


def test_two_data_sets_of_few_methods_are_tested_and_told_to_show_no_order(three, block):
    rows = three[1]
    _, tests, said = tables(rows[rows["dataset"] != "c"], random_split("a", "b"), block)
    friedman = tests[tests["test"] == "friedman"].iloc[0]
    assert friedman.n_blocks == 2
    assert friedman.note == "lowest_p"
    assert friedman.note_value == pytest.approx(stats.chi2.sf(6, 3))
    assert [one["key"] for one in said] == ["datasets_order", "datasets_reach"]
    assert said[1]["numbers"]["p"] == pytest.approx(stats.chi2.sf(6, 3))


def test_two_data_sets_can_show_the_order_of_many_methods(block):
    values = {f"m{place}": 0.9 + place / 100 for place in range(9)}
    rows = pd.concat(selected(name, values) for name in "ab")
    _, tests, said = tables(rows, random_split("a", "b"), block)
    friedman = tests[tests["test"] == "friedman"].iloc[0]
    assert friedman.reject
    assert [one["key"] for one in said] == ["datasets_order"]


def test_methods_are_not_tested_over_data_sets_where_their_estimand_is_not_declared(three, block):
    only = block | {"estimands": ["E1"]}
    _, tests, said = tables(three[1], random_split(*"abc"), only)
    assert tests["p_raw"].isna().all()
    assert set(tests["note"]) == {"estimand_not_declared"}
    assert [one["key"] for one in said] == ["undeclared"]


def test_the_same_ratings_are_one_block_and_two_split_schemes(three, block):
    values, rows = three
    past = {"baseline": 0.99, "user-knn": 1.02, "mf": 1.03, "als": 1.04}
    described = {"past": {"ratings": "a", "split_scheme": "temporal"}, **random_split(*"abc")}
    everything = pd.concat([selected("past", past), rows])
    table, tests, said = tables(everything, described, block)
    assert sorted(data_sets.independent(table).index) == ["a", "b", "c"]
    assert data_sets.pairs_of_schemes(table) == [("a", "past")]
    both = data_sets.side_by_side(table, "a", "past").set_index("method")
    for method in METHODS:
        assert both.loc[method, "difference"] == pytest.approx(past[method] - values["a"][method])
    tau = tests[tests["test"] == "kendall_tau"].iloc[0]
    order = [list(source.values()) for source in (values["a"], past)]
    assert tau.stat == pytest.approx(stats.kendalltau(*order).statistic)
    told = said[-1]
    assert told["numbers"]["second"] == "baseline"
    assert told["numbers"]["first"] == min(values["a"], key=values["a"].get)


def test_split_and_label_do_not_make_other_ratings():
    one = {"source": "movielens-100k", "split": {"kind": "official"}, "label": ""}
    described = {
        "a": one,
        "b": {**one, "split": {"kind": "timeline"}, "label": "by time"},
        "c": {**one, "source": "movielens-1m"},
    }
    assert same_ratings(described) == {"a": "a", "b": "a", "c": "c"}
    assert [split_scheme(known["split"]) for known in described.values()] == [
        *("random", "temporal", "random")
    ]
