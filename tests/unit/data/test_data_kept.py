"""Raw files that are good are kept until new ones are complete, whoever made them."""

import hashlib
import json
import shutil
from contextlib import contextmanager

import pytest

from cfmf.data import manifest as manifests
from cfmf.data import sources
from cfmf.data.manifest import keep, kept_folder, verified_manifest
from cfmf.data.sources import adopt, retrieve
from cfmf.workflow.hashes import record, verify
from cfmf.workflow.retained import retain_raw_files
from tests.unit.data.hostile import answer, answering

RATINGS = b"user,item,rating\n1,1,3\n1,2,4\n2,1,5\n"
NEWER = RATINGS + b"2,2,1\n"
DIGEST = hashlib.sha256(RATINGS).hexdigest()


@contextmanager
def served(content):
    """A server of `content[0]`, or of nothing where that is empty; its address and its requests."""
    with answering(lambda *_: [answer("200 OK", content[0])] if content[0] else []) as (
        port,
        asked,
    ):
        yield f"http://127.0.0.1:{port}/ratings.csv", asked


def lost(raw):
    """What Snakemake does before a job runs again."""
    shutil.rmtree(raw)


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "results" / "mine" / "raw"


def test_declared_files_are_not_fetched_again(dataset, raw):
    content = [RATINGS]
    with served(content) as (url, asked):
        block = dataset(source="table", urls=[{"url": url, "sha256": DIGEST}])
        first = retrieve(block, raw)
        lost(raw)
        content[0] = b""
        again = retrieve(block, raw)
        assert len(asked) == 1
    assert again == first | {"attempts": []}
    assert verified_manifest(raw) == again
    assert (raw / "ratings.csv").read_bytes() == RATINGS


def test_undeclared_files_are_fetched_again_and_kept_where_nothing_serves_them(dataset, raw):
    content = [RATINGS]
    with served(content) as (url, asked):
        block = dataset(source="table", urls=[{"url": url}])
        retrieve(block, raw)
        lost(raw)
        content[0] = b""
        kept = retrieve(block, raw)
        assert (raw / "ratings.csv").read_bytes() == RATINGS
        assert (kept["served_by"], len(kept["attempts"])) == ("download", 1)
        lost(raw)
        content[0] = NEWER
        retrieve(block, raw)
        assert (raw / "ratings.csv").read_bytes() == NEWER
        assert len(asked) == 3


def test_files_of_another_request_are_not_taken_for_it(dataset, raw):
    content = [RATINGS]
    with served(content) as (url, _):
        retrieve(dataset(source="table", urls=[{"url": url}]), raw)
        lost(raw)
        content[0] = b""
        for changed in ({"url": url + "?other=1", "name": "ratings.csv"}, {"url": url + "x"}):
            with pytest.raises(ValueError, match=r"still in .*\.raw\.kept"):
                retrieve(dataset(source="table", urls=[changed]), raw)
        with pytest.raises(ValueError, match="no place serves"):
            retrieve(dataset(source="table", urls=[{"url": url, "sha256": "0" * 64}]), raw)
        assert not raw.exists()
        # They are still there, for the request that they answer.
        retrieve(dataset(source="table", urls=[{"url": url}]), raw)
    assert (raw / "ratings.csv").read_bytes() == RATINGS


def test_a_new_address_of_the_same_checksum_needs_no_download(dataset, raw):
    with served([RATINGS]) as (url, asked):
        retrieve(dataset(source="table", urls=[{"url": url, "sha256": DIGEST}]), raw)
        lost(raw)
        moved = [{"url": "http://127.0.0.1:9/ratings.csv", "sha256": DIGEST}]
        retrieve(dataset(source="table", urls=moved), raw)
        assert len(asked) == 1
    assert (raw / "ratings.csv").read_bytes() == RATINGS


@pytest.mark.parametrize("spoil", ["altered", "lost", "manifest"])
def test_kept_files_that_are_damaged_are_not_used(dataset, raw, spoil):
    with served([RATINGS]) as (url, asked):
        block = dataset(source="table", urls=[{"url": url, "sha256": DIGEST}])
        retrieve(block, raw)
        lost(raw)
        kept = kept_folder(raw)
        if spoil == "altered":
            (kept / "ratings.csv").write_bytes(NEWER)
        else:
            (kept / {"lost": "ratings.csv", "manifest": "manifest.json"}[spoil]).unlink()
        retrieve(block, raw)
        assert len(asked) == 2
    assert (raw / "ratings.csv").read_bytes() == RATINGS
    verified_manifest(kept)


def test_a_local_folder_comes_first_and_may_be_away_later(dataset, raw, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "ratings.csv").write_bytes(RATINGS)
    block = dataset(source="table", folder=str(folder))
    retrieve(block, raw)
    (folder / "ratings.csv").write_bytes(NEWER)
    retrieve(block, raw)
    assert (raw / "ratings.csv").read_bytes() == NEWER
    lost(raw)
    shutil.rmtree(folder)
    assert retrieve(block, raw)["served_by"] == "folder"
    assert (raw / "ratings.csv").read_bytes() == NEWER


