"""The files that a source consists of, and the layout of each."""

from __future__ import annotations

import fnmatch
import io
import tarfile
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from cfmf.data.archives import decompressed_name
from cfmf.data.audit import TEST, TRAIN
from cfmf.data.dates import UNITS, check_format
from cfmf.data.kinds import kind_of
from cfmf.data.lines import FIELDS, Block, Codes, Layout, line_blocks, record_blocks
from cfmf.data.structured import (
    PARQUET,
    SEPARATOR,
    check_names,
    is_parquet,
    is_structured,
    json_blocks,
    parquet_blocks,
    parquet_times,
)
from cfmf.data.text import (
    BYTEWISE,
    SAMPLE_BYTES,
    Dialect,
    detect_encoding,
    is_wide,
    lines_of,
    records,
    sniff,
)
from cfmf.data.titles import TitleLayout

MOVIELENS_HEADER = "userId,movieId,rating,timestamp"
# The first two commas of a line separate columns, the others belong to the title.
NETFLIX_TITLES = TitleLayout(
    Dialect(","), title=2, year=1, columns=3, title_last=True, strict_years=True, own="latin_1"
)
MOVIELENS_100K_TITLES = {
    "u.item": TitleLayout(Dialect("|"), own="latin_1"),
    "ml-100k.item": TitleLayout(
        Dialect("\t"), year=2, header=True, encoding="utf_8", misspelt={"unkonwn": "unknown"}
    ),
}
# First rows of a file without a header that are compared for the number of its columns.
ROWS_COMPARED = 100
# Lines that are not rows, or further lines of a row.
OTHER_LINES = ("header_lines", "item_lines", "blank_lines", "continuation_lines")
UNRATED_LINES = "unrated_lines"


@dataclass
class RatingFile:
    """A raw file of ratings: how to open it, its layout, and the part that its rows belong to.

    `header` is the first line if that is not a row, `size` the number of bytes. With `decoded` the
    file is read as text and not as the bytes of numbers. `codes` numbers text ids by column.
    Reading counts the rows kept and refused, and in `lines` all lines and the `OTHER_LINES`;
    `other_rows` are the numbers of all lines (records of a quoted file) that were not accepted as
    rows, in order. `padded` has an id with leading zeros, as written, by column. `read` reads a
    file that is not delimited text.
    """

    name: str
    open: Callable[[], BinaryIO]
    layout: Layout
    part: int = 0
    header: str | None = None
    encoding: str = "ascii"
    size: int = 0
    decoded: bool = False
    codes: Codes = field(default_factory=dict)
    first_row: int = 0
    rows_kept: int = 0
    rows_refused: int = 0
    lines: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("lines", *OTHER_LINES), 0))
    other_rows: array[int] = field(default_factory=partial(array, "q"))
    padded: dict[str, str] = field(default_factory=dict)
    read: Callable[[], Iterator[Block]] | None = None

    def blocks(self) -> Iterator[Block]:
        """The lines of the file, without its byte order mark."""
        if self.read is not None:
            yield from self.read()
            return
        with self.open() as stream:
            if self.layout.quoted:
                text = io.TextIOWrapper(stream, self.encoding, errors="replace", newline="\n")
                yield from record_blocks(text, self.layout.dialect, self.name)
            elif self.decoded:
                # Bytes that are not UTF-8 come back as they are, for the list of refused rows.
                errors = "surrogateescape" if self.encoding in BYTEWISE else "replace"
                text = io.TextIOWrapper(stream, self.encoding, errors, newline="\n")

                def encoded(size: int) -> bytes:
                    return text.read(size).encode("utf-8", errors)

                yield from line_blocks(encoded, self.name)
            else:
                if self.encoding == "utf_8_sig":
                    stream.read(3)
                yield from line_blocks(stream.read, self.name)

    def places(self, wanted: set[int]) -> dict[int, tuple[int, bytes]]:
        """Line number in the file and bytes of the rows with the wanted numbers (from 0)."""
        rows = sorted(wanted)
        found: dict[int, tuple[int, bytes]] = {}
        for block in self.blocks():
            while len(found) < len(rows) and rows[len(found)] < block.first + block.rows:
                row = rows[len(found)]
                found[row] = block.place(row - block.first)
        return found

    def counts(self) -> dict[str, int]:
        """Rows of the file, and all its lines by kind."""
        return {
            "rows_read": self.rows_kept + self.rows_refused,
            "rows_kept": self.rows_kept,
            "rows_refused": self.rows_refused,
            **self.lines,
        }


