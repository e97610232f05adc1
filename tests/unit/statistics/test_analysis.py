"""The whole analysis on made-up studies whose truth is known."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cfmf import selection, verdict
from cfmf.published import analysis as published
from cfmf.statistics import analysis, blocks, contrasts, names
from cfmf.tables import COLUMNS


def analysed(made, block, search=None, trials=None, **known):
    """The tables and the verdict, made as the script of the stage does."""
    metrics, users = made
    selected = selection.chosen_rows(metrics, selection.choose(metrics))
    measured = analysis.Measured(metrics, selected, users, trials)
    found = published.analyse(metrics, block, search) + analysis.analyse(measured, block)
    order = published.order_of_k(found.medians, block["primary"])
    said = verdict.of_dataset(
        found, measured, block, verdict.Known(order=order[0], order_said=order[1], **known)
    )
    return SimpleNamespace(**vars(found), verdict=said)


@pytest.fixture(scope="module")
def results(make_study, block):
    return analysed(make_study(), block)


@pytest.fixture(scope="module")
def small(make_study):
    """Maker of a study of one grid of two k and one method without, so that a test is quick."""

    def make(**kind):
        return make_study(**{"grids": ("mf",), "singles": ("user-knn",), "ks": ("4", "16"), **kind})

    return make


def test_tables_have_the_columns_of_the_contract(results):
    for kind in ("tests", "assumptions", "medians", "best_rows"):
        table = getattr(results, kind)
        assert sorted(table.columns) == sorted(COLUMNS[kind])
        assert len(table)


def test_published_rows_cannot_be_taken_for_results(results):
    for table in (results.tests, results.assumptions):
        published = table["design"] == "unblocked, as published"
        assert published.any()
        assert (table["family"].str.startswith("published") == published).all()
    assert results.medians["arm"].str.match("published|corrected").all()


def test_trials_of_the_search_are_told_by_the_recipe_that_made_them(small, block):
    """All trials order k as 16 < 4 here; the arms and the sentence on their order say whose."""
    rng = np.random.default_rng(0)
    trials = pd.DataFrame(
        {
            "number": range(20),
            "params_k": [4, 16] * 10,
            "params_lmd": rng.uniform(0.001, 0.1, 20),
            "value": np.tile([1.2, 1.1], 10) + rng.normal(0, 0.01, 20),
            "state": ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED"] * 5,
        }
    )
    found = analysed(small(), block, search=trials)
    arms = found.medians[found.medians["arm"].str.startswith("published: search")]
    assert set(arms["method"]) == {"mf-published-jax"}
    pruned = arms[arms["arm"] == names.PRUNED].set_index("k")
    medians = trials.groupby("params_k")["value"].median()
    assert pruned.loc["16", "median"] == pytest.approx(medians[16])
    assert (pruned["n"] == 10).all()
    [order] = [one for one in found.verdict if one["key"] == "order_published"]
    numbers = order["numbers"]
    assert (numbers["method"], numbers["order"]) == ("mf-published-jax", "16 < 4")
    best = found.best_rows[found.best_rows["arm"] == "published: search, chosen on test"]
    assert set(best["method"]) == {"mf-published-jax"}


def test_every_test_without_a_p_value_says_why(results, make_study, block):
    tiny = make_study(("mf",), ("baseline",), folds=3, seeds=1, ks=("1", "2"), regs=("0.1",))
    for found in (results, analysed(tiny, block)):
        empty = found.tests[found.tests["function"] == ""]
        assert empty["note"].str.startswith("not computed: ").all()


def test_every_effect_has_an_interval_by_a_named_method_or_says_why_not(results, small, block):
    for found in (results, analysed(small(folds=1), block), analysed(small(folds=2), block)):
        rows = found.tests[found.tests["effect_name"] != ""]
        assert rows["effect"].notna().all()
        assert (rows["ci_method"] != "").all()
        without = rows["ci_method"].str.startswith("none: ")
        ends = rows[["ci_low", "ci_high", "ci_level"]].notna()
        assert (ends.all(axis=1) == ~without).all()
        assert (ends.any(axis=1) == ~without).all()
        assert (rows["ci_low"] <= rows["ci_high"])[~without].all()
        # Percentiles of resamples need not hold the estimate; a test's own distribution does.
        own = rows[~without & ~rows["ci_method"].str.startswith("percentile")]
        assert ((own["ci_low"] <= own["effect"]) & (own["effect"] <= own["ci_high"])).all()


def test_holm_multiplies_by_the_number_of_comparisons_left(results):
    rows = results.tests[
        (results.tests["test"] == "corrected t (Nadeau-Bengio)")
        & (results.tests["family"] == "k of mf")
        & (results.tests["estimand"] == names.E1)
    ]
    assert len(rows) == 6
    p = np.sort(rows["p_raw"])
    expected = np.minimum(np.maximum.accumulate(p * np.arange(6, 0, -1)), 1)
    np.testing.assert_allclose(np.sort(rows["p_adj"]), expected)


def test_power_is_that_at_the_strictest_step_of_holm(results, block):
    rows = results.tests[results.tests["design"] == names.BLOCKED]
    t, power = (rows[rows["test"] == name] for name in (names.CORRECTED_T, names.POWER))
    assert power["family_size"].tolist() == t["family_size"].tolist()
    assert set(power["family_size"]) == {3, 6}
    for size, found in power.groupby("family_size"):
        # The interval is of the spread, which the t's own interval tells too.
        half = (t["ci_high"] - t["ci_low"])[t["family_size"] == size] / 2
        spread = half.to_numpy() / stats.t.isf(0.025, 4) * np.sqrt(5)
        least = [contrasts.least_difference(one, 5, 0.05 / size, block["power"]) for one in spread]
        np.testing.assert_allclose(found["effect"], least)
    [said] = [one for one in results.verdict if one["key"] == "power_family"]
    assert said["numbers"]["comparisons"] == 3


def test_verdict_names_the_better_method_and_by_how_much(results):
    assert results.verdict[0]["key"] == "champions"
    first = results.verdict[1]
    assert first["key"] == "lower"
    assert first["numbers"]["first"] == "mf"
    assert first["numbers"]["second"] == "user-knn"
    low, high = first["numbers"]["low"], first["numbers"]["high"]
    assert low <= first["numbers"]["size"] <= high
    assert 0.03 < first["numbers"]["size"] < 0.07  # made 0.03 better, k adds up to 0.03
    json.dumps(results.verdict)


def test_no_difference_is_never_said_to_be_shown(make_study, block):
    effects = {"mf": 0.0, "user-knn": 0.0}
    made = make_study(
        ("mf",), ("user-knn",), effects=effects, slope=0.0, noise=0.03, ks=("4", "16")
    )
    found = analysed(made, block).verdict
    text = " ".join(sentence["text"] for sentence in found)
    assert [sentence["key"] for sentence in found[:3]] == ["champions", "undecided", "power"]
    assert "stays open" in text
    assert "no difference" not in text
    assert found[2]["numbers"]["least"] > 0.02


def test_equivalence_needs_the_margin(make_study, block):
    effects = {"mf": 0.0, "user-knn": 0.0}
    made = make_study(
        ("mf",), ("user-knn",), effects=effects, slope=0.0, noise=0.0005, ks=("4", "16")
    )
    assert analysed(made, {**block, "margin": 0.02}).verdict[1]["key"] == "equivalent"
    assert analysed(made, {**block, "margin": 1e-5}).verdict[1]["key"] == "undecided"


def test_seeds_are_averaged_and_give_no_degrees_of_freedom(small, block):
    few, many = (analysed(small(seeds=seeds), block).tests for seeds in (1, 4))
    for tests in (few, many):
        blocked = tests[(tests["design"] == "blocked by fold") & (tests["family"] == "k of mf")]
        assert set(blocked["n_blocks"]) == {5}
        anova = blocked[blocked["test"] == "repeated-measures ANOVA"]
        assert set(zip(anova["df1"], anova["df2"], strict=True)) == {(1, 4)}


def test_mixed_model_knows_levels_within_folds_when_there_are_seeds(small, block):
    notes = {
        seeds: analysed(small(seeds=seeds), block).tests.query(
            "test == 'mixed model, Wald' and family == 'k of mf'"
        )["note"]
        for seeds in (1, 2)
    }
    assert notes[1].str.startswith("folds random").all()
    assert notes[2].str.startswith("folds and levels within folds random").all()


def test_one_fold_leaves_only_the_users(small, block):
    found = analysed(small(folds=1, seeds=1), block)
    corrected = found.tests[found.tests["design"] != "unblocked, as published"]
    tested = corrected[corrected["p_raw"].notna()]
    assert set(tested["test"]) == {"cluster bootstrap over users"}
    assert "one_fold" in [sentence["key"] for sentence in found.verdict]


def test_absent_methods_are_replaced_and_told(make_study, block):
    made = make_study(("als",), ("baseline", "item-knn"), folds=3, seeds=1, ks=("1", "2"))
    keys = [sentence["key"] for sentence in analysed(made, block).verdict]
    assert keys.count("absent") == 2


def test_best_of_each_kind_is_chosen_on_validation_and_compared(make_study, block):
    effects = {"mf": -0.03, "user-knn": 0.0, "item-knn": -0.01}
    made = make_study(("mf",), ("user-knn", "item-knn"), effects=effects)
    metrics, users = made
    # Make the other neighbour method look better on test only: the choice must not follow.
    worse = (metrics["method"] == "user-knn") & (metrics["split"] == "test")
    metrics.loc[worse, "value"] -= 0.5
    found = analysed((metrics, users), block)
    said = found.verdict[0]
    assert said["key"] == "champions"
    assert (said["numbers"]["first"], said["numbers"]["second"]) == ("mf", "item-knn")
    rows = found.tests[found.tests["family"] == names.CHAMPIONS]
    assert set(rows["group_b"]) == {"item-knn"}


def test_method_alone_is_described_and_not_compared(make_study, block):
    made = make_study((), ("user-knn",), folds=3)
    found = analysed(made, block)
    assert found.tests.empty
    assert "best" in [sentence["key"] for sentence in found.verdict]


def test_grid_with_a_hole_is_refused(small, block):
    metrics, users = small()
    selected = selection.chosen_rows(metrics, selection.choose(metrics))
    hole = (metrics["method"] == "mf") & (metrics["k"] == "4") & (metrics["reg"] == "0.05")
    hole &= (metrics["fold"] == "u2") & (metrics["seed"] == "1")
    with pytest.raises(
        ValueError, match=r"grid of mf lacks 1 of 100 cells.*k=4.*reg=0.05.*fold=u2"
    ):
        analysis.analyse(analysis.Measured(metrics[~hole], selected, users), block)


def test_loader_refuses_all_but_complete_runs_and_the_study_tells(small, block):
    metrics, users = small()
    runs = metrics[(metrics["method"] == "mf") & (metrics["split"] == "test")]
    state = runs.assign(split="fit", metric="out_of_time", value=0.0)
    assert len(blocks.grid(pd.concat([metrics, state]), "mf"))
    state.iloc[[3, 5], state.columns.get_loc("value")] = 1.0
    late = pd.concat([metrics, state])
    with pytest.raises(ValueError, match=r"2 of the 100 runs .* not COMPLETE \(2 OUT_OF_TIME\)"):
        blocks.grid(late, "mf")
    found = analysed((late, users), block)
    of_k = found.tests[found.tests["family"] == "k of mf"]
    assert of_k["note"].str.startswith("not computed: 2 of the 100 runs").tolist() == [True]
    assert found.verdict[-1]["key"] == "cut"
    assert (found.tests["family"] == "methods against user-knn").any()  # at the budget, as declared


def test_methods_whose_chosen_runs_ran_out_of_time_are_not_compared(small, block):
    metrics, users = small(singles=("user-knn", "item-knn"))
    runs = metrics[(metrics["method"] == "mf") & (metrics["split"] == "test")]
    late = pd.concat([metrics, runs.assign(split="fit", metric="out_of_time", value=1.0)])
    found = analysed((late, users), block)
    tests = found.tests[found.tests["estimand"] == names.E3]
    refused = tests[(tests["group_a"] == "mf") | (tests["group_b"] == "mf")]
    assert refused["note"].str.startswith("not computed: 10 of the 10 runs at the chosen").all()
    assert len(refused) == 1
    assert tests["p_raw"].notna().any()  # the neighbour methods still are
    keys = [one["key"] for one in found.verdict]
    assert "refused" in keys
    assert "champions" not in keys
    [absent] = [one["numbers"] for one in found.verdict if one["key"] == "absent"]
    assert (absent["wanted"], absent["taken"]) == ("mf", "item-knn")
    [order] = [one["text"] for one in found.verdict if one["key"] == "order_methods"]
    assert "mf" in order  # described, not tested


def test_edges_and_cuts_of_trials_reach_the_verdict_and_the_best_rows(small, block):
    settings = [f"neighbours={n} shrinkage=50" for n in (10, 40, 160)]
    rows = [
        ("made", fold, "user-knn", trial, "COMPLETE", setting, "validation_rmse", 0.9 - trial / 100)
        for fold in ("u1", "u2", "u3", "u4", "u5")
        for trial, setting in enumerate(settings)
    ]
    grid = pd.DataFrame(rows, columns=COLUMNS["trials"])
    late = grid.assign(state=np.where(grid.index == 0, "OUT_OF_TIME", "COMPLETE"))
    search = grid.assign(method="mf", setting="k=16 reg=0.199")
    ranges = {"trials": 20, "seed": 1, "k": [1, 64], "reg": [0.01, 0.2]}
    found = analysed(small(), block, trials=late, searched=search, ranges=ranges)
    said = {(one["key"], one["numbers"].get("method")): one["numbers"] for one in found.verdict}
    assert said["edge", "user-knn"]["where"] == "highest neighbours"
    assert said["edge", "user-knn"]["folds"] == 5
    assert said["edge_search", "mf"]["where"] == "highest reg"
    assert (said["cut_trials", "user-knn"]["cut"], said["cut_trials", "user-knn"]["runs"]) == (
        1,
        15,
    )
    best = found.best_rows[found.best_rows["arm"] == names.SETTING_ON_VALIDATION]
    assert set(best.loc[best["method"] == "user-knn", "edge"]) == {"highest neighbours"}


def test_block_without_a_key_is_refused(small, block):
    lacking = {key: value for key, value in block.items() if key != "margin"}
    with pytest.raises(ValueError, match=r"lacks \['margin'\]"):
        analysed(small(), lacking)


@pytest.mark.parametrize("keys", [["E1"], ["E2"], ["E3"], ["E3", "E1"]])
def test_only_declared_estimands_are_tested_and_the_others_told(small, block, keys):
    found = analysed(small(), block | {"estimands": keys})
    declared = {names.ESTIMANDS[key] for key in keys}
    assert set(found.tests["estimand"]) == declared | {"as published"}
    [told] = [said for said in found.verdict if said["key"] == "undeclared"]
    left = [name for key, name in names.ESTIMANDS.items() if key not in keys]
    assert told["numbers"]["names"] == ", ".join(left)
    said = {one["key"] for one in found.verdict}
    assert ("champions" in said) == ("E3" in keys)
    assert ("order_corrected" in said) == ("E1" in keys)
    assert "no_test" not in said


def test_all_estimands_are_declared_unless_the_config_says_otherwise(results):
    assert set(results.tests["estimand"]) == {*names.ESTIMANDS.values(), "as published"}
    assert "undeclared" not in {said["key"] for said in results.verdict}


def test_tuned_and_averaged_are_the_declared_estimands(make_study):
    cells = blocks.grid(make_study()[0], "mf")
    tuned, averaged = blocks.tuned(cells), blocks.averaged(cells)
    for (fold, k), rows in cells.groupby(["fold", "k"]):
        of_cell = (tuned["fold"] == fold) & (tuned["k"] == k)
        reg = rows.groupby("reg")["validation"].mean().idxmin()
        expected = rows[rows["reg"] == reg].sort_values("seed")["test"]
        assert tuned[of_cell].sort_values("seed")["value"].tolist() == expected.tolist()
        mean = averaged[(averaged["fold"] == fold) & (averaged["k"] == k)]["value"].mean()
        assert mean == pytest.approx(rows["test"].mean())


def test_best_rows_choose_as_their_arm_says(results, make_study):
    metrics, _ = make_study()
    rows = results.best_rows
    test = metrics[(metrics["split"] == "test") & (metrics["method"] == "mf")]
    published = rows[(rows["arm"] == "published: grid, chosen on test") & (rows["method"] == "mf")]
    assert published["test_rmse"].tolist() == [
        *(test.loc[test["k"] == k, "value"].min() for k in ("1", "4", "16", "64"))
    ]
    chosen = rows[(rows["arm"].str.endswith("setting chosen on validation"))]
    assert len(chosen) == 5 * 4
    assert (chosen.loc[chosen["method"] == "mf", "edge"].str.contains("k")).all()


def test_two_runs_give_the_same_tables(small, block):
    first, second = (analysed(small(), block) for _ in range(2))
    pd.testing.assert_frame_equal(first.tests, second.tests)
    assert first.verdict == second.verdict
