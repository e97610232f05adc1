"""`make verify` finds what was altered, also with its time kept and where no job reads it."""

import json
import os

import pytest

from cfmf.files import sha256
from cfmf.workflow import verify
from cfmf.workflow.hashes import record

TABLE, RAW = "results/tiny/evaluation/metrics.tsv", "results/tiny/raw"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A table, raw files with their manifest, and what is no result."""
    monkeypatch.chdir(tmp_path)
    files = {
        TABLE: "a\n1\n",
        f"{RAW}/ratings.txt": "1:\n",
        "results/README.md": "",
        "results/tiny/logs/x.log": "done",
        f"{TABLE}.damaged": "",
        f"{RAW}/.snakemake_timestamp": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    ratings = tmp_path / RAW / "ratings.txt"
    facts = {"ratings.txt": {"bytes": 3, "sha256": sha256(ratings)}}
    (tmp_path / RAW / "manifest.json").write_text(json.dumps({"files": facts}))
    record([TABLE, RAW])
    return tmp_path


def test_what_is_unaltered_passes(folder, capsys):
    assert verify.main() == 0
    assert capsys.readouterr() == ("2 results are as they were written.\n", "")


@pytest.mark.parametrize("name", [TABLE, f"{RAW}/ratings.txt", f"{RAW}/manifest.json"])
def test_altered_file_is_found_though_its_time_was_kept(folder, capsys, name):
    path = folder / name
    before = path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verify.main() == 1
    result = TABLE if name == TABLE else RAW
    assert result in capsys.readouterr().err
    assert not (folder / result).exists()
    assert (folder / f"{result}.damaged").exists()
    assert verify.main() == 0


def test_lost_manifest_is_found(folder):
    (folder / RAW / "manifest.json").unlink()
    assert verify.main() == 1
    assert (folder / f"{RAW}.damaged").is_dir()


def test_file_without_a_hash_is_named_and_stays(folder, capsys):
    (folder / "results/tiny/notes.txt").write_text("mine")
    assert verify.main() == 0
    assert "results/tiny/notes.txt: no SHA-256 of it was kept" in capsys.readouterr().err
    assert (folder / "results/tiny/notes.txt").exists()
