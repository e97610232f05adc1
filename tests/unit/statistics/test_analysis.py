"""The whole analysis on synthetic studies whose truth is known."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cfmf import selection, verdict
from cfmf.methods import registry
from cfmf.published import keys
from cfmf.published import uncorrected as published
from cfmf.statistics import analysis, blocks, contrasts, names
from cfmf.tables import COLUMNS


def analysed(made, block, search=None, trials=None, blends=None, **known):
    """The tables and the verdict, made as the script of the stage does."""
    metrics, users = made
    chosen = selection.choose(metrics, trials)
    measured = analysis.Measured(metrics, chosen, users, trials, blends=blends or {})
    as_published = published.analyse(metrics, block, search)
    found = as_published + analysis.analyse(measured, block)
    order, said = published.order_of_k(as_published, block["primary"])
    known = verdict.Known(order=order, order_messages=said, **known)
    messages = verdict.of_dataset(found, measured, block, known)
    return SimpleNamespace(**found.tables(), verdict=messages)


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
        published = table["design"] == "unblocked"
        assert published.any()
        assert (table["family"].str.startswith("published") == published).all()
    assert set(results.medians["arm"]) == {keys.GRID, *names.ARMS.values()}


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
    arms = found.medians[found.medians["arm"].str.startswith("search")]
    assert set(arms["method"]) == {"mf-published-jax"}
    pruned = arms[arms["arm"] == keys.ALL_TRIALS].set_index("k")
    medians = trials.groupby("params_k")["value"].median()
    assert pruned.loc["16", "median"] == pytest.approx(medians[16])
    assert (pruned["n"] == 10).all()
    [order] = [one for one in found.verdict if one["key"] == "order_published"]
    numbers = order["numbers"]
    assert (numbers["method"], numbers["order"]) == ("mf-published-jax", ["16", "4"])
    best = found.best_rows[found.best_rows["arm"] == keys.SEARCH_ON_TEST]
    assert set(best["method"]) == {"mf-published-jax"}


def test_every_test_without_a_p_value_says_why(results, make_study, block):
    tiny = make_study(("mf",), ("baseline",), folds=3, seeds=1, ks=("1", "2"), regs=("0.1",))
    for found in (results, analysed(tiny, block)):
        empty = found.tests[found.tests["function"] == ""]
        assert (empty["note"] != "").all()


def test_every_effect_has_an_interval_by_a_named_method_or_says_why_not(results, small, block):
    for found in (results, analysed(small(folds=1), block), analysed(small(folds=2), block)):
        rows = found.tests[found.tests["effect_name"] != ""]
        assert rows["effect"].notna().all()
        assert (rows["ci_method"] != "").all()
        without = rows["ci_method"].str.startswith("none_")
        ends = rows[["ci_low", "ci_high", "ci_level"]].notna()
        assert (ends.all(axis=1) == ~without).all()
        assert (ends.any(axis=1) == ~without).all()
        assert (rows["ci_low"] <= rows["ci_high"])[~without].all()
        # Percentiles of resamples need not hold the estimate; a test's own distribution does.
        own = rows[~without & ~rows["ci_method"].str.startswith("percentile")]
        assert ((own["ci_low"] <= own["effect"]) & (own["effect"] <= own["ci_high"])).all()


def test_families_hold_together_and_no_pair_is_in_two(results):
    """P-values and intervals of m comparisons are those of one at alpha/m (Bonferroni)."""
    t = results.tests[results.tests["test"] == names.CORRECTED_T]
    keys = ["family", "method", "estimand"]
    for _, rows in t.groupby(keys):
        assert (rows["family_size"] == len(rows)).all()
        np.testing.assert_allclose(rows["p_adj"], np.minimum(rows["p_raw"] * len(rows), 1))
        outside = (rows["ci_low"] > 0) | (rows["ci_high"] < 0)
        assert (outside == (rows["p_adj"] < 0.05)).all()
        half = stats.t.isf(0.025 / len(rows), rows["df1"]) * rows["effect"] / rows["stat"]
        np.testing.assert_allclose(rows["ci_high"] - rows["effect"], half, rtol=1e-9)
    assert set(t["family"]) == {names.OF_K, names.PRIMARY, names.AGAINST}
    pairs = [
        frozenset(pair) for pair in t.loc[t["estimand"] == "E3", ["group_a", "group_b"]].values
    ]
    assert len(pairs) == len(set(pairs))


def test_every_corrected_row_names_its_function_version_and_population(results):
    rows = results.tests[
        (results.tests["design"] != "unblocked") & (results.tests["function"] != "")
    ]
    for column in ("function", "version", "estimand", "population", "family"):
        assert (rows[column] != "").all(), column
    assert set(rows["population"]) <= set(names.POPULATIONS)


def test_a_contrast_has_one_test_of_each_kind(results):
    rows = results.tests[results.tests["design"] == names.BLOCKED]
    pairs = rows[(rows["group_b"] != "") & (rows["test"] != names.POWER)]
    for _, found in pairs.groupby(["family", "method", "estimand", "group_a", "group_b"]):
        assert sorted(found["test"]) == [names.BAYESIAN_T, names.CORRECTED_T, names.WILCOXON]
    together = rows[rows["group_b"] == ""]
    assert set(together["test"]) == {names.SHARED_ANOVA, names.MIXED_MODEL}


def test_power_is_that_at_the_level_of_each_comparison(results, block):
    rows = results.tests[results.tests["family"] == names.PRIMARY]
    t, power = (rows[rows["test"] == name] for name in (names.CORRECTED_T, names.POWER))
    size = len(t)
    spread = (t["effect"] / t["stat"]).abs().to_numpy() * np.sqrt(5)
    least = [contrasts.detectable_difference(s, 5, 0.05 / size, block["power"]) for s in spread]
    np.testing.assert_allclose(power["effect"], least)
    said = [one for one in results.verdict if one["key"] == "power"]
    assert [one["numbers"]["comparisons"] for one in said] == [size] * size


def test_verdict_names_the_better_method_and_by_how_much(results):
    keys = [one["key"] for one in results.verdict]
    assert keys[:2] == ["quick_study", "best_per_family"]
    first = results.verdict[2]
    assert first["key"] == "better"
    assert first["numbers"]["first"] == "mf"
    assert first["numbers"]["second"] == "user-knn"
    low, high = first["numbers"]["low"], first["numbers"]["high"]
    assert low <= first["numbers"]["size"] <= high
    assert 0.03 < first["numbers"]["size"] < 0.07  # made 0.03 better, k adds up to 0.03
    json.dumps(results.verdict)


EQUAL = {"effects": {"mf": 0.0, "user-knn": 0.0}, "slope": 0.0, "regs": ("0.1",)}
"""Methods that are equal by construction."""


@pytest.mark.parametrize(("noise", "key"), [(0.03, "undecided"), (0.0005, "equivalent")])
@pytest.mark.parametrize("folds", [5, 10])
def test_pure_noise_is_equivalent_or_inconclusive(small, block, noise, key, folds):
    found = analysed(small(noise=noise, folds=folds, **EQUAL), block).verdict
    said = [one["key"] for one in found]
    assert key in said
    assert not {"better", "better_small", "undecided_size"} & set(said)
    (of_k,) = [one["numbers"] for one in found if one["key"] == "pairs_of_k"]
    assert of_k[names.MATTERS] == of_k[names.SMALL] == 0


def test_equivalence_needs_the_margin(small, block):
    made = small(noise=0.0005, **EQUAL)
    for margin, key in ((0.02, "equivalent"), (1e-5, "undecided")):
        keys = [one["key"] for one in analysed(made, {**block, "margin": margin}).verdict]
        assert key in keys


def test_seeds_are_averaged_and_give_no_degrees_of_freedom(small, block):
    few, many = (analysed(small(seeds=seeds), block).tests for seeds in (1, 4))
    for tests in (few, many):
        blocked = tests[(tests["design"] == "by_fold") & (tests["family"] == "k")]
        assert set(blocked["n_blocks"]) == {5}
        anova = blocked[blocked["test"] == names.SHARED_ANOVA]
        assert set(zip(anova["df1"], anova["df2"], strict=True)) == {(1, 4)}


def test_mixed_model_is_fitted_where_seeds_let_it_differ_from_the_anova(small, block):
    notes = {
        seeds: analysed(small(seeds=seeds), block).tests.query(
            "test == 'mixed_model' and family == 'k'"
        )["note"]
        for seeds in (1, 2)
    }
    assert notes[1].empty
    assert len(notes[2])
    assert notes[2].str.startswith("folds_and_levels_random").all()


def test_one_fold_is_not_tested(small, block):
    found = analysed(small(folds=1, seeds=1), block)
    corrected = found.tests[found.tests["design"] != "unblocked"]
    assert corrected["p_raw"].isna().all()
    assert "one_fold" in [sentence["key"] for sentence in found.verdict]


def test_absent_methods_are_replaced_and_told(make_study, block):
    made = make_study(("als",), ("baseline", "item-knn"), folds=3, seeds=1, ks=("1", "2"))
    keys = [sentence["key"] for sentence in analysed(made, block).verdict]
    assert keys.count("absent") == 2


def test_best_of_each_family_is_chosen_within_folds_on_validation(make_study, block):
    """Item-knn has the lower validation RMSE in three folds, user-knn in the others."""
    made = make_study(("mf",), ("user-knn", "item-knn"), effects={"mf": -0.03}, noise=0.0)
    metrics, users = made
    of_item = (metrics["method"] == "item-knn") & (metrics["split"] == "validation")
    lower = metrics["fold"].isin(["u1", "u2", "u4"])
    metrics.loc[of_item, "value"] += np.where(lower, -0.005, 0.005)[of_item]
    # The other one looks better on test only: the choice must not follow.
    of_test = (metrics["split"] == "test") & (metrics["method"] == "item-knn")
    metrics.loc[of_test, "value"] += np.where(lower, 0.2, -0.2)[of_test]
    found = analysed((metrics, users), block)
    [said] = [one["numbers"] for one in found.verdict if one["key"] == "best_per_family"]
    assert said["best_neighbours"] == [["item-knn", 3], ["user-knn", 2]]
    assert said["best_factorization"] == [["mf", 5]]
    measured = analysis.Measured(metrics, selection.choose(metrics), users)
    taken = blocks.composites(measured.compared).set_index(["method", "fold"])["value"]
    test = metrics[metrics["split"] == "test"].set_index(["method", "fold"])["value"]
    for fold in ("u1", "u2", "u3", "u4", "u5"):
        name = "item-knn" if fold in ("u1", "u2", "u4") else "user-knn"
        assert taken["best_neighbours", fold] == test[name, fold]
    rows = found.tests[found.tests["family"] == names.PRIMARY]
    best = rows[rows["group_b"] == "best_neighbours"]
    expected = taken["best_factorization"].mean() - taken["best_neighbours"].mean()
    assert best.loc[best["test"] == names.CORRECTED_T, "effect"].item() == pytest.approx(expected)


def test_a_method_that_knows_more_is_no_best_of_its_family(make_study, block, monkeypatch):
    metrics, users = make_study(("mf", "als"), ("user-knn",), effects={"mf": -0.3}, noise=0.0)
    monkeypatch.setattr(registry.method("mf"), "uses", frozenset({"dates"}))
    measured = analysis.Measured(metrics, selection.choose(metrics), users)
    assert set(measured.best["taken"]) == {"als", "user-knn"}
    absent = {**block, "primary": "svd", "control": "user-knn"}
    assert analysis.roles(["mf", "als", "user-knn"], absent) == ("user-knn", "als")
    assert analysis.roles(["mf", "user-knn"], absent) == ("user-knn", "mf")


def test_a_composite_that_is_the_declared_pair_is_compared_once(small, block):
    found = analysed(small(), block).tests
    rows = found[(found["family"] == names.PRIMARY) & (found["test"] == names.CORRECTED_T)]
    assert rows[["group_a", "group_b"]].values.tolist() == [["mf", "user-knn"]]
    assert rows["family_size"].tolist() == [1]


def test_foreign_predictions_meet_the_control_and_are_the_best_of_no_family(make_study, block):
    effects = {"user-knn": 0.0, "mf": -0.03, "theirs": -0.2}
    metrics, users = make_study(("mf",), ("user-knn", "theirs"), effects=effects, ks=("4", "16"))
    chosen = selection.choose(metrics)
    unknown = (metrics["method"] == "theirs") & (metrics["split"] == "validation")
    registry.register_predictions({"theirs": {"family": "neighbours"}})
    try:
        measured = analysis.Measured(metrics[~unknown], chosen, users)
        found = analysis.analyse(measured, block).tables()["tests"]
        taken = set(measured.best["taken"])
    finally:
        registry.register_predictions({})
    rows = found[(found["family"] == names.AGAINST) & (found["test"] == names.CORRECTED_T)]
    assert set(zip(rows["group_a"], rows["group_b"], strict=True)) == {("theirs", "user-knn")}
    assert rows["effect"].tolist() == [pytest.approx(-0.2, abs=0.01)]
    assert taken == {"mf", "user-knn"}


def test_blends_are_compared_with_their_parts_and_with_nothing_else(make_study, block):
    """A blend of both that is better by 0.02 is found so, and moves no other comparison."""
    effects = {"mf": -0.03, "blend-f": -0.031, "blend-both": -0.051, "blend-n": -0.01}
    blends = {"blend-f": ["mf"], "blend-both": ["mf", "user-knn"], "blend-n": ["user-knn"]}
    made = make_study(("mf",), ("user-knn", "baseline", *blends), effects=effects, ks=("4", "16"))
    of_blend = made[0]["method"].isin(blends)
    alone = made[0][~of_blend], made[1][~made[1]["method"].isin(blends)]
    found, without = analysed(made, block, blends=blends), analysed(alone, block)
    rows = found.tests[found.tests["family"] == names.BLENDS]
    pairs = rows[rows["test"] == names.CORRECTED_T].set_index("group_b")
    assert set(pairs.index) == {"blend-f", "blend-n"}
    assert (pairs["group_a"] == "blend-both").all()
    assert (pairs["family_size"] == 2).all()
    assert pairs.loc["blend-f", "effect"] == pytest.approx(-0.02, abs=0.004)
    rest = found.tests[found.tests["family"] != names.BLENDS].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, without.tests.reset_index(drop=True))
    said = [one for one in found.verdict if one["key"] == "blend_adds"]
    assert said[0]["numbers"] == {
        "first": "blend-both",
        "second": "blend-f",
        "added": ["user-knn"],
    }
    [order] = [one["numbers"]["order"] for one in found.verdict if one["key"] == "order_methods"]
    assert [name for name, _ in order] == ["mf", "user-knn", "baseline"]


def test_method_alone_is_described_and_not_compared(make_study, block):
    made = make_study((), ("user-knn",), folds=3)
    found = analysed(made, block)
    assert found.tests.empty
    assert "order_methods" in [sentence["key"] for sentence in found.verdict]


def test_grid_with_a_hole_is_refused(small, block):
    metrics, users = small()
    chosen = selection.choose(metrics)
    hole = (metrics["method"] == "mf") & (metrics["k"] == "4") & (metrics["reg"] == "0.05")
    hole &= (metrics["fold"] == "u2") & (metrics["seed"] == "1")
    with pytest.raises(
        ValueError, match=r"grid of mf lacks 1 of 100 cells.*k=4.*reg=0.05.*fold=u2"
    ):
        analysis.analyse(analysis.Measured(metrics[~hole], chosen, users), block)


def test_only_complete_grids_are_tested_and_the_others_are_reported(small, block):
    metrics, users = small()
    runs = metrics[(metrics["method"] == "mf") & (metrics["split"] == "test")]
    state = runs.assign(split="fit", metric="out_of_time", value=0.0)
    assert len(blocks.grid(pd.concat([metrics, state]), "mf"))
    state.iloc[[3, 5], state.columns.get_loc("value")] = 1.0
    late = pd.concat([metrics, state])
    assert analysis.complete_grids(late)[0] == {}
    found = analysed((late, users), block)
    (of_k,) = found.tests[found.tests["family"] == "k"].to_dict("records")
    assert (of_k["method"], of_k["note"]) == ("mf", "runs_stopped")
    assert (of_k["note_value"], of_k["n_obs"]) == (2, 100)
    assert found.verdict[-1]["key"] == "stopped"
    assert (found.tests["family"] == names.PRIMARY).any()  # at the budget, as declared


def test_methods_whose_chosen_runs_ran_out_of_time_are_not_compared(small, block):
    metrics, users = small(singles=("user-knn", "item-knn"))
    runs = metrics[(metrics["method"] == "mf") & (metrics["split"] == "test")]
    late = pd.concat([metrics, runs.assign(split="fit", metric="out_of_time", value=1.0)])
    found = analysed((late, users), block)
    tests = found.tests[found.tests["estimand"] == names.E3]
    refused = tests[(tests["group_a"] == "mf") | (tests["group_b"] == "mf")]
    assert refused[["note", "note_value", "n_obs"]].values.tolist() == [["runs_stopped", 10, 10]]
    assert tests["p_raw"].notna().any()  # the neighbour methods still are
    keys = [one["key"] for one in found.verdict]
    assert "refused" in keys
    assert "best_per_family" not in keys
    [absent] = [one["numbers"] for one in found.verdict if one["key"] == "absent"]
    assert (absent["wanted"], absent["taken"]) == ("mf", "item-knn")
    [order] = [one["numbers"]["order"] for one in found.verdict if one["key"] == "order_methods"]
    assert "mf" in dict(order)  # described, not tested


def test_chosen_runs_that_did_not_converge_reach_the_verdict(small, block):
    metrics, users = small()
    runs = metrics[(metrics["method"] == "mf") & (metrics["split"] == "test")]
    state = [
        runs.assign(split=split, metric="converged", value=value)
        for split, value in (("fit", 1.0), ("train", (runs["fold"] != "u1").astype(float)))
    ]
    found = analysed((pd.concat([metrics, *state]), users), block)
    [said] = [one["numbers"] for one in found.verdict if one["key"] == "unconverged"]
    assert said["method"] == "mf"
    assert 0 < said["unconverged"] < said["runs"]


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
    assert said["edge", "user-knn"]["where"] == [["neighbours", "highest"]]
    assert said["edge", "user-knn"]["folds"] == 5
    assert said["edge_search", "mf"]["where"] == [["reg", "highest"]]
    stopped = said["stopped_trials", "user-knn"]
    assert (stopped["stopped"], stopped["runs"]) == (1, 15)
    best = found.best_rows[found.best_rows["arm"] == names.SETTING_ON_VALIDATION]
    assert set(best.loc[best["method"] == "user-knn", "edge"]) == {"neighbours=highest"}


def test_block_without_a_key_is_refused(small, block):
    lacking = {key: value for key, value in block.items() if key != "margin"}
    with pytest.raises(ValueError, match=r"lacks \['margin'\]"):
        analysed(small(), lacking)


@pytest.mark.parametrize("keys", [["E1"], ["E2"], ["E3"], ["E3", "E1"]])
def test_only_declared_estimands_are_tested_and_the_others_told(small, block, keys):
    found = analysed(small(), block | {"estimands": keys})
    assert set(found.tests["estimand"]) == {*keys, "published"}
    [told] = [said for said in found.verdict if said["key"] == "undeclared"]
    assert told["numbers"]["names"] == [key for key in names.ESTIMANDS if key not in keys]
    said = {one["key"] for one in found.verdict}
    assert ("best_per_family" in said) == ("E3" in keys)
    assert ("order_corrected" in said) == ("E1" in keys)
    assert "no_test" not in said


def test_all_estimands_are_declared_unless_the_config_says_otherwise(results):
    assert set(results.tests["estimand"]) == {*names.ESTIMANDS, "published"}
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
    published = rows[(rows["arm"] == keys.GRID_ON_TEST) & (rows["method"] == "mf")]
    assert published["test_rmse"].tolist() == [
        *(test.loc[test["k"] == k, "value"].min() for k in ("1", "4", "16", "64"))
    ]
    chosen = rows[(rows["arm"] == names.SETTING_ON_VALIDATION)]
    assert len(chosen) == 5 * 4
    assert (chosen.loc[chosen["method"] == "mf", "edge"].str.contains("k")).all()


def test_two_runs_give_the_same_tables(small, block):
    first, second = (analysed(small(), block) for _ in range(2))
    pd.testing.assert_frame_equal(first.tests, second.tests)
    assert first.verdict == second.verdict


def test_a_search_that_grew_is_averaged_over_the_reg_that_every_k_has(make_study):
    cells = blocks.grid(make_study()[0], "mf")
    regs = sorted(set(cells["reg"]))
    one = cells[(cells["k"] == "16") & (cells["reg"] == regs[0])]
    further = [one.assign(k="256"), one.assign(reg="7")]
    grown = pd.concat([cells, *further], ignore_index=True)
    pd.testing.assert_frame_equal(blocks.complete(grown), cells)
    pd.testing.assert_frame_equal(blocks.averaged(grown), blocks.averaged(cells))
    tuned = blocks.tuned(grown)
    assert set(tuned["k"]) == {*cells["k"], "256"}
    pd.testing.assert_frame_equal(blocks.complete(cells), cells)
