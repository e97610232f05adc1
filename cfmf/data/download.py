"""Downloads that resume after an interruption, are verified, and are complete or absent."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from pathlib import Path

import requests

from cfmf.addresses import shown
from cfmf.data.catalogue import Download

log = logging.getLogger(__name__)

CONNECT_SECONDS = 4.0
READ_SECONDS = 30.0
TRIES = 4
LARGEST = 8 << 30
SAY_EVERY = 5.0


def part_path(wanted: Download, folder: Path) -> Path:
    """Where the bytes of an interrupted transfer are; each address has its own file."""
    digest = hashlib.sha256(wanted.url.encode()).hexdigest()[:8]
    return folder / f"{wanted.name}.{digest}.part"


def reason(error: requests.RequestException) -> str:
    """An error of requests in a few words, without the query part of any address."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:.0f} s"
    if isinstance(error, requests.ReadTimeout) or "Read timed out" in str(error):
        return f"no byte within {READ_SECONDS:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection (host unknown, refused or interrupted)"
    return re.sub(r"\?[^\s'\")]*", "", str(error))


def download(wanted: Download, folder: Path) -> Path:
    """Download a file into a folder.

    An interrupted transfer leaves a `part_path`, which the next try or the next run continues with
    a Range request. Without a hash a change of the file would go unnoticed: then only a try of the
    same run continues, and only if the server's ETag confirms that the file is the same. The file
    gets its name after its size and hashes were verified.

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
        If the server cannot be reached within seconds, refuses, or interrupts again and again.
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
            if attempt == TRIES or not transfer.gained:
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


class _Transfer:
    """A file that is fetched in several tries; `gained` is whether the last one added bytes."""

    def __init__(self, wanted: Download, part: Path) -> None:
        self.wanted, self.part = wanted, part
        self.etag = ""
        self.gained = False
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
            If the server cannot be reached, refuses or interrupts.
        ValueError
            If it sends other bytes than those requested.
        """
        self.gained = False
        if not (self.wanted.hashed or self.etag):
            self.part.unlink(missing_ok=True)
        have = self.size()
        if self.wanted.size and have == self.wanted.size:
            return
        with self._ask(have) as response:
            if have and response.status_code == requests.codes.requested_range_not_satisfiable:
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                raise ValueError(f"{shown(self.wanted.url)} has no byte {have:,}")
            response.raise_for_status()
            if response.status_code == requests.codes.partial_content:
                total = self._total(response, have)
            else:
                have, total = 0, int(response.headers.get("Content-Length", 0))
            # A weak tag, W/"…", confirms the meaning and not the bytes.
            tag = response.headers.get("ETag", "")
            self.etag = tag if tag.startswith('"') else ""
            self._write(response, have, self.wanted.size or total)
        if total and self.size() < total:
            raise requests.ConnectionError(f"{self.size():,} of {total:,} bytes received")

    def _ask(self, have: int) -> requests.Response:
        # Without compression, so that the bytes of file and transfer are the same.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if not self.wanted.hashed:
                headers["If-Range"] = self.etag
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        return requests.get(self.wanted.url, headers=headers, stream=True, timeout=timeout)

    def _total(self, response: requests.Response, have: int) -> int:
        """Size of the file whose bytes from `have` on are in the response; 0 if unknown."""
        sent = response.headers.get("Content-Range", "")
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", sent)
        if not span or int(span[1]) != have:
            raise ValueError(
                f"{shown(self.wanted.url)} sends {sent or 'other bytes'!r} instead of the bytes"
                f" from {have:,} on"
            )
        return 0 if span[2] == "*" else int(span[2])

    def _write(self, response: requests.Response, have: int, total: int) -> None:
        """Append the bytes of a response to the first `have` bytes."""
        name, most = self.wanted.name, self.wanted.size or LARGEST
        start = said = time.monotonic()
        with open(self.part, "ab" if have else "wb") as file:
            # An interruption loses less than one piece.
            for data in response.iter_content(1 << 14):
                have += len(data)
                if have > most:
                    raise ValueError(
                        f"{shown(self.wanted.url)} sends more than the {most:,} bytes of {name}"
                    )
                file.write(data)
                self.gained = True
                if time.monotonic() - said > SAY_EVERY:
                    said = time.monotonic()
                    share = f" of {total:,} ({have / total:.0%})" if total else ""
                    log.info("%s: %s bytes%s", name, f"{have:,}", share)
        log.info("%s: %s bytes in %.1f s", name, f"{have:,}", time.monotonic() - start)


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
