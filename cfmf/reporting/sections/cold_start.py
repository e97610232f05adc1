"""Errors where little is known of a user or an item."""

from __future__ import annotations

import pandas as pd

from cfmf.figures import comparison as figures
from cfmf.reporting import numbers
from cfmf.reporting.page import Block, Column, Fold, Plot, Table, Text, records
from cfmf.reporting.strings import Catalogue, code, number
from cfmf.reporting.study import Study


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """RMSE by what train holds of the user and of the item; the trimming experiment if run."""
    slices = study.table("slices")
    found: list[Block] = []
    if slices is not None:
        found += [_plot(str(name), slices, words) for name in slices["slice"].unique()]
        found.append(Fold(words("cold-start.table"), [_table(slices, words)]))
    trimmed = study.extra.get("cold_start")
    if trimmed is not None and len(trimmed):
        found += _trimmed(trimmed, words)
    return [Text(words("cold-start.text")), *found] if found else []


def by_level(slices: pd.DataFrame, name: str, metric: str = "rmse") -> pd.DataFrame:
    """One slice's measure over folds: columns method, level, value, low, high, n.

    `value` is the mean over folds, `low` and `high` the least and the largest of them; `n` the
    number of test ratings in all folds. Levels keep the order of their counts.
    """
    rows = slices[(slices["slice"] == name) & (slices["metric"] == metric)]
    grouped = rows.groupby(["method", "level"], sort=False)
    table = grouped.agg(
        value=("value", "mean"), low=("value", "min"), high=("value", "max"), n=("n", "sum")
    ).reset_index()
    first = table["level"].astype(str).str.extract(r"(\d+)")[0].astype(float)
    return table.assign(order=first).sort_values(["order", "level"]).reset_index(drop=True)


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def _plot(name: str, slices: pd.DataFrame, words: Catalogue) -> Plot:
    rows = by_level(slices, name)
    rows["level"] = rows["level"].astype(str)
    coldest = rows[rows["level"] == rows["level"].iloc[0]]
    best = numbers.least(coldest, "value")
    what = words.otherwise(f"slice.{name}", name)
    return Plot(
        f"slice-{_slug(name)}",
        words("cold-start.slice_title", what=what),
        words(
            "cold-start.slice_caption",
            what=what,
            level=best["level"],
            method=code(best["method"]),
            rmse=number(float(best["value"]), "rmse"),
            n=number(int(best["n"]), "count"),
        ),
        figures.by_level(rows, what.striptags(), words.plain),
    )


def _table(slices: pd.DataFrame, words: Catalogue) -> Table:
    tables = [by_level(slices, str(name)).assign(slice=name) for name in slices["slice"].unique()]
    rows = pd.concat(tables, ignore_index=True)
    rows["slice"] = [words.otherwise(f"slice.{name}", name).striptags() for name in rows["slice"]]
    columns = [
        Column("slice", words.plain("column.slice")),
        Column("level", words.plain("column.level")),
        Column("method", words.plain("column.method"), "code"),
        Column("n", words.plain("column.test_ratings"), "count"),
        Column("value", words.plain("column.test_rmse"), "rmse"),
        Column("low", words.plain("column.least_fold"), "rmse"),
        Column("high", words.plain("column.largest_fold"), "rmse"),
    ]
    return Table("slices", words("cold-start.table"), columns, records(rows))


def _trimmed(trimmed: pd.DataFrame, words: Catalogue) -> list[Block]:
    """The experiment that leaves each user so many ratings; columns of the slices table."""
    name = str(trimmed["slice"].iloc[0])
    rows = by_level(trimmed, name)
    rows["level"] = rows["level"].astype(str)
    return [
        Plot(
            "trimmed",
            words("cold-start.trimmed_title"),
            words("cold-start.trimmed_caption"),
            figures.by_level(rows, words.plain("axis.left"), words.plain),
        )
    ]
