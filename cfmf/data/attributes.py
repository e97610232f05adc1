"""Attributes of users and items: columns of a file, and the years of titles, as columns of 0 and 1.

Files are not trusted: a row that cannot be read is refused with its line, its bytes and the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.data.archives import decompressed_name
from cfmf.data.audit import Checks, Place
from cfmf.data.layouts import column_places, existing, first_rows, title_file
from cfmf.data.lines import DECIMAL, text_fault
from cfmf.data.manifest import verified_manifest
from cfmf.data.matrices import day_matrix
from cfmf.data.structured import ATTRIBUTE, Places, check_names, is_parquet, is_structured
from cfmf.data.text import Dialect, Record, sniff
from cfmf.data.titles import identifier, table_rows
from cfmf.side import Side

log = logging.getLogger(__name__)

Kind = Literal["category", "categories", "number", "flag"]
KINDS = get_args(Kind)
MOST_VALUES = 1000
RANGES = 10
MISSING = ("", "NULL")
NO_GENRES = "(no genres listed)"
# Columns 6 to 23 of u.item, after that of genres unknown.
GENRES_100K = (
    "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War",
    "Western",
)  # fmt: skip


class Column(NamedTuple):
    """One column of a file: the attribute, its position from 0, and how its text is read.

    A `flag` is 0 or 1, and `separator` is then the value that 1 stands for.
    """

    name: str
    place: int
    kind: Kind
    separator: str = "|"


@dataclass(frozen=True)
class AttributeFile:
    """A file with a row a user or item: where each column is, and how it is read.

    Attributes
    ----------
    identifier
        Position of the id.
    width
        Number of columns of a row; 0 if it does not matter.
    encoding
        Encoding; detected where empty, with `own` if it is not UTF-8.
    places
        Of a file that `is_structured`, the column of each field, in their order.
    """

    path: Path
    dialect: Dialect
    columns: tuple[Column, ...]
    identifier: int = 0
    width: int = 0
    header: bool = False
    encoding: str = ""
    own: str = ""
    places: Places = field(default_factory=dict)


AGE, SEX = Column("age", 1, "number"), Column("sex", 2, "category")
OCCUPATION = Column("occupation", 3, "category")
USERS_OF: dict[str, dict[str, AttributeFile]] = {
    "movielens-100k": {
        "u.user": AttributeFile(Path(), Dialect("|"), (AGE, SEX, OCCUPATION), width=5),
        "ml-100k.user": AttributeFile(
            Path(), Dialect("\t"), (AGE, SEX, OCCUPATION), width=5, header=True
        ),
    },
    # Its ages are ranges, each named by its lowest, and its occupations numbers.
    "movielens-1m": {
        "users.dat": AttributeFile(
            Path(),
            Dialect("::"),
            (Column("age", 2, "category"), Column("sex", 1, "category"), OCCUPATION),
            width=5,
        )
    },
}
"""By source, the files that may have the users' attributes, and their layouts."""
GENRES: dict[str, tuple[tuple[Column, ...], int]] = {
    "u.item": (
        tuple(Column("genre", at, "flag", one) for at, one in enumerate(GENRES_100K, 6)),
        24,
    ),
    "ml-100k.item": ((Column("genre", 3, "categories", " "),), 4),
}
"""Columns of genres and number of all columns, by file; those of others are in the third."""


class Encoded(NamedTuple):
    """Users (or items) × attributes, float32, the columns' names, and facts of each attribute."""

    matrix: sparse.csr_array | None
    names: tuple[str, ...]
    facts: dict[str, dict[str, Any]]


def read_side(
    raw: Path,
    dataset: Mapping[str, Any],
    ratings: pd.DataFrame,
    users: pd.DataFrame,
    items: pd.DataFrame,
) -> tuple[Side, dict[str, Any], list[tuple[Place, str]]]:
    """What is known beside the ratings, how much of it, and the rows that were left out.

    Parameters
    ----------
    raw
        Folder made by `cfmf.data.sources.retrieve`; its manifest's hashes are verified.
    dataset
        The keys source, audit and table of the data set's config block.
    ratings, users, items
        Tables as `cfmf.data.formats.parse` writes them.

    Raises
    ------
    ValueError
        If a raw file was changed since it was retrieved, or has rows that cannot be read and the
        policy of `audit.malformed` is to stop, or an attribute has too many values.
    """
    verified_manifest(raw)
    checks = Checks(dataset["audit"], lambda rows: [])
    text_ids = dataset["source"] == "table" and dataset["table"]["ids"] == "text"
    files = attribute_files(raw, dataset)
    days = day_matrix(ratings, len(users), len(items))
    facts: dict[str, Any] = {"ratings": len(ratings), "dated": 0 if days is None else days.nnz}
    found: dict[str, Encoded] = {}
    for name, table in (("users", users), ("items", items)):
        ids = table[f"{name[:-1]}_id"].tolist()
        texts: dict[Column, list[str]] = {}
        if name in files:
            texts, facts[name] = _texts(files[name], ids, text_ids, checks)
        if "year" in table and table["year"].notna().any():
            years = ["" if pd.isna(year) else str(year) for year in table["year"]]
            texts[Column("year", -1, "number")] = years
        found[name] = encoded(texts, len(ids))
        facts[name] = facts.get(name, {}) | {"rows": len(ids), "attributes": found[name].facts}
    of_users, of_items = found["users"], found["items"]
    side = Side(days, of_users.matrix, of_items.matrix, of_users.names, of_items.names)
    return side, facts, sorted(checks.refused)


