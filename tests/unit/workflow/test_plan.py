"""A checked config says which results a study has."""

import json
import os
from types import SimpleNamespace

import pytest
import yaml

from cfmf.imports import ROOT
from cfmf.methods import registry
from cfmf.workflow import layout
from cfmf.workflow.config import check
from cfmf.workflow.plan import Plan, filled, method_files, package_files, points


@pytest.fixture
def plan():
    config = yaml.safe_load((ROOT / "config/tiny.yaml").read_text("utf-8"))
    config["study"]["methods"] = ["baseline", "mf", "gibbs"]
    config["tuning"]["grow"] = False
    check(config)
    return Plan(config, NotImplemented)


def test_points_cross_k_and_reg():
    assert points({"k": [1, 4], "reg": [0.1]}) == [("1", "0.1"), ("4", "0.1")]
    assert points({"k": [8]}) == [("8", "inferred")]


def test_templates_are_filled_with_every_combination():
    assert filled("{a}/{b}/{c}", b=["1", "2"], c="x") == ["{a}/1/x", "{a}/2/x"]
    assert filled(["{a}", "b"], a=["1", "2"], unused=["x", "y"]) == ["1", "2", "b"]
    assert filled("{a}", a=[]) == []


def test_results_of_a_study(plan):
    assert plan.studied("matrix", part=["fit"]) == [
        f"results/tiny/matrices/f{fold}/fit.npz" for fold in (1, 2, 3)
    ]
    assert plan.studied("audit") == ["results/tiny/ratings/audit.json"]
    assert plan.points("tiny", "m.tsv", "gibbs") == [
        "results/tiny/factorization/gibbs/k~4_reg~inferred/m.tsv"
    ]
    assert len(plan.points("tiny", "m.tsv")) == 4 + 1
    assert plan.of_method("tiny", "baseline", "m.tsv") == ["results/tiny/neighbours/baseline/m.tsv"]
    assert plan.scale("tiny") == [1, 5]


def test_results_of_a_named_run(plan):
    config = {**plan.config, "run": {"name": "grids/fine"}}
    named = Plan(config, NotImplemented)
    lists = (
        plan.studied("audit"), plan.points("tiny", "m.tsv"), plan.selection(),
        plan.of_method("tiny", "baseline", "m.tsv"), plan.jobs("log", "tiny", ["1-of-1"]),
        [plan.result("across", file="tests.tsv")],
    )  # fmt: skip
    others = (
        named.studied("audit"), named.points("tiny", "m.tsv"), named.selection(),
        named.of_method("tiny", "baseline", "m.tsv"), named.jobs("log", "tiny", ["1-of-1"]),
        [named.result("across", file="tests.tsv")],
    )  # fmt: skip
    for usual, own in zip(lists, others, strict=True):
        assert own == [f"runs/grids/fine/{path}" for path in usual]


def blended(plan, methods, blends=None):
    config = {**plan.config, "study": {**plan.config["study"], "methods": methods}}
    return Plan(config if blends is None else {**config, "blends": blends}, NotImplemented).blends


def test_blends_are_of_the_families_that_a_study_has(plan, monkeypatch):
    assert blended(plan, ["baseline", "mf"]) == {"blend-factorizations": ["mf"]}
    methods = ["mf-published", "mf", "item-knn", "user-cf-published", "gibbs", "baseline"]
    assert blended(plan, methods) == {
        "blend-neighbours": ["item-knn"],
        "blend-factorizations": ["mf", "gibbs"],
        "blend-both": ["mf", "item-knn", "gibbs"],
    }
    assert blended(plan, methods, {}) == {}
    own = {"own": ["baseline", "neighbours"], "one": ["mf-published"]}
    assert blended(plan, methods, own) == {
        "blend-own": ["item-knn", "baseline"],
        "blend-one": ["mf-published"],
    }
    # What knows more than the ratings is in no blend unless it is listed.
    monkeypatch.setattr(registry.method("gibbs"), "uses", frozenset({"dates"}))
    assert blended(plan, methods)["blend-both"] == ["mf", "item-knn"]
    assert blended(plan, methods, {"own": ["gibbs"]}) == {"blend-own": ["gibbs"]}


def test_results_of_a_blend(plan):
    plan.blends = {"blend-own": ["baseline", "mf"]}
    assert plan.of_method("tiny", "blend-own", "m.tsv") == ["results/tiny/blends/blend-own/m.tsv"]
    assert layout.settings_of("results/tiny/blends/blend-own/m.tsv") == ("blend-own", "", "")
    job = SimpleNamespace(dataset="tiny", method="blend-own")
    known = plan.of_members(job, "costs.tsv", "tuning_costs.tsv")
    assert known[:2] == [f"results/tiny/neighbours/baseline/{a}costs.tsv" for a in ("", "tuning_")]
    assert len(known) == 2 + 4
    logs = plan.jobs("log", "tiny", ["1-of-1"])
    assert "results/tiny/logs/blend_methods/blend-own.log" in logs
    assert plan.declared("tiny")["blends"] == plan.blends


def test_results_of_predictions_of_another_tool(plan):
    files = "mine/{dataset}/{fold}-{seed}.csv"
    config = {**plan.config, "predictions": {"mine": {"files": files}}}
    check(config)
    one = Plan(config, NotImplemented)
    try:
        path = "results/tiny/foreign/mine/m.tsv"
        assert one.of_method("tiny", "mine", "m.tsv") == [path]
        assert layout.settings_of(path) == ("mine", "", "")
        assert one.foreign_files("tiny", "mine") == [
            f"mine/tiny/f{fold}-{seed}.csv" for fold in (1, 2, 3) for seed in (1, 2)
        ]
        assert "results/tiny/logs/score_predictions/mine.log" in one.jobs("log", "tiny", [])
        assert one.declared("tiny")["predictions"]["mine"]["family"] == "foreign"
        assert "predictions" not in plan.declared("tiny")
        assert not any("mine" in held for held in (one.methods, *one.blends.values()))
        assert (registry.family("mine"), registry.label("mine")) == ("foreign", "mine")
    finally:
        check({**plan.config, "predictions": {}})
    assert not registry.is_foreign("mine")


