"""The levels of a slice: their order, and their names with what they hold."""

from __future__ import annotations

import pandas as pd

from cfmf.report.strings import Catalogue


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by the first number of their `level`, as text; levels without a number are last."""
    rows = rows.assign(level=rows["level"].astype(str))
    first = rows["level"].str.extract(r"(-?\d+(?:\.\d+)?)")[0].astype(float)
    sorted_rows = rows.assign(order=first).sort_values(["order", "level"], kind="stable")
    return sorted_rows.drop(columns="order").reset_index(drop=True)


def counted(rows: pd.DataFrame, counts: str, words: Catalogue) -> list[str]:
    """The level of every row in words, with the largest count of any row of that level."""
    most = rows.groupby("level")[counts].transform("max")
    names = zip(words.terms("group", rows["level"]), most, strict=True)
    return [f"{name} (n {count:,})" for name, count in names]
