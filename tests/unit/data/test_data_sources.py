"""Retrieval from folders and local servers, and the order of places."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cfmf.data import download as downloads
from cfmf.data import sources
from cfmf.data.catalogue import SOURCES, Download, local_files
from cfmf.data.download import download, part_path
from cfmf.data.sources import retrieve


class Handler(BaseHTTPRequestHandler):
    """Serves `content`; breaks off `breaks` times half way through what is asked for.

    `stalls` holds it up there so many times instead, until the client has gone. `tag` is the ETag
    and `shift` what a wrong Content-Range is off by; `later` are attributes after a first answer.
    `asked` takes the first bytes asked for.
    """

    content = b""
    breaks = 0
    stalls = 0
    ranges = True
    tag = ""
    shift = 0
    status = 0
    later = None
    asked = None

    def do_GET(self):
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.asked.append(start)
        if self.status:
            self.send_error(self.status)
            return
        same = self.headers.get("If-Range", self.tag) == self.tag
        partial = start and self.ranges and same
        data = self.content[start if partial else 0 :]
        if not data:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.content)}")
            self.end_headers()
            return
        self.send_response(206 if partial else 200)
        if partial:
            last = len(self.content) - 1
            self.send_header("Content-Range", f"bytes {start + self.shift}-{last}/{last + 1}")
        if self.tag:
            self.send_header("ETag", self.tag)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for name, value in (self.later or {}).items():
            setattr(type(self), name, value)
        if type(self).stalls:
            type(self).stalls -= 1
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.rfile.read(1)
            return
        if type(self).breaks:
            type(self).breaks -= 1
            data = data[: len(data) // 2]
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server on this machine, controlled by the attributes of its handler."""
    with serving() as handler:
        yield handler


@pytest.fixture
def mirror():
    """Another one."""
    with serving() as handler:
        yield handler


@contextmanager
def serving():
    handler = type("OwnHandler", (Handler,), {"asked": []})
    served = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    handler.url = f"http://127.0.0.1:{served.server_port}/ratings.csv"
    yield handler
    served.shutdown()
    served.server_close()


RATINGS = b"user,item,rating\n" + b"".join(b"%d,%d,3\n" % (i % 9, i) for i in range(30_000))
DIGEST = hashlib.sha256(RATINGS).hexdigest()


def table(dataset, **changes):
    return dataset(source="table", **changes)


