"""Ratings of one's own: files and data frames as matrices, read as the data stage reads them."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from cfmf.data.archives import decompressed_name, unpack
from cfmf.data.formats import read
from cfmf.data.layouts import first_rows
from cfmf.data.matrices import build_matrix
from cfmf.data.structured import is_parquet, is_structured
from cfmf.data.text import Dialect, sniff
from cfmf.evaluation.recommendations import item_titles
from cfmf.files import sha256
from cfmf.saved import Names, Ratings
from cfmf.tables import whole_numbers

log = logging.getLogger(__name__)

COLUMNS = {
    "user": ("user", "userid", "uid", "u", "reader", "reviewer", "reviewerid", "customerid"),
    "item": (
        *("item", "itemid", "iid", "i", "movie", "movieid", "film", "filmid", "title", "titleid"),
        *("book", "bookid", "isbn", "product", "productid", "asin", "track", "trackid"),
    ),
    "rating": ("rating", "ratings", "score", "stars", "value", "overall"),
}
"""Names of columns that are understood, in small letters and without signs."""
SEPARATORS = ("\t", "::", ";", "|", ",", " ")
FOLDERS = {
    "u.data": "movielens-100k",
    "ratings.dat": "movielens-10m",
    "ratings.csv": "movielens-25m",
}
"""A file of each kind of MovieLens, and the source that is laid out so."""
UNLIMITED = {"minimum": -1e15, "maximum": 1e15, "step": 0}
SUBSET = {"users": 0, "items": 0, "minimum_ratings": {"user": 0, "item": 0, "repeat": True}}
TEXT: dict[str, Any] = {"separator": ",", "quoted": False, "escape": "", "encoding": ""}
SAMPLE = 1 << 16


@dataclass(frozen=True)
class Layout:
    """How a file of ratings is to be read where it does not show it.

    Attributes
    ----------
    columns
        Name (or position from 0) of the columns user, item and rating; what is missing is found by
        common names, or else the first three columns are taken.
    separator
        Text between two columns; empty to find it.
    titles
        A file with the columns item and title; None for none.
    duplicates
        `error` or `drop`, for items that a user rates twice; drop leaves all their ratings out.
    scale
        Lowest and highest rating that can be given; None takes those of the file.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str = ""
    titles: str | Path | None = None
    duplicates: str = "error"
    scale: tuple[float, float] | None = None


def read_ratings(path: str | Path, layout: Layout | None = None, threads: int = 1) -> Ratings:
    """Ratings of a file or of a folder of MovieLens.

    Parameters
    ----------
    path
        Delimited text, perhaps compressed; Parquet; JSON lines; or a folder with the files of
        MovieLens, from which titles are taken too.

    Raises
    ------
    ValueError
        If there is no such file, or it cannot be read; the message has the first line at fault.
    """
    path, layout = Path(path), layout or Layout()
    if path.is_dir():
        folder, block = path, _movielens(path, layout)
        parsed = read(folder, block, threads)
    else:
        if not path.is_file():
            raise ValueError(f"{path} does not exist; give a file of ratings or a folder")
        with tempfile.TemporaryDirectory() as name:
            parsed = _read_table(path, layout, Path(name), threads)
    titled = "title" in parsed.items and parsed.items["title"].notna().any()
    names = Names(
        whole_numbers(parsed.users.sort_values("user")["user_id"].tolist()),
        whole_numbers(parsed.items.sort_values("item")["item_id"].tolist()),
        item_titles(parsed.items) if titled else (),
    )
    files = {path.name: sha256(path)} if path.is_file() else {}
    return _ratings(parsed.ratings, names, layout.scale, {"files": files})


def of_frame(frame: pd.DataFrame, layout: Layout | None = None) -> Ratings:
    """Ratings of a data frame, with one row for each.

    Raises
    ------
    ValueError
        If it lacks a column, or has an empty id, a rating that is not finite, or a pair twice.
    """
    layout = layout or Layout()
    places = _places([str(name) for name in frame.columns], layout.columns, "the data frame")
    columns = {role: frame.iloc[:, place] for role, place in places.items()}
    values = pd.to_numeric(columns["rating"], errors="coerce").to_numpy(np.float64)
    empty = columns["user"].isna() | columns["item"].isna()
    for bad, what in (
        (~np.isfinite(values), "the rating is not a finite number"),
        (empty.to_numpy(), "the user or the item is missing"),
    ):
        if bad.any():
            raise ValueError(
                f"row {int(np.flatnonzero(bad)[0])} of the data frame: {what}"
                f" ({bad.sum():,} such rows); correct them or leave them out"
            )
    found = {role: np.unique(_ids(columns[role]), return_inverse=True) for role in ("user", "item")}
    table = pd.DataFrame({role: numbers for role, (_, numbers) in found.items()})
    table["rating"] = values.astype(np.float32)
    table = _once(table, layout.duplicates)
    names = Names(*(ids.tolist() for ids, _ in found.values()))
    return _ratings(table, names, layout.scale, {})


