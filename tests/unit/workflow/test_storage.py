"""What jobs do where results are in a storage, and what is refused there."""

import json
from types import SimpleNamespace

import pytest

from cfmf.workflow.declared import followed, write_plan
from cfmf.workflow.job import job
from cfmf.workflow.layout import Results
from cfmf.workflow.storage import VARIABLE, decide_storage, uses_storage

COPIES = ".snakemake/storage/s3/bucket/"


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.chdir(tmp_path)


def test_the_provider_decides_whatever_another_run_decided(monkeypatch):
    decide_storage("s3", opened=False)
    assert uses_storage()
    decide_storage(None, opened=True)
    assert not uses_storage()
    monkeypatch.delenv(VARIABLE)
    assert not uses_storage()


def test_opened_sealed_folds_are_refused():
    with pytest.raises(ValueError, match="share a file system"):
        decide_storage("s3", opened=True)


@pytest.mark.parametrize("provider", [None, "s3"])
def test_a_job_keeps_hashes_only_beside_results_that_others_see(provider, tmp_path):
    decide_storage(provider, opened=False)
    output = tmp_path / COPIES / "results/tiny/folds/folds.json"
    log = tmp_path / COPIES / "results/tiny/logs/split_ratings.log"
    for path in (output, log):
        path.parent.mkdir(parents=True)
    files = {"input": [], "output": [COPIES + "results/tiny/folds/folds.json"]}
    described = {"rule": "split_ratings", "threads": 1, "config": {}, "params": None}
    logs = [COPIES + "results/tiny/logs/split_ratings.log"]
    with job(SimpleNamespace(**files, **described, log=logs)):
        output.write_text("{}")
    kept = tmp_path / COPIES / "results/tiny/hashes/folds/folds.json.sha256"
    assert kept.is_file() == (provider is None)
    described["rule"] = "build_matrices"
    again = {"input": files["output"], "output": []}
    kept.unlink(missing_ok=True)
    run = job(SimpleNamespace(**again, **described, log=logs))
    if provider:
        with run:
            pass
        assert output.is_file()
    else:
        with pytest.raises(SystemExit), run:
            pass
        assert not output.is_file()


@pytest.mark.parametrize(("provider", "changes"), [(None, 0), ("s3", 1)])
def test_a_plan_that_differs_counts_as_changed_where_scores_are_not_seen(provider, changes):
    decide_storage(provider, opened=False)
    files = Results.of_study("results/tiny", [])
    first = followed(files, "first_plan", {"alpha": 0.05})
    assert not first["written_after_scores"]
    files.where("first_plan").parent.mkdir(parents=True)
    write_plan(files.where("first_plan"), first)
    assert followed(files, "plan", {"alpha": 0.05}) == first
    later = followed(files, "plan", {"alpha": 0.01})
    assert len(later["changes"]) == changes
    assert json.loads(files.where("first_plan").read_text())["changes"] == []
