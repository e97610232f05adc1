"""Servers that are slow, broken or hostile: a download is the declared file or a refusal."""

import gzip
import hashlib
import shutil
import ssl
import subprocess
import time
from collections import Counter

import pytest
import requests

from cfmf.data import download as downloads
from cfmf.data import sources
from cfmf.data.catalogue import Download
from cfmf.data.download import download, reason
from cfmf.data.sources import retrieve
from cfmf.files import sha256
from tests.unit.data.hostile import answer, answering

OLD = b"user,item,rating\n" + b"".join(b"%d,%d,3\n" % (i % 9, i) for i in range(5000))
NEW = OLD.replace(b",3\n", b",4\n")
HALF = len(OLD) // 2
SETTLED = {"Date": "Thu, 02 Jan 2020 10:00:00 GMT"}
# Answers that are no file: what the server sends at first, and the words of the refusal.
REFUSED = {
    "201 Created": (answer("201 Created", OLD), "answers 201 Created, which is no file"),
    "202 Accepted": (answer("202 Accepted", OLD), "answers 202 Accepted"),
    "203 from a proxy": (answer("203 Non-Authoritative Information", OLD), "answers 203"),
    "204 without a body": (answer("204 No Content", Content_Length=""), "answers 204 No Content"),
    "206 without a request for a part": (
        answer("206 Partial Content", OLD, Content_Range=f"bytes 0-{len(OLD) - 1}/{len(OLD)}"),
        "answers 206 Partial Content, which is no file",
    ),
    "304 Not Modified": (answer("304 Not Modified", Content_Length=""), "answers 304"),
    "a redirect that leads nowhere": (answer("302 Found"), "answers 302 Found"),
    "404": (answer("404 Not Found"), "the server answers 404 Not Found"),
    "503 in red": (answer("503 \x1b[31mred\x1b[0m"), r"503 \x1b[31mred\x1b[0m"),
    "gzip that was not asked for": (
        answer("200 OK", OLD, Content_Encoding="gzip"),
        "sends the file encoded as gzip, which was not asked for",
    ),
    "an unknown encoding": (answer("200 OK", OLD, Content_Encoding="br, \x07"), "encoded as br"),
    "a size beyond all files": (
        answer("200 OK", b"", Content_Length=10**15),
        "sends more than the 8,589,934,592 bytes of r.csv",
    ),
    "no HTTP at all": (b"SSH-2.0-OpenSSH_9.2\r\n", "no connection"),
    "nothing": (b"", "no connection"),
    "headers without end": ("headers", "no complete answer within"),
    "a byte now and then": ("dribble", "fewer than 1,000,000 a second"),
    "too late": ("late", "not complete after"),
    "a redirect to a file of this machine": (
        answer("302 Found", Location="file:///etc/passwd"),
        "No connection adapters",
    ),
}


def trickle(kind):
    """What a slow server sends."""
    if kind == "headers":
        yield b"HTTP/1.1 200 OK\r\n"
        for number in range(80):
            yield b"X-%d: y\r\n" % number
            time.sleep(0.05)
        return
    yield answer("200 OK", b"", Content_Length=10**6)
    for _ in range(60):
        yield b"x" if kind == "dribble" else bytes(20_000)
        time.sleep(0.05)


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_is_no_file_is_refused(tmp_path, monkeypatch, name):
    sent, words = REFUSED[name]
    monkeypatch.setattr(downloads, "TRIES", 1)
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(downloads, "RATE_SECONDS", 0.4 if sent == "dribble" else 60)
    monkeypatch.setattr(downloads, "LOWEST_RATE", 1_000_000)
    monkeypatch.setattr(downloads, "DEADLINE_SECONDS", 0.4 if sent == "late" else 60)
    script = (lambda *_: trickle(sent)) if isinstance(sent, str) else (lambda *_: [sent])
    with answering(script) as (port, _):
        url = f"http://127.0.0.1:{port}/r.csv"
        with pytest.raises((ValueError, requests.RequestException)) as error:
            download(Download(url, "r.csv"), tmp_path)
    told = error.value
    told = reason(told) if isinstance(told, requests.RequestException) else str(told)
    assert words in told
    assert told.isprintable()
    assert not (tmp_path / "r.csv").exists()


def half(content, headers):
    """An answer of the whole file that breaks off half way."""
    return answer("200 OK", b"", Content_Length=len(content), **headers) + content[:HALF]


