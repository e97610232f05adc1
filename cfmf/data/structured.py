"""Ratings and titles in Parquet and JSON lines, as the rows that delimited text has.

Both kinds of files say where a field begins and ends, so no value can shift a row: one that has a
line end or another control character is refused with its row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cfmf.data.archives import LARGEST_RATIO, SMALL
from cfmf.data.lines import RECORDS_AT_ONCE, UNDECODABLE, Block
from cfmf.data.text import LONGEST_LINE, SURROGATE, Record, long_line

PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson", ".json")
SEPARATOR = "\x1f"
CONTROLS = "[\\x00-\\x1f\\x7f]"
ROWS_AT_ONCE = 1 << 17
ATTRIBUTE = "attribute "
OPTIONAL = ("year", ATTRIBUTE)  # starts of the names of fields that a line may lack
Places = Mapping[str, str | int]
"""The column of each field that is needed, by name or by position from 0."""


def is_structured(name: str) -> bool:
    """Whether a file of this name has named columns of its own, and is no delimited text."""
    return name.endswith((*PARQUET, *JSON_LINES))


def is_parquet(name: str) -> bool:
    """Whether a file of this name is Parquet."""
    return name.endswith(PARQUET)


def check_names(path: Path, places: Places) -> None:
    """Raise ValueError if a field of a file of JSON lines is given by its position."""
    for role, place in places.items():
        if isinstance(place, int):
            raise ValueError(
                f"{path}: the {role} is in column {place}, but objects of JSON have names and no"
                " order; set its name in `table` of the data set"
            )


def parquet_times(path: Path, column: str | int) -> bool:
    """Whether a column of a Parquet file has dates or times, which need no declared format."""
    schema = _opened(path).schema_arrow
    kind = _value_kind(schema.field(_found(path, schema, column)).type)
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def parquet_blocks(path: Path, places: Places) -> Iterator[Block]:
    """The rows of a Parquet file as lines of fields, in the order of `places`.

    `SEPARATOR` is between two fields. A value that is missing is an empty text; times are whole
    microseconds since 1970; a control character becomes `UNDECODABLE`, so that its row is refused.

    Raises
    ------
    ValueError
        If the file is damaged, lacks a column, or one is of a type that is no field of a rating.
    """
    file = _opened(path)
    names = {role: _found(path, file.schema_arrow, place) for role, place in places.items()}
    rows = file.metadata.num_rows
    if rows > SMALL + LARGEST_RATIO * path.stat().st_size:
        raise ValueError(f"{path} declares {rows:,} rows, which is implausibly many; refused")
    first = 0
    batches = file.iter_batches(ROWS_AT_ONCE, columns=list(dict.fromkeys(names.values())))
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise _damaged(path, error) from None
        if batch is None:
            return
        if not len(batch):
            continue
        texts = [_texts(path, name, batch.column(name)) for name in names.values()]
        # A text, nothing, and a line feed between them: each line ends.
        lines = pc.binary_join_element_wise(*texts, _text(SEPARATOR))
        lines = pc.binary_join_element_wise(lines, _text(""), _text("\n"))
        yield Block(_bytes(lines), len(batch), first)
        first += len(batch)


def _text(text: str) -> Any:
    return pa.scalar(text, pa.large_string())


def _bytes(lines: Any) -> bytes:
    """The bytes of all texts of an array, one after the other."""
    _, offsets, data = lines.buffers()
    ends = pa.Array.from_buffers(pa.int64(), len(lines) + 1, [None, offsets])
    return bytes(data[ends[0].as_py() : ends[-1].as_py()])


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is damaged or not a Parquet file ({error}); get it again")


def _found(path: Path, schema: pa.Schema, place: str | int) -> str:
    """The name of a column that is given by its name or position."""
    names = list(schema.names)
    if isinstance(place, int) and 0 <= place < len(names):
        place = names[place]
    if names.count(place) != 1:
        there = "several" if place in names else "no"
        raise ValueError(
            f"{path} has {there} column {place!r} among its columns {names[:20]}; correct the"
            " columns in `table` of the data set"
        )
    return str(place)


def _value_kind(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a column."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _texts(path: Path, name: str, column: Any) -> Any:
    """A column as texts."""
    kind, types = _value_kind(column.type), pa.types
    if column.type != kind:
        column = column.cast(kind)
    if types.is_timestamp(kind) or types.is_date(kind):
        column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    elif types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        column = column.cast(pa.large_string())
        if pc.any(pc.match_substring_regex(column, CONTROLS)).as_py():
            column = pc.replace_substring_regex(column, CONTROLS, UNDECODABLE)
    elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
              or types.is_null(kind)):  # fmt: skip
        raise ValueError(
            f"{path}: the column {name!r} is of type {kind}, which is neither a number, a text nor"
            " a date; correct `table.columns` of the data set"
        )
    return pc.fill_null(column.cast(pa.large_string()), "")


def json_records(path: Path, places: Places) -> Iterator[Record]:
    """The lines of a file of JSON objects, one to a line, with the fields in the order of `places`.

    Numbers are the texts that they are written as. A line that is no such object, or in which a
    field is missing or is neither a text nor a number, has no fields but a reason.

    Raises
    ------
    ValueError
        If a line is longer than a mebibyte.
    """
    decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="\n") as lines:
        number = 0
        while line := lines.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE:
                raise long_line(path.name)
            if not line.strip():
                yield Record(number, [], "")
                continue
            fields, reason = _fields(decoder, line, places)
            yield Record(number, fields, line, reason=reason)


def _fields(decoder: json.JSONDecoder, line: str, places: Places) -> tuple[list[str], str]:
    """The fields of a line, or the reason why it has none."""
    try:
        found = decoder.decode(line)
    except (ValueError, RecursionError) as error:
        return [], f"the line is not a JSON object ({error.args[0]})"
    if not isinstance(found, dict):
        return [], "the line is not a JSON object; each line must be one of its own"
    with suppress(KeyError, TypeError):  # as nearly all lines are
        fields = [found[place] for place in places.values()]
        if "".join(fields).isprintable():
            return fields, ""
    fields = []
    for role, place in places.items():
        if place not in found and not role.startswith(OPTIONAL):
            return [], f"the line has no key {place!r} for the {role}"
        value = found.get(str(place))
        value = "" if value is None else value
        if not isinstance(value, str):
            return [], f"the {role} is neither a text nor a number"
        if re.search(CONTROLS, value):
            return [], f"the {role} contains a control character"
        if SURROGATE.search(value):
            return [], f"the {role} has bytes or escapes that are not valid UTF-8"
        fields.append(value)
    return fields, ""


def structured_records(path: Path, places: Places) -> Iterator[Record]:
    """The rows of a file of either kind, with the fields in the order of `places`."""
    if not is_parquet(path.name):
        yield from json_records(path, places)
        return
    for block in parquet_blocks(path, places):
        for row in range(block.rows):
            number, data = block.place(row)
            text = data.decode()
            broken = "a text contains a control character" if UNDECODABLE in text else ""
            yield Record(number, [] if broken else text.split(SEPARATOR), text, reason=broken)


def json_blocks(path: Path, places: Places) -> Iterator[Block]:
    """Blocks of `json_records`."""
    first, found = 0, []
    for record in json_records(path, places):
        found.append(record)
        if len(found) == RECORDS_AT_ONCE:
            yield Block(b"", len(found), first, found)
            first, found = first + len(found), []
    if found:
        yield Block(b"", len(found), first, found)
