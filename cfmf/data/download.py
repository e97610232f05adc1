"""Downloads that resume after an interruption, are verified, and are complete or absent."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin

import requests
import urllib3

from cfmf.addresses import shown
from cfmf.data.catalogue import Download
from cfmf.terminal import printable

log = logging.getLogger(__name__)

CONNECT_SECONDS = 4.0
READ_SECONDS = 30.0
# A server that keeps sending headers has not answered.
ANSWER_SECONDS = 60.0
# A transfer may be slow, but not slower than this in any so many seconds.
LOWEST_RATE = 1_000
RATE_SECONDS = 60.0
# All tries of a file together.
DEADLINE_SECONDS = 7_200.0
TRIES = 4
LARGEST = 8 << 30
PIECE = 1 << 16
SAY_EVERY = 5.0


class TransferError(requests.ConnectionError):
    """A transfer was given up; the message says why, and may be shown as it is."""


def part_path(wanted: Download, folder: Path) -> Path:
    """Where the bytes of an interrupted transfer are; each address has its own file."""
    digest = hashlib.sha256(wanted.url.encode()).hexdigest()[:8]
    return folder / f"{wanted.name}.{digest}.part"


def reason(error: requests.RequestException) -> str:
    """An error of requests in a few words, without the query part of any address."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {_status(error.response)}"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:.0f} s"
    if isinstance(error, requests.ReadTimeout) or "Read timed out" in str(error):
        seconds = re.search(r"timeout=([0-9.]+)", str(error))
        return f"no byte within {float(seconds[1]) if seconds else READ_SECONDS:.0f} s"
    if isinstance(error, requests.exceptions.ProxyError):
        return "no connection (the proxy of this machine's settings does not make one)"
    causes = list(_causes(error))
    for fault in (one for one in causes if isinstance(one, ssl.SSLError)):
        what = getattr(fault, "verify_message", "") or fault.reason or str(fault)
        return f"no secure connection (TLS: {printable(str(what))})"
    if isinstance(error, requests.ConnectionError) and not isinstance(error, TransferError):
        why = "host unknown, refused or interrupted"
        if any(isinstance(one, socket.gaierror) for one in causes):
            why = "host unknown"
        elif any(isinstance(one, ConnectionRefusedError) for one in causes):
            why = "refused"
        elif any(isinstance(one, (ConnectionResetError, BrokenPipeError)) for one in causes):
            why = "interrupted"
        return f"no connection ({why})"
    return printable(re.sub(r"\?[^\s'\")]*", "", str(error)))


