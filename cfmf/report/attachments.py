"""The tables of a study as pages, for Snakemake's own report, which shows no TSV or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from cfmf.files import atomic_write
from cfmf.report.context import Files, Study
from cfmf.report.places import ACROSS, TABLES, TUNING, attachment
from cfmf.report.render import EMBEDDED_LIMIT, environment
from cfmf.report.strings import Catalogue, flatten, number

ROOM = 100_000
"""Bytes of a page that are not rows: style, script and heading."""
Rows = list[list[str]]


@dataclass(frozen=True)
class Attached:
    """A table as a page: its place, the key of its texts and their values, its columns and rows.

    `source` is the file that has the same rows.
    """

    category: str
    key: str
    source: Path
    columns: Sequence[str]
    rows: Rows
    values: dict[str, str]


def attach_tables(folder: Path, files: Files, study: Study, language: str = "en") -> list[Path]:
    """Write every table of a study as an HTML page below a folder and return the pages.

    A page loads nothing from outside and is under 1.5 MB: rows beyond that are left out, with a
    sentence that says so and where they are. Names of files are in English, as Snakemake's report.

    Raises
    ------
    ValueError
        If a JSON file is none.
    """
    words, english = Catalogue(language), Catalogue("en")
    template = environment().get_template("attachment.html.j2")
    made = []
    for table in _attached(files, study):
        title = english(f"attached.{table.key}.title", **table.values).striptags()
        path = attachment(folder, table.category, title, ".html")
        body, shown = _body(table.rows)
        html = template.render(
            words=words,
            study=study,
            title=words(f"attached.{table.key}.title", **table.values),
            about=words(f"attached.{table.key}.about", **table.values),
            source=table.source,
            columns=list(zip(table.columns, _numeric(table), strict=True)),
            body=body,
            left=number(len(table.rows) - shown, "count") if shown < len(table.rows) else "",
            count=number(len(table.rows), "count"),
        )
        with atomic_write(path) as temporary:
            temporary.write_text(html, encoding="utf-8")
        made.append(path)
    return made


def _attached(files: Files, study: Study) -> Iterator[Attached]:
    """Every table that the run has."""
    datasets = study.provenance.get("config", {}).get("study", {}).get("datasets", [])
    across = ACROSS if len(datasets) > 1 and datasets[0] == study.dataset else {}
    for key, (category, result, wildcards) in (TABLES | across).items():
        if path := files.at(result, **wildcards):
            yield Attached(category, key, path, *_read(path), {})
    for path, place in files.all("neighbours", file="trials.tsv"):
        yield Attached(TUNING, "tuned", path, *_read(path), place)
    for path, place in files.all("adaptive", file="trials.tsv"):
        yield Attached(TUNING, "searched", path, *_read(path), place)
    for path, place in files.all("blend", file="weights.tsv"):
        yield Attached(TUNING, "weighted", path, *_read(path), place)
    yield from _grids(files)


def _grids(files: Files) -> Iterator[Attached]:
    """Validation errors of each factorization at every point of its grid."""
    path = files.at("evaluation", table="metrics")
    if path is None:
        return
    columns, rows = _read(path)
    kept = ["fold", "k", "reg", "seed", "value"]
    found: dict[str, Rows] = {}
    for row in (dict(zip(columns, row, strict=True)) for row in rows):
        if row["k"] and (row["split"], row["metric"]) == ("validation", "rmse"):
            found.setdefault(row["method"], []).append([row[name] for name in kept])
    for method, points in found.items():
        columns = [*kept[:-1], "validation_rmse"]
        yield Attached(TUNING, "tuned", path, columns, points, {"method": method})


def _read(path: Path) -> tuple[Sequence[str], Rows]:
    """Columns and rows of a file of TSV or JSON, as text; without the data set if there is one."""
    if path.suffix != ".json":
        with path.open(encoding="utf-8", newline="") as lines:
            columns, *rows = csv.reader(lines, delimiter="\t")
        alike = columns[:1] == ["dataset"] and len({row[0] for row in rows}) < 2
        return (columns[1:], [row[1:] for row in rows]) if alike else (columns, rows)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it and run again") from error
    if isinstance(found, dict):
        return ["name", "value"], [[name, _text(value)] for name, value in flatten(found).items()]
    columns = list(dict.fromkeys(name for row in found for name in row))
    return columns, [[_text(row.get(name)) for name in columns] for row in found]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _numeric(table: Attached) -> list[bool]:
    """Which columns hold numbers only."""
    cells = pd.DataFrame(table.rows, columns=list(table.columns)).replace("", None)
    read = cells.apply(pd.to_numeric, errors="coerce")
    return list((read.notna() == cells.notna()).all() & cells.notna().any())


def _body(rows: Rows) -> tuple[Markup, int]:
    """Rows of a table in as few bytes as HTML allows, and how many of them have room."""
    lines: list[str] = []
    left = EMBEDDED_LIMIT - ROOM
    for first, *others in rows:
        cells = "".join(f"<td>{escape(cell)}" for cell in others)
        line = f"<tr><th scope=row>{escape(first)}{cells}"
        left -= len(line.encode()) + 1
        if left < 0:
            break
        lines.append(line)
    return Markup("\n".join(lines)), len(lines)