def rating_files(raw: Path, dataset: Mapping[str, Any]) -> list[RatingFile]:
    """Files of ratings in a folder of raw files, in the order in which they are read.

    Raises
    ------
    ValueError
        If a file that the layout needs is missing, or its first line is not the layout's.
    """
    source = dataset["source"]
    if source == "movielens-100k":
        return [fixed_file(raw / "u.data", Layout(FIELDS, "\t", "epoch"))]
    if source in ("movielens-1m", "movielens-10m"):
        return [fixed_file(raw / "ratings.dat", Layout(FIELDS, "::", "epoch"))]
    if source.startswith("movielens-"):
        layout = Layout(FIELDS, ",", "epoch")
        return [fixed_file(raw / "ratings.csv", layout, 0, MOVIELENS_HEADER)]
    if source in ("netflix-subset", "synthetic"):
        layout = Layout(FIELDS, " ", "iso")
        train, test = raw / "netflix_train.txt", raw / "netflix_test.txt"
        return [fixed_file(train, layout, TRAIN), fixed_file(test, layout, TEST)]
    if source == "netflix-prize":
        return _netflix_prize(raw)
    return _tables(raw, dataset["table"])


def title_file(raw: Path, dataset: Mapping[str, Any]) -> tuple[Path, TitleLayout] | None:
    """The file of titles and its layout, or none for a table without titles.

    Raises
    ------
    ValueError
        If the file is missing, or lacks a declared column.
    """
    source = dataset["source"]
    if source == "movielens-100k":
        name = next((name for name in MOVIELENS_100K_TITLES if (raw / name).is_file()), "u.item")
        return existing(raw / name), MOVIELENS_100K_TITLES[name]
    if source in ("movielens-1m", "movielens-10m"):
        return existing(raw / "movies.dat"), TitleLayout(Dialect("::"), columns=3, own="latin_1")
    if source.startswith("movielens-"):
        dialect = Dialect(",", quoted=True)
        return existing(raw / "movies.csv"), TitleLayout(dialect, header=True, columns=3)
    if source != "table":
        return existing(raw / "movie_titles.txt"), NETFLIX_TITLES
    table = dataset["table"]["titles"]
    if not table["file"]:
        return None
    return _title_table(existing(raw / decompressed_name(table["file"])), dataset["table"])


def _title_table(path: Path, table: Mapping[str, Any]) -> tuple[Path, TitleLayout]:
    """A file of titles."""
    titles = table["titles"]
    wanted = {role: titles[role] for role in ("item", "title", "year") if titles[role] != ""}
    if is_structured(path.name):
        if not is_parquet(path.name):
            check_names(path, wanted)
        year = 2 if "year" in wanted else None
        columns = len(wanted)
        return path, TitleLayout(
            Dialect(SEPARATOR, key="table.titles"),
            year=year,
            columns=columns,
            encoding="utf_8",
            places=wanted,
        )
    dialect = Dialect(titles["separator"], titles["quoted"], titles["escape"], "table.titles")
    dialect.check(path.name)
    declared = titles["encoding"] or table["encoding"]
    encoding = sniff(path, declared, key="table.titles.encoding")
    rows = first_rows(path, encoding, dialect, 1 if titles["header"] else ROWS_COMPARED)
    places = column_places(path, rows[0], dialect, titles["header"], wanted)
    # Without a header, the row with the fewest separators has none in its title.
    columns = max(min(map(len, rows)), max(places.values()) + 1)
    layout = TitleLayout(
        dialect,
        places["item"],
        places["title"],
        places.get("year"),
        header=titles["header"],
        columns=columns,
        title_last=not dialect.quoted and places["title"] == columns - 1,
        encoding=encoding,
    )
    return path, layout


def existing(path: Path) -> Path:
    """The path, if it is a file of text, or of Parquet where its name says so.

    Raises
    ------
    ValueError
        If it is not, with what it is instead.
    """
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise ValueError(f"{path} {what}, but a file of that name is needed; retrieve it again")
    kind, ending = kind_of(path)
    if kind and not (is_parquet(path.name) and ending in PARQUET):
        hint = f"; if that is intended, give it a name that ends in {ending}" if ending else ""
        raise ValueError(f"{path} is {kind}, but a file of text is needed{hint}")
    return path


