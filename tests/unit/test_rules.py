"""What one job wrote is what the next one reads."""

import logging
import subprocess
from types import SimpleNamespace

import pytest

from cfmf.rules import job, record, verify

RESULT = "results/tiny/matrices/f1/train.npz"


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


def test_what_has_no_hash_passes(result):
    (result.parent / "folder").mkdir()
    record([result.parent / "folder", "cfmf/files.py"])
    verify([RESULT, "cfmf/files.py", "results/tiny/absent"])
    assert not (result.parents[2] / "hashes").exists()


def test_job_checks_its_inputs_and_keeps_hashes_of_its_outputs(result, monkeypatch):
    given = SimpleNamespace(
        input=[RESULT], output=["results/tiny/x.tsv"], log=["x.log"], rule="x", threads=1, params={}
    )
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