def rest(content, start=HALF, stop=None, total=None, **headers):
    """An answer of the rest of a file, with a range that may be wrong."""
    last = (len(content) if stop is None else stop) - 1
    span = f"bytes {start}-{last}/{len(content) if total is None else total}"
    return answer("206 Partial Content", content[HALF:], Content_Range=span, **headers)


SAME = {"ETag": '"1"'}
DATED = {**SETTLED, "Last_Modified": "Wed, 01 Jan 2020 10:00:00 GMT"}
LATER = {**SETTLED, "Last_Modified": "Thu, 02 Jan 2020 09:00:00 GMT"}
# A transfer that breaks off half way: the headers of its first answer, the second answer, and
# whether its bytes are taken; else the transfer starts afresh.
RESUMED = {
    "the same ETag": (SAME, rest(OLD, **SAME), True),
    "no ETag on the rest": (SAME, rest(OLD), True),
    "the same date": (DATED, rest(OLD, **DATED), True),
    "an unknown size": (SAME, rest(OLD, total="*", **SAME), True),
    "another ETag": (SAME, rest(NEW, ETag='"2"'), False),
    "another date": (DATED, rest(NEW, **LATER), False),
    "another date beside the same ETag": ({**SAME, **DATED}, rest(NEW, **SAME, **LATER), False),
    "another size": (SAME, rest(OLD, total=len(OLD) + 9, **SAME), False),
    "a range from elsewhere": (SAME, rest(OLD, start=HALF - 7, **SAME), False),
    "a range that ends before it starts": (SAME, rest(OLD, stop=HALF, **SAME), False),
    "a range beyond the file": (SAME, rest(OLD, stop=len(OLD) + 5, **SAME), False),
    "a range of other length": (SAME, rest(OLD, stop=len(OLD) - 5, **SAME), False),
    "a range without numbers": (
        SAME,
        answer("206 Partial Content", NEW[HALF:], Content_Range="bytes x-y/z", **SAME),
        False,
    ),
    "several ranges": (
        SAME,
        answer("206 Partial Content", NEW[HALF:], Content_Type="multipart/byteranges", **SAME),
        False,
    ),
    "an encoded rest": (SAME, rest(OLD, Content_Encoding="gzip", **SAME), False),
    "the whole file": (SAME, answer("200 OK", OLD, **SAME), True),
    "a whole new file": (SAME, answer("200 OK", NEW, ETag='"2"'), None),
    "no content": (SAME, answer("204 No Content", Content_Length=""), False),
    "no such range": (
        SAME,
        answer("416 Range Not Satisfiable", Content_Range=f"bytes */{HALF - 1}"),
        False,
    ),
}


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_file_is_the_same_version_or_starts_afresh(tmp_path, name, hashed):
    first, second, taken = RESUMED[name]
    final = NEW if taken is None else OLD

    def script(number, _):
        return [[half(OLD, first), second, answer("200 OK", OLD)][number - 1]]

    wanted = hashlib.sha256(final).hexdigest() if hashed else ""
    with answering(script) as (port, asked):
        url = f"http://127.0.0.1:{port}/r.csv"
        path = download(Download(url, "r.csv", sha256=wanted), tmp_path)
    assert path.read_bytes() == final
    assert asked[1]["range"] == f"bytes={HALF}-"
    assert asked[1]["if-range"] == first.get("ETag", first.get("Last_Modified"))
    assert len(asked) == (3 if taken is False else 2)


@pytest.mark.parametrize(
    "headers",
    [{}, {"ETag": 'W/"1"'}, {"Last_Modified": SETTLED["Date"], **SETTLED}, {"Last_Modified": "x"}],
    ids=["nothing", "a weak ETag", "a date of now", "no date"],
)
def test_without_a_hash_what_confirms_no_bytes_resumes_nothing(tmp_path, headers):
    def script(number, _):
        return [[half(OLD, headers), answer("200 OK", NEW)][number - 1]]

    with answering(script) as (port, asked):
        path = download(Download(f"http://127.0.0.1:{port}/r.csv", "r.csv"), tmp_path)
    assert path.read_bytes() == NEW
    assert "range" not in asked[1]