def read_pairs(path: str | Path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Pairs to predict, of a file: columns user and item, as they are written there.

    Raises
    ------
    ValueError
        If the file cannot be read or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist; give a file with the columns user and item")
    try:
        with tempfile.TemporaryDirectory() as folder:
            table = _any_table(_staged(path, Path(folder)))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}); give a table of text") from error
    places = _places(list(map(str, table.columns)), columns or {}, str(path), ("user", "item"))
    found = {role: table.iloc[:, place] for role, place in places.items()}
    return pd.DataFrame(found)


def _any_table(path: Path) -> pd.DataFrame:
    """A table; of delimited text, all columns as text."""
    if is_parquet(path.name):
        return pd.read_parquet(path)
    if is_structured(path.name):
        return pd.read_json(path, lines=True, dtype=False)
    dialect, header = _dialect(path, sniff(path), "")
    return pd.read_csv(
        path,
        sep=dialect.separator,
        header=0 if header else None,
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        engine="python" if len(dialect.separator) > 1 else "c",
        quoting=0 if dialect.quoted else 3,
        encoding="utf-8-sig",
    )


def _ratings(
    table: pd.DataFrame,
    names: Names,
    scale: tuple[float, float] | None,
    provenance: Mapping[str, Any],
) -> Ratings:
    rows = np.arange(len(table))
    matrix = build_matrix(table, rows, len(names.users), len(names.items))
    low, high = float(matrix.data.min()), float(matrix.data.max())
    if low == high:
        raise ValueError(f"all ratings are {low:g}; there is nothing to learn from them")
    given = scale or (low, high)
    if not given[0] <= low < high <= given[1]:
        raise ValueError(
            f"the ratings go from {low:g} to {high:g}, outside the scale from {given[0]:g} to"
            f" {given[1]:g}; correct the scale"
        )
    content = hashlib.sha256()
    for part in (matrix.indptr, matrix.indices, matrix.data):
        content.update(part.tobytes())
    facts = {"ratings": matrix.nnz, "sha256": content.hexdigest(), **provenance}
    return Ratings(matrix, names, given, facts)


def _movielens(folder: Path, layout: Layout) -> dict[str, Any]:
    """The description of a folder of MovieLens."""
    for name, source in FOLDERS.items():
        if (folder / name).is_file():
            return _block(source, layout.duplicates, {})
    raise ValueError(
        f"{folder} has none of {', '.join(FOLDERS)}; give a file of ratings, or a folder with the"
        " files of MovieLens"
    )


