"""The published search, repeated as it was: its course, and what it found important."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.figures import factorization as figures
from cfmf.reporting.page import Block, Column, Fold, Note, Plot, Table, Text, records
from cfmf.reporting.strings import Catalogue, code, number
from cfmf.reporting.study import Study
from cfmf.search.importance import grid_importances
from cfmf.statistics.blocks import IncompleteError, grid


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """History, reports and importances, then every trial, pruned ones too."""
    frame = study.search.get("frame")
    if frame is None:
        return []
    best = frame.loc[frame["state"] == "COMPLETE", "value"].min()
    text = words(
        "search.text",
        trials=number(len(frame)),
        pruned=number(int((frame["state"] == "PRUNED").sum())),
        best=number(float(best), "rmse"),
        true=number(float(best) ** 2, "rmse"),
    )
    return [
        Note("erratum", words("published.label")),
        Text(text),
        Plot(
            "search-history",
            words("search.history_title"),
            words("search.history_caption"),
            figures.search_history(frame, words.plain),
        ),
        Note("erratum", _medians(study, frame, words)),
        *_reports(study, frame, words),
        *_importances(study, words),
        Fold(words("search.trials"), [_trials(frame, words)]),
    ]


def medians(frame: pd.DataFrame) -> pd.DataFrame:
    """Median value of the trials of each k, of all that have one and of complete ones alone.

    Columns k, all, complete, trials, pruned; k ascending.
    """
    kept = frame.dropna(subset=["value"])
    complete = kept[kept["state"] == "COMPLETE"]
    table = pd.DataFrame(
        {
            "all": kept.groupby("params_k")["value"].median(),
            "complete": complete.groupby("params_k")["value"].median(),
            "trials": kept.groupby("params_k").size(),
            "pruned": kept[kept["state"] == "PRUNED"].groupby("params_k").size(),
        }
    )
    return table.fillna({"pruned": 0}).rename_axis("k").reset_index().sort_values("k")


def order(table: pd.DataFrame, column: str) -> str:
    """The k in the order of a column, least first."""
    rows = table.dropna(subset=[column]).sort_values(column, kind="stable")
    return " < ".join(str(int(k)) for k in rows["k"])


def _medians(study: Study, frame: pd.DataFrame, words: Catalogue) -> Markup:
    table = medians(frame)
    reports = study.search.get("intermediate")
    start = "–"
    if reports is not None:
        first = reports.sort_values("step").groupby("trial")["value"].first()
        start = order(table.assign(start=_by_k(frame, first)), "start")
    return words(
        "search.medians",
        all=order(table, "all"),
        complete=order(table, "complete"),
        start=start,
    )


def _by_k(frame: pd.DataFrame, values: pd.Series) -> list[float]:
    """Median over the trials of each k, k ascending, of a value by trial number."""
    return frame["number"].map(values).groupby(frame["params_k"]).median().sort_index().tolist()


def _reports(study: Study, frame: pd.DataFrame, words: Catalogue) -> list[Block]:
    reports = study.search.get("intermediate")
    if reports is None:
        return []
    trials = frame.set_index("number")
    k, state = trials["params_k"].astype(int), trials["state"]
    known = reports[reports["trial"].isin(k.index) & reports["value"].notna()]
    known = known.assign(k=known["trial"].map(k), state=known["trial"].map(state))
    return [
        Plot(
            "search-reports",
            words("search.reports_title"),
            words("search.reports_caption"),
            figures.search_reports(known, words.plain),
        ),
        Note("erratum", words("search.erratum_reports")),
    ]


def _importances(study: Study, words: Catalogue) -> list[Block]:
    shares = study.search.get("importances")
    if shares is None:
        return []
    named = shares.assign(parameter=shares["parameter"].replace({"lmd": "λ"}))
    return [
        Plot(
            "search-importances",
            words("search.importances_title"),
            words("search.importances_caption", evaluator=str(shares["evaluator"].iloc[0])),
            figures.importances(named, words.plain),
        ),
        Note("erratum", words("search.erratum_importances")),
        *_exact(study, words),
    ]


def _exact(study: Study, words: Catalogue) -> list[Block]:
    """Shares of the spread of complete grids that k, reg and their interaction make."""
    metrics = study.tables["metrics"]
    found: list[Block] = []
    for method in ("mf-published", "mf"):
        rows = metrics[(metrics["method"] == method) & (metrics["k"] != "")]
        if rows["k"].nunique() < 2 or rows["reg"].nunique() < 2:
            continue
        try:
            shares = grid_importances(grid(metrics, method))
        except IncompleteError:  # told with the effort of tuning
            continue
        found.append(
            Plot(
                f"grid-importances-{method}",
                words("search.exact_title", method=code(method)),
                words("search.exact_caption", method=code(method)),
                figures.importances(shares, words.plain),
            )
        )
    return found


def _trials(frame: pd.DataFrame, words: Catalogue) -> Table:
    rows = frame.rename(columns={"params_k": "k", "params_lmd": "reg"})
    rows = rows[["number", "state", "k", "reg", "value"]].assign(true=rows["value"] ** 2)
    columns = [
        Column("number", words.plain("column.trial"), "count"),
        Column("state", words.plain("column.state")),
        Column("k", "k", "count"),
        Column("reg", "λ", "value"),
        Column("value", words.plain("column.published_value"), "rmse"),
        Column("true", words.plain("column.true_rmse"), "rmse"),
    ]
    return Table("search-trials", words("search.trials"), columns, records(rows))