def _status(response: requests.Response) -> str:
    """The status of an answer, as in "404 Not Found"."""
    return printable(f"{response.status_code} {str(response.reason)[:80]}".strip())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it was made of."""
    found: list[BaseException] = [error]
    while found:
        one = found.pop()
        yield one
        parts = [*one.args, getattr(one, "reason", None), one.__cause__]
        found += [part for part in parts if isinstance(part, BaseException)]


def download(wanted: Download, folder: Path) -> Path:
    """Download a file into a folder.

    An interrupted transfer leaves a `part_path`, which the next try or the next run continues with
    a Range request. What the server says of the file (ETag, Last-Modified, size, range) must be
    the same as at first, or the transfer starts afresh. Without a hash only a try of the same run
    continues, and only if ETag or Last-Modified confirms that the file is the same. The file gets
    its name after its size and hashes were verified.

    Parameters
    ----------
    wanted
        What to download.
    folder
        Where to write; it exists.

    Returns
    -------
    The path of the file.

    Raises
    ------
    requests.RequestException
        If the server cannot be reached, refuses, interrupts again and again or is too slow.
    ValueError
        If the bytes are not those expected; they are deleted.
    """
    path = folder / wanted.name
    if _is_done(wanted, path):
        return path
    transfer = _Transfer(wanted, part_path(wanted, folder))
    for attempt in range(1, TRIES + 1):
        resumed = transfer.size() > 0
        try:
            transfer.resume()
            check_download(wanted, transfer.part, shown(wanted.url))
        except requests.RequestException as error:
            # If no byte came, another try at once would only wait again.
            if attempt == TRIES or time.monotonic() > transfer.until or not transfer.gained:
                raise
            log.warning("%s was interrupted (%s); resuming", shown(wanted.url), reason(error))
        except ValueError as error:
            transfer.part.unlink(missing_ok=True)
            if not resumed or attempt == TRIES:
                raise
            log.warning("%s; the partial file was of an older version, starting again", error)
        else:
            os.replace(transfer.part, path)
            return path
    raise AssertionError("every try returns or raises")


def _is_done(wanted: Download, path: Path) -> bool:
    """Whether an earlier run downloaded the file; one that no hash verifies is deleted."""
    if path.exists() and wanted.hashed:
        try:
            check_download(wanted, path, str(path))
        except ValueError as error:
            log.warning("%s; downloading it again", error)
        else:
            return True
    path.unlink(missing_ok=True)
    return False


@dataclass(frozen=True)
class _Version:
    """What tells one version of a file on a server from another."""

    etag: str = ""
    modified: str = ""
    total: int = 0
    validator: str = ""

    @classmethod
    def of(cls, response: requests.Response, total: int) -> _Version:
        """That of an answer; `validator` is what confirms that the bytes are the same."""
        headers = response.headers
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        # A weak tag, W/"…", confirms the meaning and not the bytes; so does a date that is not
        # well before the answer (RFC 9110, 8.8.2.2).
        validator = etag if etag.startswith('"') else ""
        if not etag and _is_settled(modified, headers.get("Date", "")):
            validator = modified
        return cls(etag, modified, total, validator)

    def differs(self, other: _Version) -> bool:
        """Whether both tell something of the file that is not the same."""
        pairs = zip(self._told(), other._told(), strict=True)
        return any(mine and theirs and mine != theirs for mine, theirs in pairs)

    def _told(self) -> tuple[str, str, int]:
        return self.etag, self.modified, self.total


def _is_settled(modified: str, date: str) -> bool:
    """Whether a file was modified a minute or more before the answer."""
    try:
        age = parsedate_to_datetime(date) - parsedate_to_datetime(modified)
    except (ValueError, TypeError, OverflowError):
        return False
    return age >= timedelta(minutes=1)


class _Session(requests.Session):
    """A session that follows no redirect from https to http, where anyone could alter the file."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer redirects to."""
        target: str | None = super().get_redirect_target(resp)
        if target and resp.url.lower().startswith("https:"):
            to = urljoin(resp.url, target)
            if not to.lower().startswith("https:"):
                raise ValueError(
                    f"{shown(resp.url)} redirects to {printable(shown(to))}, which is not secure,"
                    " and is not followed; set that address in `urls` if you trust it"
                )
        return target


