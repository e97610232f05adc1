"""The published search, repeated as it was: its course, and what it found important."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup

from cfmf.methods.registry import of_published
from cfmf.published.importance import grid_importances
from cfmf.published.reporting import drawings
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Column, Fold, Note, Plot, Table, Text, records
from cfmf.report.sections.tests import plain_table
from cfmf.report.strings import Catalogue, code, number
from cfmf.statistics.blocks import complete, grid, stopped
from cfmf.statistics.names import REG_ON_VALIDATION

MEASURES = ("test_rmse", "train_rmse", "loss", "delta_loss")


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """History, reports and importances, then every trial, pruned ones too."""
    frame = study.added.get("frame")
    if frame is None:
        return []
    runs = trials(study)
    value = "axis.value" if doubly_rooted(runs) else "axis.rmse"
    return [
        Note("erratum", words("published.label")),
        Text(_text(runs, words)),
        Plot(
            "search-history",
            words("search.history_title"),
            words("search.history_caption"),
            drawings.search_history(frame, words.plain, value),
        ),
        Note("erratum", _medians(study, frame, words)),
        *_reports(study, frame, words, value),
        *_importances(study, words),
        _best_rows(runs, words),
        Note("erratum", words("published.erratum_best_rows")),
        *_corrected_rows(study, words),
        Fold(
            words("search.trials"),
            [
                _trials("search-trials", "search.trials", runs, words),
                Note("erratum", words("search.erratum_trials")),
                *_corrected_runs(study, words),
            ],
        ),
    ]


def trials(study: Study) -> pd.DataFrame:
    """The trials of the search: columns number, state, k, reg, value and those of `MEASURES`.

    The value is what was published, the RMSEs are true ones, of the last report; NaN where the run
    kept none.
    """
    frame = study.added["frame"].rename(columns={"params_k": "k", "params_lmd": "reg"})
    rows = frame[["number", "state", "k", "reg", "value"]].set_index("number")
    table = study.added.get("trials")
    if table is not None:
        wide = table.pivot_table(index="trial", columns="metric", values="value")
        rows = rows.join(wide.reindex(columns=[*MEASURES]))
    return rows.reindex(columns=["state", "k", "reg", "value", *MEASURES]).reset_index()


def doubly_rooted(runs: pd.DataFrame) -> bool:
    """Whether the values of the trials are roots of their RMSE, as published."""
    both = runs.dropna(subset=["value", "test_rmse"])
    return not len(both) or not np.allclose(both["value"], both["test_rmse"])


def _text(runs: pd.DataFrame, words: Catalogue) -> Markup:
    complete = runs[runs["state"] == "COMPLETE"]
    values = {
        "trials": number(len(runs)),
        "pruned": number(int((runs["state"] == "PRUNED").sum())),
    }
    if complete.empty:
        return words("search.text_none", **values)
    best = numbers.least(complete, "value")
    return words(
        "search.text" if doubly_rooted(runs) else "search.text_plain",
        **values,
        best=number(float(best["value"]), "rmse"),
        true=number(float(best["test_rmse"]), "rmse"),
        k=number(int(best["k"])),
        reg=number(float(best["reg"])),
    )


def _best_rows(runs: pd.DataFrame, words: Catalogue) -> Table:
    """The best row of each k, as the study chose and printed it."""
    kept = runs.dropna(subset=["value"])
    best = kept.loc[kept.groupby("k")["value"].idxmin()]
    return _trials("search-best", "search.best_rows", best, words)


def _corrected(study: Study) -> str:
    """The method whose complete grid stands beside the search: the first that is not as published.

    Empty where there is none.
    """
    rows = study.tables["metrics"]
    counts = rows[rows["k"] != ""].groupby("method", sort=False)["k"].nunique()
    right = [str(name) for name in counts.index[counts > 1] if not of_published(str(name))]
    return "mf" if "mf" in right else next(iter(right), "")


def _corrected_rows(study: Study, words: Catalogue) -> list[Block]:
    """The row of each k and fold that validation chose."""
    rows, method = study.table("best_rows"), _corrected(study)
    if rows is None or not method:
        return []
    rows = rows[(rows["arm"] == REG_ON_VALIDATION) & (rows["method"] == method)]
    title = words("published.best_rows_corrected", method=code(method))
    return [plain_table("search-best-corrected", title, rows, words)] if len(rows) else []


def _corrected_runs(study: Study, words: Catalogue) -> list[Block]:
    """Every cell of the complete grid, means over folds and seeds."""
    method = _corrected(study)
    if not method:
        return []
    sides = [
        numbers.grid(study, method, split).rename(columns={"value": split})
        for split in ("validation", "test")
    ]
    columns = [
        Column("k", "k", "count"),
        Column("reg", "λ", "value"),
        Column("validation", words.plain("column.validation_rmse"), "rmse"),
        Column("test", words.plain("column.test_rmse"), "rmse"),
    ]
    cells = sides[0].merge(sides[1], on=["k", "reg"])
    title = words("search.trials_corrected", method=code(method))
    return [Table("search-trials-corrected", title, columns, records(cells))]


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
    reports = study.added.get("intermediate")
    start = "–"
    if reports is not None:
        first = reports.sort_values("step").groupby("trial")["value"].first()
        start = order(table.assign(start=_by_k(frame, first)), "start")
    told = words(
        "search.medians",
        all=order(table, "all"),
        complete=order(table, "complete"),
        start=start,
    )
    because = cause(study)
    return told + (" " + words(f"search.because_{because}", **orders(study)) if because else "")


def orders(study: Study) -> dict[str, str]:
    """The k, best first: by medians of `all` trials and of the `complete` ones, and on the `grid`.

    The grid is the complete one of mf-published, the other recipe of the study: its mean test RMSE
    over λ and folds. Empty text where there is no such order.
    """
    found = dict.fromkeys(("all", "complete", "grid"), "")
    frame = study.added.get("frame")
    if frame is not None:
        table = medians(frame)
        found |= {column: order(table, column) for column in ("all", "complete")}
    cells = numbers.grid(study, "mf-published", "test")
    if cells["k"].unique().size > 1:
        means = cells.groupby("k")["value"].mean().rename("grid").reset_index()
        found["grid"] = order(means, "grid")
    return found


def cause(study: Study) -> str:
    """What makes the order of all trials here: `recipe`, `pruning`, or empty where none can tell.

    Where trials that ran to their end, and the complete grid of mf-published, order the k alike,
    pruning has not made the order; where either orders them otherwise, it has a part in it.
    """
    told = {name: ks.split(" < ") for name, ks in orders(study).items() if ks}
    ends = [told[name] for name in ("complete", "grid") if len(told.get(name, ())) > 1]
    if "all" not in told or not ends:
        return ""
    same = all(
        [k for k in told["all"] if k in ks] == [k for k in ks if k in told["all"]] for ks in ends
    )
    return "recipe" if same else "pruning"


def _by_k(frame: pd.DataFrame, values: pd.Series) -> list[float]:
    """Median over the trials of each k, k ascending, of a value by trial number."""
    return frame["number"].map(values).groupby(frame["params_k"]).median().sort_index().tolist()


def _reports(study: Study, frame: pd.DataFrame, words: Catalogue, value: str) -> list[Block]:
    reports = study.added.get("intermediate")
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
            drawings.search_reports(known, words.plain, value),
        ),
        Note("erratum", words("search.erratum_reports")),
    ]


def _importances(study: Study, words: Catalogue) -> list[Block]:
    shares = study.added.get("importances")
    if shares is None:
        return []
    named = shares.assign(parameter=shares["parameter"].replace({"lmd": "λ"}))
    return [
        Plot(
            "search-importances",
            words("search.importances_title"),
            words("search.importances_caption", evaluator=code(shares["evaluator"].iloc[0])),
            drawings.importances(named, words.plain),
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
        if rows.empty or complete(rows)[["k", "reg"]].nunique().min() < 2:
            continue
        if stopped(rows)["stopped"].sum():  # reported with the effort of tuning
            continue
        shares = grid_importances(complete(grid(metrics, method)))
        found.append(
            Plot(
                f"grid-importances-{method}",
                words("search.exact_title", method=code(method)),
                words("search.exact_caption", method=code(method)),
                drawings.importances(shares, words.plain),
            )
        )
    return found


def _trials(name: str, title: str, runs: pd.DataFrame, words: Catalogue) -> Table:
    columns = [
        Column("number", words.plain("column.trial"), "count"),
        Column("state", words.plain("column.state")),
        Column("k", "k", "count"),
        Column("reg", "λ", "value"),
        Column("value", words.plain("column.published_value"), "rmse"),
        Column("test_rmse", words.plain("column.true_rmse"), "rmse"),
        Column("train_rmse", words.plain("column.train_rmse"), "rmse"),
        Column("loss", words.plain("column.loss"), "rmse"),
        Column("delta_loss", words.plain("column.delta_loss"), "value"),
    ]
    shown = runs.assign(state=words.terms("state", runs["state"]))
    return Table(name, words(title), columns, records(shown))
