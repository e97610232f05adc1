"""Downloads that go on where they broke off, are checked, and appear whole or not at all."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

import requests

log = logging.getLogger(__name__)

CONNECT_SECONDS = 4.0
READ_SECONDS = 30.0
TRIES = 4
LARGEST = 8 << 30
SAY_EVERY = 5.0


@dataclass(frozen=True)
class Download:
    """A file to download: address, name to save it under, and what to check it against."""

    url: str
    name: str
    sha256: str = ""
    md5: str = ""
    size: int = 0


def download(wanted: Download, folder: Path) -> Path:
    """Download a file into a folder.

    An interrupted transfer leaves `NAME.part`, which the next try or the next run continues with a
    Range request. The file gets its name only after its size and hashes were found right.

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
    part = folder / f"{wanted.name}.part"
    if path.exists():
        return path
    for attempt in range(1, TRIES + 1):
        resumed = part.exists() and part.stat().st_size > 0
        try:
            _transfer(wanted, part)
            check_download(wanted, part, wanted.url)
        except requests.RequestException as error:
            # Without a new byte, trying again at once would only wait again.
            before = resumed or (part.exists() and part.stat().st_size > 0)
            broken = isinstance(
                error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ReadTimeout
            )
            if attempt == TRIES or not before or not broken:
                raise
            log.warning("%s broke off (%s); going on from there", wanted.url, error)
        except ValueError as error:
            part.unlink()
            if not resumed or attempt == TRIES:
                raise
            log.warning("%s; the beginning was an old one, starting afresh", error)
        else:
            os.replace(part, path)
            return path
    raise AssertionError("every try returns or raises")


def _transfer(wanted: Download, part: Path) -> None:
    """Get the bytes that `part` lacks."""
    have = part.stat().st_size if part.exists() else 0
    if wanted.size and have == wanted.size:
        return
    # Without compression on the way, so that bytes of the file and of the transfer are the same.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    with requests.get(wanted.url, headers=headers, stream=True, timeout=timeout) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            return
        response.raise_for_status()
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status_code != requests.codes.partial_content or not goes_on:
            have = 0
        total = wanted.size or have + int(response.headers.get("Content-Length", 0))
        most = wanted.size or LARGEST
        start = said = time.monotonic()
        with open(part, "ab" if have else "wb") as file:
            # What a transfer that breaks off loses is less than such a piece.
            for data in response.iter_content(1 << 14):
                have += len(data)
                if have > most:
                    raise ValueError(
                        f"{wanted.url} sends more than the {most:,} bytes that {wanted.name} has"
                    )
                file.write(data)
                if time.monotonic() - said > SAY_EVERY:
                    said = time.monotonic()
                    share = f" of {total:,} ({have / total:.0%})" if total else ""
                    log.info("%s: %s bytes%s", wanted.name, f"{have:,}", share)
    log.info("%s: %s bytes in %.1f s", wanted.name, f"{have:,}", time.monotonic() - start)


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
    if not (wanted.sha256 or wanted.md5):
        log.warning("%s has no checksum in the config, so its bytes are taken on trust", wanted.url)
