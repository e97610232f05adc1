"""Errors for users and items with few ratings, and over time."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.evaluation.collect import BY_DATE, EACH_USER
from cfmf.evaluation.item_mean import CHANGE, OVER
from cfmf.evaluation.trimming import LOSS
from cfmf.methods.registry import is_blend, of_published
from cfmf.report.context import Study
from cfmf.report.figures import accuracy as figures
from cfmf.report.page import Block, Collapsed, Column, Plot, Table, Text, tabulated
from cfmf.report.places import linked
from cfmf.report.sections.levels import counted, ordered
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
        names = list(map(str, pooled[pooled["metric"] == OVER]["slice"].unique()))
        shown = [_plot(name, pooled, words) for name in names]
        # One figure is shown: that of truncated histories, or else the first of these.
        found += [] if found else shown[:1]
        rest = [plot for plot in shown if plot not in found]
        if rest:
            found.append(Collapsed(words("cold-start.slices"), rest))
        apart = [_as_published(name, pooled, words) for name in names if _two_scales(pooled)]
        if apart:
            found.append(Collapsed(words("cold-start.far"), apart))
    sizes = {"cold_start": len(trimmed), "intervals": len(pooled), "slices": len(slices)}
    whole = [linked(name, rows, words) for name, rows in sizes.items() if rows]
    if whole:
        found.append(Collapsed(words("cold-start.tables"), whole))
    return [Text(words("cold-start.text")), *found] if found else []


def against_item_mean(rows: pd.DataFrame, level: str, words: Catalogue) -> Markup:
    """Which methods are shown to be better than the item mean at one level; part of a sentence.

    `rows` are those of `levels_of`; blends do not count, and the methods as published only where
    they are alone.
    """
    here = on_one_scale(rows[(rows["level"] == level) & ~rows["method"].map(is_blend)])
    better = here[here["high"] < 0].sort_values("value")
    if better.empty:
        return words("cold-start.none")
    methods = words.listed(map(code, better["method"]))
    counts = amounts("count", count=len(better), all=len(here))
    return words("cold-start.some", methods=methods, **counts)


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def levels_of(rows: pd.DataFrame, metric: str = OVER) -> pd.DataFrame:
    """One metric of an `intervals` table, as `figures.by_level` takes it.

    Columns method, level (text), value, low, high, users, n; levels keep the order of their counts,
    and one that is not a number is last.
    """
    return ordered(where(rows, metric=metric).rename(columns={"ci_low": "low", "ci_high": "high"}))


def _two_scales(rows: pd.DataFrame) -> bool:
    """Whether the methods as published, which are off the scale of the others, are among others."""
    return len(set(map(of_published, rows["method"]))) == 2


def on_one_scale(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows to draw in one figure: without the methods as published, where there are others."""
    return rows[~rows["method"].map(of_published)] if _two_scales(rows) else rows


def _drawn(caption: Markup, rows: pd.DataFrame, words: Catalogue) -> Markup:
    """A caption, with a sentence on what is drawn thin and what in another figure."""
    said = [caption]
    here = on_one_scale(rows)
    if len(figures.foremost(here)) < here["method"].nunique():
        said.append(words("cold-start.thin"))
    if _two_scales(rows):
        said.append(words("cold-start.apart"))
    return Markup(" ").join(said)


def _as_published(name: str, rows: pd.DataFrame, words: Catalogue) -> Plot:
    """One slice's errors of the methods as published, on a scale of their own."""
    rows = levels_of(rows[(rows["slice"] == name) & rows["method"].map(of_published)])
    what = words.otherwise(f"slice.{name}", name)
    shown = _labelled(rows, words)
    return Plot(
        f"published-{_slug(name)}",
        words("cold-start.far_title", what=what),
        words("cold-start.far_caption"),
        figures.by_level(shown, _titles(what.striptags(), words)),
    )


