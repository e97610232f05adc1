"""The price of peeking: what the test part would have chosen, beside what validation chose."""

from __future__ import annotations

import pandas as pd

from cfmf.data.splits import size_ratio
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import dots
from cfmf.report.page import Block, Collapsed, Text, plotted, tabulated
from cfmf.report.strings import Catalogue, amounts, code
from cfmf.statistics.intervals import of_folds
from cfmf.tables import where

LOWEST = "rmse_lowest_epoch"


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """A row for each method whose curve was watched on test; nothing where there is none."""
    table = prices(study)
    if table.empty:
        return []
    first = table.iloc[0]
    values = amounts("rmse", rmse=first["rmse"], lowest=first["lowest"], price=first["price"])
    columns = "method folds rmse=test_rmse lowest=lowest_epoch:rmse price:signed low high"
    columns += " anywhere=lowest_anywhere:rmse"
    title = words("factorization.peeking_title")
    parts: list[Block] = [
        Text(words("factorization.peeking_text", method=code(first["method"]), **values)),
        tabulated(words, "peeking", title, table, columns),
    ]
    if table["low"].notna().any():
        points = table.rename(columns={"method": "label", "price": "value"})
        drawn = dots.forest(points.assign(methods=table["method"]), words.plain("column.price"))
        parts.append(plotted(words, "peeking", "factorization.peeking_figure", drawn))
    return [Collapsed(words("factorization.peeking_heading"), parts)]


def prices(study: Study) -> pd.DataFrame:
    """One row a method that was watched on test, the largest price first.

    Columns method and folds; rmse, on test as validation chose setting and epoch; lowest, over the
    epochs at that setting; price, rmse minus lowest, with the 95% interval of the corrected t
    (low, high; missing of one fold); anywhere, the lowest over all settings and epochs. Means over
    folds.
    """
    honest, lowest = (
        numbers.errors_on_test(study, metric).set_index(["method", "fold"])["value"]
        for metric in ("rmse", LOWEST)
    )
    tried = where(study.tables["metrics"], split="test", metric=LOWEST)
    settings = tried.groupby(["method", "k", "reg", "fold"], dropna=False)["value"].mean()
    anywhere = settings.groupby(["method", "fold"]).min()
    rows = []
    for method, own in lowest.groupby("method", sort=False):
        gaps = (honest.reindex(own.index) - own).to_numpy()
        folds = [fold for _, fold in own.index]
        low, high = of_folds(gaps, size_ratio(study.folds, folds))
        row = {"method": method, "folds": len(gaps), "rmse": honest.reindex(own.index).mean()}
        row |= {"lowest": own.mean(), "price": gaps.mean(), "low": low, "high": high}
        rows.append(row | {"anywhere": anywhere.reindex(own.index).mean()})
    return pd.DataFrame(rows).sort_values("price", ascending=False) if rows else pd.DataFrame()
