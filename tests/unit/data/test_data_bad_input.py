"""Bad input, case by case: the documented outcome of each is the actual one.

`PYTHONPATH=. python tests/unit/data/test_data_bad_input.py` writes docs/bad-input.md from it.
"""

import bz2
import gzip
import io
import lzma
import pickle
import re
import stat
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from cfmf.data.archives import unpack
from cfmf.data.formats import read
from cfmf.data.sources import retrieve
from tests.unit.data.hostile import (
    packed_member,
    sparse_tar,
    xz_with_dictionary,
    zip_lzma,
    zip_of,
)
from tests.unit.data.test_attributes import BROKEN
from tests.unit.data.test_data_downloads import REFUSED, RESUMED
from tests.unit.data.test_data_saved_folds import FILES as FOLD_FILES
from tests.unit.data.test_data_saved_folds import FOLDS
from tests.unit.data.test_data_structured import FILES as STRUCTURED
from tests.unit.data.test_data_structured import LINES, PARQUET_ROWS
from tests.unit.data.test_data_too_small import SMALL
from tests.unit.workflow.test_bad_config import TABLES as OF_TABLES
from tests.unit.workflow.test_bad_config import WHOLES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "bad-input.md"

# One more line at the end of a part: file, line, the check that counts it, number of failing rows.
ROWS = {
    "truncated line": ("train", b"7 6 3", "malformed", 1),
    "letters in a rating": ("train", b"7 6 four 2005-01-01", "malformed", 1),
    "six stars": ("train", b"7 6 6 2005-01-01", "off_scale", 1),
    "no stars": ("train", b"7 6 0 2005-01-01", "off_scale", 1),
    "half a star": ("train", b"7 6 3.5 2005-01-01", "off_scale", 1),
    "negative stars": ("train", b"7 6 -3 2005-01-01", "off_scale", 1),
    "nan as a rating": ("train", b"7 6 nan 2005-01-01", "malformed", 1),
    "zero bytes": ("train", b"7 \x00\x00 3 2005-01-01", "malformed", 1),
    "a byte order mark in the middle": ("train", b"\xef\xbb\xbf7 6 3 2005-01-01", "malformed", 1),
    "id beyond 2^63": ("train", b"9223372036854775808 6 3 2005-01-01", "malformed", 1),
    "id far beyond 2^63": ("train", b"7 36893488147419103233 3 2005-01-01", "malformed", 1),
    "negative id": ("train", b"-7 6 3 2005-01-01", "malformed", 1),
    "id with a point": ("train", b"7.0 6 3 2005-01-01", "malformed", 1),
    "30 February": ("train", b"7 6 3 2005-02-30", "malformed", 1),
    "29 February of a common year": ("train", b"7 6 3 2003-02-29", "malformed", 1),
    "month 13": ("train", b"7 6 3 2005-13-01", "malformed", 1),
    "slashes in a date": ("train", b"7 6 3 2005/01/01", "malformed", 1),
    "no date": ("train", b"7 6 3 ", "malformed", 1),
    "two spaces": ("train", b"7  6 3 2005-01-01", "malformed", 1),
    "a space in front": ("train", b" 7 6 3 2005-01-01", "malformed", 1),
    "a space at the end": ("train", b"7 6 3 2005-01-01 ", "malformed", 1),
    "a tab": ("train", b"7\t6 3 2005-01-01", "malformed", 1),
    "commas": ("train", b"7,6,3,2005-01-01", "malformed", 1),
    "one column too many": ("train", b"7 6 3 2005-01-01 1", "malformed", 1),
    "a header": ("train", b"user movie rating date", "malformed", 1),
    "a duplicated header": (
        "train",
        b"user movie rating date\nuser movie rating date",
        "malformed",
        2,
    ),
    "a lone carriage return": ("train", b"7 6 3 2005-01-01\r9 6 3 2005-01-01", "malformed", 1),
    "a web page": ("train", b"<html><body>Not found</body></html>", "malformed", 1),
    "digits of another script": ("train", "٧ 6 3 2005-01-01".encode(), "malformed", 1),
    "the same row twice": ("train", b"7 2 3 2005-01-01", "duplicates", 2),
    "a pair rated twice": ("train", b"7 2 5 2005-03-01", "duplicates", 2),
    "a test pair rated twice": ("test", b"9 5 1 2005-03-01", "duplicates", 2),
    "a test pair in train": ("test", b"7 5 4 2005-03-01", "test_in_train", 1),
    "an unknown user": ("train", b"8 2 3 2005-01-01", "unknown_user", 1),
    "an unknown user in test": ("test", b"8 2 3 2005-01-01", "unknown_user", 1),
}


# One more line among the titles.
TITLE_LINES = {
    "a title line of one column": b"6",
    "a title line of two columns": b"6,2001",
    "letters for the number of an item": b"x,2001,Title",
    "a word for a year": b"7,year,Title",
    "an item with two titles": b"2,1999,Again",
    "a zero byte in a title": b"7,2001,A\x00B",
    "a title of an item beyond 2^63": b"9223372036854775808,2001,Title",
}

