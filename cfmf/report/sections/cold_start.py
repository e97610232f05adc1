"""Errors for users and items with few ratings, and over time."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.evaluation.collect import EACH_USER
from cfmf.methods.registry import of_published
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import accuracy as figures
from cfmf.report.page import Block, Collapsed, Column, Plot, Table, Text, tabulated
from cfmf.report.strings import Catalogue, amounts, code, number
from cfmf.tables import where


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The trimming experiment if run; RMSE by what train holds of the user and of the item."""
    found: list[Block] = []
    trimmed, slices = study.table("cold_start"), study.table("slices")
    if len(trimmed):
        found += _trimmed(trimmed, words)
    pooled = study.table("intervals")
    if len(pooled):
        pooled = pooled[pooled["slice"] != EACH_USER]
        names = list(map(str, pooled["slice"].unique()))
        found += [_plot(name, pooled, words) for name in names]
        apart = [_as_published(name, pooled, words) for name in names if _two_scales(pooled)]
        if apart:
            found.append(Collapsed(words("cold-start.far"), apart))
        title = words("cold-start.intervals_table")
        found.append(Collapsed(title, [_intervals("intervals", title, pooled, words)]))
    if len(slices):
        found.append(Collapsed(words("cold-start.table"), [_table(slices, words)]))
    return [Text(words("cold-start.text")), *found] if found else []


def by_level(slices: pd.DataFrame, name: str) -> pd.DataFrame:
    """One slice's RMSE over folds: columns method, level, value, low, high, n.

    `value` is the mean over folds, `low` and `high` the lowest and the highest of them; `n` the
    number of test ratings in all folds. Levels keep the order of their counts.
    """
    rows = where(slices, slice=name, metric="rmse")
    grouped = rows.groupby(["method", "level"], sort=False)
    table = grouped.agg(
        value=("value", "mean"), low=("value", "min"), high=("value", "max"), n=("n", "sum")
    ).reset_index()
    first = table["level"].astype(str).str.extract(r"(\d+)")[0].astype(float)
    return table.assign(order=first).sort_values(["order", "level"]).reset_index(drop=True)


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def levels_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The RMSE of an `intervals` table, as `figures.by_level` takes it.

    Columns method, level (text), value, low, high, users, n; levels keep the order of their counts,
    and one that is not a number is last.
    """
    rows = where(rows, metric="rmse").rename(columns={"ci_low": "low", "ci_high": "high"})
    rows = rows.assign(level=rows["level"].astype(str))
    first = rows["level"].str.extract(r"(\d+)")[0].astype(float)
    order = rows.assign(order=first).sort_values(["order", "level"], kind="stable")
    return order.drop(columns="order").reset_index(drop=True)


def _two_scales(rows: pd.DataFrame) -> bool:
    """Whether the methods as published, which are off the scale of the others, are among others."""
    return len(set(map(of_published, rows["method"]))) == 2


def _on_one_scale(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows to draw in one figure: without the methods as published, where there are others."""
    return rows[~rows["method"].map(of_published)] if _two_scales(rows) else rows


def _drawn(caption: Markup, rows: pd.DataFrame, words: Catalogue) -> Markup:
    """A caption, with a sentence on what is drawn thin and what in another figure."""
    said = [caption]
    here = _on_one_scale(rows)
    if len(figures.foremost(here)) < here["method"].nunique():
        said.append(words("cold-start.thin"))
    if _two_scales(rows):
        said.append(words("cold-start.apart"))
    return Markup(" ").join(said)


def _as_published(name: str, rows: pd.DataFrame, words: Catalogue) -> Plot:
    """One slice's errors of the methods as published, on a scale of their own."""
    rows = levels_of(rows[(rows["slice"] == name) & rows["method"].map(of_published)])
    what = words.otherwise(f"slice.{name}", name)
    shown = rows.assign(level=words.terms("group", rows["level"]))
    return Plot(
        f"published-{_slug(name)}",
        words("cold-start.far_title", what=what),
        words("cold-start.far_caption"),
        figures.by_level(shown, what.striptags(), words.plain),
    )


