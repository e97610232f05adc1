"""Which files a source consists of, and the layout of each."""

from __future__ import annotations

import fnmatch
import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from cfmf.data.audit import TEST, TRAIN
from cfmf.data.lines import DATE, ITEM, RATING, SKIP, USER, Layout, numbered_lines
from cfmf.data.text import (
    SAMPLE_BYTES,
    TitleLayout,
    Transcoder,
    detect_encoding,
    is_wide,
    sniff,
    split_fields,
)

ALL_FOUR = (USER, ITEM, RATING, DATE)
ROLES = {"user": USER, "item": ITEM, "rating": RATING, "date": DATE}
MOVIELENS_HEADER = "userId,movieId,rating,timestamp"
# The first two commas of a line separate, the rest belong to the title.
NETFLIX_TITLES = TitleLayout(",", title=2, year=1, limit=2)
MOVIELENS_100K_TITLES = {
    "u.item": TitleLayout("|", encoding="latin_1"),
    "ml-100k.item": TitleLayout(
        "\t", year=2, header=True, encoding="utf_8", misspelt={"unkonwn": "unknown"}
    ),
}


@dataclass
class RatingFile:
    """One raw file of ratings: how to open it, its layout and the part that its rows belong to.

    `header` is the first line where that is no row, `size` the bytes of
    the file. The counts are filled in by reading: `lines` of all lines, `continuation_lines` of
    those after the first of rows that are several lines; `other_lines` are the numbers of all rows
    that were not kept, in order.
    """

    name: str
    open: Callable[[], BinaryIO]
    layout: Layout
    part: int = 0
    header: str | None = None
    encoding: str = "ascii"
    transcoder: Transcoder | None = None
    size: int = 0
    first_row: int = 0
    rows_kept: int = 0
    rows_refused: int = 0
    lines: int = 0
    header_lines: int = 0
    item_lines: int = 0
    blank_lines: int = 0
    continuation_lines: int = 0
    other_lines: list[int] = field(default_factory=list)

    def contents(self, wanted: set[int]) -> dict[int, tuple[int, bytes]]:
        """Line number in the file and bytes of the wanted lines; a quoted row may be several."""
        with self.open() as stream:
            if not self.transcoder:
                found = numbered_lines(stream, wanted)
                return {number: (number, text) for number, text in found.items()}
            blocks = self.transcoder.blocks(stream, self.name)
            lines = (line for block in blocks for line in block.lines or [])
            return {number: line for number, line in enumerate(lines, 1) if number in wanted}


def rating_files(raw: Path, dataset: Mapping[str, Any]) -> list[RatingFile]:
    """Files of ratings in a folder of raw files, in the order in which they are read.

    Raises
    ------
    ValueError
        If a file that the layout needs is missing, or its first line is not the layout's.
    """
    source = dataset["source"]
    if source == "movielens-100k":
        return [fixed_file(raw / "u.data", Layout(ALL_FOUR, "\t", "epoch"))]
    if source in ("movielens-1m", "movielens-10m"):
        return [fixed_file(raw / "ratings.dat", Layout(ALL_FOUR, "::", "epoch"))]
    if source.startswith("movielens-"):
        layout = Layout(ALL_FOUR, ",", "epoch")
        return [fixed_file(raw / "ratings.csv", layout, 0, MOVIELENS_HEADER)]
    if source in ("netflix-subset", "synthetic"):
        layout = Layout(ALL_FOUR, " ", "iso")
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
    path = existing(raw / table["file"].removesuffix(".gz"))
    encoding = sniff(path, dataset["table"]["encoding"])
    wanted = {role: table[role] for role in ("item", "title", "year") if table[role] != ""}
    line = first_line(path.open("rb"), encoding)
    places = _places(path, line, table["separator"], True, table["header"], wanted)
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


def first_line(stream: BinaryIO, encoding: str) -> str:
    """The first line of a stream, which is closed, without byte order mark and line end."""
    with stream:
        text = io.TextIOWrapper(stream, encoding, errors="replace", newline="")
        return text.readline(1 << 16).rstrip("\r\n").lstrip("\ufeff")


def _opener(path: Path, encoding: str) -> Callable[[], BinaryIO]:
    """What opens a file behind its UTF-8 byte order mark, if it has one."""
    return _behind_mark(lambda: path.open("rb"), encoding)


def _behind_mark(open_file: Callable[[], BinaryIO], encoding: str) -> Callable[[], BinaryIO]:
    """What opens a file behind its UTF-8 byte order mark, if it has one."""

    def opened() -> BinaryIO:
        stream = open_file()
        if encoding == "utf_8_sig":
            stream.seek(3)
        return stream

    return opened


def fixed_file(path: Path, layout: Layout, part: int = 0, header: str | None = None) -> RatingFile:
    """A file in one of the known layouts, its encoding detected.

    Raises
    ------
    ValueError
        If the file is missing, its first line is not the layout's, or it has lines of items in an
        encoding whose bytes cannot be cut into lines.
    """
    encoding = sniff(existing(path))
    if layout.item_lines:
        _check_narrow(path.name, encoding)
    line = first_line(path.open("rb"), encoding)
    if header is not None and line != header:
        raise ValueError(
            f"{path}: the first line is {line[:100]!r}, not {header!r}; get the file again, or"
            " describe it as a `table`"
        )
    transcoder = Transcoder(layout, encoding) if is_wide(encoding) else None
    open_file = _opener(path, "" if transcoder else encoding)
    size = path.stat().st_size
    return RatingFile(path.name, open_file, layout, part, header, encoding, transcoder, size)


