"""The files that a source consists of, and the layout of each."""

from __future__ import annotations

import fnmatch
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from cfmf.data.archives import decompressed_name
from cfmf.data.audit import TEST, TRAIN
from cfmf.data.lines import FIELDS, Block, Codes, Layout, line_blocks, record_blocks
from cfmf.data.text import SAMPLE_BYTES, detect_encoding, is_wide, sniff, split_fields
from cfmf.data.titles import TitleLayout

MOVIELENS_HEADER = "userId,movieId,rating,timestamp"
# The first two commas of a line separate columns, the others belong to the title.
NETFLIX_TITLES = TitleLayout(",", title=2, year=1, limit=2)
MOVIELENS_100K_TITLES = {
    "u.item": TitleLayout("|", encoding="latin_1"),
    "ml-100k.item": TitleLayout(
        "\t", year=2, header=True, encoding="utf_8", misspelt={"unkonwn": "unknown"}
    ),
}
# Lines that are not rows, or further lines of a row.
OTHER_LINES = ("header_lines", "item_lines", "blank_lines", "continuation_lines")


@dataclass
class RatingFile:
    """A raw file of ratings: how to open it, its layout, and the part that its rows belong to.

    `header` is the first line if that is not a row, `size` the number of bytes. With `decoded` the
    file is read as text and not as the bytes of numbers. `codes` numbers text ids by column.
    Reading counts the rows kept and refused, and in `lines` all lines and the `OTHER_LINES`;
    `other_rows` are the numbers of all lines (records of a quoted file) that were not accepted as
    rows, in order.
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
    other_rows: list[int] = field(default_factory=list)

    def blocks(self) -> Iterator[Block]:
        """The lines of the file, without its byte order mark."""
        with self.open() as stream:
            if self.layout.quoted:
                text = io.TextIOWrapper(stream, self.encoding, errors="replace", newline="")
                yield from record_blocks(text, self.layout.separator, self.name)
            elif self.decoded:
                text = io.TextIOWrapper(stream, self.encoding, errors="replace")
                yield from line_blocks(lambda size: text.read(size).encode(), self.name)
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
        return existing(raw / "movies.dat"), TitleLayout("::")
    if source.startswith("movielens-"):
        return existing(raw / "movies.csv"), TitleLayout(",", header=True, quoted=True)
    if source != "table":
        return existing(raw / "movie_titles.txt"), NETFLIX_TITLES
    table = dataset["table"]["titles"]
    if not table["file"]:
        return None
    path = existing(raw / decompressed_name(table["file"]))
    encoding = sniff(path, dataset["table"]["encoding"])
    wanted = {role: table[role] for role in ("item", "title", "year") if table[role] != ""}
    line = first_line(path, encoding)
    places = _positions(path, line, table["separator"], True, table["header"], wanted)
    layout = TitleLayout(
        table["separator"],
        places["item"],
        places["title"],
        places.get("year"),
        header=table["header"],
        quoted=True,
        encoding=encoding,
    )
    return path, layout


def existing(path: Path) -> Path:
    """The path, if it is a file.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise ValueError(f"{path} {what}, but a file of that name is needed; retrieve it again")
    return path


def first_line(path: Path, encoding: str) -> str:
    """The first line of a file, without byte order mark and line end."""
    with open(path, encoding=encoding, errors="replace", newline="") as text:
        return text.readline(1 << 16).rstrip("\r\n").lstrip("\ufeff")


def fixed_file(path: Path, layout: Layout, part: int = 0, header: str | None = None) -> RatingFile:
    """A file in one of the known layouts, its encoding detected.

    Raises
    ------
    ValueError
        If the file is missing, its first line is not the layout's, or it has item lines in an
        encoding that `is_wide`.
    """
    encoding = sniff(existing(path))
    if layout.item_lines:
        _check_narrow(path.name, encoding)
    if header is not None and (line := first_line(path, encoding)) != header:
        raise ValueError(
            f"{path}: the first line is {line[:100]!r} instead of {header!r}; get the file again,"
            " or describe it as a `table`"
        )
    size = path.stat().st_size
    opened = partial(_opened, path)
    return RatingFile(path.name, opened, layout, part, header, encoding, size, is_wide(encoding))


def _netflix_prize(raw: Path) -> list[RatingFile]:
    """The training set in any of its three forms, with one movie or many in a file."""
    found: list[tuple[str, Callable[[], BinaryIO], int]]
    if (raw / "training_set.tar").is_file():
        archive = tarfile.open(raw / "training_set.tar")  # noqa: SIM115 - members are read later
        found = [
            (one.name, partial(_extracted, archive, one), one.size)
            for one in sorted(archive, key=lambda member: member.name)
            if one.isfile() and fnmatch.fnmatch(one.name, "*mv_*.txt")
        ]
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
    if not found:
        return []
    with found[0][1]() as stream:
        encoding = detect_encoding(stream.read(SAMPLE_BYTES), found[0][0])
    _check_narrow(found[0][0], encoding)
    layout = Layout(("user", "rating", "date"), item_lines=True)
    return [
        RatingFile(name, opened, layout, TRAIN, encoding=encoding, size=size)
        for name, opened, size in found
    ]


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


def _table(path: Path, table: Mapping[str, Any], part: int, codes: Codes) -> RatingFile:
    """A file of a delimited table."""
    encoding = sniff(existing(path), table["encoding"])
    separator, quoted, text_ids = table["separator"], table["quoted"], table["ids"] == "text"
    if quoted and len(separator) > 1:
        raise ValueError(
            f"{path}: quoted fields need a separator of one character, not {separator!r}; set"
            " `table.quoted` to false"
        )
    line = first_line(path, encoding)
    wanted = {role: place for role, place in table["columns"].items() if place != ""}
    places = _positions(path, line, separator, quoted, table["header"], wanted)
    columns = [""] * len(split_fields(line, separator, quoted))
    for role, place in places.items():
        columns[place] = role
    layout = Layout(tuple(columns), separator, table["dates"], False, text_ids, quoted)
    known_dates = table["dates"] in ("iso", "epoch") or "date" not in wanted
    decoded = text_ids or not known_dates or is_wide(encoding) or not separator.isascii()
    header = line if table["header"] else None
    size = path.stat().st_size
    opened = partial(_opened, path)
    return RatingFile(path.name, opened, layout, part, header, encoding, size, decoded, codes)


def _positions(
    path: Path,
    line: str,
    separator: str,
    quoted: bool,
    header: bool,
    wanted: Mapping[str, str | int],
) -> dict[str, int]:
    """Position of each wanted column, as given or found among the names in the first line."""
    names = split_fields(line, separator, quoted)
    places = {}
    for role, place in wanted.items():
        if header and isinstance(place, str) and names.count(place) > 1:
            raise ValueError(
                f"{path}: the {role} should be in column {place!r}, but {names.count(place)}"
                f" columns of the first line {line[:100]!r} have that name; set its position"
                " instead"
            )
        if isinstance(place, str):
            place = names.index(place) if header and place in names else -1
        if not 0 <= place < len(names):
            raise ValueError(
                f"{path}: the {role} should be in column {wanted[role]!r}, but the first line"
                f" {line[:100]!r} has {len(names)} columns separated by {separator!r} and"
                f" `header` is {str(header).lower()}; correct `table` of the data set"
            )
        places[role] = place
    if len(set(places.values())) < len(places):
        raise ValueError(
            f"{path}: two columns are the same in {places}; correct `table.columns` of the data set"
        )
    return places
