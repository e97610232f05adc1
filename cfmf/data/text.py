"""The text of raw files: its encoding, and rows with fields in quotes."""

from __future__ import annotations

import codecs
import csv
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from charset_normalizer import from_bytes

log = logging.getLogger(__name__)

SAMPLE_BYTES = 1 << 16
LONGEST_LINE = 1 << 20
CANDIDATES = ["utf_8", "latin_1"]
WIDE = ("utf_16", "utf_32")
MARKS = {
    codecs.BOM_UTF8: "utf_8_sig",
    codecs.BOM_UTF32_LE: "utf_32",
    codecs.BOM_UTF32_BE: "utf_32",
    codecs.BOM_UTF16_LE: "utf_16",
    codecs.BOM_UTF16_BE: "utf_16",
}


def detect_encoding(data: bytes, name: str) -> str:
    """Python's name for the encoding of `data`, logged with the file's `name`.

    A byte order mark decides; bytes that are valid UTF-8 are UTF-8, which includes ASCII. For the
    rest charset-normalizer chooses between ISO-8859-1, which the known sources use, and the wide
    encodings, which have many zero bytes.
    """
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            log.info("%s: encoding %s, from its byte order mark", name, encoding)
            return encoding
    pairs = np.frombuffer(data[: len(data) // 2 * 2], np.uint8).reshape(-1, 2)
    if len(pairs) and (pairs == 0).mean(axis=0).max() > 0.4:
        candidates = ["utf_16_le" if (pairs[:, 1] == 0).mean() > 0.4 else "utf_16_be"]
    else:
        candidates = CANDIDATES
    best = from_bytes(data, cp_isolation=candidates).best()
    encoding = best.encoding if best else "latin_1"
    log.info("%s: encoding %s, detected by charset-normalizer", name, encoding)
    return encoding


def sniff(path: Path, declared: str = "") -> str:
    """Encoding of a file: as declared, or detected in its first bytes.

    Raises
    ------
    ValueError
        If Python does not know the declared encoding.
    """
    if declared:
        try:
            "".encode(declared)
            return codecs.lookup(declared).name.replace("-", "_")
        except (LookupError, UnicodeError):
            raise ValueError(
                f"{declared!r}, the encoding of {path.name}, is not a text encoding; set"
                " `table.encoding` to a name that Python knows, such as utf-8 or iso-8859-1, or"
                " leave it empty to detect the encoding"
            ) from None
    with open(path, "rb") as file:
        sample = file.read(SAMPLE_BYTES)
    if len(sample) == SAMPLE_BYTES:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    return detect_encoding(sample, path.name)


def is_wide(encoding: str) -> bool:
    """Whether a line feed is more than one byte, so that lines cannot be found in the bytes."""
    return encoding.startswith(WIDE)


def long_line(name: str) -> ValueError:
    """The error for a line that is too long for any row."""
    return ValueError(
        f"{name} has a line of more than {LONGEST_LINE:,} bytes, so it is not a table of ratings;"
        " check that `folder` or `urls` in the config name the right file"
    )


@dataclass
class Record:
    """A row of a file: the number of its first line, its fields, text and number of lines."""

    number: int
    fields: list[str]
    text: str
    lines: int = 1


def records(
    lines: Iterable[str], separator: str, quoted: bool, name: str, limit: int = -1
) -> Iterator[Record]:
    """The rows of a file of that name; with `quoted` a row may have several lines.

    At most `limit` separators divide a row that is not quoted, all of them with -1.

    Raises
    ------
    ValueError
        If a row of several lines cannot be read, as the rows lost in it are not known.
    """
    if not quoted or len(separator) > 1:
        for number, line in enumerate(lines, 1):
            yield Record(number, line.rstrip("\r\n").split(separator, limit), line)
        return
    consumed: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            consumed.append(line)
            yield line

    first = 1
    reader = csv.reader(remembered(), delimiter=separator, strict=True)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fields = []
            if len(consumed) > 1:
                raise ValueError(
                    f"{name} line {first}: {consumed[0][:80]!r} opens a quote that is not closed"
                    f" properly ({error} in line {first + len(consumed) - 1}), so the start of the"
                    " next row is unknown; correct that line, or set `table.quoted` to false if"
                    " quotation marks have no meaning in this file"
                ) from None
        yield Record(first, fields, "".join(consumed), len(consumed))
        first += len(consumed)
        consumed.clear()


def split_fields(line: str, separator: str, quoted: bool) -> list[str]:
    """Fields of one line."""
    return next(records([line], separator, quoted, "")).fields
