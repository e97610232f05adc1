"""A checked config says which results a study has."""

import json
import os

import pytest
import yaml

from cfmf.imports import ROOT
from cfmf.methods import registry
from cfmf.workflow.config import check
from cfmf.workflow.plan import Plan, filled, method_files, package_files, points


@pytest.fixture
def plan():
    config = yaml.safe_load((ROOT / "config/tiny.yaml").read_text("utf-8"))
    config["study"]["methods"] = ["baseline", "mf", "gibbs"]
    check(config)
    return Plan(config)


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
    assert plan.points("m.tsv", "gibbs") == [
        "results/{dataset}/factorization/gibbs/k~4_reg~inferred/m.tsv"
    ]
    assert len(plan.points("m.tsv")) == 4 + 1
    assert plan.of_method("baseline", "m.tsv") == ["results/{dataset}/neighbours/baseline/m.tsv"]
    assert plan.scale("tiny") == [1, 5]


def test_time_to_tune_is_shared_by_the_points_and_seeds(plan):
    assert plan.seconds_a_run("mf") == plan.config["tuning"]["seconds"] / (4 * 2)


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
        "search_published", "compare_generators", "predict_first_row", "tune_adaptively"
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