def test_the_old_folder_remains_until_the_new_one_is_complete(dataset, raw, monkeypatch):
    content = [RATINGS]
    with served(content) as (url, _):
        block = dataset(source="table", urls=[{"url": url}])
        retrieve(block, raw)
        content[0] = NEWER
        monkeypatch.setattr(sources, "_check_complete", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            retrieve(block, raw)
    assert verified_manifest(raw)
    assert (raw / "ratings.csv").read_bytes() == RATINGS
    assert sorted(path.name for path in raw.parent.iterdir() if "partial" in path.name) == []


def test_files_are_copied_where_there_are_no_links(dataset, raw, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(manifests.os, "link", no_links)
    with served([RATINGS]) as (url, _):
        retrieve(dataset(source="table", urls=[{"url": url, "sha256": DIGEST}]), raw)
    (raw / "ratings.csv").write_bytes(NEWER)
    assert (kept_folder(raw) / "ratings.csv").read_bytes() == RATINGS


@pytest.fixture
def laid(raw, monkeypatch, tmp_path):
    """Files that a user put into the folder of raw files of the data set `mine`."""
    monkeypatch.chdir(tmp_path)

    def lay(**files):
        raw.mkdir(parents=True)
        for name, content in files.items():
            (raw / name.replace("_", ".")).write_bytes(content)
        return raw.relative_to(tmp_path)

    return lay


def test_laid_files_with_a_declared_checksum_are_adopted(dataset, laid):
    raw = laid(ratings_csv=RATINGS)
    urls = [{"url": "http://127.0.0.1:9/ratings.csv", "sha256": DIGEST}]
    retain_raw_files({"mine": dataset(source="table", urls=urls)})
    assert json.loads((raw / "manifest.json").read_text())["files"]["ratings.csv"]
    verify([raw])
    assert (kept_folder(raw) / "ratings.csv").read_bytes() == RATINGS


def test_laid_files_with_another_checksum_or_none_are_left_and_told(dataset, laid):
    raw = laid(ratings_csv=NEWER)
    for sha256 in (DIGEST, ""):
        urls = [{"url": "http://127.0.0.1:9/ratings.csv", "sha256": sha256}]
        block = dataset(source="table", urls=urls)
        assert not adopt(block, raw)
        retain_raw_files({"mine": block})
        with pytest.raises(ValueError, match="set it as `folder` of the data set"):
            verify([raw])
    assert [path.name for path in raw.iterdir()] == ["ratings.csv"]
    assert sorted(path.name for path in raw.parent.iterdir()) == [".raw.kept", "raw"]
    lost(raw)
    with pytest.raises(ValueError, match="still in"):
        retrieve(block, raw)
    assert (kept_folder(raw) / "ratings.csv").read_bytes() == NEWER


def test_a_folder_with_its_manifest_but_without_a_record_is_adopted(dataset, raw, laid):
    with served([RATINGS]) as (url, _):
        retrieve(dataset(source="table", urls=[{"url": url}]), raw)
    verify(["results/mine/raw"])
    assert (raw.parent / "hashes/raw/manifest.json.sha256").is_file()
    shutil.rmtree(raw.parent / "hashes")
    (raw / "ratings.csv").write_bytes(NEWER)
    with pytest.raises(ValueError, match="no checksum confirms its files"):
        verify(["results/mine/raw"])
    assert (raw / "ratings.csv").read_bytes() == NEWER


def test_the_genuine_file_of_movielens_100k_is_adopted(real_data, dataset, laid):
    files = {name: (real_data / "ml-100k" / name).read_bytes() for name in ("u.data", "u.item")}
    raw = laid(**{name.replace(".", "_"): content for name, content in files.items()})
    retain_raw_files({"mine": dataset(source="movielens-100k")})
    verify([raw])
    assert (raw / "u.data").read_bytes() == files["u.data"]


def test_what_a_run_made_before_is_kept_too(dataset, raw, laid):
    with served([RATINGS]) as (url, _):
        block = dataset(source="table", urls=[{"url": url}])
        retrieve(block, raw)
    shutil.rmtree(kept_folder(raw))
    record(["results/mine/raw"])
    retain_raw_files({"mine": block})
    assert verified_manifest(kept_folder(raw)) == verified_manifest(raw)


def test_nothing_is_kept_of_what_can_be_generated(dataset, tmp_path):
    retrieve(dataset(source="synthetic"), tmp_path / "raw")
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_keeping_fails_without_harm(raw, caplog):
    keep(raw)
    assert "is not kept for later runs" in caplog.text


def test_a_manifest_of_an_older_version_serves_a_source_of_the_catalogue_only(dataset, raw):
    dead = [{"url": "http://127.0.0.1:9/ml-1m.zip"}]
    files = {"ratings.dat": b"1::2::3::4\n", "movies.dat": b"2::Heat (1995)::Drama\n"}
    folder = raw.parent / "old"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    block = dataset(source="movielens-1m", folder=str(folder))
    old = retrieve(block, raw)
    del old["request"]
    for source, served in (("movielens-1m", True), ("movielens-10m", False)):
        for at in (raw, kept_folder(raw)):
            (at / "manifest.json").unlink(missing_ok=True)
            at.mkdir(exist_ok=True)
            for name, content in files.items():
                (at / name).write_bytes(content)
            (at / "manifest.json").write_text(json.dumps(old))
        lost(raw)
        asked = dataset(source=source, urls=dead)
        if served:
            assert retrieve(asked, raw)["served_by"] == "folder"
        else:
            with pytest.raises(ValueError, match="no place serves"):
                retrieve(asked, raw)
