"""The budget of tuning and what it used: trials and wall-clock time of each method."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup

from cfmf.report.context import Study
from cfmf.report.figures import curves as figures
from cfmf.report.page import Block, Collapsed, Heading, Note, Plot, Points, Table, Text, tabulated
from cfmf.report.strings import Catalogue, amounts, code, number
from cfmf.tables import where

TUNING = {"tune", "fit"}
"""Stages of the costs that choose a setting; what follows the choice is not tuning."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """A row a method, and what the time budget stopped."""
    table = effort(study)
    if table.empty:
        return []
    budget = float(table["budget"].iloc[0])
    stopped = table[table["stopped"] > 0]
    note = words(
        "effort.stopped" if len(stopped) else "effort.none_stopped",
        budget=number(budget, "seconds"),
        runs=number(int(stopped["stopped"].sum()), "count"),
        methods=words.listed(map(code, stopped["method"])),
    )
    columns = "method trials=trials_fold runs=runs_all stopped seconds=seconds_mean"
    columns += " most=seconds_most budget"
    parts: list[Block] = [
        Text(words("effort.text")),
        tabulated(words, "effort", words("effort.title"), table, columns),
        Note("hint", note),
        *_searched(study, words),
    ]
    return [Collapsed(words("effort.heading"), parts)]


def effort(study: Study) -> pd.DataFrame:
    """Trials and seconds of tuning by method, most trials first; empty where no budget is known.

    Columns method, trials (settings tried on one fold), runs (trainings in all: folds and seeds),
    stopped (those that the budget ended or did not begin), seconds (mean over folds), most (of one
    fold), budget.
    """
    budget = study.provenance.get("config", {}).get("tuning", {}).get("seconds")
    costs = study.table("costs")
    if budget is None or costs.empty:
        return pd.DataFrame()
    spent = where(costs[costs["stage"].isin(TUNING)], measure="seconds")
    seconds = spent.groupby(["method", "fold"], sort=False)["value"].sum().groupby("method")
    counts = pd.concat([_neighbours(study), _factorizations(study)])
    table = counts.join(pd.DataFrame({"seconds": seconds.mean(), "most": seconds.max()}))
    table = table.assign(budget=float(budget)).rename_axis("method").reset_index()
    return table.sort_values(["trials", "method"], ascending=[False, True], ignore_index=True)


def _neighbours(study: Study) -> pd.DataFrame:
    """Columns trials, runs, stopped by method."""
    rows = study.neighbour_trials
    if rows is None:
        return pd.DataFrame(columns=["trials", "runs", "stopped"])
    grouped = rows.assign(late=rows["state"] != "COMPLETE").groupby("method")
    return pd.DataFrame(
        {
            "trials": grouped["trial"].nunique(),
            "runs": grouped.size(),
            "stopped": grouped["late"].sum(),
        }
    )


def _factorizations(study: Study) -> pd.DataFrame:
    """Columns trials, runs, stopped by method."""
    rows = study.tables["metrics"]
    late = rows[(rows["split"] == "fit") & (rows["metric"] == "out_of_time")]
    grouped = late.assign(point=late["k"] + " " + late["reg"]).groupby("method")
    return pd.DataFrame(
        {
            "trials": grouped["point"].nunique(),
            "runs": grouped.size(),
            "stopped": grouped["value"].sum().astype(int),
        }
    )


def _searched(study: Study, words: Catalogue) -> list[Block]:
    """What the search of `tuning.search` chose, and what the grids chose."""
    table = searched(study)
    if table.empty:
        return []
    columns = "method by=chosen_by folds trials=trials_fold complete seconds=seconds_mean"
    columns += " validation=validation_rmse test=test_rmse"
    shown = table.assign(by=[words.plain(f"effort.by_{by}") for by in table["by"]])
    found: list[Block] = [
        Heading(words("effort.search_heading")),
        Text(words("effort.search_text")),
        tabulated(words, "searched", words("effort.search_title"), shown, columns),
    ]
    said = _differences(table, words)
    title = words("effort.search_trials")
    found += [Points(said)] if said else []
    return [*found, *_progress(study, words), Collapsed(title, [_trials(study, words)])]


def _progress(study: Study, words: Catalogue) -> list[Block]:
    """The lowest validation RMSE so far of both searches, against trials and against seconds."""
    points, caption = progress(study), words("effort.progress_caption")
    found: list[Block] = []
    for x in ("trials", "seconds"):
        if points[x].notna().any():
            drawn = figures.search_progress(points.dropna(subset=[x]), x, words.plain)
            found.append(Plot(f"search-by-{x}", words(f"effort.progress_{x}"), caption, drawn))
    return found


def progress(study: Study) -> pd.DataFrame:
    """How far each search of a method that was searched in both ways had come by every trial.

    Columns method, by (grid or search), trials (from 1), seconds (spent so far), value (the lowest
    validation RMSE so far); means over folds, from the first trial by which every fold has one.
    Trials of a method that is tuned in one job share their passes, so each counts an equal share of
    the seconds.
    """
    found = study.adaptive["trials"].assign(by="search")
    costs = study.adaptive["costs"].set_index(["fold", "method", "stage"])["value"]
    keys = zip(found["fold"], found["method"], "trial " + found["trial"].astype(str), strict=True)
    found["seconds"] = [costs.get(key, np.nan) for key in keys]
    grid = pd.concat([_tried_in_one_job(study), _tried_points(study)]).assign(by="grid")
    both = pd.concat([grid[grid["method"].isin(found["method"])], found], ignore_index=True)
    runs = ["method", "by", "fold"]
    both = both.sort_values([*runs, "trial"], kind="stable")
    value = both["value"].where(both["state"] == "COMPLETE")
    both["value"] = value.groupby([both[name] for name in runs]).cummin()
    both["value"] = both.groupby(runs)["value"].ffill()
    both["seconds"] = both.groupby(runs)["seconds"].cumsum()
    both["trials"] = both.groupby(runs).cumcount() + 1
    step = both.groupby(["method", "by", "trials"])
    means = step[["seconds", "value"]].mean()[step["value"].apply(lambda one: one.notna().all())]
    return means.reset_index()


def _tried_in_one_job(study: Study) -> pd.DataFrame:
    """Columns method, fold, trial, state, value, seconds."""
    rows, costs = study.neighbour_trials, study.table("costs")
    if rows is None or costs.empty:
        return pd.DataFrame()
    whole = where(costs, stage="tune").groupby(["method", "fold"])["value"].sum()
    shares = whole / rows.groupby(["method", "fold"]).size()
    return rows.merge(shares.rename("seconds").reset_index(), how="left")


def _tried_points(study: Study) -> pd.DataFrame:
    """Columns method, fold, trial, state, value, seconds, in job order; means over seeds."""
    metrics, costs = study.tables["metrics"], study.table("costs")
    keys = ["method", "fold", "k", "reg"]
    rows = where(metrics, metric="rmse", split="validation")
    found = rows[rows["k"] != ""].groupby(keys, sort=False)["value"].mean().reset_index()
    if len(costs):
        seconds = where(costs, stage="fit").groupby(keys)["value"].sum().rename("seconds")
        found = found.merge(seconds.reset_index(), how="left")
    found["trial"] = found.groupby(["method", "fold"]).cumcount()
    return found.assign(state="COMPLETE")


def _differences(table: pd.DataFrame, words: Catalogue) -> list[Markup]:
    """A sentence for each method with both: RMSE by the search minus that by the grid."""
    splits = ["validation", "test"]
    sides = {by: rows.set_index("method")[splits] for by, rows in table.groupby("by")}
    if set(sides) != {"search", "grid"}:
        return []
    gaps = (sides["search"] - sides["grid"]).reindex(sides["search"].index).dropna()
    found = []
    for method, *values in gaps.itertuples():
        both = amounts("signed", **dict(zip(splits, values, strict=True)))
        found.append(words("effort.search_said", method=code(method), **both))
    return found


def _trials(study: Study, words: Catalogue) -> Table:
    """Every trial of the searches."""
    trials = study.adaptive["trials"].rename(columns={"value": "validation"})
    columns = "method fold:text trial state setting=what:code validation=validation_rmse"
    shown = trials.assign(state=words.terms("state", trials["state"]))
    title = words("effort.search_trials")
    return tabulated(words, "searched-trials", title, shown, columns)


def searched(study: Study) -> pd.DataFrame:
    """The search and the grid of each method: means over folds; empty without a search.

    Columns method, by (grid or search), folds, trials and complete (of one fold, the most), seconds
    (of tuning, mean over folds), validation, test (RMSE of what was chosen). A method that was not
    run on a grid has one row.
    """
    if not study.adaptive:
        return pd.DataFrame()
    trials, costs = study.adaptive["trials"], study.adaptive["costs"]
    counts = trials.groupby(["method", "fold"])["state"]
    rows = _chosen(study.adaptive["metrics"]).assign(
        by="search",
        trials=counts.size().groupby("method").max(),
        complete=counts.apply(lambda one: (one == "COMPLETE").sum()).groupby("method").max(),
        seconds=costs[costs["stage"] == "search"].groupby("method")["value"].mean(),
    )
    grid = _chosen(study.tables["selected"]).assign(by="grid")
    grid = grid[grid.index.isin(rows.index)]
    tuned = effort(study)
    if not tuned.empty:
        tuned = tuned.set_index("method")
        runs = (tuned["runs"] - tuned["stopped"]) * tuned["trials"] / tuned["runs"]
        grid = grid.join(tuned[["trials", "seconds"]].assign(complete=runs.round()))
    both = pd.concat([grid, rows]).rename_axis("method").reset_index()
    return both.sort_values(["method", "by"], ignore_index=True)


def _chosen(metrics: pd.DataFrame) -> pd.DataFrame:
    """By method: folds, and the mean RMSE on validation and test."""
    rows = metrics[(metrics["metric"] == "rmse") & metrics["split"].isin(["validation", "test"])]
    means = rows.groupby(["method", "split", "fold"])["value"].mean().reset_index()
    table = means.pivot_table(index="method", columns="split", values="value")
    return table.assign(folds=rows.groupby("method")["fold"].nunique())