def _plot(name: str, pooled: pd.DataFrame, words: Catalogue) -> Plot:
    of_slice = pooled[pooled["slice"] == name]
    rows = levels_of(of_slice)
    what = words.otherwise(f"slice.{name}", name)
    caption = _caption("cold-start.slice_caption", rows, of_slice, words)
    if name != BY_DATE:
        first = rows.iloc[0]
        caption += " " + words(
            "cold-start.first_level",
            level=words.term("group", first["level"]),
            found=against_item_mean(rows, first["level"], words),
            **amounts("count", n=int(first["n"]), users=int(first["users"])),
        )
    return Plot(
        f"slice-{_slug(name)}",
        words("cold-start.slice_title", what=what),
        _drawn(caption, rows, words),
        figures.by_level(_labelled(on_one_scale(rows), words), _titles(what.striptags(), words)),
    )


def _caption(key: str, rows: pd.DataFrame, table: pd.DataFrame, words: Catalogue) -> Markup:
    """A caption that says for how many comparisons the intervals of a figure hold together."""
    level = number(table["ci_level"].iloc[0], "percent")
    return words(key, level=level, comparisons=number(len(rows), "count"))


def _labelled(rows: pd.DataFrame, words: Catalogue) -> pd.DataFrame:
    """Rows whose levels say how many users they have."""
    return rows.assign(level=counted(rows, "users", words))


def _titles(axis: str, words: Catalogue) -> tuple[str, str]:
    """Of the axes of an error minus that of the item mean."""
    return axis, words.plain("axis.over_item_mean")


def _trimmed(trimmed: pd.DataFrame, words: Catalogue) -> list[Block]:
    """The experiment that truncates the users' histories."""
    over, change = levels_of(trimmed), levels_of(trimmed, CHANGE)
    rows = levels_of(trimmed, "rmse")
    lengths = list(dict.fromkeys(rows["level"]))
    found: list[Block] = []
    if len(over):
        here = on_one_scale(change[change["level"] == lengths[0]])
        caption = _caption("cold-start.trimmed_caption", over, trimmed, words)
        caption += " " + words(
            "cold-start.trimmed_found",
            length=lengths[0],
            found=against_item_mean(over, lengths[0], words),
            **amounts("count", all=len(here), less=int((here["low"] > 0).sum())),
            **amounts("count", users=rows["users"].max(), least=rows["users"].min()),
        )
        found.append(
            Plot(
                "trimmed",
                words("cold-start.trimmed_title"),
                _drawn(caption, over, words),
                figures.by_level(
                    _labelled(on_one_scale(over), words), _titles(words.plain("axis.left"), words)
                ),
            )
        )
    parts: list[Block] = [_by_length(rows, lengths, words)]
    if len(over) and _two_scales(over):
        parts.append(_as_published(str(over["slice"].iloc[0]), trimmed, words))
    parts += _folded_in(trimmed, words)
    return [*found, Collapsed(words("cold-start.trimmed_rmse"), parts)]


def _folded_in(trimmed: pd.DataFrame, words: Catalogue) -> list[Block]:
    """What folding in new users loses against a new fit, by method and length; none without."""
    rows = levels_of(trimmed, LOSS)
    if rows.empty:
        return []
    lengths = list(dict.fromkeys(rows["level"]))
    middle = rows.groupby("level")["value"].median()
    text = words(
        "cold-start.folded_text",
        methods=number(rows["method"].nunique()),
        first=lengths[0],
        last=lengths[-1],
        **amounts("signed", at_first=middle[lengths[0]], at_last=middle[lengths[-1]]),
    )
    wide = rows.pivot(index="method", columns="level", values="value")
    headings = zip(lengths, words.terms("group", lengths), strict=True)
    columns = [Column(length, heading, "signed") for length, heading in headings]
    shown, title = wide.sort_values(lengths[-1]).reset_index(), words("cold-start.folded")
    return [Text(text), tabulated(words, "folded-in", title, shown, "method", *columns)]


def _by_length(rows: pd.DataFrame, lengths: list[str], words: Catalogue) -> Table:
    """RMSE of every method, a column for each length of the history, best first at the shortest."""
    wide = rows.pivot(index="method", columns="level", values="value")
    headings = zip(lengths, words.terms("group", lengths), strict=True)
    columns = [Column(length, heading, "rmse") for length, heading in headings]
    shown = wide.sort_values(lengths[0]).reset_index()
    title = words("cold-start.trimmed_rmse")
    return tabulated(words, "trimmed-rmse", title, shown, "method", *columns)