# Files that are wrong as a whole: file, content made from the good one, the message.
FILES = {
    "an empty file": ("train", lambda good: b"", "netflix_train.txt has no rating"),
    "only blank lines": ("train", lambda good: b"\n\n\n", "netflix_train.txt has no rating"),
    "the wrong separator throughout": (
        "train",
        lambda good: good.replace(b" ", b";"),
        "netflix_train.txt has no rating",
    ),
    "two mebibytes without a line feed": (
        "train",
        lambda good: bytes(2 << 20),
        "line of more than 1,048,576 bytes",
    ),
    "a gzip file without .gz in its name": (
        "train",
        gzip.compress,
        "netflix_train.txt is a gzip file, but a file of text is needed; if that is intended",
    ),
    "a zip without .zip in its name": (
        "train",
        lambda good: zipped(("ratings.csv", good)),
        "netflix_train.txt is a ZIP archive",
    ),
    "an Excel workbook": (
        "train",
        lambda good: zipped(("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", b"")),
        "netflix_train.txt is an Excel workbook",
    ),
    "a 7-Zip archive": (
        "train",
        lambda good: b"7z\xbc\xaf\x27\x1c\0\4" + good,
        "netflix_train.txt is a 7-Zip archive",
    ),
    "a RAR archive": ("train", lambda good: b"Rar!\x1a\x07\0" + good, "is a RAR archive"),
    "an HDF5 file": ("test", lambda good: b"\x89HDF\r\n\x1a\n" + good, "is an HDF5 file"),
    "a pickle": ("users", lambda good: pickle.dumps([good]), "users.txt is a Python pickle"),
    "a Git LFS pointer": (
        "train",
        lambda good: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "is a Git LFS pointer in the place of the file",
    ),
    "a web page in the place of the ratings": (
        "train",
        lambda good: b"\n<!DOCTYPE html>\n<html><body>Log in</body></html>",
        "netflix_train.txt is a web page",
    ),
    "a web page in the place of the titles": (
        "titles",
        lambda good: b"<HTML><body>Log in</body></HTML>",
        "movie_titles.txt is a web page",
    ),
    "an empty test file": ("test", lambda good: b"", "netflix_test.txt has no rating"),
    "an empty file of users": ("users", lambda good: b"", "users.txt has no users"),
    "a user listed twice": (
        "users",
        lambda good: good + b"7\r\n",
        "users.txt lists users more than once",
    ),
    "an empty file of titles": ("titles", lambda good: b"", "movie_titles.txt has no titles"),
}

# Unusual, and read like the plain file: file, content from the good one.
HARMLESS = {
    "a missing newline at the end": ("train", lambda good: good[:-2]),
    "line feeds in place of CR LF": ("train", lambda good: good.replace(b"\r", b"")),
    "blank lines": ("train", lambda good: b"\r\n" + good + b"\r\n\n"),
    "a byte order mark at the start": ("train", lambda good: b"\xef\xbb\xbf" + good),
    "UTF-16 with its mark": ("train", lambda good: good.decode().encode("utf-16")),
    "UTF-16 without a mark": ("train", lambda good: good.decode().encode("utf-16-le")),
    "UTF-32 with its mark": ("train", lambda good: good.decode().encode("utf-32")),
    "titles in UTF-8": ("titles", lambda good: good.decode("latin-1").encode()),
    "titles in UTF-16": ("titles", lambda good: good.decode("latin-1").encode("utf-16")),
    "titles with CR LF": ("titles", lambda good: good.replace(b"\n", b"\r\n") + b"\r\n"),
    "blank lines among users": ("users", lambda good: good + b"\r\n"),
}


