"""The published search, repeated as it was: its history and the importances that it found."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup

from cfmf.methods.registry import of_published
from cfmf.published.importance import grid_importances
from cfmf.published.reporting import drawings
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Note, Table, Text, plotted, tabulated
from cfmf.report.sections.tests import plain_table
from cfmf.report.strings import Catalogue, amounts, code, number
from cfmf.statistics.blocks import complete, grid, stopped
from cfmf.statistics.names import REG_ON_VALIDATION
from cfmf.tables import where

MEASURES = ("test_rmse", "train_rmse", "loss", "delta_loss")


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """History, reports and importances, then every trial, pruned ones too."""
    frame = study.table("frame")
    if frame.empty:
        return []
    runs = trials(study)
    value = "axis.value" if square_root_twice(runs) else "axis.rmse"
    drawn = drawings.search_history(frame, words.plain, value)
    return [
        Text(_text(runs, words)),
        plotted(words, "search-history", "search.history", drawn),
        Note("erratum", _medians(study, frame, words)),
        *_reports(study, frame, words, value),
        *_importances(study, words),
        _best_rows(runs, words),
        Note("erratum", words("published.erratum_best_rows")),
        *_corrected_rows(study, words),
        Collapsed(
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
    table = study.table("trials")
    if len(table):
        wide = table.pivot_table(index="trial", columns="metric", values="value")
        rows = rows.join(wide.reindex(columns=[*MEASURES]))
    return rows.reindex(columns=["state", "k", "reg", "value", *MEASURES]).reset_index()


def square_root_twice(runs: pd.DataFrame) -> bool:
    """Whether the values of the trials are roots of their RMSE, as published."""
    both = runs.dropna(subset=["value", "test_rmse"])
    return not len(both) or not np.allclose(both["value"], both["test_rmse"])


def _text(runs: pd.DataFrame, words: Catalogue) -> Markup:
    complete = where(runs, state="COMPLETE")
    values = amounts("", trials=len(runs), pruned=len(where(runs, state="PRUNED")))
    if complete.empty:
        return words("search.text_none", **values)
    best = numbers.least(complete, "value")
    return words(
        "search.text" if square_root_twice(runs) else "search.text_plain",
        **values,
        **amounts("rmse", best=best["value"], true=best["test_rmse"]),
        k=number(int(best["k"])),
        reg=number(float(best["reg"])),
    )


def _best_rows(runs: pd.DataFrame, words: Catalogue) -> Table:
    """The best row of each k, as the study chose and printed it."""
    kept = runs.dropna(subset=["value"])
    best = kept.loc[kept.groupby("k")["value"].idxmin()]
    return _trials("search-best", "search.best_rows", best, words)


def _corrected(study: Study) -> str:
    """The method whose complete grid is shown with the search: the first that is not as published.

    Empty where there is none.
    """
    rows = study.tables["metrics"]
    counts = rows[rows["k"] != ""].groupby("method", sort=False)["k"].nunique()
    right = [str(name) for name in counts.index[counts > 1] if not of_published(str(name))]
    return "mf" if "mf" in right else next(iter(right), "")


def _corrected_rows(study: Study, words: Catalogue) -> list[Block]:
    """The row of each k and fold that validation chose."""
    rows, method = study.table("best_rows"), _corrected(study)
    rows = where(rows, arm=REG_ON_VALIDATION, method=method)
    title = words("search.best_corrected", method=code(method))
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
    columns = "k reg=λ validation=validation_rmse test=test_rmse"
    cells = sides[0].merge(sides[1], on=["k", "reg"])
    title = words("search.trials_corrected", method=code(method))
    return [tabulated(words, "search-trials-corrected", title, cells, columns)]


def medians(frame: pd.DataFrame) -> pd.DataFrame:
    """Median value of the trials of each k: of all trials that have one, and of complete ones only.

    Columns k, all, complete, trials, pruned; k ascending.
    """
    kept = frame.dropna(subset=["value"])
    complete, pruned = (where(kept, state=state) for state in ("COMPLETE", "PRUNED"))
    table = pd.DataFrame(
        {
            "all": kept.groupby("params_k")["value"].median(),
            "complete": complete.groupby("params_k")["value"].median(),
            "trials": kept.groupby("params_k").size(),
            "pruned": pruned.groupby("params_k").size(),
        }
    )
    return table.fillna({"pruned": 0}).rename_axis("k").reset_index().sort_values("k")


def order(table: pd.DataFrame, column: str) -> str:
    """The k in the order of a column, lowest first."""
    rows = table.dropna(subset=[column]).sort_values(column, kind="stable")
    return " < ".join(str(int(k)) for k in rows["k"])


def _medians(study: Study, frame: pd.DataFrame, words: Catalogue) -> Markup:
    table, reports = medians(frame), study.table("intermediate")
    by = {column: order(table, column) for column in ("all", "complete")} | {"start": "–"}
    if len(reports):
        first = reports.sort_values("step").groupby("trial")["value"].first()
        by["start"] = order(table.assign(start=_by_k(frame, first)), "start")
    because = cause(study)
    return words("search.medians", **by) + (
        " " + words(f"search.because_{because}", **orders(study)) if because else ""
    )


def orders(study: Study) -> dict[str, str]:
    """The k, best first: by medians of `all` trials and of the `complete` ones, and on the `grid`.

    The grid is the complete one of mf-published, the other recipe of the study: its mean test RMSE
    over λ and folds. Empty text where there is no such order.
    """
    found = dict.fromkeys(("all", "complete", "grid"), "")
    frame = study.table("frame")
    if len(frame):
        table = medians(frame)
        found |= {column: order(table, column) for column in ("all", "complete")}
    cells = numbers.grid(study, "mf-published", "test")
    if cells["k"].unique().size > 1:
        means = cells.groupby("k")["value"].mean().rename("grid").reset_index()
        found["grid"] = order(means, "grid")
    return found


def cause(study: Study) -> str:
    """What causes the order of all trials here: `recipe`, `pruning`, or empty if it is unclear.

    Where trials that ran to their end, and the complete grid of mf-published, order the k alike,
    pruning did not cause the order; where either orders them differently, it contributed.
    """
    found = {name: ks.split(" < ") for name, ks in orders(study).items() if ks}
    ends = [found[name] for name in ("complete", "grid") if len(found.get(name, ())) > 1]
    if "all" not in found or not ends:
        return ""
    same = all(
        [k for k in found["all"] if k in ks] == [k for k in ks if k in found["all"]] for ks in ends
    )
    return "recipe" if same else "pruning"


def _by_k(frame: pd.DataFrame, values: pd.Series) -> list[float]:
    """Median over the trials of each k, k ascending, of a value by trial number."""
    return frame["number"].map(values).groupby(frame["params_k"]).median().sort_index().tolist()


def _reports(study: Study, frame: pd.DataFrame, words: Catalogue, value: str) -> list[Block]:
    reports = study.table("intermediate")
    if reports.empty:
        return []
    trials = frame.set_index("number")
    k, state = trials["params_k"].astype(int), trials["state"]
    known = reports[reports["trial"].isin(k.index) & reports["value"].notna()]
    known = known.assign(k=known["trial"].map(k), state=known["trial"].map(state))
    drawn = drawings.search_reports(known, words.plain, value)
    return [
        plotted(words, "search-reports", "search.reports", drawn),
        Note("erratum", words("search.erratum_reports")),
    ]


def _importances(study: Study, words: Catalogue) -> list[Block]:
    shares = study.table("importances")
    if shares.empty:
        return []
    named = shares.assign(parameter=shares["parameter"].replace({"lmd": "λ"}))
    drawn, by = drawings.importances(named, words.plain), code(shares["evaluator"].iloc[0])
    return [
        plotted(words, "search-importances", "search.importances", drawn, evaluator=by),
        Note("erratum", words("search.erratum_importances")),
        *_exact(study, words),
    ]


def _exact(study: Study, words: Catalogue) -> list[Block]:
    """Shares of the spread of complete grids that k, reg and their interaction make."""
    metrics = study.tables["metrics"]
    found: list[Block] = []
    for method in ("mf-published", "mf"):
        rows = where(metrics[metrics["k"] != ""], method=method)
        if rows.empty or complete(rows)[["k", "reg"]].nunique().min() < 2:
            continue
        if stopped(rows)["stopped"].sum():  # reported with the effort of tuning
            continue
        shares = grid_importances(complete(grid(metrics, method)))
        drawn, name = drawings.importances(shares, words.plain), f"grid-importances-{method}"
        found.append(plotted(words, name, "search.exact", drawn, method=code(method)))
    return found


def _trials(name: str, title: str, runs: pd.DataFrame, words: Catalogue) -> Table:
    columns = "number=trial state k reg=λ value=published_value test_rmse=true_rmse"
    columns += " train_rmse:rmse loss:rmse delta_loss"
    shown = runs.assign(state=words.terms("state", runs["state"]))
    return tabulated(words, name, words(title), shown, columns)
