"""Provenance tells what a run was made with."""

import hashlib
import json
import os
import shlex
import subprocess
from datetime import datetime
from importlib import metadata
from pathlib import Path

import numpy
import pytest
from snakemake.cli import parse_config

from cfmf import __version__
from cfmf.workflow import provenance
from cfmf.workflow.machine import packages_with


def test_everything_is_collected(tmp_path):
    (tmp_path / "input.tsv").write_text("a\tb\n")
    inputs = [tmp_path / "input.tsv", tmp_path / "gone"]
    (tmp_path / "output.tsv").write_text("c\n")
    known = provenance.collect(
        {"study": {"seeds": [1, 2]}},
        inputs,
        "snakemake",
        tmp_path,
        outputs=[tmp_path / "output.tsv", tmp_path],
    )
    provenance.write(tmp_path / "provenance.json", known)
    read = json.loads((tmp_path / "provenance.json").read_text())
    assert read["versions"]["numpy"] == numpy.__version__
    assert read["versions"]["cfmf"] == __version__
    expected = hashlib.sha256(b"a\tb\n").hexdigest()
    assert read["inputs"] == {str(tmp_path / "input.tsv"): expected}
    expected = hashlib.sha256(b"c\n").hexdigest()
    assert read["outputs"] == {str(tmp_path / "output.tsv"): expected}
    assert read["run"]["started"] == ""
    assert datetime.fromisoformat(read["run"]["reported"]).tzinfo is not None
    assert read["machine"]["cores"] >= 1
    assert read["config"] == {"study": {"seeds": [1, 2]}}
    assert read["run"]["seeds"] == [1, 2]


def test_what_signs_an_address_is_left_out():
    urls = [{"url": "https://me:pass@example.org/a/r.csv?signature=x", "sha256": ""}]
    config = {"datasets": {"mine": {"urls": urls, "scale": {"step": 0.5}}}}
    assert provenance.collect(config)["config"] == {
        "datasets": {
            "mine": {
                "urls": [{"url": "https://example.org/a/r.csv", "sha256": ""}],
                "scale": {"step": 0.5},
            }
        }
    }


def test_jax_is_among_the_versions_where_it_is_installed():
    try:
        expected = metadata.version("jax")
    except metadata.PackageNotFoundError:
        expected = None
    assert provenance.versions().get("jax") == expected


def test_packages_of_the_methods_of_a_config_are_known():
    known = packages_with(["yaml.loader:Mine", "scipy.sparse", "cfmf.peers.myfm:MyFM", "no_such"])
    assert known == ["PyYAML", "scipy"]
    assert packages_with(["cfmf.peers.myfm:MyFM"]) == []


def test_packages_and_machines_of_the_jobs_are_told(tmp_path):
    """Of conda's environments, that of the report has neither torch nor Snakemake."""
    machine = {**provenance.machine(), "python": "3.0"}
    for name, versions in (("a", {"torch": "2", "numpy": "1"}), ("b", {"torch": "2"})):
        told = json.dumps({"versions": versions, "machine": machine})
        (tmp_path / name).write_text(
            f"started\n2026-11-24 17:18:03,276 root INFO runs with {told}\n"
        )
    logs = [tmp_path / name for name in ("a", "b", "gone")]
    known = provenance.collect({}, logs=logs, extra_versions={"snakemake": "9"})
    versions = known["versions"]
    assert (versions["torch"].split(", ")[-1], versions["snakemake"].split(", ")[-1]) == ("2", "9")
    assert versions["numpy"] == f"{numpy.__version__}, 1"
    (elsewhere,) = known["run"]["elsewhere"]
    assert elsewhere.startswith("python 3.0, ")
    here = {"versions": {}, "machine": provenance.machine()}
    (tmp_path / "a").write_text(f"x runs with {json.dumps(here)}\n")
    assert "elsewhere" not in provenance.collect({}, logs=[tmp_path / "a"])["run"]


@pytest.mark.parametrize(
    "told",
    ["{", "[]", "3", '{"versions": {}}', '{"versions": 1, "machine": {}}', "\ufffd\x00", '"text"'],
)
def test_damaged_log_is_named_and_left_out(tmp_path, caplog, told):
    (tmp_path / "log").write_text(f"2026-11-24 17:18:03,276 x runs with {told}\n")
    known = provenance.collect({}, logs=[tmp_path / "log"])
    assert known["versions"] == provenance.versions()
    assert f"{tmp_path / 'log'} does not tell" in caplog.text


def test_raw_files_are_told_by_the_hashes_of_their_manifest(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"u.data": {"sha256": "0" * 64}}}))
    assert provenance.hashes([tmp_path]) == {str(tmp_path / "u.data"): "0" * 64}


def test_command_holds_the_settings_given_with_it():
    settings = {"device": "cpu", "study": {"seeds": ["1"]}, "on": True, "none": None}
    words = shlex.split(provenance.command(["my files/c.yaml"], settings))
    assert words[5:7] == ["--configfile", "my files/c.yaml"]
    assert words[7] == "--config"
    assert parse_config(words[8:]) == settings
    here = provenance.command([Path("config/tiny.yaml").resolve(), "/elsewhere/c.yaml"], {})
    assert here.endswith(" --configfile config/tiny.yaml /elsewhere/c.yaml")
    assert provenance.command([], {}) == "snakemake --cores all --resources gpu=1"


def test_run_started_with_its_first_job(tmp_path):
    """Logs as logging writes them, in local time, whichever order they are given in."""
    for name, told in (
        ("late", "2026-11-24 17:18:03,276 rule INFO rule started with 1 threads\nmore\n"),
        ("early", "2026-11-24 17:17:50,645 rule INFO rule started with 1 threads\n"),
        ("strange", "no time\n"),
    ):
        (tmp_path / name).write_text(told)
    local = datetime(2026, 11, 24, 17, 17, 50).astimezone()
    logs = [tmp_path / name for name in ("late", "early", "strange", "gone")]
    assert datetime.fromisoformat(provenance.first_start(logs)) == local
    assert provenance.first_start(logs).endswith("+00:00")
    assert provenance.first_start(logs[2:]) == ""


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_checkout_of_another_user_tells_its_commit(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", tmp_path, *identity, "commit", "-q", "--allow-empty", "-m", "one"]
    subprocess.run(command, check=True)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.chown(path, 65534, 65534)
    assert len(provenance.git_state(tmp_path)["commit"]) == 40
