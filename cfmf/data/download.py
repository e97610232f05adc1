"""Downloads that go on where they broke off, are checked, and appear whole or not at all."""

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
    """Where an interrupted transfer from one address waits; each mirror has its own."""
    digest = hashlib.sha256(wanted.url.encode()).hexdigest()[:8]
    return folder / f"{wanted.name}.{digest}.part"


def reason(error: requests.RequestException) -> str:
    """A network library's error in a few words, without the query of any address."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:.0f} s"
    if isinstance(error, requests.ReadTimeout) or "Read timed out" in str(error):
        return f"no byte within {READ_SECONDS:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection (host unknown, refused or cut off)"
    return re.sub(r"\?[^\s'\")]*", "", str(error))


def download(wanted: Download, folder: Path) -> Path:
    """Download a file into a folder.

    An interrupted transfer leaves a `part_path`, which the next try or the next run continues with
    a Range request. Without a hash nothing would tell that the file has changed since: then only
    a try of the same run goes on, and only if the server's ETag says that the file is the same.
    The file gets its name only after its size and hashes were found right.

    Parameters
    ----------
    wanted
        What to download.
    folder
        Where to; it exists.

    Returns
    -------
    The path of the file.

    Raises
    ------
    requests.RequestException
        If the server cannot be reached within seconds, refuses, or breaks off again and again.
    ValueError
        If the bytes are not the ones wanted; they are deleted.
    """
    path = folder / wanted.name
    if _is_done(wanted, path):
        return path
    transfer = _Transfer(wanted, part_path(wanted, folder))
    for attempt in range(1, TRIES + 1):
        resumed = transfer.size() > 0
        try:
            transfer.go_on()
            check_download(wanted, transfer.part, shown(wanted.url))
        except requests.RequestException as error:
            # Without a new byte, trying again at once would only wait again.
            if attempt == TRIES or not transfer.gained:
                raise
            log.warning("%s broke off (%s); going on from there", shown(wanted.url), reason(error))
        except ValueError as error:
            transfer.part.unlink(missing_ok=True)
            if not resumed or attempt == TRIES:
                raise
            log.warning("%s; the beginning was an old one, starting afresh", error)
        else:
            os.replace(transfer.part, path)
            return path
    raise AssertionError("every try returns or raises")


def _is_done(wanted: Download, path: Path) -> bool:
    """Whether an earlier run downloaded the file; one that no hash vouches for is deleted."""
    if path.exists() and wanted.hashed:
        try:
            check_download(wanted, path, str(path))
        except ValueError as error:
            log.warning("%s; it is downloaded again", error)
        else:
            return True
    path.unlink(missing_ok=True)
    return False


class _Transfer:
    """Gets a file bit by bit, try after try; `gained` tells whether the last one brought bytes."""

    def __init__(self, wanted: Download, part: Path) -> None:
        self.wanted, self.part = wanted, part
        self.etag = ""
        self.gained = False
        if not wanted.hashed:
            part.unlink(missing_ok=True)

    def size(self) -> int:
        """Bytes that are there."""
        return self.part.stat().st_size if self.part.exists() else 0

    def go_on(self) -> None:
        """Get the bytes that are not there yet.

        Raises
        ------
        requests.RequestException
            If the server cannot be reached, refuses or breaks off.
        ValueError
            If it sends other bytes than those asked for.
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
            # A weak one, W/"…", vouches for the meaning and not for the bytes.
            tag = response.headers.get("ETag", "")
            self.etag = tag if tag.startswith('"') else ""
            self._write(response, have, self.wanted.size or total)
        if total and self.size() < total:
            raise requests.ConnectionError(f"{self.size():,} of {total:,} bytes came")

    def _ask(self, have: int) -> requests.Response:
        # Without compression on the way, so that bytes of file and transfer are the same.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if not self.wanted.hashed:
                headers["If-Range"] = self.etag
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        return requests.get(self.wanted.url, headers=headers, stream=True, timeout=timeout)

    def _total(self, response: requests.Response, have: int) -> int:
        """Bytes of the whole file of which the response holds those from `have` on."""
        told = response.headers.get("Content-Range", "")
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", told)
        if not span or int(span[1]) != have:
            raise ValueError(
                f"{shown(self.wanted.url)} was asked for the bytes from {have:,} on and sends"
                f" {told or 'others'!r}"
            )
        return 0 if span[2] == "*" else int(span[2])

    def _write(self, response: requests.Response, have: int, total: int) -> None:
        """Write the bytes of a response behind the `have` bytes that are there."""
        name, most = self.wanted.name, self.wanted.size or LARGEST
        start = said = time.monotonic()
        with open(self.part, "ab" if have else "wb") as file:
            # What a transfer that breaks off loses is less than such a piece.
            for data in response.iter_content(1 << 14):
                have += len(data)
                if have > most:
                    raise ValueError(
                        f"{shown(self.wanted.url)} sends more than the {most:,} bytes that {name}"
                        " has"
                    )
                file.write(data)
                self.gained = True
                if time.monotonic() - said > SAY_EVERY:
                    said = time.monotonic()
                    share = f" of {total:,} ({have / total:.0%})" if total else ""
                    log.info("%s: %s bytes%s", name, f"{have:,}", share)
        log.info("%s: %s bytes in %.1f s", name, f"{have:,}", time.monotonic() - start)


def check_download(wanted: Download, part: Path, origin: str) -> None:
    """Compare a file with the size and hashes that are wanted.

    Raises
    ------
    ValueError
        If they differ; `origin` tells where the file is from.
    """
    size = part.stat().st_size
    complaint = ""
    if wanted.size and size != wanted.size:
        complaint = f"{size:,} bytes instead of {wanted.size:,}"
    for kind, expected in (("sha256", wanted.sha256), ("md5", wanted.md5)):
        with open(part, "rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest() if expected else ""
        if found != expected and not complaint:
            complaint = f"{kind} {found} instead of {expected}"
    if complaint:
        raise ValueError(
            f"{origin} has {complaint}: it is truncated or altered, and not used; try again later,"
            " or put the genuine file into a folder and name it as `folder` of the data set"
        )
    if not wanted.hashed:
        log.warning("%s has no checksum in the config, so its bytes are taken on trust", origin)
