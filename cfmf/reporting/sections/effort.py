"""What tuning was allowed and what it took: trials and wall-clock time, method by method."""

from __future__ import annotations

import pandas as pd

from cfmf.reporting.page import Block, Column, Heading, Note, Table, Text, records
from cfmf.reporting.strings import Catalogue, number
from cfmf.reporting.study import Study

TUNING = {"tune", "fit"}
"""Stages of the costs that choose a setting; what follows the choice is not tuning."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """A row a method, and what the budget cut, in words."""
    table = effort(study)
    if table.empty:
        return []
    budget = float(table["budget"].iloc[0])
    cut = table[table["cut"] > 0]
    told = words("effort.none_cut", budget=number(budget, "seconds"))
    if len(cut):
        told = words(
            "effort.cut",
            budget=number(budget, "seconds"),
            runs=number(int(cut["cut"].sum()), "count"),
            methods=", ".join(cut["method"]),
        )
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("trials", words.plain("column.trials_fold"), "count"),
        Column("runs", words.plain("column.runs_all"), "count"),
        Column("cut", words.plain("column.cut"), "count"),
        Column("seconds", words.plain("column.seconds_mean"), "seconds"),
        Column("most", words.plain("column.seconds_most"), "seconds"),
        Column("budget", words.plain("column.budget"), "seconds"),
    ]
    return [
        Heading(words("effort.heading")),
        Text(words("effort.text")),
        Table("effort", words("effort.title"), columns, records(table)),
        Note("erratum" if len(cut) else "hint", told),
    ]


def effort(study: Study) -> pd.DataFrame:
    """Trials and seconds of tuning by method, most trials first; empty where no budget is known.

    Columns method, trials (settings tried on one fold), runs (trainings in all: folds and seeds),
    cut (those that the budget ended or did not begin), seconds (mean over folds), most (of one
    fold), budget.
    """
    budget = study.provenance.get("config", {}).get("tuning", {}).get("seconds")
    costs = study.table("costs")
    if budget is None or costs is None:
        return pd.DataFrame()
    spent = costs[costs["stage"].isin(TUNING) & (costs["measure"] == "seconds")]
    seconds = spent.groupby(["method", "fold"], sort=False)["value"].sum().groupby("method")
    counts = pd.concat([_neighbours(study), _factorizations(study)])
    table = counts.join(pd.DataFrame({"seconds": seconds.mean(), "most": seconds.max()}))
    table = table.assign(budget=float(budget)).rename_axis("method").reset_index()
    return table.sort_values(["trials", "method"], ascending=[False, True], ignore_index=True)


def _neighbours(study: Study) -> pd.DataFrame:
    """Columns trials, runs, cut by method."""
    rows = study.neighbour_trials
    if rows is None:
        return pd.DataFrame(columns=["trials", "runs", "cut"])
    grouped = rows.assign(late=rows["state"] != "COMPLETE").groupby("method")
    return pd.DataFrame(
        {
            "trials": grouped["trial"].nunique(),
            "runs": grouped.size(),
            "cut": grouped["late"].sum(),
        }
    )


def _factorizations(study: Study) -> pd.DataFrame:
    """Columns trials, runs, cut by method."""
    rows = study.tables["metrics"]
    late = rows[(rows["split"] == "fit") & (rows["metric"] == "out_of_time")]
    grouped = late.assign(point=late["k"] + " " + late["reg"]).groupby("method")
    return pd.DataFrame(
        {
            "trials": grouped["point"].nunique(),
            "runs": grouped.size(),
            "cut": grouped["value"].sum().astype(int),
        }
    )