def _block(source: str, duplicates: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """A data set's block as the data stage takes it, for any scale and every user and item."""
    kept = dict.fromkeys(("unknown_item", "test_only", "constant"), "keep")
    strict = ("malformed", "off_scale", "test_in_train", "unknown_user", "unmatched_probe")
    audit = dict.fromkeys(strict, "error") | kept | {"duplicates": duplicates}
    facts = {"source": source, "scale": UNLIMITED, "subset": SUBSET, "folder": ""}
    return {**facts, "audit": audit, "table": dict(table)}


def _read_table(path: Path, layout: Layout, folder: Path, threads: int) -> Any:
    """A file, staged with its titles in one folder, read as a table."""
    staged = [_staged(Path(one), folder) for one in (path, layout.titles) if one is not None]
    try:
        places, dialect, header = _columns(staged[0], layout)
        table = {
            **_described(dialect, header),
            "ratings": staged[0].name,
            "test": "",
            "decimal": ".",
            "unrated": [],
            "ids": "text",
            "columns": {**places, "date": ""},
            "dates": "epoch",
            "undated": False,
            "titles": _titles(staged[1]) if layout.titles else {"file": ""},
        }
        return read(folder, _block("table", layout.duplicates, table), threads)
    except ValueError as error:
        message = str(error).replace(f"{folder}{os.sep}", "").replace(str(folder), str(path.parent))
        raise ValueError(f"{path} cannot be read: {message}") from error


def _described(dialect: Dialect, header: bool) -> dict[str, Any]:
    found = {"separator": dialect.separator, "quoted": dialect.quoted, "header": header}
    return {**TEXT, **found}


def _titles(path: Path) -> dict[str, Any]:
    """The description of a file of titles, whose columns are named item and title."""
    block = {**TEXT, "file": path.name, "header": True, "item": "item", "title": "title"}
    block["year"] = ""
    if is_structured(path.name):
        return block
    dialect, _ = _dialect(path, sniff(path), "")
    return {**block, "separator": dialect.separator, "quoted": dialect.quoted}


def _staged(path: Path, folder: Path) -> Path:
    """A file in a folder of links, decompressed there where it is compressed."""
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    name = decompressed_name(path.name)
    if name != path.name:
        unpack(path, lambda _: name, folder)
        return folder / name
    try:
        (folder / name).symlink_to(path.resolve())
    except OSError:  # where links need rights of their own
        shutil.copyfile(path, folder / name)
    return folder / name


def _columns(path: Path, layout: Layout) -> tuple[dict[str, Any], Dialect, bool]:
    """Where the columns of a table are, how its lines are divided, and whether it has a heading."""
    if is_structured(path.name):
        if is_parquet(path.name):
            names = pq.read_schema(path).names
        else:
            names = list(pd.read_json(path, lines=True, nrows=1).columns)
        places = _places(names, layout.columns, path.name)
        return {role: names[place] for role, place in places.items()}, Dialect(), True
    encoding = sniff(path)
    dialect, header = _dialect(path, encoding, layout.separator)
    [names] = first_rows(path, encoding, dialect)[:1]
    given = names if header else list(map(str, range(len(names))))
    return dict(_places(given, layout.columns, path.name)), dialect, header


def _dialect(path: Path, encoding: str, separator: str) -> tuple[Dialect, bool]:
    """How a file of text is divided, by its first lines, and whether the first is a heading.

    It is where no field of it is a number.
    """
    with open(path, encoding=encoding, errors="replace") as text:
        sample = text.read(SAMPLE)
    line = (sample.splitlines() or [""])[0]
    found = separator or next((one for one in SEPARATORS if line.count(one) >= 1), ",")
    quoted = '"' in sample and len(found) == 1
    dialect = Dialect(found, quoted)
    [names] = first_rows(path, encoding, dialect)[:1]
    return dialect, not any(_is_number(name) for name in names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _places(
    names: Sequence[str],
    given: Mapping[str, str],
    where: str,
    roles: Sequence[str] = tuple(COLUMNS),
) -> dict[str, int]:
    """Position of each column, by the given names, by common names, or in order."""
    plain = ["".join(one for one in name.lower() if one.isalnum()) for name in names]
    places = {}
    for role in roles:
        if role in given:
            wanted = [at for at, name in enumerate(names) if given[role] in (name, str(at))]
        else:
            wanted = [
                at for common in COLUMNS[role] for at, name in enumerate(plain) if name == common
            ]
        if wanted:
            places[role] = wanted[0]
    if not places and all(name.isdigit() for name in names) and len(names) >= len(roles):
        places = {role: at for at, role in enumerate(roles)}
    missing = [role for role in roles if role not in places]
    if missing or len(set(places.values())) < len(places):
        raise ValueError(
            f"{where} has the columns {', '.join(names)}, in which the {missing or roles} cannot be"
            " found; name them, as in user=reader"
        )
    return places


def _ids(column: pd.Series) -> np.ndarray:
    """Whole numbers as such, all else as text."""
    if pd.api.types.is_integer_dtype(column):
        return column.to_numpy(np.int64)
    return column.astype(str).to_numpy(str)


def _once(table: pd.DataFrame, duplicates: str) -> pd.DataFrame:
    """Each pair once; those that are there twice are left out or refused."""
    twice = table.duplicated(["user", "item"], keep="first" if duplicates == "error" else False)
    if twice.any() and duplicates == "error":
        raise ValueError(
            f"row {int(np.flatnonzero(twice)[0])} of the data frame rates the same item by the same"
            f" user again ({twice.sum():,} such rows); leave them out, or set duplicates to drop"
        )
    return table[~twice]
