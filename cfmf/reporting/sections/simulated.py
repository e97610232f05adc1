"""How often each test rejects a true null, by simulation, and why some rates are not nominal."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import permutations
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from scipy import special

from cfmf.reporting.page import Block, Column, Fold, Heading, Points, Table, Text, records
from cfmf.reporting.strings import Catalogue, number
from cfmf.reporting.terms import term, terms
from cfmf.statistics import names

SIMULATED = Path(__file__).parents[1] / "assets" / "type_one_error.tsv"
NOMINAL = 0.05
KEPT = 0.03, 0.07
"""Shares between these count as nominal: 400 repeats at 5 % have a standard error of 1.1 %."""
IMAN_DAVENPORT = f"{names.FRIEDMAN}, Iman-Davenport"
OF_LEVELS = ["independent", "unequal", "shared"]
NAMED = {
    "t": f"{names.CORRECTED_T}, one pair alone",
    "anova": names.ANOVA,
    "friedman": names.FRIEDMAN,
    "seeds": f"{names.ANOVA}, seeds as blocks",
    "shared_anova": names.SHARED_ANOVA,
}


def shares() -> pd.DataFrame:
    """Shares of rejections under true nulls, as `benchmarks/type_one_error.py` wrote them.

    Returns
    -------
    One row a null, design and test: null, size, test, repeats, share, and folds and levels (the
    numbers in `size`; levels are 0 where it names none).
    """
    rows = pd.read_csv(SIMULATED, sep="\t")
    found = rows["size"].str.extract(r"^(?P<folds>\d+)(?:.*?(?P<levels>\d+) levels)?")
    return rows.join(found.fillna("0").astype(int))


def blocks(words: Catalogue) -> list[Block]:
    """What the tests do under a true null, and what that means for reading them."""
    rows = shares()
    of_levels = rows[rows["null"].isin(OF_LEVELS)]
    others = rows[~rows["null"].isin(OF_LEVELS)].groupby("null")["share"].max()
    shared = rows[rows["null"] == "shared"].groupby("test")["share"]
    told = words(
        "simulated.text",
        repeats=number(int(rows["repeats"].min()), "count"),
        **{f"{key}_least": number(shared.min()[test], "share") for key, test in NAMED.items()},
        **{f"{key}_most": number(shared.max()[test], "share") for key, test in NAMED.items()},
        margin=number(others["margin"], "share"),
        users=number(others["users"], "share"),
    )
    title = words("simulated.title")
    return [
        Heading(words("simulated.heading")),
        Text(told),
        *_deviations(rows, words),
        Fold(title, [_table(of_levels, title, words)]),
    ]


def _table(rows: pd.DataFrame, title: Markup, words: Catalogue) -> Table:
    """A row a test, a column a null and number of folds."""
    wide = rows.assign(column=rows["null"] + "_" + rows["folds"].astype(str)).pivot_table(
        index="test", columns="column", values="share", sort=False
    )
    columns = [Column("test", words.plain("column.test"))]
    for name in wide.columns:
        null, folds = str(name).split("_")
        heading = words(f"simulated.null_{null}", folds=folds).striptags()
        columns.append(Column(str(name), heading, "share"))
    return Table(
        "type-one-error", title, columns, records(wide.assign(test=terms(wide.index, words)))
    )


def reason(null: str, test: str, folds: int, levels: int, repeats: int, share: float) -> str:
    """Why a share is not nominal: the ending of a text of the catalogue, empty where it is.

    `unexplained` is none of the known reasons. `approximate` is what the exact rate and the chance
    of so many repeats, three standard errors as there are many shares, explain together.
    """
    low, high = KEPT
    if low <= share <= high:
        return ""
    if "seeds as blocks" in test:
        return "seeds"
    if "Wilcoxon" in test and least_p(folds) > NOMINAL:
        return "least_p"
    if "Wilcoxon" in test and least_p(folds) <= share < low:
        return "discrete"
    if share > high:
        if null == "shared" and "Nadeau-Bengio" not in test:
            return "shared"
        if test == IMAN_DAVENPORT and null != "shared":
            exact = rank_test_rate(folds, levels)
            chance = (exact * (1 - exact) / repeats) ** 0.5
            return "approximate" if share <= exact + 3 * chance else "unexplained"
        return "unexplained"
    if "Nadeau-Bengio" in test and null != "shared":
        return "widened"
    return "epsilon" if "Greenhouse-Geisser" in test else "unexplained"


def least_p(folds: int) -> float:
    """Least two-sided p of the signed-rank test of so many pairs without ties: 2/2ᴶ."""
    return 2.0 ** (1 - folds)


@cache
def rank_test_rate(folds: int, levels: int) -> float:
    """Share of true nulls that Friedman's test rejects in Iman & Davenport's form, exactly.

    Every ranking of the levels is equally likely in every fold; the distribution of the rank sums
    is convolved fold by fold. F is compared with its nominal 5 % point (Iman & Davenport 1980,
    *Approximations of the critical region of the Friedman statistic*), which only approximates it.
    """
    sums = Counter({(0,) * levels: 1})
    for _ in range(folds):
        more: Counter[tuple[int, ...]] = Counter()
        for held, count in sums.items():
            for ranks in permutations(range(1, levels + 1)):
                # The levels are alike, so sums that differ by their order only count as one.
                more[tuple(sorted(map(sum, zip(held, ranks, strict=True))))] += count
        sums = more
    scale = folds * levels * (levels + 1)
    most = folds * (levels - 1)
    rejected = 0.0
    for held, count in sums.items():
        statistic = 12 / scale * sum(one * one for one in held) - 3 * folds * (levels + 1)
        left = most - statistic
        ratio = (folds - 1) * statistic / left if left > 1e-9 else float("inf")
        p = special.fdtrc(levels - 1, (folds - 1) * (levels - 1), ratio)
        rejected += count if p <= NOMINAL else 0
    return rejected / sums.total()


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
    if rows["reason"].eq("approximate").all():
        sizes["exact"] = number(rank_test_rate(folds, levels), "share")
        sizes["repeats"] = number(int(rows["repeats"].min()), "count")
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
                test=term(test, words),
                shares=Markup("–").join(number(end, "share") for end in ends),
                folds=", ".join(str(folds) for folds in sorted(set(cells["folds"]))),
            )
        )
    return Markup("; ").join(parts)