def attribute_files(raw: Path, dataset: Mapping[str, Any]) -> dict[str, AttributeFile]:
    """The files of attributes of users and of items that there are, and their layouts.

    Raises
    ------
    ValueError
        If a declared file is missing, or lacks a declared column.
    """
    source = dataset["source"]
    if source == "table":
        declared = dataset["table"]["attributes"]
        return {
            name: _declared(raw / decompressed_name(block["file"]), name, dataset["table"])
            for name, block in declared.items()
            if block["file"]
        }
    found = {}
    for name, layout_of in USERS_OF.get(source, {}).items():
        if "users" not in found and (raw / name).is_file():
            found["users"] = replace(layout_of, path=existing(raw / name))
    if source in USERS_OF and not found:
        log.warning(
            "%s has no %s: no attributes of users are known; if they are needed, remove it and"
            " retrieve the data set again",
            *(raw, " or ".join(USERS_OF[source])),
        )
    titles = title_file(raw, dataset) if source.startswith("movielens-") else None
    if titles is not None:
        path, layout = titles
        genres, width = GENRES.get(path.name, ((Column("genre", 2, "categories"),), layout.columns))
        found["items"] = AttributeFile(
            path, layout.dialect, genres, width=width, header=layout.header,
            encoding=layout.encoding, own=layout.own,
        )  # fmt: skip
    return found


def _declared(path: Path, name: str, table: Mapping[str, Any]) -> AttributeFile:
    """A file that the config describes as `table.attributes.users` or `.items`."""
    block, key = table["attributes"][name], f"table.attributes.{name}"
    named: dict[str, str | int] = {"id": block["id"]}
    for attribute, column in block["columns"].items():
        named[f"{ATTRIBUTE}{attribute}"] = attribute if column["column"] == "" else column["column"]
    dialect = Dialect(block["separator"], block["quoted"], block["escape"], key)
    places: Places = {}
    if is_structured(existing(path).name):
        if not is_parquet(path.name):
            check_names(path, named)
        places, found = named, {role: at for at, role in enumerate(named)}
        encoding, header, width = "utf_8", False, len(named)
    else:
        dialect.check(path.name)
        encoding = sniff(path, block["encoding"] or table["encoding"], key=f"{key}.encoding")
        header, first = block["header"], first_rows(path, encoding, dialect)[0]
        found, width = column_places(path, first, dialect, header, named), len(first)
    return AttributeFile(
        path,
        dialect,
        tuple(
            Column(name, found[f"{ATTRIBUTE}{name}"], one["kind"], one["separator"])
            for name, one in block["columns"].items()
        ),
        found["id"],
        width,
        header,
        encoding,
        places=places,
    )


def _texts(
    file: AttributeFile, ids: Iterable[Any], text_ids: bool, checks: Checks
) -> tuple[dict[Column, list[str]], dict[str, Any]]:
    """The text of each attribute of some ids, empty where it is not known; facts of the file."""
    rows: dict[int | str, list[str]] = {}
    bad: list[tuple[Place, str]] = []
    encoding = file.encoding or sniff(file.path, "", file.own)
    for one in table_rows(file.path, file.dialect, encoding, file.places):
        if (file.header and one.number == 1) or not one.text.strip("\r\n"):
            continue
        try:
            key, values = _row(one, file, text_ids)
            if key in rows:
                raise ValueError("the id already has attributes")
            rows[key] = values
        except ValueError as error:
            text = one.text.rstrip("\r\n").encode("utf-8", "surrogateescape")
            bad.append(((file.path.name, one.number, text), str(error)))
    if not rows and not bad:
        raise ValueError(f"{file.path} has no attributes; get the file again")
    checks.refuse("malformed", [place for place, _ in bad], [why for _, why in bad])
    none = [""] * len(file.columns)
    known = [rows.get(key, none) for key in ids]
    facts = {"file": file.path.name, "rows_kept": len(rows), "rows_refused": len(bad)}
    return {column: [row[at] for row in known] for at, column in enumerate(file.columns)}, facts