def first_rows(path: Path, encoding: str, dialect: Dialect, count: int = 1) -> list[list[str]]:
    """The fields of the first rows of a file, at least one, without byte order mark.

    Raises
    ------
    ValueError
        If lines seem to end in carriage returns, or a quote is not closed.
    """
    found: list[list[str]] = []
    with open(path, encoding=encoding, errors="replace", newline="\n") as text:
        for row in records(lines_of(text, path.name), dialect, path.name):
            if row.number == 1 and "\r" in row.text.rstrip("\r\n") and not dialect.quoted:
                raise ValueError(
                    f"{path}: the first line {row.text[:100]!r} has a carriage return within; if"
                    " lines end in carriage returns alone, convert them to line feeds"
                )
            if row.number == 1 and row.reason:
                raise ValueError(f"{path}: the first line {row.text[:100]!r} is none: {row.reason}")
            if row.number == 1 or row.fields not in ([], [""]):
                found.append(row.fields or [""])
            if len(found) == count:
                break
    if not found:
        return [[""]]
    found[0][0] = found[0][0].lstrip("\ufeff")
    return found


def fixed_file(path: Path, layout: Layout, part: int = 0, header: str | None = None) -> RatingFile:
    """A file in one of the known layouts, its encoding detected.

    Raises
    ------
    ValueError
        If the file is missing, its first line is not the layout's, or it has item lines in an
        encoding that `is_wide`.
    """
    encoding = sniff(existing(path), own="latin_1")
    if layout.item_lines:
        _check_narrow(path.name, encoding)
    if header is not None:
        line = layout.separator.join(first_rows(path, encoding, layout.dialect)[0])
        if line != header:
            raise ValueError(
                f"{path}: the first line is {line[:100]!r} instead of {header!r}; get the file"
                " again, or describe it as a `table`"
            )
    size = path.stat().st_size
    opened = partial(_opened, path)
    return RatingFile(path.name, opened, layout, part, header, encoding, size, is_wide(encoding))


def _netflix_prize(raw: Path) -> list[RatingFile]:
    """The training set in any of its three forms, with one movie or many in a file."""
    found: list[tuple[str, Callable[[], BinaryIO], int]]
    if (raw / "training_set.tar").is_file():
        found = _movies_in(raw / "training_set.tar")
    else:
        paths = sorted(raw.glob("combined_data_*.txt")) or sorted(raw.glob("training_set/mv_*.txt"))
        if not paths:
            raise ValueError(
                f"{raw} has none of training_set.tar, training_set/mv_*.txt and"
                " combined_data_*.txt; retrieve the data set again"
            )
        found = [
            (str(path.relative_to(raw)), partial(_opened, path), path.stat().st_size)
            for path in paths
        ]
    with found[0][1]() as stream:
        encoding = detect_encoding([stream.read(SAMPLE_BYTES)], found[0][0], "latin_1")
    _check_narrow(found[0][0], encoding)
    layout = Layout(("user", "rating", "date"), item_lines=True)
    return [
        RatingFile(name, opened, layout, TRAIN, encoding=encoding, size=size)
        for name, opened, size in found
    ]


def _movies_in(path: Path) -> list[tuple[str, Callable[[], BinaryIO], int]]:
    """The files of movies in an uncompressed tar archive: name, how to open it, and size."""
    try:
        # Members are read later. The mode keeps a compressed archive from being unpacked unseen.
        archive = tarfile.open(path, "r:")  # noqa: SIM115
        members = sorted(archive, key=lambda member: member.name)
    except (tarfile.TarError, ValueError, MemoryError, EOFError) as error:
        kind = kind_of(path)[0]
        raise ValueError(
            f"{path} is damaged or not a tar archive ({error}"
            f"{f'; it is {kind}' if kind else ''}); get it again"
        ) from None
    found: list[tuple[str, Callable[[], BinaryIO], int]] = [
        (one.name, partial(_extracted, archive, one), one.size)
        for one in members
        if one.isreg() and not one.issparse() and fnmatch.fnmatch(one.name, "*mv_*.txt")
    ]
    if not found:
        raise ValueError(f"{path} has no file mv_*.txt; get it again")
    return found


def _opened(path: Path) -> BinaryIO:
    """A file, opened for its bytes."""
    return path.open("rb")


