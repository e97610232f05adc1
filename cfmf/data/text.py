"""The text of raw files: its encoding, and rows with fields in quotes."""

from __future__ import annotations

import codecs
import csv
import itertools
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
from charset_normalizer import from_bytes

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
SAMPLE_BYTES = 1 << 16
LONGEST_LINE = 1 << 20
WIDE = ("utf_16", "utf_32")
MARKS = {
    codecs.BOM_UTF8: "utf_8_sig",
    codecs.BOM_UTF32_LE: "utf_32",
    codecs.BOM_UTF32_BE: "utf_32",
    codecs.BOM_UTF16_LE: "utf_16",
    codecs.BOM_UTF16_BE: "utf_16",
}
# Encodings in which a byte below 128 is always that ASCII character.
BYTEWISE = ("ascii", "utf_8", "utf_8_sig")
UTF_8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
SURROGATE = re.compile("[\ud800-\udfff]")
HIGH = re.compile(rb"[\x80-\xff]")
C1 = re.compile(rb"[\x80-\x9f]")  # control characters in ISO-8859-1
# Below this distance to the next reading, or with fewer bytes beyond ASCII, a detection is weak.
CERTAIN, FEW = 0.05, 16
# Of these a detector chooses where a file is neither UTF-8 nor has a mark.
CANDIDATES = "cp1252 gb18030 big5 cp932 euc_jp cp949 cp1250 cp1251 koi8_r cp1253 cp1254".split()


@dataclass(frozen=True)
class Dialect:
    """How a line is divided into fields.

    Parameters
    ----------
    separator
        Text between two fields.
    quoted
        Whether fields may be in double quotes and then contain separators and line ends.
    escape
        Character before a quotation mark within quotes; empty if such a mark is doubled.
    key
        Config key of the file's layout, for errors.
    """

    separator: str = ","
    quoted: bool = False
    escape: str = ""
    key: str = "table"

    def check(self, name: str) -> None:
        """Raise ValueError if the file of that name cannot be read so."""
        if self.quoted and len(self.separator) > 1:
            raise ValueError(
                f"{name}: quoted fields need a separator of one character, not"
                f" {self.separator!r}; set `{self.key}.quoted` to false"
            )
        if self.escape and not self.quoted:
            raise ValueError(
                f"{name}: `{self.key}.escape` is {self.escape!r}, but `{self.key}.quoted` is"
                " false; set that to true"
            )


def sniff(path: Path, declared: str = "", own: str = "", key: str = "") -> str:
    """Encoding of a file: as declared, or detected in all its bytes.

    Parameters
    ----------
    declared
        Encoding from the config; empty to detect it.
    own
        Encoding that the source's files have if they are not UTF-8; empty if unknown.
    key
        Config key of the encoding, for errors and for a warning about an uncertain detection;
        empty where the encoding does not matter.

    Raises
    ------
    ValueError
        If Python does not know the declared encoding.
    """
    with open(path, "rb") as file:
        if declared:
            start = file.read(4)
            file.seek(0)
            encoding = declared_encoding(declared, start, path.name, key or "table.encoding")
            valid, sample = _utf8(byte_blocks(file))
            if key and valid and sample and not encoding.startswith("utf"):
                log.warning(
                    "%s: %s is declared, but all its bytes are valid UTF-8; `%s` may be wrong",
                    *(path.name, declared, key),
                )
            return encoding
        return detect_encoding(byte_blocks(file), path.name, own, key)


