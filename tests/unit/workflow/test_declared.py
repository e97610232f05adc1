"""A plan stands before the scores on test, and a change after them is kept."""

import json
import re

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cfmf.files import DamagedError
from cfmf.imports import ROOT
from cfmf.workflow.config import check
from cfmf.workflow.declared import differences, plan_of, planned, read_plan, scores_on_test
from cfmf.workflow.layout import Results
from cfmf.workflow.plan import Plan

FOLDS = {
    "rule": {"kind": "kfold"},
    "ratings": {"rows": 2000, "sha256": "a"},
    "sha256": "b",
    "folds": {f"f{n}": {"fit": 1200, "validation": 400, "test": 400} for n in range(1, 6)},
}


def declared(**statistics):
    config = yaml.safe_load((ROOT / "config/tiny.yaml").read_text("utf-8"))
    config["study"]["methods"] = ["user-knn", "mf", "als"]
    config["datasets"]["tiny"]["label"] = "only words"
    config["datasets"]["tiny"]["split"]["folds"] = 5
    config["statistics"] = statistics
    check(config)
    return Plan(config, NotImplemented).declared("tiny")


@pytest.fixture
def plan():
    return plan_of(declared(), FOLDS)


def test_a_plan_says_what_is_compared_on_what(plan):
    assert list(plan["methods"]) == ["user-knn", "mf", "als"]
    assert plan["methods"]["mf"]["k"] == [1, 4]
    assert plan["blocks"]["number"] == 5
    assert plan["blocks"]["test_train_ratio"] == 0.25
    assert plan["families"]["against_control"]["methods"] == ["als"]
    assert plan["statistics"]["estimands"] == ["E1", "E2", "E3"]
    assert "only words" not in json.dumps(plan)


@pytest.mark.parametrize(("family", "comparisons"), [("primary", 2), ("against_control", 1)])
def test_the_difference_that_a_plan_detects_is_found_with_the_stated_power(family, comparisons):
    found = plan_of(declared(planned_sd=0.002), FOLDS)["detectable"][family]
    difference = found["difference"]
    assert difference == pytest.approx(0.002 * found["standard_deviations"], abs=1e-6)
    # by simulation: differences of five folds that correlate as Nadeau and Bengio assume
    rng, rho, folds = np.random.default_rng(1), 0.2, 5
    shared, own = rng.normal(size=(40_000, 1)), rng.normal(size=(40_000, folds))
    values = difference + 0.002 / np.sqrt(1 - rho) * (
        np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
    )
    error = values.std(axis=1, ddof=1) * np.sqrt(1 / folds + 0.25)
    critical = stats.t.isf(0.05 / comparisons / 2, folds - 1)
    assert (abs(values.mean(axis=1) / error) > critical).mean() == pytest.approx(0.8, abs=0.01)


def test_one_fold_detects_nothing():
    one = FOLDS | {"folds": {"predefined": {"fit": 8, "validation": 1, "test": 1}}}
    assert plan_of(declared() | {"folds": ["predefined"]}, one)["detectable"] == {}


def test_a_change_before_any_score_replaces_the_plan(plan):
    first = planned(plan, None, False, "day 1")
    assert planned(plan, first, True, "day 2") == first
    other = plan_of(declared(margin=0.02), FOLDS)
    second = planned(other, first, False, "day 2")
    assert (second["changes"], second["written"], second["plan"]) == ([], "day 2", other)
    assert not second["written_after_scores"]


def test_a_change_after_scores_keeps_every_earlier_plan(plan):
    first = planned(plan, None, False, "day 1")
    other = plan_of(declared(margin=0.02), FOLDS)
    second = planned(other, first, True, "day 2")
    third = planned(plan, second, True, "day 3")
    assert [change["written"] for change in third["changes"]] == ["day 2", "day 3"]
    assert third["changes"][0]["earlier"]["plan"] == plan
    assert third["changes"][1]["earlier"]["sha256"] == second["sha256"]
    margin = other["statistics"]["margin"]
    assert third["changes"][0]["changed"]["statistics.margin"][1] == margin
    assert planned(plan, third, False, "day 4") == third, "not even after the results are deleted"


def test_a_plan_that_comes_after_scores_says_so_for_good(plan):
    first = planned(plan, None, True, "day 1")
    assert first["written_after_scores"]
    other = plan_of(declared(margin=0.02), FOLDS)
    assert planned(other, first, False, "day 2")["written_after_scores"]


VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1),
)


@given(VALUES, VALUES)
def test_plans_without_a_difference_are_equal(old, new):
    assert (differences(old, new) == {}) == (old == new)


def test_an_altered_plan_is_refused(plan, tmp_path):
    path = tmp_path / "plan.json"
    assert read_plan(path) is None
    whole = planned(plan, None, False, "day 1")
    path.write_text(json.dumps(whole))
    assert read_plan(path) == whole
    altered = json.loads(json.dumps(whole))
    altered["plan"]["statistics"]["margin"] = 0.05
    for text in (json.dumps(altered), "{}", "[" * 100_000, "[1]", '{"plan": 1, "sha256": "x"}', ""):
        path.write_text(text)
        with pytest.raises(DamagedError, match="was altered"):
            read_plan(path)


@pytest.mark.parametrize(
    ("path", "scored"),
    [
        ("factorization/mf/k~4_reg~0.1/metrics.tsv", True),
        ("neighbours/user-knn/metrics.tsv", True),
        ("evaluation/metrics.tsv", True),
        ("neighbours/user-knn/trials.tsv", False),
        ("matrices/f1/test.npz", False),
    ],
)
def test_scores_on_test_are_found(tmp_path, path, scored):
    file = tmp_path / "results/tiny" / path
    file.parent.mkdir(parents=True)
    file.write_text("")
    assert scores_on_test(Results(tmp_path / "results", "tiny")) == scored


def test_every_rule_that_reads_test_ratings_waits_for_the_plan():
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for block in re.split(r"^(?=(?:rule|checkpoint) )", path.read_text(), flags=re.M)[1:]:
            given = block.split("    output:")[0]
            if re.search(r'part="test"|for part in PARTS|plan.of_method|"predictions', given):
                assert re.search(r"^        plan=", given, re.M), block.split(":")[0]