def zipped(*members, compression=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return content.getvalue()


def zipped_link():
    link = zipfile.ZipInfo("ratings.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped((link, "/etc/passwd"))


def tarred(*members, kind=tarfile.REGTYPE, mode="w:gz"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as file:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, "/etc/passwd", len(data)
            file.addfile(member, io.BytesIO(data))
    return content.getvalue()


def understated():
    """A zip whose member declares 10 bytes and has 800."""
    content = zipped(("ratings.csv", b"12345678" * 100), compression=zipfile.ZIP_STORED)
    return content.replace((800).to_bytes(4, "little"), (10).to_bytes(4, "little"))


def long_header(kind):
    """A tar.gz that begins with a member name or header of a gigabyte."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, 1 << 30
    content = io.BytesIO()
    with gzip.open(content, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(8):
            file.write(bytes(1 << 20))
    return content.getvalue()


def altered_lzma():
    """A zip compressed with LZMA whose bytes were altered."""
    content = zipped(("ratings.csv", NOISE), compression=zipfile.ZIP_LZMA)
    return content[:60] + bytes(200) + content[260:]


NOISE = bytes(range(256)) * 40


def zstd(content):
    return pa.compress(content, codec="zstd", asbytes=True)


def plain_tar():
    """An uncompressed tar of two files, of which only the second is one of ratings."""
    return tarred(("first.csv", NOISE), ("second.csv", NOISE), ("ratings.csv", b"1"), mode="w")


GOOD = {
    "a.zip": zipped(("ratings.csv", NOISE)),
    "a.tar.gz": tarred(("ratings.csv", NOISE)),
    "ratings.csv.gz": gzip.compress(NOISE),
}


def altered(content):
    middle = len(content) // 2
    flipped = bytes(byte ^ 0xFF for byte in content[middle : middle + 8])
    return content[:middle] + flipped + content[middle + 8 :]


LEADS_OUT, DAMAGED = "a path outside its folder", "is damaged or not an archive"
# Archives: name, bytes, the message. Nothing is ever written outside the folder.
ARCHIVES = {
    "zip with ../": ("a.zip", zipped(("../ratings.csv", b"1")), LEADS_OUT),
    "zip with ..\\": ("a.zip", zipped(("..\\ratings.csv", b"1")), LEADS_OUT),
    "zip with an absolute path": ("a.zip", zipped(("/ratings.csv", b"1")), LEADS_OUT),
    "zip with a drive": ("a.zip", zipped(("C:ratings.csv", b"1")), LEADS_OUT),
    "tar with ../": ("a.tar.gz", tarred(("../ratings.csv", b"1")), LEADS_OUT),
    "tar with an absolute path": ("a.tar.gz", tarred(("/ratings.csv", b"1")), LEADS_OUT),
    "zip bomb": ("a.zip", zipped(("ratings.csv", bytes(30 << 20))), "would unpack to"),
    "gzip bomb": ("ratings.csv.gz", gzip.compress(bytes(30 << 20)), "would unpack to"),
    "zip that understates a size": ("a.zip", understated(), DAMAGED),
    "zip with a link": ("a.zip", zipped_link(), "is a link; refused"),
    "tar with a symbolic link": (
        "a.tar",
        tarred(("ratings.csv", b""), kind=tarfile.SYMTYPE, mode="w"),
        "is not a regular file; refused",
    ),
    "tar with a hard link": (
        "a.tar",
        tarred(("ratings.csv", b""), kind=tarfile.LNKTYPE, mode="w"),
        "is not a regular file; refused",
    ),
    "tar with a device": (
        "a.tar",
        tarred(("ratings.csv", b""), kind=tarfile.CHRTYPE, mode="w"),
        "is not a regular file; refused",
    ),
    "zip with two files of one name": (
        "a.zip",
        zipped(("a/ratings.csv", b"1"), ("b/ratings.csv", b"2")),
        "contains ratings.csv twice; refused",
    ),
    "truncated zip": ("a.zip", GOOD["a.zip"][:-40], DAMAGED),
    "truncated tar.gz": ("a.tar.gz", GOOD["a.tar.gz"][:-40], DAMAGED),
    "zip with altered LZMA": ("a.zip", altered_lzma(), DAMAGED),
    "tar with a name of a gigabyte": ("a.tar.gz", long_header(b"L"), "would unpack to"),
    "tar with a header of a gigabyte": ("a.tar.gz", long_header(b"x"), "would unpack to"),
    "truncated gz": ("ratings.csv.gz", GOOD["ratings.csv.gz"][:-40], DAMAGED),
    "zip with altered bytes": ("a.zip", altered(GOOD["a.zip"]), DAMAGED),
    "tar.gz with altered bytes": ("a.tar.gz", altered(GOOD["a.tar.gz"]), DAMAGED),
    "gz with altered bytes": ("ratings.csv.gz", altered(GOOD["ratings.csv.gz"]), DAMAGED),
    "a web page named .zip": ("a.zip", b"<html>no</html>", DAMAGED),
    "a web page named .gz": ("ratings.csv.gz", b"<html>no</html>", DAMAGED),
    "an empty archive": ("a.zip", b"", DAMAGED),
    "a 7-Zip archive named .zip": (
        "a.zip",
        b"7z\xbc\xaf\x27\x1c" + bytes(90),
        "it is a 7-Zip archive",
    ),
    "bz2 bomb": ("ratings.csv.bz2", bz2.compress(bytes(30 << 20)), "would unpack to"),
    "xz bomb": ("ratings.csv.xz", lzma.compress(bytes(30 << 20)), "would unpack to"),
    "zst bomb": ("ratings.csv.zst", zstd(bytes(30 << 20)), "would unpack to"),
    "bomb of a tar.xz": (
        "a.tar.xz",
        tarred(("ratings.csv", bytes(30 << 20)), mode="w:xz"),
        "would unpack to",
    ),
    "gzip bomb within a zip": (
        "a.zip",
        zipped(("ratings.csv.gz", gzip.compress(bytes(30 << 20)))),
        "would unpack to",
    ),
    "bz2 bomb within a tar.gz": (
        "a.tar.gz",
        tarred(("ratings.csv.bz2", bz2.compress(bytes(30 << 20)))),
        "would unpack to",
    ),
    "tar with a sparse file of a gigabyte": (
        "a.tar",
        sparse_tar("ratings.csv", 1 << 30),
        "would unpack to",
    ),
    "old tar with a sparse file of a gigabyte": (
        "a.tar",
        sparse_tar("ratings.csv", 1 << 30, old=True),
        "would unpack to",
    ),
    "zip that understates the size of a bz2 bomb": (
        "a.zip",
        zip_of(packed_member("ratings.csv", 12, bz2.compress(bytes(1 << 28)), b"", size=10)),
        DAMAGED,
    ),
    "xz with a dictionary of 4 GiB": (
        "ratings.csv.xz",
        xz_with_dictionary(NOISE, 40),
        "needs more memory to unpack",
    ),
    "zip with an LZMA dictionary of 4 GiB": (
        "a.zip",
        zip_of(packed_member("ratings.csv", 14, zip_lzma(NOISE, 2**32 - 1), NOISE)),
        "needs more memory to unpack",
    ),
    "encrypted zip": (
        "a.zip",
        zip_of(packed_member("ratings.csv", 0, NOISE, NOISE, flags=1)),
        "is encrypted; refused",
    ),
    "zip by a method that is not supported": (
        "a.zip",
        zip_of(packed_member("ratings.csv", 9, NOISE, NOISE)),
        "is compressed by method 9, which is not supported; refused",
    ),
    "zip with a name of control characters": (
        "a.zip",
        zipped(("\x1b[2Kratings.csv", b"1")),
        "a name with control characters; refused",
    ),
    "zip with a file and its gz": (
        "a.zip",
        zipped(("ratings.csv", b"1"), ("ratings.csv.gz", gzip.compress(b"1"))),
        "contains ratings.csv.gz twice; refused",
    ),
    "tar that ends between two files": ("a.tar", plain_tar()[: 512 + 10240], "ends too early"),
    "tar with a damaged header between two files": (
        "a.tar",
        plain_tar().replace(b"second.csv", b"Second.csv"),
        "a header is damaged",
    ),
    "truncated bz2": ("ratings.csv.bz2", bz2.compress(NOISE)[:-40], DAMAGED),
    "truncated xz": ("ratings.csv.xz", lzma.compress(NOISE)[:-40], DAMAGED),
    "truncated zst": ("ratings.csv.zst", zstd(NOISE)[:-40], DAMAGED),
}

# Tables that differ from what the config declares: content, `table`, the message.
TABLES = {
    "a column that is not there": (b"user,item,stars\n1,2,3\n", {}, "should be in column 'rating'"),
    "another separator than declared": (
        b"user;item;rating\n1;2;3\n",
        {},
        "has 1 columns separated by ','",
    ),
    "column names without a header": (b"1,2,3\n", {"header": False}, "`header` is false"),
    "a row instead of the header": (
        b"1,2,3\n1,3,3\n",
        {"columns": {"user": 0, "item": 1, "rating": 2}},
        "should be a header but is a row",
    ),
    "one column for two purposes": (
        b"a,b,c\n1,2,3\n",
        {"columns": {"user": 0, "item": 0, "rating": 2}},
        "two columns are the same",
    ),
    "an encoding that does not exist": (
        b"user,item,rating\n1,2,3\n",
        {"encoding": "utf-99"},
        "'utf-99', the encoding of ratings.csv, is not a text encoding",
    ),
    "an encoding that is not of text": (
        b"user,item,rating\n1,2,3\n",
        {"encoding": "hex"},
        "'hex', the encoding of ratings.csv, is not a text encoding",
    ),
    "a name of two columns": (
        b"user,item,rating,rating\n1,2,3,4\n",
        {},
        "2 columns of the first line",
    ),
    "quotes between separators of two characters": (
        b"user::item::rating\n1::2::3\n",
        {"quoted": True, "separator": "::"},
        "quoted fields need a separator of one character",
    ),
    "a quote that is not closed": (
        b'user,item,rating\n1,"2,3\n1,3,3\n',
        {"quoted": True},
        "ratings.csv line 2: '1,\"2,3\\n' opens a quote that is not closed",
    ),
    "a decimal comma that is the separator": (
        b"user,item,rating\n1,2,3\n",
        {"decimal": ","},
        "`table.decimal` and `table.separator` are both ','",
    ),
    "an escape without quotes": (
        b"user,item,rating\n1,2,3\n",
        {"escape": "\\"},
        "`table.quoted` is false; set that to true",
    ),
    "a header in quotes that are not declared": (
        b'"user","item","rating"\n"1","2","3"\n',
        {},
        "if its fields are in quotes, set `table.quoted` to true",
    ),
    "a date format without a year": (
        b"user,item,rating\n1,2,3\n",
        {"dates": "%d %b"},
        "'%d %b' under `table.dates` is not a format of dates",
    ),
    "a date format with the name of a time zone": (
        b"user,item,rating\n1,2,3\n",
        {"dates": "%Y-%m-%d %H:%M %Z"},
        "%Z, the name of a time zone, cannot be read",
    ),
    "a date format that is none": (
        b"user,item,rating\n1,2,3\n",
        {"dates": "seconds"},
        "'seconds' under `table.dates` is not a format of dates",
    ),
    "lines that end in carriage returns": (
        b"user,item,rating\r1,2,3\r",
        {},
        "if lines end in carriage returns alone, convert them to line feeds",
    ),
    "a path instead of a file name": (
        b"user,item,rating\n1,2,3\n",
        {"ratings": "../ratings.csv"},
        "is not a file name",
    ),
    "no file of that name": (
        b"user,item,rating\n1,2,3\n",
        {"ratings": "other.csv"},
        "other.csv is missing",
    ),
    "a directory instead of a file": (
        None,
        {},
        "is a directory, but a file of that name is needed",
    ),
}


DATED = {"columns": {"date": "when"}}
TEXT = {"ids": "text"}
# One more line at the end of a table of one's own: line, `table`, the reason of its refusal.
TABLE_ROWS = {
    "a letter in an id": (b"a7,6,3", {}, "set `table.ids` to text to read any id"),
    "a decimal comma": (
        b"7;6;3,5",
        {"separator": ";"},
        'the rating is not a number; set `table.decimal` to ","',
    ),
    "a decimal point beside commas": (
        b"7;6;3.5",
        {"separator": ";", "decimal": ","},
        "the rating is not a number",
    ),
    "quotes in a table without quotes": (
        b'7,"6,1",3',
        {},
        "set `table.quoted` to true if fields are in quotes",
    ),
    "milliseconds as seconds": (b"7,6,3,1672531200000", DATED, "it looks like `epoch-ms`"),
    "microseconds as seconds": (b"7,6,3,1672531200000000", DATED, "it looks like `epoch-us`"),
    "nanoseconds as milliseconds": (
        b"7,6,3,1672531200000000000",
        DATED | {"dates": "epoch-ms"},
        "it looks like `epoch-ns`",
    ),
    "ISO 8601 as seconds": (b"7,6,3,2023-01-01T00:00:00Z", DATED, "it looks like `iso`"),
    "seconds as ISO 8601": (
        b"7,6,3,1672531200",
        DATED | {"dates": "iso"},
        "it looks like `epoch`",
    ),
    "the day in front as ISO 8601": (
        b"7,6,3,31/12/2022",
        DATED | {"dates": "iso"},
        "a format such as `%d/%m/%Y` or `%m/%d/%Y`",
    ),
    "an offset that does not exist": (
        b"7,6,3,2023-01-01T00:00:00+24:00",
        DATED | {"dates": "iso"},
        "the date is not a valid date",
    ),
    "hour 25": (
        b"7,6,3,2023-01-01 25:00",
        DATED | {"dates": "iso"},
        "the date is not a valid date",
    ),
    "the year 10000": (b"7,6,3,253402300800", DATED, "the date is not a valid date"),
    "infinite seconds": (b"7,6,3,1e999", DATED, "the date is not a valid date"),
    "a carriage return in a text id": (
        b"a\rb,6,3",
        TEXT,
        "the user contains a carriage return",
    ),
    "a zero byte in a text id": (b"a\x00,6,3", TEXT, "the user contains a zero byte"),
    "a zero byte in a text id in quotes": (
        b'"a\x00",6,3',
        TEXT | {"quoted": True},
        "the user contains a zero byte",
    ),
    "a carriage return after a text id in quotes": (
        b'"a"\r,6,3',
        TEXT | {"quoted": True},
        "it cannot be divided into fields",
    ),
    "an empty text id": (b"7,,3", TEXT, "the item is empty"),
    "a text id of 256 characters": (
        b"x" * 256 + b",6,3",
        TEXT,
        "the user is longer than 255 characters",
    ),
    "a text id that is not in the declared encoding": (
        b"Ren\xe9,6,3",
        TEXT | {"encoding": "utf-8"},
        "the user has bytes that are not valid in the file's encoding",
    ),
    "two rows joined by stray quotes": (
        b'7,"6,3\n8,6",4',
        TEXT | {"quoted": True},
        "quotation marks join its 2 lines, each of which is a row by itself",
    ),
    "text after the closing quote": (
        b'"7"th,6,3',
        TEXT | {"quoted": True},
        "it cannot be divided into fields",
    ),
}

# One more line at the end of the titles of such a table: line, `table.titles`, the reason.
TABLE_TITLES = {
    "a title with a separator, without quotes": (
        b"7,Heat, The,1995",
        {},
        "the row has 4 columns instead of 3",
    ),
    "a title in quotes that are not declared": (
        b'7,"Heat, The",1995',
        {},
        "set `table.titles.quoted` to true if fields are in quotes",
    ),
    "a carriage return in a title": (
        b"7,Heat\rThe,1995",
        {},
        "the title contains a carriage return that is not in quotes",
    ),
    "a zero byte in a title in quotes": (
        b'7,"He\x00at",1995',
        {"quoted": True},
        "the title contains a zero byte",
    ),
    "a title of 1001 characters": (
        b"7," + b"x" * 1001 + b",1995",
        {},
        "the title is longer than 1000 characters",
    ),
    "titles joined by stray quotes": (
        b'7,",1995\n8,",1996',
        {"quoted": True},
        "quotation marks join its 2 lines, each of which is a row by itself",
    ),
    "a title that is not in the declared encoding": (
        b"7,Caf\xe9,1995",
        {"encoding": "utf-8"},
        "the title has bytes that are not valid in the file's encoding",
    ),
}

RATED = b"user,item,rating,when\n1,1,3,%s\n"
# Tables in other forms: content, `table`, the first row as user, item, rating and date.
READ_TABLES = {
    "epoch milliseconds": (
        RATED % b"1672531200123",
        DATED | {"dates": "epoch-ms"},
        (1, 1, 3, "2023-01-01 00:00:00.123"),
    ),
    "epoch microseconds": (
        RATED % b"1672531200123456",
        DATED | {"dates": "epoch-us"},
        (1, 1, 3, "2023-01-01 00:00:00.123456"),
    ),
    "epoch nanoseconds": (
        RATED % b"1672531200123456789",
        DATED | {"dates": "epoch-ns"},
        (1, 1, 3, "2023-01-01 00:00:00.123456"),
    ),
    "seconds as floats": (RATED % b"1672531200.0", DATED, (1, 1, 3, "2023-01-01")),
    "seconds with an exponent": (RATED % b"1.6725312e+09", DATED, (1, 1, 3, "2023-01-01")),
    "seconds with a fraction": (
        RATED % b"1672531200.000001",
        DATED,
        (1, 1, 3, "2023-01-01 00:00:00.000001"),
    ),
    "ISO 8601 with an offset": (
        RATED % b"2023-01-01T01:30:00.5+01:30",
        DATED | {"dates": "iso"},
        (1, 1, 3, "2023-01-01 00:00:00.5"),
    ),
    "a format with fractions of a second": (
        RATED % b"01.01.2023 00:00:00.25",
        DATED | {"dates": "%d.%m.%Y %H:%M:%S.%f"},
        (1, 1, 3, "2023-01-01 00:00:00.25"),
    ),
    "decimal commas": (
        b"user;item;rating\n1;1;3,5\n",
        {"separator": ";", "decimal": ","},
        (1, 1, 3.5, None),
    ),
    "decimal commas in quotes": (
        b'user,item,rating\n1,1,"3,5"\n',
        {"decimal": ",", "quoted": True},
        (1, 1, 3.5, None),
    ),
    "quotes within fields without quotes": (
        b'user,item,rating\nthe "one",6,3\n',
        TEXT | {"quoted": True},
        ('the "one"', "6", 3, None),
    ),
    "quotes where they have no meaning": (
        b'user,item,rating\n"one" of us,6,3\n',
        TEXT,
        ('"one" of us', "6", 3, None),
    ),
    "quotes after a backslash": (
        b'"user";"item";"rating"\n"O\\"Hara; C.";"6";"3"\n',
        TEXT | {"separator": ";", "quoted": True, "escape": "\\"},
        ('O"Hara; C.', "6", 3, None),
    ),
    "a line end, a tab and a carriage return in an id in quotes": (
        b'user,item,rating\n"a\n\t\rb",6,3\n',
        TEXT | {"quoted": True},
        ("a\n\t\rb", "6", 3, None),
    ),
    "ids in GB18030": (
        "user,item,rating\n用户一,电影三,3\n用户二,电影五,4\n".encode("gb18030"),
        TEXT | {"encoding": "gb18030"},
        ("用户一", "电影三", 3, None),
    ),
    "ids in UTF-16 without a mark": (
        "user,item,rating\n用户一,电影三,3\n".encode("utf-16-be"),
        TEXT,
        ("用户一", "电影三", 3, None),
    ),
    "a byte order mark in a file declared as UTF-8": (
        b"\xef\xbb\xbfuser,item,rating\na,6,3\n",
        TEXT | {"encoding": "utf-8"},
        ("a", "6", 3, None),
    ),
}

# Tables that are read, with a warning: content, `table`, the warning.
WARNED_TABLES = {
    "leading zeros": (
        b"user,item,rating\n003,1,3\n3,2,4\n",
        {},
        "the user 003 has leading zeros, which whole numbers do not have: it is the same as 3; set"
        " `table.ids` to text",
    ),
    "text ids in quotes that are not declared": (
        b'user,item,rating\n"a","b",3\n',
        TEXT,
        '1 users are in quotation marks, such as "a"; if these are not part of the ids, set'
        " `table.quoted` to true",
    ),
    "seconds declared as milliseconds": (
        RATED % b"1672531200",
        DATED | {"dates": "epoch-ms"},
        "the latest date is 1970-01-20T08:35:31.200000: as `epoch`, the numbers are more likely",
    ),
    "text ids in an encoding that is not certain": (
        b"user,item,rating\nRen\xe9,1,3\n",
        TEXT,
        "uncertain (0 %), as in 'René,1,3'; if that is wrong, set `table.encoding`",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_row_stops_the_run_or_is_left_out_and_listed(subset, drop_all, name):
    part, line, check, count = ROWS[name]
    changed = {part: subset.files[part] + line + b"\n"}
    with pytest.raises(ValueError, match=rf"^{check}: .*netflix_\w+\.txt line \d.*audit\.{check}"):
        subset(**changed)
    parsed = subset(**changed, audit=drop_all)
    audit = parsed.audit
    assert audit["checks"][check]["count"] == count
    assert audit["rows_refused"] == count == len(parsed.refused)
    assert audit["rows_read"] == audit["rows_kept"] + audit["rows_refused"]
    for one in audit["files"].values():
        assert one["rows_read"] == one["rows_kept"] + one["rows_refused"]


@pytest.mark.parametrize("name", TITLE_LINES)
def test_a_title_in_trouble_stops_or_is_left_out(subset, drop_all, name):
    line = TITLE_LINES[name]
    titles = subset.files["titles"] + line + b"\n"
    with pytest.raises(ValueError, match=r"^malformed: .*movie_titles\.txt line 4"):
        subset(titles=titles)
    parsed = subset(titles=titles, audit=drop_all)
    assert parsed.audit["files"]["movie_titles.txt"]["rows_refused"] == 1
    assert parsed.audit["rows_refused"] == 0
    assert [place for place, _ in parsed.refused] == [("movie_titles.txt", 4, line)]


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_stops_the_run_with_any_policy(subset, drop_all, name):
    part, change, message = FILES[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        subset(**{part: change(subset.files[part])}, audit=drop_all)


@pytest.mark.parametrize("name", HARMLESS)
def test_unusual_files_read_like_the_plain_file(subset, name):
    plain = subset()
    part, change = HARMLESS[name]
    parsed = subset(**{part: change(subset.files[part])})
    pd.testing.assert_frame_equal(parsed.ratings, plain.ratings)
    pd.testing.assert_frame_equal(parsed.items, plain.items)
    assert not parsed.refused


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_bad_archive_is_refused(tmp_path, name):
    file, content, message = ARCHIVES[name]
    (tmp_path / file).write_bytes(content)
    into = tmp_path / "a" / "into"
    into.mkdir(parents=True)
    with pytest.raises(ValueError, match=re.escape(message)):
        unpack(tmp_path / file, lambda one: one if one.endswith("ratings.csv") else None, into)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file, "a"])
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["into"]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_differs_from_its_declaration_is_refused(tmp_path, dataset, name):
    content, table, message = TABLES[name]
    folder = tmp_path / "mine"
    folder.mkdir()
    if content is None:
        (folder / "ratings.csv").mkdir()
    else:
        (folder / "ratings.csv").write_bytes(content)
    block = dataset(source="table", table=table, folder=str(folder))
    with pytest.raises(ValueError, match=re.escape(message)):
        read(retrieved(block, tmp_path / "raw"), block)


def retrieved(block, raw):
    retrieve(block, raw)
    return raw


def read_mine(folder, dataset, ratings, table, audit=(), titles=None):
    """A table of one's own, with a file of titles or without."""
    (folder / "ratings.csv").write_bytes(ratings)
    if titles is not None:
        (folder / "titles.csv").write_bytes(titles)
        table = table | {"titles": {"file": "titles.csv", "year": "year"} | table["titles"]}
    scale = {"minimum": 0.5, "step": 0.5}
    return read(folder, dataset(source="table", table=table, audit=dict(audit), scale=scale))


@pytest.mark.parametrize("name", TABLE_ROWS)
def test_a_bad_row_of_a_table_is_refused_with_its_reason(tmp_path, dataset, drop_all, name):
    line, table, reason = TABLE_ROWS[name]
    separator = table.get("separator", ",").encode()
    date = {"epoch": b"1672531200", "epoch-ms": b"1672531200000", "iso": b"2023-01-01"}
    names, good = [b"user", b"item", b"rating"], [b"1", b"1", b"3"]
    if "columns" in table:
        names.append(b"when")
        good.append(date[table.get("dates", "epoch")])
    content = b"".join(separator.join(one) + b"\n" for one in (names, good)) + line + b"\n"
    with pytest.raises(ValueError, match=r"^malformed: .*ratings\.csv line 3") as stopped:
        read_mine(tmp_path, dataset, content, table)
    assert reason in str(stopped.value)
    parsed = read_mine(tmp_path, dataset, content, table, drop_all)
    assert [place for place, _ in parsed.refused] == [("ratings.csv", 3, line)]
    assert reason in parsed.refused[0][1]
    assert len(parsed.ratings) == 1


@pytest.mark.parametrize("name", TABLE_TITLES)
def test_a_bad_title_of_a_table_is_refused_with_its_reason(tmp_path, dataset, drop_all, name):
    line, titles, reason = TABLE_TITLES[name]
    content = b"item,title,year\n1,\xc3\x89t\xc3\xa9,2004\n" + line + b"\n"
    mine = (tmp_path, dataset, b"user,item,rating\n1,1,3\n", {"titles": titles})
    with pytest.raises(ValueError, match=r"^malformed: .*titles\.csv line 3") as stopped:
        read_mine(*mine, titles=content)
    assert reason in str(stopped.value)
    parsed = read_mine(*mine, drop_all, titles=content)
    assert [place for place, _ in parsed.refused] == [("titles.csv", 3, line[:1000])]
    assert parsed.items["title"].tolist() == ["Été"]


@pytest.mark.parametrize("name", READ_TABLES)
def test_tables_in_other_forms_are_read(tmp_path, dataset, caplog, name):
    content, table, (user, item, rating, date) = READ_TABLES[name]
    parsed = read_mine(tmp_path, dataset, content, table)
    first = parsed.ratings.iloc[0]
    assert parsed.users["user_id"][first["user"]] == user
    assert parsed.items["item_id"][first["item"]] == item
    assert first["rating"] == rating
    assert pd.isna(first["date"]) if date is None else first["date"] == pd.Timestamp(date)
    assert not caplog.records


@pytest.mark.parametrize("name", WARNED_TABLES)
def test_a_table_that_may_be_misread_gives_a_warning(tmp_path, dataset, caplog, name):
    content, table, warning = WARNED_TABLES[name]
    assert len(read_mine(tmp_path, dataset, content, table).ratings)
    assert warning in caplog.text


RESUMPTIONS = {
    True: "the transfer goes on",
    False: "the transfer starts afresh",
    None: "the new file is taken from its start",
}
HEAD = """# Bad input

This page lists what happens to input with errors. Every line below is a test case, and the page is
generated from the tests by `PYTHONPATH=. python tests/unit/data/test_data_bad_input.py`.

By default a defect with a policy stops the run, and the message shows the file, the line and its
bytes; only ratings of items without a title (`unknown_item`) and test ratings of users or items
that the train part does not have (`test_only`) are kept. With `audit.CHECK: drop` such rows are
left out, counted in `audit.json` under that check, and listed in `refused.tsv`. The number of rows
read is always the sum of those kept and those refused. All other bad input stops the run, whatever
the policies. No output is left incomplete.
"""


def shown(data):
    """Bytes as code in a cell of a Markdown table."""
    return "`" + repr(data)[2:-1].replace("|", "\\|") + "`"


def cell(content, table):
    """A line or a file, and the keys of its `table`."""
    content = content if len(content) < 200 else content[:20] + b"..." + content[-20:]
    settings = ", ".join(f"{key}: {value!r}" for key, value in table.items() if key != "columns")
    return shown(content) + (f" with `{settings}`" if settings else "")


def told(value):
    """A value in a cell of a Markdown table."""
    return "no date" if value is None else repr(value)[1:-1] if isinstance(value, str) else value


def shorter(line):
    """A line, or its start if it is long, as code."""
    return shown(line.encode() if len(line) < 100 else line[:40].encode() + b"...")


def shown_text(message):
    """A message in a cell of a Markdown table."""
    return message.replace("\x1b", "\\x1b").replace("[", "\\[")


def few(rows, changes):
    """How many ratings there are, and what the config sets."""
    users, items, _ = map(set, zip(*rows, strict=True))
    set_to = f", `{yaml.safe_dump(changes, default_flow_style=True).strip()}`" if changes else ""
    return f"{len(rows)} ratings of {len(users)} × {len(items)}{set_to}"


def yaml_shown(text):
    """The beginning of a config as code in a cell of a Markdown table."""
    line = text.replace("\n", " ⏎ ").replace("|", "\\|")
    return f"`{line if len(line) < 80 else line[:80] + '…'}`"


def page():
    """The documentation page of all cases."""
    files = {"train": "netflix_train.txt", "test": "netflix_test.txt"}
    files |= {"users": "users.txt", "titles": "movie_titles.txt"}
    sections = {
        "Rows of ratings": [
            (name, f"{shown(line)} in {files[part]}", f"defect `{check}`, {count} refused")
            for name, (part, line, check, count) in ROWS.items()
        ],
        "Rows of titles": [
            (name, f"{shown(line)} in movie_titles.txt", "defect `malformed`, 1 refused")
            for name, line in TITLE_LINES.items()
        ],
        "Rows of attributes": [
            (
                name,
                f"{shorter(line.rstrip())} in u.user",
                f"defect `malformed`, 1 refused: “… {reason} …”",
            )
            for name, (line, reason) in BROKEN.items()
        ],
        "Whole files": [
            (name, files[part], f"stops: “… {message} …”")
            for name, (part, _, message) in FILES.items()
        ],
        "Archives": [
            (name, file, f"stops: “… {message} …”") for name, (file, _, message) in ARCHIVES.items()
        ],
        "Downloads": [
            (name, "", f"the next place is tried: “… {shown_text(message)} …”")
            for name, (_, message) in REFUSED.items()
        ],
        "The rest of a download that was interrupted": [
            (name, "", RESUMPTIONS[taken]) for name, (_, _, taken) in RESUMED.items()
        ],
        "Saved folds": [
            (name, "folds.npz", f"stops: “… {message} …”") for name, (_, message) in FOLDS.items()
        ]
        + [
            (name, "folds.npz" if changed == {} else "folds.json", f"stops: “… {message} …”")
            for name, (_, changed, message) in FOLD_FILES.items()
        ],
        "Your own tables": [
            (name, shown(content) if content else "", f"stops: “… {message} …”")
            for name, (content, _, message) in TABLES.items()
        ],
        "Rows of your own tables": [
            (name, cell(line, table), f"defect `malformed`, 1 refused: “… {reason} …”")
            for name, (line, table, reason) in TABLE_ROWS.items()
        ],
        "Titles of your own tables": [
            (name, cell(line, titles), f"defect `malformed`, 1 refused: “… {reason} …”")
            for name, (line, titles, reason) in TABLE_TITLES.items()
        ],
        "Lines of JSON": [
            (name, shorter(line), f"defect `malformed`, 1 refused: “… {reason} …”")
            for name, (line, reason) in LINES.items()
        ],
        "Rows of Parquet files": [
            (name, "ratings.parquet", f"defect `malformed`, 1 refused: “… {reason} …”")
            for name, (_, reason) in PARQUET_ROWS.items()
        ],
        "Whole files of Parquet and JSON lines": [
            (name, file, f"stops: “… {message} …”")
            for name, (file, _, _, message) in STRUCTURED.items()
        ],
        "Tables that are read with a warning": [
            (name, cell(content, table), f"warning: “… {warning} …”")
            for name, (content, table, warning) in WARNED_TABLES.items()
        ],
        "Tables in other forms that are read correctly": [
            (
                name,
                cell(content, table),
                "user `{}`, item `{}`, rating {}, {}".format(*map(told, row)),
            )
            for name, (content, table, row) in READ_TABLES.items()
        ],
        "Ratings that are too few or too alike": [
            (name, few(rows, changes), f"stops: “… {words} …”")
            for name, (rows, changes, words) in SMALL.items()
        ],
        "Configs": [
            (name, yaml_shown(text), f"refused before anything runs: “… {words} …”")
            for name, (text, words) in {**OF_TABLES, **WHOLES}.items()
        ],
        "Unusual input that is read correctly": [
            (name, files[part], "read like the plain file") for name, (part, _) in HARMLESS.items()
        ],
    }
    lines = [HEAD]
    for title, cases in sections.items():
        lines += [f"## {title}", "", "| case | input | outcome |", "| --- | --- | --- |"]
        lines += [f"| {' | '.join(case)} |" for case in cases] + [""]
    return "\n".join(lines)


def test_the_documentation_has_every_case():
    """At least 40 cases, all different, and the page as generated from them."""
    bad = [*ROWS, *TITLE_LINES, *FILES, *ARCHIVES, *TABLES, *TABLE_ROWS, *TABLE_TITLES]
    bad += [*SMALL, *OF_TABLES, *WHOLES, *BROKEN]
    assert len(set(bad)) == len(bad) >= 40
    assert PAGE.read_text("utf-8") == page(), f"renew {PAGE.name}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