def byte_blocks(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file in blocks."""
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def declared_encoding(declared: str, start: bytes, name: str, key: str) -> str:
    """Python's name for a declared encoding, which skips the byte order mark if there is one."""
    try:
        "".encode(declared)
        encoding = codecs.lookup(declared).name.replace("-", "_")
    except (LookupError, UnicodeError):
        raise ValueError(
            f"{declared!r}, the encoding of {name}, is not a text encoding; set `{key}` to a name"
            " that Python knows, such as utf-8 or iso-8859-1, or leave it empty to detect the"
            " encoding"
        ) from None
    marked = next((one for mark, one in MARKS.items() if start.startswith(mark)), "")
    return marked if marked and marked.startswith(encoding[:6].rstrip("_")) else encoding


def detect_encoding(blocks: Iterable[bytes], name: str, own: str = "", key: str = "") -> str:
    """Python's name for the encoding of a file's bytes, logged with the file's `name`.

    A byte order mark decides; then many zero bytes, which are UTF-16; then whether all bytes are
    valid UTF-8, which includes ASCII. Other files have the encoding that is the source's `own`, or
    else the one that charset-normalizer finds in the lines that are not ASCII. See `sniff`.
    """
    blocks = iter(blocks)
    start = next(blocks, b"")
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            log.info("%s: encoding %s, from its byte order mark", name, encoding)
            return encoding
    if wide := _wide(start[:SAMPLE_BYTES]):
        log.info("%s: encoding %s, from its zero bytes", name, wide)
        return wide
    valid, sample = _utf8(itertools.chain([start], blocks))
    if valid:
        log.info("%s: encoding utf_8, as all its bytes are valid", name)
        return "utf_8"
    high = len(HIGH.findall(sample))
    if sum(map(len, UTF_8.findall(sample))) > 0.9 * high:
        log.warning("%s: encoding utf_8, but some of its bytes are not valid", name)
        return "utf_8"
    if own:
        log.info("%s: encoding %s, that of its source, as it is not valid UTF-8", name, own)
        return own
    return _detected(sample, name, key)


def _wide(sample: bytes) -> str:
    """The UTF-16 encoding of bytes that are zero at many even or odd places, or ""."""
    pairs = np.frombuffer(sample[: len(sample) // 2 * 2], np.uint8).reshape(-1, 2)
    zero = (pairs == 0).mean(axis=0) if len(pairs) else np.zeros(2)
    high = int(zero.argmax())
    # A field may have zero bytes in any encoding; in UTF-16 every digit and separator has one.
    signs = np.frombuffer(b"0123456789,;:|\t\r\n .-", np.uint8)
    plain = np.isin(pairs[:, 1 - high], signs)
    paired = (pairs[plain, high] == 0).mean() > 0.5 if plain.any() else zero.max() > 0.4
    if not paired or zero.max() < 0.1 or zero.min() > 0.1 * zero.max():
        return ""
    return "utf_16_le" if high else "utf_16_be"


def _utf8(blocks: Iterable[bytes]) -> tuple[bool, bytes]:
    """Whether all bytes are valid UTF-8, and the first lines that are not ASCII."""
    decoder = codecs.getincrementaldecoder("utf_8")()
    valid, start = True, 0
    sample = bytearray()
    for data in itertools.chain(blocks, [b""]):
        if data and data.isascii() and not decoder.getstate()[0]:
            start = 1
            continue
        if valid:
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError:
                valid = False
        if len(sample) < SAMPLE_BYTES:
            # A line that a block ends in may be cut within a character.
            lines = data.split(b"\n")
            end = len(lines) - (len(data) == BLOCK_BYTES)
            high = (line for line in lines[start:end] or lines if not line.isascii())
            for line in itertools.islice(high, SAMPLE_BYTES):
                sample += line[:SAMPLE_BYTES] + b"\n"
        elif not valid:
            break
        start = 1
    return valid, bytes(sample[:SAMPLE_BYTES])


def _detected(sample: bytes, name: str, key: str) -> str:
    """The encoding whose reading of the sample charset-normalizer finds the least of a mess.

    Readings that are equal count as one. The certainty is by how much the next one is more of a
    mess, in percent; the warning names what it reads.
    """
    readings: dict[str, tuple[float, float, str]] = {}
    for encoding in CANDIDATES:
        # One at a time, as the library stops at the first that is good enough.
        match = from_bytes(sample, cp_isolation=[encoding], enable_fallback=False).best()
        if match is not None:
            readings.setdefault(str(match), (match.chaos, -match.coherence, encoding))
    (text, best), *others = [
        *sorted(readings.items(), key=lambda one: one[1][:2]),
        (sample.decode("latin_1"), (1.0, 0.0, "latin_1")),
    ]
    encoding = best[2]
    if encoding == "cp1252" and not C1.search(sample):
        encoding = "latin_1"
    certainty = (others[0][1][0] if others else 1.0) - best[0]
    weak = certainty < CERTAIN or len(HIGH.findall(sample)) < FEW
    words = [word for word in text.split() if not word.isascii()]
    # Where it matters a guess is always told: no detector is right about every text.
    log.log(
        logging.WARNING if key else logging.INFO,
        "%s: not UTF-8; encoding %s, detected by charset-normalizer, %s (%.0f %%), as in %r%s",
        *(name, encoding.replace("_", "-"), "uncertain" if weak else "certain", 100 * certainty),
        " ".join(words)[:40],
        f"; if that is wrong, set `{key}`" if key else "",
    )
    return encoding


def is_wide(encoding: str) -> bool:
    """Whether a line feed is more than one byte, so that lines cannot be found in the bytes."""
    return encoding.startswith(WIDE)


def long_line(name: str) -> ValueError:
    """The error for a line that is too long for any row."""
    return ValueError(
        f"{name} has a line of more than {LONGEST_LINE:,} bytes, so it is not a table of ratings;"
        " check that `folder` or `urls` in the config name the right file"
    )


def lines_of(text: TextIO, name: str) -> Iterator[str]:
    """The lines of a file, with their ends.

    Raises
    ------
    ValueError
        If a line is longer than a mebibyte.
    """
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise long_line(name)
        yield line


@dataclass(slots=True)
class Record:
    """A row of a file: the number of its first line, its fields, text and number of lines.

    `reason` is why it is not a row, if quotation marks are why; it then has no fields.
    """

    number: int
    fields: list[str]
    text: str
    lines: int = 1
    reason: str = ""


def records(lines: Iterable[str], dialect: Dialect, name: str, limit: int = -1) -> Iterator[Record]:
    """The rows of a file of that name; with `quoted` a row may have several lines.

    At most `limit` separators divide a row that is not quoted, all of them with -1.

    Raises
    ------
    ValueError
        If a row of several lines cannot be read, as the rows lost in it are not known.
    """
    if not dialect.quoted:
        for number, line in enumerate(lines, 1):
            yield Record(number, line.rstrip("\r\n").split(dialect.separator, limit), line)
        return
    consumed: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            consumed.append(line)
            yield line

    first = 1
    reader = csv.reader(
        remembered(), delimiter=dialect.separator, escapechar=dialect.escape or None, strict=True
    )
    while True:
        reason = ""
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fields = []
            # Without the advice for programmers that may follow.
            reason = f"it cannot be divided into fields ({str(error).split(' - ')[0]})"
            if len(consumed) > 1:
                raise _open_quote(name, first, consumed, error, dialect.key) from None
        if len(consumed) > 1 and _are_rows(consumed, dialect.separator, len(fields)):
            fields, reason = (
                [],
                (
                    f"quotation marks join its {len(consumed)} lines, each of which is a row by"
                    f" itself; correct them, or set `{dialect.key}.quoted` to false"
                ),
            )
        yield Record(first, fields, "".join(consumed), len(consumed), reason)
        first += len(consumed)
        consumed.clear()


def _are_rows(lines: list[str], separator: str, columns: int) -> bool:
    """Whether each line has the given number of columns if quotation marks have no meaning."""
    return all(line.count(separator) == columns - 1 for line in lines)


def _open_quote(
    name: str, first: int, consumed: list[str], error: csv.Error, key: str
) -> ValueError:
    """The error for a quote that is not closed, or not before the end of a field."""
    return ValueError(
        f"{name} line {first}: {consumed[0][:80]!r} opens a quote that is not closed properly"
        f" ({error} in line {first + len(consumed) - 1}), so the start of the next row is unknown;"
        f" correct that line, or set `{key}.quoted` to false if quotation marks have no meaning in"
        f" this file, or `{key}.escape` if a character stands before those within quotes"
    )
