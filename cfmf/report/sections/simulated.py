"""Type I error of each test, by simulation, and why some rates are not nominal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from markupsafe import Markup

from cfmf.report.page import Block, Collapsed, Column, Heading, Points, Table, Text, tabulated
from cfmf.report.strings import Catalogue, amounts, number
from cfmf.statistics import names
from cfmf.statistics.rates import iman_davenport_rate, least_p, signed_rank_rate

SIMULATED = Path(__file__).parents[1] / "assets" / "type_one_error.tsv"
NOMINAL = 0.05
KEPT = 0.03, 0.07
"""Shares between these count as nominal: 400 repeats at 5 % have a standard error of 1.1 %."""
OF_LEVELS = ["independent", "unequal", "shared"]
NAMED = {
    "t": names.ONE_PAIR[names.CORRECTED_T],
    "anova": names.ANOVA,
    "friedman": names.FRIEDMAN,
    "seeds": names.SEEDS_AS_BLOCKS,
    "shared_anova": names.SHARED_ANOVA,
}
CORRECTED = {names.SHARED_ANOVA, names.CORRECTED_T, names.ONE_PAIR[names.CORRECTED_T]}
"""Tests that allow for training ratings that folds share."""
SIGNED_RANK = {names.WILCOXON, names.ONE_PAIR[names.WILCOXON]}


def shares() -> pd.DataFrame:
    """Shares of rejections under true nulls, as `benchmarks/type_one_error.py` wrote them.

    Returns
    -------
    One row a null, design and test: null, folds, levels, seeds, users, test, repeats, share; a
    number that a null does not have is 0.
    """
    counts = dict.fromkeys(("folds", "levels", "seeds", "users"), int)
    return pd.read_csv(SIMULATED, sep="\t").fillna(0).astype(counts)


def blocks(words: Catalogue) -> list[Block]:
    """What the tests do under a true null, and what that means for reading them."""
    rows = shares()
    of_levels = rows[rows["null"].isin(OF_LEVELS)]
    others = rows[~rows["null"].isin(OF_LEVELS)].groupby("null")["share"].max()
    shared = rows[rows["null"] == "shared"].groupby("test")["share"]
    told = words(
        "simulated.text",
        repeats=number(int(rows["repeats"].min()), "count"),
        **amounts("share", **{f"{key}_least": shared.min()[test] for key, test in NAMED.items()}),
        **amounts("share", **{f"{key}_most": shared.max()[test] for key, test in NAMED.items()}),
        **amounts("share", margin=others["margin"], users=others["users"]),
    )
    title = words("simulated.title")
    return [
        Heading(words("simulated.heading")),
        Text(told),
        *_deviations(rows, words),
        Collapsed(title, [_table(of_levels, title, words)]),
    ]


def _table(rows: pd.DataFrame, title: Markup, words: Catalogue) -> Table:
    """A row a test, a column a null and number of folds."""
    wide = rows.assign(column=rows["null"] + "_" + rows["folds"].astype(str)).pivot_table(
        index="test", columns="column", values="share", sort=False
    )
    columns = []
    for name in wide.columns:
        null, folds = str(name).split("_")
        heading = words(f"simulated.null_{null}", folds=folds).striptags()
        columns.append(Column(str(name), heading, "share"))
    shown = wide.assign(test=words.terms("test", wide.index))
    return tabulated(words, "type-one-error", title, shown, "test", *columns)


def reason(null: str, test: str, folds: int, levels: int, repeats: int, share: float) -> str:
    """Why a share is not nominal: the ending of a text of the catalogue, empty where it is.

    `unexplained` is none of the known reasons. `approximate`: at most three standard errors above
    the exact rate (three, because there are many shares). `discrete`: between the exact rate of one
    pair and the sum of all pairs' rates.
    """
    low, high = KEPT
    if low <= share <= high:
        return ""
    if test == names.SEEDS_AS_BLOCKS:
        return "seeds"
    if test in SIGNED_RANK and least_p(folds) > NOMINAL:
        return "least_p"
    if share > high:
        if null == "shared" and test not in CORRECTED:
            return "shared"
        if test == names.IMAN_DAVENPORT:
            exact = iman_davenport_rate(folds, levels, NOMINAL)
            chance = (exact * (1 - exact) / repeats) ** 0.5
            return "approximate" if share <= exact + 3 * chance else "unexplained"
        return "unexplained"
    if test == names.WILCOXON:
        one = signed_rank_rate(folds, NOMINAL / _pairs(levels))
        return "discrete" if one <= share <= _pairs(levels) * one else "unexplained"
    if test in CORRECTED and null != "shared":
        return "widened"
    return "epsilon" if test == names.GREENHOUSE_GEISSER else "unexplained"


def _pairs(levels: int) -> int:
    return levels * (levels - 1) // 2


def _deviations(rows: pd.DataFrame, words: Catalogue) -> list[Block]:
    """A sentence for each reason, with the tests and shares that it explains."""
    of = ["null", "test", "folds", "levels", "repeats", "share"]
    rows = rows.assign(reason=[reason(*cell) for cell in rows[of].itertuples(index=False)])
    outside = rows[rows["reason"] != ""]
    if outside.empty:
        return []
    told = words(
        "simulated.outside",
        all=number(len(rows)),
        outside=number(len(outside)),
        low=number(KEPT[0], "percent"),
        high=number(KEPT[1], "percent"),
    )
    items = [
        words(f"simulated.outside_{name}", tests=_named(cells, words), **_sizes(cells))
        for name, cells in outside.groupby("reason", sort=False)
    ]
    return [Text(told), Points(items)]


def _sizes(rows: pd.DataFrame) -> dict[str, Markup]:
    folds, levels = int(rows["folds"].max()), int(rows["levels"].max())
    sizes = {"folds": number(folds), "levels": number(levels), "least": number(least_p(folds), "p")}
    why = rows["reason"].iloc[0]
    if why == "approximate":
        sizes["exact"] = number(iman_davenport_rate(folds, levels, NOMINAL), "share")
        sizes["repeats"] = number(int(rows["repeats"].min()), "count")
    if why == "discrete":
        one = signed_rank_rate(folds, NOMINAL / _pairs(levels))
        sizes |= {"pairs": number(_pairs(levels)), "one": number(one, "p")}
        sizes["most"] = number(_pairs(levels) * one, "share")
    return sizes


def _named(rows: pd.DataFrame, words: Catalogue) -> Markup:
    """Each test with its shares and the numbers of folds at which they were found."""
    parts = []
    for test, cells in rows.groupby("test", sort=False):
        found = sorted({float(share) for share in cells["share"]})
        ends = [found[0], found[-1]] if len(found) > 1 else found
        parts.append(
            words(
                "simulated.outside_test",
                test=words.term("test", test),
                shares=Markup("–").join(number(end, "share") for end in ends),
                folds=", ".join(str(folds) for folds in sorted(set(cells["folds"]))),
            )
        )
    return Markup("; ").join(parts)
