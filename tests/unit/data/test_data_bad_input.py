"""Bad input, case by case: the documented outcome of each is the actual one.

`PYTHONPATH=. python tests/unit/data/test_data_bad_input.py` writes docs/bad-input.md from it.
"""

import gzip
import io
import re
import stat
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from cfmf.data.archives import unpack
from cfmf.data.formats import read
from cfmf.data.sources import retrieve

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
        "netflix_train.txt has no rating",
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


HEAD = """# Bad input

This page lists what happens to input with errors. Every line below is a test case, and the page is
generated from the tests by `PYTHONPATH=. python tests/unit/data/test_data_bad_input.py`.

By default a defect with a policy stops the run, and the message shows the file, the line and its
bytes. With `audit.CHECK: drop` such rows are left out, counted in `audit.json` under that check,
and listed in `refused.tsv`. Rows read = rows kept + rows refused, always. All other bad input stops
the run, whatever the policies. No output is left incomplete.
"""


def shown(data):
    """Bytes as code in a cell of a Markdown table."""
    return "`" + repr(data)[2:-1].replace("|", "\\|") + "`"


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
        "Whole files": [
            (name, files[part], f"stops: “… {message} …”")
            for name, (part, _, message) in FILES.items()
        ],
        "Archives": [
            (name, file, f"stops: “… {message} …”") for name, (file, _, message) in ARCHIVES.items()
        ],
        "Your own tables": [
            (name, shown(content) if content else "", f"stops: “… {message} …”")
            for name, (content, _, message) in TABLES.items()
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
    bad = [*ROWS, *TITLE_LINES, *FILES, *ARCHIVES, *TABLES]
    assert len(set(bad)) == len(bad) >= 40
    assert PAGE.read_text("utf-8") == page(), f"renew {PAGE.name}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