class _Transfer:
    """A file that is fetched in several tries; `gained` is whether the last one added bytes."""

    def __init__(self, wanted: Download, part: Path) -> None:
        self.wanted, self.part = wanted, part
        self.version = _Version()
        self.gained = False
        self.until = time.monotonic() + DEADLINE_SECONDS
        if not wanted.hashed:
            part.unlink(missing_ok=True)

    def size(self) -> int:
        """Number of bytes so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    def resume(self) -> None:
        """Get the missing bytes.

        Raises
        ------
        requests.RequestException
            If the server cannot be reached, refuses, interrupts or is too slow.
        ValueError
            If it sends other bytes than those requested.
        """
        self.gained = False
        if not (self.wanted.hashed or self.version.validator):
            self.part.unlink(missing_ok=True)
        have = self.size()
        if self.wanted.size and have == self.wanted.size:
            return
        with _Session() as session, _in_time(lambda: self._ask(session, have)) as response:
            if have and response.status_code == requests.codes.requested_range_not_satisfiable:
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                raise ValueError(f"{shown(self.wanted.url)} has no byte {have:,}")
            self._check(response, have)
            if response.status_code == requests.codes.partial_content:
                total = self._total(response, have)
            else:
                have, total = 0, _length(response)
                self.version = _Version.of(response, total)
            self._write(response, have, self.wanted.size or total)
        if total and self.size() < total:
            raise TransferError(f"{self.size():,} of {total:,} bytes received")

    def _ask(self, session: requests.Session, have: int) -> requests.Response:
        # Without compression, so that the bytes of file and transfer are the same.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.version.validator:
                headers["If-Range"] = self.version.validator
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        return session.get(self.wanted.url, headers=headers, stream=True, timeout=timeout)

    def _check(self, response: requests.Response, have: int) -> None:
        """Check that an answer is a file, or the part of it that was requested."""
        response.raise_for_status()
        url, code = shown(self.wanted.url), response.status_code
        if code != requests.codes.ok and not (have and code == requests.codes.partial_content):
            raise ValueError(f"{url} answers {_status(response)}, which is no file")
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise ValueError(
                f"{url} sends the file encoded as {printable(encoding)[:80]}, which was not asked"
                " for: its bytes would not be those of the file"
            )

    def _total(self, response: requests.Response, have: int) -> int:
        """Size of the file whose bytes from `have` on are in the response; 0 if unknown."""
        sent = response.headers.get("Content-Range", "")
        span = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", sent)
        url, total = shown(self.wanted.url), 0
        if span and span[3] != "*":
            total = int(span[3])
        length = _length(response)
        if (
            not span
            or int(span[1]) != have
            or int(span[2]) < have
            or (length and length != int(span[2]) + 1 - have)
            or (total and int(span[2]) >= total)
        ):
            raise ValueError(
                f"{url} sends {sent or 'other bytes'!r} instead of the bytes from {have:,} on"
            )
        if self.version.differs(_Version.of(response, total)):
            raise ValueError(f"{url} has another version of the file now")
        return total

    def _write(self, response: requests.Response, have: int, total: int) -> None:
        """Append the bytes of a response to the first `have` bytes."""
        name, most = self.wanted.name, self.wanted.size or LARGEST
        start = said = time.monotonic()
        pace = _Pace(start, have)
        with open(self.part, "ab" if have else "wb") as file:
            if total > most:
                raise self._too_much(most)
            # An interruption loses less than one piece.
            while data := _next_piece(response):
                have += len(data)
                if have > most:
                    raise self._too_much(most)
                file.write(data)
                self.gained = True
                now = time.monotonic()
                if now - said > SAY_EVERY:
                    said = now
                    share = f" of {total:,} ({have / total:.0%})" if total else ""
                    log.info("%s: %s bytes%s", name, f"{have:,}", share)
                pace.check(now, have)
                if now > self.until:
                    raise TransferError(f"not complete after {DEADLINE_SECONDS:,.0f} s")
        log.info("%s: %s bytes in %.1f s", name, f"{have:,}", time.monotonic() - start)

    def _too_much(self, most: int) -> ValueError:
        return ValueError(
            f"{shown(self.wanted.url)} sends more than the {most:,} bytes of {self.wanted.name}"
        )


class _Pace:
    """How fast bytes come."""

    def __init__(self, now: float, have: int) -> None:
        self.since, self.before = now, have

    def check(self, now: float, have: int) -> None:
        """Raise TransferError if too few bytes came for too long."""
        seconds = now - self.since
        if seconds < RATE_SECONDS:
            return
        if have - self.before < LOWEST_RATE * seconds:
            raise TransferError(
                f"only {have - self.before:,} bytes in {seconds:.0f} s, fewer than {LOWEST_RATE:,}"
                " a second"
            )
        self.since, self.before = now, have


def _in_time(ask: Callable[[], requests.Response]) -> requests.Response:
    """The answer of a server, if it comes in time: header after header could come for hours."""
    answers: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()

    def asked() -> None:
        try:
            answers.put(ask())
        except Exception as error:
            answers.put(error)

    threading.Thread(target=asked, daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise TransferError(f"no complete answer within {ANSWER_SECONDS:.0f} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _next_piece(response: requests.Response) -> bytes:
    """The bytes that have come, as they are; empty at the end."""
    try:
        data: bytes = response.raw.read1(PIECE, decode_content=False)
        return data
    except urllib3.exceptions.SSLError as error:
        raise requests.exceptions.SSLError(error) from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise requests.ConnectionError(error) from error


def _length(response: requests.Response) -> int:
    """The declared size of a response; 0 if it declares none."""
    text = response.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0


def digest(path: Path, kind: str = "sha256") -> str:
    """Hash of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def check_download(wanted: Download, part: Path, origin: str) -> None:
    """Compare a file with the expected size and hashes.

    Raises
    ------
    ValueError
        If they differ; `origin` is where the file is from, for the message.
    """
    size = part.stat().st_size
    complaint = ""
    if wanted.size and size != wanted.size:
        complaint = f"{size:,} bytes instead of {wanted.size:,}"
    for kind in ("sha256", "md5"):
        expected = getattr(wanted, kind)
        if not complaint and expected and (found := digest(part, kind)) != expected:
            complaint = f"{kind} {found} instead of {expected}"
    if complaint:
        raise ValueError(
            f"{origin} has {complaint}: it is truncated or altered and is not used; try again"
            " later, or put the original file into a folder and set it as `folder` of the data set"
        )
    if not wanted.hashed:
        log.warning("%s has no checksum in the config, so its bytes are not verified", origin)