def _row(row: Record, file: AttributeFile, text_ids: bool) -> tuple[int | str, list[str]]:
    """The id of a row and the text of each attribute; raises ValueError if it cannot be read."""
    if row.reason:
        raise ValueError(row.reason)
    if file.width and len(row.fields) != file.width:
        raise ValueError(f"the row has {len(row.fields)} columns instead of {file.width}")
    texts = [row.fields[column.place].strip() for column in file.columns]
    for column, text in zip(file.columns, texts, strict=True):
        if fault := text not in MISSING and _fault(column, text):
            raise ValueError(f"the {column.name} {fault}")
    return identifier(row.fields[file.identifier], text_ids), texts


def _fault(column: Column, text: str) -> str:
    """Why a text is no value of a column; empty if it is one."""
    if column.kind == "flag":
        return "" if text in ("0", "1") else "is neither 0 nor 1"
    if column.kind == "number":
        plain = len(text) < 30 and DECIMAL.fullmatch(text.encode("utf-8", "replace"))
        return "" if plain and np.isfinite(float(text)) else "is not a number"
    return next(filter(None, map(text_fault, _values(column, text))), "")


def _values(column: Column, text: str) -> list[str]:
    """The values in the text of a category, of several, or of a flag."""
    if text in (*MISSING, NO_GENRES):
        return []
    if column.kind == "flag":
        return [column.separator] * (text == "1")
    parts = text.split(column.separator) if column.kind == "categories" else [text]
    return [part.strip() for part in dict.fromkeys(parts) if part.strip()]


def encoded(texts: Mapping[Column, Sequence[str]], rows: int) -> Encoded:
    """Attributes as columns of 0 and 1, in the order of `texts` and of their values.

    A category has a column for each value, and a number one for each of at most ten ranges, which
    are about equally frequent, or for each value where there are no more.

    Parameters
    ----------
    texts
        Of each column the text of every user (item), empty where it is not known.
    rows
        How many users (items) there are.

    Raises
    ------
    ValueError
        If an attribute has more than a thousand values.
    """
    cells: dict[str, list[tuple[NDArray[np.int64], str]]] = {}
    kinds = {}
    for column, of_rows in texts.items():
        kinds[column.name] = "categories" if column.kind == "flag" else column.kind
        pairs = _ranges(of_rows) if column.kind == "number" else _members(column, of_rows)
        cells.setdefault(column.name, []).extend((at, value) for value, at in pairs)
    names, facts = [], {}
    places: list[NDArray[np.int64]] = []
    for name, held in cells.items():
        if len(held) > MOST_VALUES:
            raise ValueError(
                f"the attribute {name} has {len(held):,} values; at most {MOST_VALUES:,} are used:"
                " leave it out, or group its values"
            )
        names += [f"{name}={value}" for _, value in held]
        places += [at for at, _ in held]
        known = {row for at, _ in held for row in at.tolist()}
        facts[name] = {"kind": kinds[name], "columns": len(held), "known": len(known)}
    if not names:
        return Encoded(None, (), facts)
    columns = np.repeat(np.arange(len(names), dtype=np.int32), [len(at) for at in places])
    cell = np.concatenate(places).astype(np.int32), columns
    matrix = sparse.csr_array((np.ones(len(columns), np.float32), cell), (rows, len(names)))
    matrix.sort_indices()
    return Encoded(matrix, tuple(names), facts)


def _members(column: Column, texts: Sequence[str]) -> list[tuple[str, NDArray[np.int64]]]:
    """The rows that have each value, in the order of the values."""
    held: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for value in _values(column, text):
            held.setdefault(value, []).append(row)
    return [(value, np.array(held[value], np.int64)) for value in sorted(held)]


def _ranges(texts: Sequence[str]) -> list[tuple[str, NDArray[np.int64]]]:
    """The rows whose number is in each range, from the lowest on."""
    rows = np.array([row for row, text in enumerate(texts) if text not in MISSING], np.int64)
    if not len(rows):
        return []
    numbers = np.array([float(texts[row]) for row in rows])
    ends = np.unique(numbers)
    if len(ends) > RANGES:
        shares = np.arange(1, RANGES) / RANGES
        ends = np.unique(np.quantile(numbers, shares, method="inverted_cdf"))
    of_range = np.searchsorted(ends, numbers)
    found = []
    for at in np.unique(of_range):
        inside = of_range == at
        low, high = numbers[inside].min(), numbers[inside].max()
        name = f"{low:g}" if low == high else f"{low:g}–{high:g}"
        found.append((name, rows[inside]))
    return found
