"""Provenance tells what a run was made with."""

import hashlib
import json
import subprocess

import numpy

from cfmf.reporting import provenance


def test_everything_is_collected(tmp_path):
    (tmp_path / "input.tsv").write_text("a\tb\n")
    inputs = [tmp_path / "input.tsv", tmp_path / "gone"]
    known = provenance.collect({"study": {"seeds": [1, 2]}}, inputs, "snakemake", tmp_path)
    provenance.write(tmp_path / "provenance.json", known)
    read = json.loads((tmp_path / "provenance.json").read_text())
    assert read["versions"]["numpy"] == numpy.__version__
    expected = hashlib.sha256(b"a\tb\n").hexdigest()
    assert read["inputs"] == {str(tmp_path / "input.tsv"): expected}
    assert read["machine"]["cores"] >= 1
    assert read["config"] == {"study": {"seeds": [1, 2]}}
    assert read["run"]["seeds"] == [1, 2]


def test_git_state_tells_commit_and_changes(tmp_path):
    assert provenance.git_state(tmp_path) == {}

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "one")
    state = provenance.git_state(tmp_path)
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (tmp_path / "file").write_text("2")
    assert provenance.git_state(tmp_path)["dirty"] is True