def test_a_truncated_chunked_answer_is_no_file(tmp_path):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (OLD, b""))

    def script(number, _):
        return [[whole[: HALF + 500], whole][number - 1]]

    with answering(script) as (port, asked):
        path = download(Download(f"http://127.0.0.1:{port}/r.csv", "r.csv"), tmp_path)
    assert (path.read_bytes(), len(asked)) == (OLD, 2)


def test_progress_is_logged_by_time(tmp_path, monkeypatch, caplog):
    def script(*_):
        yield answer("200 OK", b"", Content_Length=len(OLD))
        for start in range(0, len(OLD), 5000):
            time.sleep(0.05)
            yield OLD[start : start + 5000]

    caplog.set_level("INFO")
    for seconds, often in ((0.0, True), (5.0, False)):
        caplog.clear()
        monkeypatch.setattr(downloads, "SAY_EVERY", seconds)
        with answering(script) as (port, _):
            download(Download(f"http://127.0.0.1:{port}/r.csv", "r.csv"), tmp_path)
        lines = [one for one in caplog.messages if f"of {len(OLD):,}" in one]
        assert bool(lines) == often, lines


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """A self-signed certificate for this machine: the file, and a server's TLS context."""
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


def why_not(url, folder):
    """The reason why a download fails."""
    with pytest.raises((ValueError, requests.RequestException)) as error:
        download(Download(url, "r.csv"), folder)
    told = error.value
    return reason(told) if isinstance(told, requests.RequestException) else str(told)


def test_faults_of_tls_are_named(tmp_path, secure, monkeypatch):
    script = lambda *_: [answer("200 OK", OLD)]  # noqa: E731
    with answering(script, secure[1], "0.0.0.0") as (port, _):
        assert "TLS: self-signed certificate" in why_not(f"https://127.0.0.1:{port}/r", tmp_path)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure[0]))
        told = why_not(f"https://127.0.0.2:{port}/r", tmp_path)
        assert "no secure connection (TLS: IP address mismatch" in told
        path = download(Download(f"https://127.0.0.1:{port}/r", "r.csv"), tmp_path)
        assert path.read_bytes() == OLD
    with answering(script, eager=True) as (port, _):
        told = why_not(f"https://127.0.0.1:{port}/r", tmp_path)
        assert "no secure connection (TLS: " in told


def test_https_never_falls_to_http(tmp_path, secure, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure[0]))
    with answering(lambda *_: [answer("200 OK", OLD)]) as (plain, asked):
        to = f"http://127.0.0.1:{plain}/r.csv?secret"

        def script(number, _):
            return [answer("302 Found", Location=to if number == 1 else "/again")]

        with answering(script, secure[1]) as (port, first):
            told = why_not(f"https://127.0.0.1:{port}/r.csv", tmp_path)
            assert f"redirects to http://127.0.0.1:{plain}/r.csv, which is not secure" in told
            assert "secret" not in told
            assert (len(first), asked) == (1, [])
            assert "redirects" in why_not(f"https://127.0.0.1:{port}/r.csv", tmp_path)


def test_a_source_that_needs_too_much_memory_is_passed_over(tmp_path, dataset, monkeypatch):
    real, failed = sources.unpack, Counter()

    def unpack(archive, place, into):
        real(archive, place, into)
        if not failed["memory"]:
            failed["memory"] += 1
            raise MemoryError

    monkeypatch.setattr(sources, "unpack", unpack)
    packed = gzip.compress(OLD)
    with answering(lambda *_: [answer("200 OK", packed)]) as (port, asked):
        urls = [{"url": f"http://127.0.0.1:{port}/{one}/ratings.csv.gz"} for one in "ab"]
        retrieve(dataset(source="table", urls=urls), tmp_path / "raw")
    assert (len(asked), failed["memory"]) == (2, 1)
    assert (tmp_path / "raw/ratings.csv").read_bytes() == OLD


def test_a_damaged_archive_of_one_mirror_is_taken_from_the_next(tmp_path, dataset):
    packed = gzip.compress(OLD)

    def script(number, _):
        return [answer("200 OK", packed[:-40] if number == 1 else packed)]

    with answering(script) as (port, asked):
        urls = [{"url": f"http://127.0.0.1:{port}/{one}/ratings.csv.gz"} for one in "ab"]
        retrieve(dataset(source="table", urls=urls), tmp_path / "raw")
    assert len(asked) == 2
    assert sha256(tmp_path / "raw/ratings.csv") == hashlib.sha256(OLD).hexdigest()
