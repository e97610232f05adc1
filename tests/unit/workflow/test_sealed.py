"""Sealed folds are left out until they are opened, and then scored once, by one plan."""

import json
import logging
import re
from types import SimpleNamespace

import pytest
import yaml

from cfmf.imports import ROOT
from cfmf.workflow.config import ConfigError, check
from cfmf.workflow.job import job
from cfmf.workflow.plan import Plan
from cfmf.workflow.sealed import (
    SCORING,
    record_scores,
    refuse_other_plan,
    refuse_second,
    sealed_folds_of,
)

FOLDS = {"ratings": {"rows": 9, "sha256": "ab" * 32}}
LOG = "results/tiny/logs/train_factorization/als/k~4_reg~0.1.log"


def config(*folds, published=False, **sealed):
    made = yaml.safe_load((ROOT / "config/tiny.yaml").read_text("utf-8"))
    made["study"]["methods"] = ["baseline", "als"]
    made["published"]["enabled"] = published
    made["datasets"]["tiny"]["sealed"] = {"folds": list(folds), **sealed}
    return made


def planned(*folds, **sealed):
    made = config(*folds, **sealed)
    check(made)
    return Plan(made, NotImplemented)


def test_sealed_folds_are_studied_once_they_are_opened():
    assert planned().folds["tiny"] == ["f1", "f2", "f3"]
    assert planned("f3").folds["tiny"] == ["f1", "f2"]
    opened = planned("f3", open=True)
    assert opened.folds["tiny"] == ["f1", "f2", "f3"]
    assert opened.declared("tiny")["sealed"] == ["f3"]
    assert planned("all", open=True).folds["tiny"] == ["f1", "f2", "f3"]
    assert [planned(*folds, open=True).is_open("tiny") for folds in ([], ["f1"])] == [False, True]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (config("f9"), r"sealed\.folds has f9; choose from all, f1"),
        (config("all"), "seals every fold; set sealed.open to true"),
        (config("f1", published=True, open=True), "the published study selects on test"),
    ],
)
def test_what_cannot_be_sealed_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        check(given)


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A folder with the folds of a data set that is opened."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    for path, content in (("folds/folds.json", FOLDS), ("plan.json", {"sha256": "one"})):
        file = tmp_path / "results/tiny" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    (tmp_path / LOG).parent.mkdir(parents=True)
    return config("f3", open=True)


class Inputs(list):
    plan = "results/tiny/plan.json"


def scoring(config):
    return SimpleNamespace(
        rule="train_factorization", config=config, log=[LOG], threads=1, params={},
        input=Inputs(), output=[],
    )  # fmt: skip


def test_a_job_scores_sealed_folds_once(opened, capsys):
    with pytest.raises(SystemExit), job(scoring(opened)):
        raise ValueError("killed before it scored anything")
    with job(scoring(opened)):
        pass
    with pytest.raises(SystemExit), job(scoring(opened)):
        pytest.fail("the ratings were scored a second time")
    assert (
        "als/k~4_reg~0.1 would score sealed test ratings a second time" in capsys.readouterr().err
    )
    other = SimpleNamespace(**vars(scoring(opened)) | {"log": [LOG.replace("k~4", "k~8")]})
    with job(other):
        pass
    shut = config("f3", open=False)
    for _ in range(2):
        with job(scoring(shut)):
            pass


def test_another_name_of_the_data_set_or_the_run_hides_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record_scores(LOG, FOLDS, "one")
    with pytest.raises(ValueError, match="a second time"):
        refuse_second(LOG.replace("tiny", "renamed"), FOLDS)
    with pytest.raises(ValueError, match="a second time"):
        refuse_second(f"runs/grids/fine/{LOG}", FOLDS)
    with pytest.raises(ValueError, match="the plan differs"):
        refuse_other_plan(FOLDS, "another", "runs/fine/")
    refuse_second(LOG, {"ratings": {"sha256": "other ratings"}})


def test_sealed_folds_are_scored_by_one_plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refuse_other_plan(FOLDS, "one")
    record_scores(LOG, FOLDS, "one")
    refuse_other_plan(FOLDS, "one")
    with pytest.raises(ValueError, match="the plan differs from the one that scored sealed"):
        refuse_other_plan(FOLDS, "another")


def test_rules_that_do_not_score_are_free(opened):
    assert sealed_folds_of("train_factorization", LOG, opened) == FOLDS
    for rule in ("split_ratings", "render_report", "evaluate_methods"):
        assert sealed_folds_of(rule, LOG, opened) == {}


def test_every_rule_that_writes_scores_on_test_is_known():
    """A rule that waits for the plan scores on test, but for those named here."""
    reads_scores = {"evaluate_methods", "measure_intervals", "measure_scaling"}
    of_published = {"search_published", "compare_backends"}
    waiting = {
        block.split(":")[0]
        for path in (ROOT / "rules").glob("*.smk")
        for block in re.split(r"^(?:rule|checkpoint) ", path.read_text(), flags=re.M)[1:]
        if "plan=scoring_plan" in block
    }
    assert waiting == {*SCORING, *reads_scores, *of_published}