def test_blends_are_compared_with_those_of_some_of_their_members():
    found = registry.nested({"a": ["x", "y"], "b": ["x"], "c": ["y", "z"], "d": ["y", "x"]})
    assert found == [("a", "b"), ("d", "b")]
    chain = registry.nested({"a": "xyz", "b": "xy", "c": "x", "d": "z"})
    assert chain == [("a", "b"), ("a", "d"), ("b", "c")]


def test_time_to_tune_is_shared_by_the_points_and_seeds(plan):
    assert plan.seconds_a_run("mf") == plan.config["tuning"]["seconds"] / (4 * 2)


@pytest.fixture
def growing(plan, tmp_path):
    """The plan of a search whose first round added two points, and whose second added none."""
    added = {("mf", 1): "16\t0.4\n16\t0.8\n", ("gibbs", 1): "8\t\n"}

    def round_file(dataset, method, round):
        if round > 2:
            raise LookupError("asked beyond the end of the search")
        path = tmp_path / f"{method}-{round}.tsv"
        path.write_text("k\treg\n" + added.get((method, round), ""))
        return str(path)

    plan.config["tuning"] |= {"grow": True, "trials": 40}
    return Plan(plan.config, round_file)


def test_points_follow_the_rounds_of_a_search(growing):
    listed = [("1", "0.05"), ("1", "0.2"), ("4", "0.05"), ("4", "0.2")]
    assert growing.tried("tiny", "mf", before=1) == listed
    assert growing.tried("tiny", "mf") == [*listed, ("16", "0.4"), ("16", "0.8")]
    assert growing.tried("tiny", "gibbs") == [("4", "inferred"), ("8", "inferred")]
    assert len(growing.points("tiny", "m.tsv")) == 6 + 2
    logs = growing.jobs("log", "tiny", ["1-of-1"])
    assert "results/tiny/logs/train_factorization/mf/k~16_reg~0.8.log" in logs
    assert [path for path in logs if "extend_search" in path] == [
        f"results/tiny/logs/extend_search/{method}/{number}.log"
        for method in ("mf", "gibbs")
        for number in (1, 2)
    ]


def test_no_round_is_asked_for_once_the_trials_are_spent(growing):
    growing.trials = 6
    assert [len(added) for added in growing.added("tiny", "mf")] == [2]
    growing.trials = 4
    assert not list(growing.added("tiny", "mf"))


def test_a_search_that_grows_shares_its_time_among_all_that_it_may_try(growing):
    share = growing.config["tuning"]["seconds"] / 2
    assert growing.seconds_a_run("mf") == share / growing.config["tuning"]["trials"]
    growing.trials = 3
    assert growing.seconds_a_run("mf") == share / 4
    growing.config["methods"]["mf-published"] = {"k": [1, 4], "reg": [0.01]}
    assert not growing.grows("mf-published")  # its grid is that of the study


def test_fold_of_a_section_is_checked(plan):
    assert plan.fold("evaluation", "tiny") == "f1"
    plan.config["evaluation"]["fold"] = "u9"
    with pytest.raises(ValueError, match=r"evaluation.fold is u9; choose from f1, f2, f3"):
        plan.fold("evaluation", "tiny")


def test_jobs_are_those_of_what_is_enabled(plan):
    plan.config["published"]["enabled"] = True
    logs = plan.jobs("log", "tiny", ["1-of-1"])
    assert plan.published()
    assert "results/tiny/logs/train_factorization/mf/k~4_reg~0.05.log" in logs
    assert "results/tiny/logs/build_matrices/f3.log" in logs
    assert len(set(logs)) == len(logs)
    assert not [path for path in logs if "{" in path or "render_report" in path]
    plan.config["published"]["enabled"] = False
    plan.adaptive = []
    assert not plan.published()
    less = plan.jobs("log", "tiny", ["1-of-1"])
    gone = {path.split("/")[3].removesuffix(".log") for path in set(logs) - set(less)}
    assert gone == {
        "search_published", "compare_generators", "predict_first_user", "tune_adaptively",
        "compute_similarity",
    }  # fmt: skip


def test_package_files_are_seen_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    names = package_files("report/strings", "cfmf/files.py")
    assert "cfmf/files.py" in names
    assert "report/strings/en.yaml" in names
    monkeypatch.chdir(tmp_path)
    assert package_files("cfmf/files.py") == [str(ROOT / "cfmf/files.py")]
    assert all(os.path.isfile(name) for name in package_files("report/strings"))


def test_files_of_a_method_outside_the_checkout_are_its_own(tmp_path, monkeypatch):
    text = "from cfmf.methods.baseline import Baseline\n\n\nclass Mine(Baseline):\n    pass\n"
    (tmp_path / "own_method.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_of_config", {})
    registry.register({"mine": {"class": "own_method:Mine"}})
    assert {str(tmp_path / "own_method.py"), *method_files("baseline")} <= {*method_files("mine")}
    files = method_files("mine", "mf", script="train_factorization")
    assert {"cfmf/methods/mf.py", "cfmf/workflow/job.py"} <= {
        os.path.relpath(name, ROOT) for name in files
    }


def test_config_is_json_as_jobs_pass_it_on(plan):
    assert json.loads(json.dumps(plan.config)) == plan.config