def only(folder):
    """Names of what is in a folder, but for the files kept for later runs."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".raw.kept")


def test_an_interrupted_download_resumes(server, tmp_path):
    server.content, server.breaks = RATINGS, 2
    path = download(Download(server.url, "r.csv", sha256=DIGEST, size=len(RATINGS)), tmp_path)
    assert path.read_bytes() == RATINGS
    assert server.asked[0] == 0 < server.asked[1] < server.asked[2]
    assert only(tmp_path) == ["r.csv"]


def test_a_part_left_by_a_killed_run_is_continued(server, tmp_path):
    server.content = RATINGS
    wanted = Download(server.url, "r.csv", sha256=DIGEST)
    part_path(wanted, tmp_path).write_bytes(RATINGS[:100])
    download(wanted, tmp_path)
    assert server.asked == [100]


def test_a_server_without_ranges_is_read_from_the_start(server, tmp_path):
    server.content, server.ranges = RATINGS, False
    wanted = Download(server.url, "r.csv", sha256=DIGEST)
    part_path(wanted, tmp_path).write_bytes(b"something else")
    path = download(wanted, tmp_path)
    assert path.read_bytes() == RATINGS


@pytest.mark.parametrize("older", [b"an older beginning", RATINGS + b"and more"])
def test_a_part_of_an_older_file_is_discarded(server, tmp_path, older):
    server.content = RATINGS
    wanted = Download(server.url, "r.csv", sha256=DIGEST)
    part_path(wanted, tmp_path).write_bytes(older)
    path = download(wanted, tmp_path)
    assert path.read_bytes() == RATINGS
    assert server.asked == [len(older), 0]


def test_a_whole_part_needs_no_further_byte(server, tmp_path):
    server.content = RATINGS
    wanted = Download(server.url, "r.csv", sha256=DIGEST)
    part_path(wanted, tmp_path).write_bytes(RATINGS)
    assert download(wanted, tmp_path).read_bytes() == RATINGS
    assert server.asked == [len(RATINGS)]


@pytest.mark.parametrize("older", [b"an older beginning", RATINGS, RATINGS + b"and more"])
def test_without_a_hash_nothing_of_an_older_run_is_used(server, tmp_path, older):
    server.content = RATINGS
    wanted = Download(server.url, "r.csv")
    part_path(wanted, tmp_path).write_bytes(older)
    (tmp_path / "r.csv").write_bytes(older)
    assert download(wanted, tmp_path).read_bytes() == RATINGS
    assert server.asked == [0]


@pytest.mark.parametrize(("tag", "again"), [('"1"', True), ('W/"1"', False), ("", False)])
def test_without_a_hash_a_transfer_resumes_only_if_the_etag_is_the_same(
    server, tmp_path, tag, again
):
    server.content, server.breaks, server.tag = RATINGS, 1, tag
    assert download(Download(server.url, "r.csv"), tmp_path).read_bytes() == RATINGS
    assert [start > 0 for start in server.asked] == [False, again]


def test_without_a_hash_a_file_that_changed_after_the_break_is_read_afresh(server, tmp_path):
    server.content, server.breaks, server.tag = RATINGS, 1, '"1"'
    other = RATINGS.replace(b",3\n", b",4\n")
    server.later = {"content": other, "tag": '"2"'}
    assert download(Download(server.url, "r.csv"), tmp_path).read_bytes() == other


def test_bytes_from_elsewhere_than_asked_for_are_refused(server, tmp_path):
    server.content, server.breaks, server.shift, server.tag = RATINGS, 1, -7, '"1"'
    assert download(Download(server.url, "r.csv"), tmp_path).read_bytes() == RATINGS
    assert [start > 0 for start in server.asked] == [False, True, False]


def test_a_stalled_transfer_resumes(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "READ_SECONDS", 0.2)
    server.content, server.stalls = RATINGS, 2
    path = download(Download(server.url, "r.csv", sha256=DIGEST), tmp_path)
    assert path.read_bytes() == RATINGS
    assert server.asked[0] == 0 < server.asked[1] < server.asked[2]


def test_a_server_that_never_sends_a_byte_is_left_at_once(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "READ_SECONDS", 0.2)
    server.content, server.stalls = b"x", 9
    with pytest.raises(downloads.requests.ConnectionError, match="Read timed out"):
        download(Download(server.url, "r.csv", sha256=DIGEST), tmp_path)
    assert server.asked == [0]


@pytest.mark.parametrize(
    ("content", "size", "complaint"),
    [
        (RATINGS[:-1] + b"4", 0, "sha256 .* instead of"),
        (RATINGS[:-9], len(RATINGS), "bytes instead of"),
        (RATINGS + b"1,2,3\n", len(RATINGS), "sends more than"),
    ],
)
def test_altered_or_truncated_bytes_are_refused_and_leave_nothing(
    server, tmp_path, content, size, complaint
):
    server.content = content
    with pytest.raises(ValueError, match=complaint):
        download(Download(server.url, "r.csv", sha256=DIGEST, size=size), tmp_path)
    assert not only(tmp_path)


def test_mirrors_are_tried_in_order_and_listed_in_the_manifest(server, dataset, tmp_path):
    server.content = RATINGS
    dead = "http://127.0.0.1:9/ratings.csv"
    block = table(
        dataset,
        folder=str(tmp_path / "nowhere"),
        urls=[{"url": dead}, {"url": server.url + "?signature=secret", "sha256": DIGEST}],
    )
    manifest = retrieve(block, tmp_path / "raw")
    assert only(tmp_path) == ["raw"]
    assert only(tmp_path / "raw") == ["manifest.json", "ratings.csv"]
    assert json.loads((tmp_path / "raw/manifest.json").read_text()) == manifest
    assert manifest["served_by"] == "download"
    assert "secret" not in manifest["address"]
    assert manifest["files"] == {"ratings.csv": {"bytes": len(RATINGS), "sha256": DIGEST}}
    assert [one["way"] for one in manifest["attempts"]] == ["folder"]


def test_of_live_mirrors_the_first_serves_and_a_wrong_one_is_passed_over(
    server, mirror, dataset, tmp_path
):
    server.content = mirror.content = RATINGS
    urls = [{"url": server.url, "sha256": DIGEST}, {"url": mirror.url, "sha256": DIGEST}]
    retrieve(table(dataset, urls=urls), tmp_path / "raw")
    assert (server.asked, mirror.asked) == ([0], [])
    server.content = RATINGS[:-1] + b"4"
    manifest = retrieve(table(dataset, urls=urls), tmp_path / "other")
    assert (server.asked, mirror.asked) == ([0, 0], [0])
    assert manifest["files"]["ratings.csv"]["sha256"] == DIGEST


def test_mirrors_do_not_resume_each_other_s_transfers(
    server, mirror, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(downloads, "TRIES", 1)
    server.content, server.breaks = RATINGS.replace(b",3\n", b",4\n"), 1
    mirror.content = RATINGS
    urls = [{"url": server.url}, {"url": mirror.url}]
    manifest = retrieve(table(dataset, urls=urls), tmp_path / "raw")
    assert mirror.asked == [0]
    assert manifest["files"]["ratings.csv"]["sha256"] == DIGEST


@pytest.mark.parametrize("hashed", [True, False])
def test_a_finished_file_is_kept_for_the_next_run_if_it_has_a_hash(
    server, mirror, dataset, tmp_path, hashed
):
    server.content = mirror.content = RATINGS
    mirror.status = 503
    first = {"url": server.url} | ({"sha256": DIGEST} if hashed else {})
    urls = [first, {"url": mirror.url, "name": "test.csv", "sha256": DIGEST}]
    block = table(dataset, urls=urls, table={"test": "test.csv"})
    with pytest.raises(ValueError, match="the server answers 503"):
        retrieve(block, tmp_path / "raw")
    mirror.status = 0
    retrieve(block, tmp_path / "raw")
    assert only(tmp_path / "raw") == ["manifest.json", "ratings.csv", "test.csv"]
    assert len(server.asked) == (1 if hashed else 2)


@pytest.mark.parametrize("trouble", ["status", "breaks", "dead", "altered", "unnamed"])
def test_secrets_of_an_address_appear_nowhere(server, dataset, tmp_path, caplog, trouble):
    caplog.set_level("INFO")
    server.content = RATINGS
    server.status = 404 if trouble == "status" else 0
    server.breaks = 9 if trouble == "breaks" else 0
    address = "http://127.0.0.1:9/r.csv" if trouble == "dead" else server.url
    address = address.rpartition("/")[0] + "/" if trouble == "unnamed" else address
    address = address.replace("//", "//me:secret@") + "?signature=secret#secret"
    urls = [{"url": address, "sha256": "0" * 64 if trouble == "altered" else DIGEST}]
    with pytest.raises(ValueError, match=r"127\.0\.0\.1") as error:
        retrieve(table(dataset, urls=urls), tmp_path / "raw")
    assert "secret" not in str(error.value) + caplog.text


def test_if_nothing_serves_the_reasons_are_reported_and_nothing_is_left(server, dataset, tmp_path):
    server.content = RATINGS[:-1] + b"4"
    raw = tmp_path / "raw"
    block = table(dataset, urls=[{"url": server.url, "sha256": DIGEST}])
    with pytest.raises(ValueError, match=r"no place serves(.|\n)*ratings\.csv has sha256"):
        retrieve(block, raw)
    assert not only(tmp_path)
    with pytest.raises(ValueError, match="no place is configured"):
        retrieve(table(dataset), raw)


def test_a_broken_transfer_is_kept_for_the_next_run(server, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TRIES", 1)
    server.content, server.breaks = RATINGS, 1
    block = table(dataset, urls=[{"url": server.url, "sha256": DIGEST}])
    with pytest.raises(ValueError, match="no place serves"):
        retrieve(block, tmp_path / "raw")
    assert only(tmp_path) == [".raw.downloads"]
    retrieve(block, tmp_path / "raw")
    assert server.asked[0] == 0 < server.asked[1] <= len(RATINGS) // 2
    assert only(tmp_path) == ["raw"]


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_a_folder_may_hold_compressed_files_and_replaces_an_older_raw_folder(
    dataset, tmp_path, module
):
    folder = tmp_path / "mine"
    folder.mkdir()
    suffix = {gzip: "gz", bz2: "bz2", lzma: "xz"}[module]
    (folder / f"ratings.csv.{suffix}").write_bytes(module.compress(RATINGS))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/old").write_text("old")
    manifest = retrieve(table(dataset, folder=str(folder)), tmp_path / "raw")
    assert only(tmp_path / "raw") == ["manifest.json", "ratings.csv"]
    assert manifest["files"]["ratings.csv"]["sha256"] == DIGEST


@pytest.fixture
def mine(tmp_path, dataset):
    """A folder of some files; `mine(files, **block)` is what is retrieved from it, by name."""
    folder = tmp_path / "mine"
    folder.mkdir()

    def retrieved(files, **block):
        for name, content in files.items():
            (folder / name).write_bytes(content)
        block = table(dataset, folder=str(folder), **block)
        retrieved.files = [path.name for path in local_files(block)]
        retrieve(block, tmp_path / "raw")
        return {path.name: path.read_bytes() for path in (tmp_path / "raw").glob("*.csv")}

    return retrieved


def test_an_archive_in_the_folder_serves_a_table(mine):
    content = zipped("own/ratings.csv", RATINGS)
    assert mine({"any.zip": content, "notes.txt": b"x"}) == {"ratings.csv": RATINGS}
    assert mine.files == ["any.zip"]


def test_an_archive_is_not_used_if_the_folder_has_all_files(mine):
    files = {"any.zip": zipped("ratings.csv", b"older"), "ratings.csv": RATINGS}
    assert mine(files) == {"ratings.csv": RATINGS}
    assert mine.files == ["ratings.csv"]


def test_the_archive_named_in_urls_is_used_after_the_files_in_the_folder(mine):
    files = {
        "a.zip": zipped("ratings.csv", b"another"),
        "b.zip": zipped("ratings.csv", b"older", "test.csv", RATINGS),
        "ratings.csv": RATINGS,
    }
    urls = [{"url": "http://127.0.0.1:9/b.zip"}]
    found = mine(files, urls=urls, table={"test": "test.csv"})
    assert found == {"ratings.csv": RATINGS, "test.csv": RATINGS}


@pytest.mark.parametrize("name", ["ratings.csv", "any.zip"])
def test_a_local_file_is_compared_with_its_declared_hash(mine, name):
    content = RATINGS if name == "ratings.csv" else zipped("ratings.csv", RATINGS)
    digest = hashlib.sha256(content).hexdigest()
    wrong = {"url": f"http://127.0.0.1:9/{name}", "sha256": "0" * 64}
    with pytest.raises(ValueError, match=rf"folder .*{name} has sha256 {digest} instead of 0000"):
        mine({name: content}, urls=[wrong])
    mine({name: content}, urls=[wrong, wrong | {"sha256": digest}])


def test_a_file_and_its_gzip_file_are_an_error(mine):
    with pytest.raises(ValueError, match=r"ratings\.csv\.gz and .*ratings\.csv are the same file"):
        mine({"ratings.csv": RATINGS, "ratings.csv.gz": gzip.compress(RATINGS)})


def test_a_file_that_is_not_read_is_named_for_what_it_is(mine):
    sevens = b"7z\xbc\xaf\x27\x1c\0\4"
    with pytest.raises(
        ValueError, match=r"ratings\.csv is missing in .*; r\.7z is a 7-Zip archive"
    ):
        mine({"r.7z": sevens, "notes.txt": b"x"})


@pytest.mark.parametrize("name", ["a%1b[2J.csv", "a%5Cb.csv", "..", "%2e%2e"])
def test_an_address_of_no_proper_name_is_refused(mine, name):
    with pytest.raises(ValueError, match="is not the address of a file"):
        mine({}, urls=[{"url": f"http://127.0.0.1:9/{name}"}])


def test_a_name_with_brackets_is_no_pattern(mine):
    table = {"ratings": "ratings[1].csv"}
    with pytest.raises(ValueError, match=r"ratings\[1\]\.csv is missing"):
        mine({"ratings1.csv": RATINGS}, table=table)
    assert mine({"ratings[1].csv": RATINGS}, table=table) == {"ratings[1].csv": RATINGS}


def zipped(*names_and_contents):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, data in zip(names_and_contents[::2], names_and_contents[1::2], strict=True):
            file.writestr(name, data)
    return content.getvalue()


def wheel(ratings):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        inside = "recbole/dataset_example/ml-100k/"
        file.writestr(inside + "ml-100k.inter", b"user_id:token\titem_id:token\n" + ratings)
        file.writestr(inside + "ml-100k.item", b"item_id:token\tmovie_title:token_seq\n")
        file.writestr(inside + "ml-100k.user", b"user_id:token\tage:token\n")
    return content.getvalue()


def fake_pip(monkeypatch, content):
    def run(command, **_):
        folder = command[command.index("--dest") + 1]
        assert command[-1] == "recbole==1.2.1"
        with open(f"{folder}/recbole-1.2.1-py3-none-any.whl", "wb") as file:
            file.write(content)
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setattr(sources.subprocess, "run", run)
    monkeypatch.setattr(sources, "RECBOLE_SHA256", hashlib.sha256(content).hexdigest())


def test_movielens_100k_comes_from_the_package_where_the_server_is_away(
    real_data, dataset, tmp_path, monkeypatch
):
    genuine = (real_data / "ml-100k/u.data").read_bytes()
    fake_pip(monkeypatch, wheel(genuine))
    dead = [{"url": "http://127.0.0.1:9/ml-100k.zip"}]
    manifest = retrieve(dataset(source="movielens-100k", urls=dead), tmp_path / "raw")
    assert manifest["served_by"] == "package"
    assert (tmp_path / "raw/u.data").read_bytes() == genuine
    assert (tmp_path / "raw/ml-100k.user").read_bytes().startswith(b"user_id:token")
    assert manifest["genuine"] == {"u.data": "MovieLens 100K's u.data"}
    assert "no connection" in manifest["attempts"][0]["error"]


def test_a_package_or_folder_with_other_ratings_is_refused(dataset, tmp_path, monkeypatch):
    fake_pip(monkeypatch, wheel(b"1\t2\t3\t4\n"))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "u.data").write_bytes(b"1\t2\t3\t4\n")
    (folder / "u.item").write_bytes(b"2|Heat (1995)|\n")
    dead = [{"url": "http://127.0.0.1:9/ml-100k.zip"}]
    block = dataset(source="movielens-100k", urls=dead, folder=str(folder))
    with pytest.raises(
        ValueError, match=r"folder .*u\.data has MD5(.|\n)*package .*u\.data has MD5"
    ):
        retrieve(block, tmp_path / "raw")
    monkeypatch.setattr(sources, "RECBOLE_SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"package recbole==1.2.1: .* refused"):
        retrieve(block, tmp_path / "raw")
    assert only(tmp_path) == ["mine"]


def test_the_genuine_titles_of_the_study_are_recognised(real_data, dataset, tiny, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("users.txt", "netflix_train.txt", "netflix_test.txt"):
        (folder / name).write_bytes((tiny / name).read_bytes())
    titles = (real_data / "netflix/movie_titles.txt").read_bytes()
    (folder / "movie_titles.txt").write_bytes(titles)
    manifest = retrieve(dataset(source="netflix-subset", folder=str(folder)), tmp_path / "raw")
    assert manifest["genuine"] == {"movie_titles.txt": "the Netflix Prize's movie_titles.txt"}


def archive(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in files.items():
            file.writestr(f"ml-1m/{name}.dat", text)
    return content.getvalue()


@pytest.mark.parametrize("way", ["folder", "download"])
def test_files_of_an_archive_with_the_catalogues_hash_are_genuine(
    way, server, dataset, tmp_path, monkeypatch
):
    content = archive(ratings="1::2::3::4\n", movies="2::Heat (1995)::Drama\n")
    digest = hashlib.sha256(content).hexdigest()
    catalogue = Download(server.url, "ml-1m.zip", sha256=digest, size=len(content))
    source = replace(SOURCES["movielens-1m"], downloads=(catalogue,))
    monkeypatch.setitem(SOURCES, "movielens-1m", source)
    server.content = content
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "ml-1m.zip").write_bytes(content)
    block = dataset(source="movielens-1m", folder=str(folder) if way == "folder" else "")
    manifest = retrieve(block, tmp_path / "raw")
    assert manifest["served_by"] == way
    assert manifest["archives"]["ml-1m.zip"] == {
        "checked": {"sha256": digest},
        "genuine": True,
        "files": ["movies.dat", "ratings.dat"],
    }
    assert set(manifest["genuine"]) == {"movies.dat", "ratings.dat"}


def test_an_archive_with_a_hash_only_in_the_config_is_not_called_genuine(server, dataset, tmp_path):
    server.content = archive(ratings="1::2::3::4\n", movies="2::Heat (1995)::Drama\n")
    digest = hashlib.sha256(server.content).hexdigest()
    urls = [{"url": server.url, "name": "own.zip", "sha256": digest}]
    manifest = retrieve(dataset(source="movielens-1m", urls=urls), tmp_path / "raw")
    assert manifest["archives"]["own.zip"]["checked"] == {"sha256": digest}
    assert not manifest["archives"]["own.zip"]["genuine"]
    assert manifest["genuine"] == {}
