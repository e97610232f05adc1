"""`make verify` finds what was altered, also with its time kept and where no job reads it."""

import json
import os
import shutil

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
    assert verify.main() == 1
    assert f"{result}: missing" in capsys.readouterr().err


def test_lost_manifest_is_found(folder):
    (folder / RAW / "manifest.json").unlink()
    assert verify.main() == 1
    assert (folder / f"{RAW}.damaged").is_dir()


def test_file_without_a_hash_is_named_and_stays(folder, capsys):
    (folder / "results/tiny/notes.txt").write_text("mine")
    assert verify.main() == 0
    assert "results/tiny/notes.txt: no SHA-256 of it was kept" in capsys.readouterr().err
    assert (folder / "results/tiny/notes.txt").exists()


@pytest.mark.parametrize("name", [TABLE, RAW])
def test_lost_result_is_named(folder, capsys, name):
    lost = folder / name
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    assert verify.main() == 1
    assert f"{name}: missing" in capsys.readouterr().err


def test_blocks_that_snakemake_deletes_are_not_missed(folder):
    block = folder / "results/tiny/neighbours/user-knn/blocks/1-of-2/test.parquet"
    block.parent.mkdir(parents=True)
    block.write_text("block")
    record([block.relative_to(folder)])
    block.unlink()
    assert verify.main() == 0


@pytest.mark.parametrize("made", [True, False])
def test_no_results_are_a_failure(tmp_path, monkeypatch, capsys, made):
    monkeypatch.chdir(tmp_path)
    if made:
        (tmp_path / "results/tiny/logs").mkdir(parents=True)
    assert verify.main() == 1
    assert "has no results" in capsys.readouterr().err


def test_the_folder_of_a_named_run_is_verified(folder, monkeypatch, capsys):
    named = folder / "runs/fine"
    named.mkdir(parents=True)
    (folder / "results").rename(named / "results")
    assert verify.main(["runs/fine"]) == 0
    assert capsys.readouterr().out == "2 results are as they were written.\n"


@pytest.mark.parametrize("linked", ["results", "results/tiny", "results/tiny/evaluation"])
def test_links_are_followed(folder, capsys, linked):
    elsewhere = folder / "elsewhere"
    (folder / linked).rename(elsewhere)
    (folder / linked).symlink_to(elsewhere)
    (elsewhere / "circle").symlink_to(elsewhere)
    assert verify.main() == 0
    assert capsys.readouterr().out == "2 results are as they were written.\n"
    (folder / TABLE).write_text("a\n2\n")
    assert verify.main() == 1
    assert TABLE in capsys.readouterr().err
