"""What one job wrote is what the next one reads."""

import logging
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from cfmf.files import DamagedError
from cfmf.methods import registry
from cfmf.workflow.hashes import record, verify
from cfmf.workflow.job import job
from cfmf.workflow.provenance import circumstances
from tests.checkout import ROOT

RESULT = "results/tiny/matrices/f1/train.npz"


def asked(**given):
    """What Snakemake hands to the script of a rule `x`."""
    rest = {"input": [], "output": [], "log": ["x.log"], "threads": 1, "params": {}, "config": {}}
    return SimpleNamespace(rule="x", **(rest | given))


@pytest.fixture
def result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / RESULT
    path.parent.mkdir(parents=True)
    path.write_bytes(b"as written")
    return path


def test_unaltered_result_passes_and_the_system_reads_its_hash_too(result):
    record([RESULT])
    verify([RESULT])
    kept = "results/tiny/hashes/matrices/f1/train.npz.sha256"
    subprocess.run(["sha256sum", "--check", "--quiet", kept], check=True)


def test_altered_result_is_told_and_set_aside(result):
    record([RESULT])
    result.write_bytes(b"as Written")
    with pytest.raises(ValueError, match=r"matrices/f1/train\.npz: not as it was written"):
        verify([RESULT])
    assert not result.exists()
    assert result.with_name("train.npz.damaged").read_bytes() == b"as Written"


def test_only_of_results_a_hash_is_wanted(result):
    log = "results/tiny/logs/x.log"
    (result.parents[2] / "logs").mkdir()
    (result.parents[4] / log).write_text("done")
    record([log, "cfmf/files.py"])
    verify([log, "cfmf/files.py", "results/tiny/absent"])
    assert not (result.parents[2] / "hashes").exists()


def test_result_without_a_hash_is_told_and_set_aside(result):
    with pytest.raises(ValueError, match=r"train\.npz: no SHA-256 of it was kept"):
        verify([RESULT])
    assert not result.exists()
    assert result.with_name("train.npz.damaged").exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"0" * 64, b"\n" * 9, b"\x00" * 99])
def test_damaged_hash_costs_its_result_and_no_more(result, content):
    record([RESULT])
    (result.parents[2] / "hashes/matrices/f1/train.npz.sha256").write_bytes(content)
    with pytest.raises(ValueError, match=r"train\.npz: not as it was written.*again"):
        verify([RESULT])
    assert not result.exists()


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("{ }"), lambda path: path.unlink()])
def test_a_folder_stands_and_falls_with_its_manifest(result, spoil):
    manifest = result.parents[2] / "raw/manifest.json"
    manifest.parent.mkdir()
    manifest.write_text("{}")
    record(["results/tiny/raw"])
    verify(["results/tiny/raw"])
    spoil(manifest)
    with pytest.raises(ValueError, match="results/tiny/raw: not as it was written"):
        verify(["results/tiny/raw"])
    assert (result.parents[2] / "raw.damaged").is_dir()


def test_job_checks_its_inputs_and_keeps_hashes_of_its_outputs(result, monkeypatch):
    given = asked(input=[RESULT], output=["results/tiny/x.tsv"])
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    (result.parents[2] / "x.tsv").write_text("a\n")
    record([RESULT])
    with job(given):
        pass
    assert (result.parents[2] / "hashes/x.tsv.sha256").exists()
    result.write_bytes(b"other")
    with pytest.raises(SystemExit), job(given):
        pytest.fail("a job began on an altered input")
    assert "train.npz: not as it was written" in (result.parents[4] / "x.log").read_text()


def test_versions_of_the_packages_of_methods_are_logged(result, monkeypatch):
    methods = {"mine": {"class": "yaml.loader:Mine"}, "mf": {"k": [1]}, "als": None}
    given = asked(config={"methods": methods})
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    monkeypatch.delitem(sys.modules, "cfmf.methods.registry", raising=False)  # as in most jobs
    with job(given):
        pass
    assert circumstances(["x.log"])[0]["versions"]["PyYAML"] == metadata.version("PyYAML")


def test_what_the_package_finds_damaged_is_set_aside_if_it_is_a_result(result, monkeypatch, capsys):
    given = asked()
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    own = result.parents[4] / "own"
    own.mkdir()
    for _ in range(2):
        for folder in (own, "results/tiny/raw"):
            (result.parents[2] / "raw").mkdir(exist_ok=True)
            with pytest.raises(SystemExit), job(given):
                raise DamagedError(folder, f"{folder} was changed")
            told = capsys.readouterr().err
            assert ("renamed to" in told) == (folder != own)
    assert own.is_dir()
    assert (result.parents[2] / "raw.damaged").is_dir()
    assert not (result.parents[2] / "raw").exists()


def test_nothing_of_a_server_or_an_archive_steers_the_terminal(result, monkeypatch, capsys):
    log = Path("results/tiny/logs/x.log")
    log.parent.mkdir()
    given = asked(log=[str(log)])
    with pytest.raises(SystemExit), job(given):  # noqa: PT012 - what jobs do is in the block
        logging.getLogger("cfmf.data.x").warning("served by \x1b]0;title\x07")
        raise ValueError("\x1b[2Jno\r place\nserves \u202eit")
    told = capsys.readouterr().err
    written = log.read_text("utf-8")
    assert "x failed: \\x1b[2Jno\\r place\nserves \\u202eit" in told
    assert "served by \\x1b]0;title\\x07" in written
    for text in (told, written):
        assert text.replace("\n", "").replace("\t", "").isprintable()


def test_every_rule_asks_for_memory_and_time_by_a_function():
    """Of the data's size or the config, more at each attempt: a number would not rise."""
    rules = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    for rule in re.split(r"^(?:rule|checkpoint) ", rules, flags=re.MULTILINE)[1:]:
        for resource in ("mem_mb", "runtime"):
            asked = re.findall(rf"^        {resource}=(\w+)", rule, re.MULTILINE)
            assert len(asked) == 1, rule
            assert not asked[0].isdigit(), rule


def test_methods_of_the_config_are_known_to_jobs_that_can_import_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    monkeypatch.setattr(registry, "_of_config", {})
    Path("methods_of_a_stranger.py").write_text(
        "from cfmf.methods.baseline import Baseline\n"
        "class Mine(Baseline):\n    label = 'My own baseline'\n"
    )
    methods = {
        "mine": {"class": "methods_of_a_stranger:Mine"},
        "lost": {"class": "methods_of_nobody:Lost"},
        "baseline": {},
    }
    given = asked(config={"methods": methods})
    with job(given):
        assert registry.family("mine") == "baseline"
        assert registry.label("mine") == "My own baseline"
    assert "lost" not in registry.methods()
    assert "lost unknown to this job: methods.lost.class" in Path("x.log").read_text()