def _extracted(archive: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    """A member of an archive, opened."""
    return cast(BinaryIO, archive.extractfile(member))


def _check_narrow(name: str, encoding: str) -> None:
    """Raise ValueError if lines cannot be found in the bytes of the encoding."""
    if is_wide(encoding):
        raise ValueError(
            f"{name} is in {encoding.replace('_', '-')}, which is not supported in this layout;"
            " save it as ASCII or UTF-8"
        )


def _tables(raw: Path, table: Mapping[str, Any]) -> list[RatingFile]:
    """The one or two files of a delimited table."""
    codes: Codes = {"user": {}, "item": {}}
    if not table["test"]:
        return [_table(raw / decompressed_name(table["ratings"]), table, 0, codes)]
    return [
        _table(raw / decompressed_name(table["ratings"]), table, TRAIN, codes),
        _table(raw / decompressed_name(table["test"]), table, TEST, codes),
    ]


def _structured(path: Path, table: Mapping[str, Any], part: int, codes: Codes) -> RatingFile:
    """A table in Parquet or JSON lines."""
    wanted = {role: place for role, place in table["columns"].items() if place != ""}
    dates, read = table["dates"], parquet_blocks
    check_format(dates)
    if not is_parquet(existing(path).name):
        check_names(path, wanted)
        read = json_blocks
    elif "date" in wanted and parquet_times(path, wanted["date"]):
        dates = "epoch-us"
    layout = Layout(
        tuple(wanted),
        SEPARATOR,
        dates,
        text_ids=table["ids"] == "text",
        decimal=table["decimal"],
        unrated=tuple(table["unrated"]),
        undated=table["undated"],
        declared=True,
    )
    return RatingFile(
        path.name,
        partial(_opened, path),
        layout,
        part,
        encoding="utf_8",
        size=path.stat().st_size,
        codes=codes,
        read=partial(read, path, wanted),
    )


def _table(path: Path, table: Mapping[str, Any], part: int, codes: Codes) -> RatingFile:
    """A file of a table."""
    if is_structured(path.name):
        return _structured(path, table, part, codes)
    text_ids = table["ids"] == "text"
    key = "table.encoding" if text_ids else ""
    encoding = sniff(existing(path), table["encoding"], key=key)
    dialect = Dialect(table["separator"], table["quoted"], table["escape"])
    dialect.check(path.name)
    check_format(table["dates"])
    if table["decimal"] == dialect.separator == "," and not dialect.quoted:
        raise ValueError(
            f"{path}: `table.decimal` and `table.separator` are both ','; set `table.quoted` to"
            " true if ratings are in quotes"
        )
    names = first_rows(path, encoding, dialect)[0]
    wanted = {role: place for role, place in table["columns"].items() if place != ""}
    places = column_places(path, names, dialect, table["header"], wanted)
    columns = [""] * len(names)
    for role, place in places.items():
        columns[place] = role
    layout = Layout(
        tuple(columns),
        dialect.separator,
        table["dates"],
        text_ids=text_ids,
        quoted=dialect.quoted,
        escape=dialect.escape,
        decimal=table["decimal"],
        unrated=tuple(table["unrated"]),
        undated=table["undated"],
        declared=True,
    )
    known_dates = table["dates"] in ("iso", *UNITS) or "date" not in wanted
    decoded = text_ids or not known_dates or encoding not in BYTEWISE
    return RatingFile(
        path.name,
        partial(_opened, path),
        layout,
        part,
        dialect.separator.join(names) if table["header"] else None,
        encoding,
        path.stat().st_size,
        decoded or not dialect.separator.isascii(),
        codes,
    )


def column_places(
    path: Path,
    names: list[str],
    dialect: Dialect,
    header: bool,
    wanted: Mapping[str, str | int],
) -> dict[str, int]:
    """Position of each wanted column, as given or found among the fields of the first row."""
    places = {}
    line = dialect.separator.join(names)[:100]
    for role, place in wanted.items():
        if header and isinstance(place, str) and names.count(place) > 1:
            raise ValueError(
                f"{path}: the {role} should be in column {place!r}, but {names.count(place)}"
                f" columns of the first line {line!r} have that name; set its position instead"
            )
        if isinstance(place, str):
            place = names.index(place) if header and place in names else -1
        if not 0 <= place < len(names):
            quotes = (
                ""
                if dialect.quoted or '"' not in line
                else (f"; if its fields are in quotes, set `{dialect.key}.quoted` to true")
            )
            raise ValueError(
                f"{path}: the {role} should be in column {wanted[role]!r}, but the first line"
                f" {line!r} has {len(names)} columns separated by {dialect.separator!r} and"
                f" `header` is {str(header).lower()}; correct `{dialect.key}` of the data set"
                f"{quotes}"
            )
        places[role] = place
    if len(set(places.values())) < len(places):
        raise ValueError(
            f"{path}: two columns are the same in {places}; correct `table.columns` of the data set"
        )
    return places