def _netflix_prize(raw: Path) -> list[RatingFile]:
    """The training set in any of its three dresses; one movie a file, or many."""
    layout = Layout((USER, RATING, DATE), ",", "iso", item_lines=True)
    if (raw / "training_set.tar").is_file():
        archive = tarfile.open(raw / "training_set.tar")  # noqa: SIM115 - members are read later
        members = [
            one for one in archive if one.isfile() and fnmatch.fnmatch(one.name, "*mv_*.txt")
        ]
        members.sort(key=lambda member: member.name)

        def opener(member: tarfile.TarInfo) -> Callable[[], BinaryIO]:
            return lambda: cast(BinaryIO, archive.extractfile(member))

        return _one_encoding([(one.name, opener(one), one.size) for one in members], layout)
    paths = sorted(raw.glob("combined_data_*.txt")) or sorted(raw.glob("training_set/mv_*.txt"))
    if not paths:
        raise ValueError(
            f"{raw} has none of training_set.tar, training_set/mv_*.txt and combined_data_*.txt;"
            " retrieve the data set again"
        )
    found = [(str(path.relative_to(raw)), _opener(path, ""), path.stat().st_size) for path in paths]
    return _one_encoding(found, layout)


def _one_encoding(
    found: list[tuple[str, Callable[[], BinaryIO], int]], layout: Layout
) -> list[RatingFile]:
    """Training files, given by name, opener and size, in the encoding detected in the first."""
    if not found:
        return []
    name, open_file, _ = found[0]
    with open_file() as stream:
        encoding = detect_encoding(stream.read(SAMPLE_BYTES), name)
    _check_narrow(name, encoding)
    return [
        RatingFile(
            name, _behind_mark(opened, encoding), layout, TRAIN, encoding=encoding, size=size
        )
        for name, opened, size in found
    ]


def _check_narrow(name: str, encoding: str) -> None:
    """Raise ValueError if bytes of the encoding cannot be cut into lines."""
    if is_wide(encoding):
        raise ValueError(
            f"{name} is in {encoding.replace('_', '-')}, which is not read in this layout; save it"
            " as ASCII or UTF-8"
        )


def _tables(raw: Path, table: Mapping[str, Any]) -> list[RatingFile]:
    """The one or two files of a delimited table."""
    codes: dict[int, dict[str, int]] = {USER: {}, ITEM: {}}
    if not table["test"]:
        return [_table(raw / table["ratings"].removesuffix(".gz"), table, 0, codes)]
    return [
        _table(raw / table["ratings"].removesuffix(".gz"), table, TRAIN, codes),
        _table(raw / table["test"].removesuffix(".gz"), table, TEST, codes),
    ]


def _table(
    path: Path, table: Mapping[str, Any], part: int, codes: dict[int, dict[str, int]]
) -> RatingFile:
    """A file of a delimited table: by the fast path where that can read it."""
    encoding = sniff(existing(path), table["encoding"])
    separator, quoted = table["separator"], table["quoted"]
    if quoted and len(separator) > 1:
        raise ValueError(
            f"{path}: quoted fields are read between separators of one character alone, not"
            f" {separator!r}; set `table.quoted` to false"
        )
    line = first_line(path.open("rb"), encoding)
    wanted = {role: place for role, place in table["columns"].items() if place != ""}
    places = _places(path, line, separator, quoted, table["header"], wanted)
    columns = [SKIP] * len(split_fields(line, separator, quoted))
    for role, place in places.items():
        columns[place] = ROLES[role]
    known = table["dates"] in ("iso", "epoch")
    dates = (table["dates"] if known else "epoch") if "date" in wanted else "none"
    layout = Layout(tuple(columns), separator, dates)
    transcoder = None
    # The fast path tells where a column ends by the first sign that is no part of a number, and
    # where an unwanted one ends by the separator's first sign.
    plain = separator[0] not in "0123456789-.+eE" and separator.isascii()
    plain = plain and (len(separator) == 1 or SKIP not in columns)
    if quoted or not plain or table["ids"] == "text" or not known or is_wide(encoding):
        date_format = "" if known else table["dates"]
        text_ids = table["ids"] == "text"
        transcoder = Transcoder(layout, encoding, quoted, text_ids, date_format, codes)
    open_file = _opener(path, "" if transcoder else encoding)
    header = line if table["header"] else None
    size = path.stat().st_size
    return RatingFile(path.name, open_file, layout, part, header, encoding, transcoder, size)


def _places(
    path: Path,
    line: str,
    separator: str,
    quoted: bool,
    header: bool,
    wanted: Mapping[str, str | int],
) -> dict[str, int]:
    """Position of each wanted column, found by name in the first line or given."""
    names = split_fields(line, separator, quoted)
    places = {}
    for role, place in wanted.items():
        if header and isinstance(place, str) and names.count(place) > 1:
            raise ValueError(
                f"{path}: the {role} should be in column {place!r}, but {names.count(place)}"
                f" columns of the first line {line[:100]!r} have that name; give its position"
            )
        if isinstance(place, str):
            place = names.index(place) if header and place in names else -1
        if not 0 <= place < len(names):
            raise ValueError(
                f"{path}: the {role} should be in column {wanted[role]!r}, but the first line"
                f" {line[:100]!r} has {len(names)} columns separated by {separator!r} and"
                f" `header` is {str(header).lower()}; mend `table` of the data set"
            )
        places[role] = place
    if len(set(places.values())) < len(places):
        raise ValueError(f"{path}: two columns are the same in {places}; mend `table`")
    return places