def _plot(name: str, pooled: pd.DataFrame, words: Catalogue) -> Plot:
    rows = levels_of(pooled[pooled["slice"] == name])
    coldest = rows[rows["level"] == rows["level"].iloc[0]]
    best = numbers.least(coldest, "value")
    what = words.otherwise(f"slice.{name}", name)
    caption = words(
        "cold-start.slice_caption",
        what=what,
        level=words.term("group", best["level"]),
        method=code(best["method"]),
        **amounts("rmse", rmse=best["value"], low=best["low"], high=best["high"]),
        **amounts("count", n=int(best["n"]), users=int(best["users"])),
    )
    shown = _on_one_scale(rows.assign(level=words.terms("group", rows["level"])))
    return Plot(
        f"slice-{_slug(name)}",
        words("cold-start.slice_title", what=what),
        _drawn(caption, rows, words),
        figures.by_level(shown, what.striptags(), words.plain),
    )


def _slices(rows: pd.DataFrame, words: Catalogue) -> list[str]:
    return [words.otherwise(f"slice.{one}", one).striptags() for one in rows["slice"]]


def _intervals(name: str, title: Markup, rows: pd.DataFrame, words: Catalogue) -> Table:
    """An `intervals` table with everything it has."""
    shown = rows.assign(slice=_slices(rows, words), level=words.terms("group", rows["level"]))
    columns = "slice level method metric users n=test_ratings value:rmse ci_low=low ci_high=high"
    return tabulated(words, name, title, shown, columns)


def _table(slices: pd.DataFrame, words: Catalogue) -> Table:
    tables = [by_level(slices, str(name)).assign(slice=name) for name in slices["slice"].unique()]
    rows = pd.concat(tables, ignore_index=True)
    rows["slice"] = _slices(rows, words)
    rows["level"] = words.terms("group", rows["level"])
    columns = "slice level method n=test_ratings value=test_rmse low=least_fold high=largest_fold"
    return tabulated(words, "slices", words("cold-start.table"), rows, columns)


def _trimmed(trimmed: pd.DataFrame, words: Catalogue) -> list[Block]:
    """The experiment that truncates the users' histories."""
    rows = levels_of(trimmed)
    lengths = list(dict.fromkeys(rows["level"]))
    first = rows[rows["level"] == lengths[0]]
    best = numbers.least(first, "value")
    caption = words(
        "cold-start.trimmed_caption",
        **amounts("count", users=rows["users"].max(), least=first["users"].min()),
        length=lengths[0],
        method=code(best["method"]),
        rmse=number(best["value"], "rmse"),
        level=number(trimmed["ci_level"].iloc[0], "percent"),
    )
    shown = _on_one_scale(rows.assign(level=words.terms("group", rows["level"])))
    found: list[Block] = [
        Plot(
            "trimmed",
            words("cold-start.trimmed_title"),
            _drawn(caption, rows, words),
            figures.by_level(shown, words.plain("axis.left"), words.plain),
        )
    ]
    if _two_scales(rows):
        found.append(_as_published(str(rows["slice"].iloc[0]), trimmed, words))
    title = words("cold-start.trimmed_table")
    fold = Collapsed(title, [_intervals("trimmed", title, trimmed, words)])
    return [*found, _by_length(rows, lengths, words), fold]


def _by_length(rows: pd.DataFrame, lengths: list[str], words: Catalogue) -> Table:
    """RMSE of every method, a column for each length of the history, best first at the shortest."""
    wide = rows.pivot(index="method", columns="level", values="value")
    headings = zip(lengths, words.terms("group", lengths), strict=True)
    columns = [Column(length, heading, "rmse") for length, heading in headings]
    shown = wide.sort_values(lengths[0]).reset_index()
    title = words("cold-start.trimmed_rmse")
    return tabulated(words, "trimmed-rmse", title, shown, "method", *columns)
