"""How the trainings went: epochs, starts, and whether they converged, method by method."""

from __future__ import annotations

import pandas as pd

from cfmf.report.context import Study
from cfmf.report.page import Block, Column, Heading, Table, Text, records
from cfmf.report.strings import Catalogue, number

RUN = ["method", "k", "reg", "fold", "seed"]


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """A row a method; nothing of a run whose tables do not tell."""
    table = trainings(study.tables["metrics"])
    if table.empty:
        return []
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("runs", words.plain("column.trained_twice"), "count"),
        Column("epochs", words.plain("column.epochs_median"), "count"),
        Column("most", words.plain("column.epochs_most"), "count"),
        Column("several", words.plain("column.several_starts"), "count"),
        Column("restarted", words.plain("column.restarted"), "count"),
        Column("unconverged", words.plain("column.unconverged"), "count"),
        Column("ratio", words.plain("column.largest_ratio"), "rmse"),
    ]
    counts = {name: number(int(table[name].sum()), "count") for name in ("runs", "restarted")}
    unconverged = number(int(table["unconverged"].sum()), "count")
    return [
        Heading(words("factorization.trainings_heading")),
        Text(words("factorization.trainings_text", **counts, unconverged=unconverged)),
        Table("trainings", words("factorization.trainings_title"), columns, records(table)),
    ]


def trainings(metrics: pd.DataFrame) -> pd.DataFrame:
    """Trainings of every method that trains in passes, in the order of the methods.

    Columns method; runs (points × folds × seeds, each trained on fit and again on train); epochs
    and most (median and maximum on fit); several (runs with several starts on fit); restarted (runs
    with several on train); unconverged (runs that did not converge on fit or on train); ratio (the
    largest RMSE on train over that on fit).
    """
    rows = metrics[metrics["metric"].isin(["epochs", "starts", "converged", "rmse"])]
    rows = rows[rows["split"].isin(["fit", "train"])]
    rows = rows.assign(name=rows["split"] + " " + rows["metric"])
    wide = rows.pivot_table(index=RUN, columns="name", values="value", sort=False)
    wanted = ["fit epochs", "fit starts", "fit converged", "fit rmse"]
    wanted += ["train starts", "train converged", "train rmse"]
    wide = wide.reindex(columns=wanted).dropna(subset=["fit starts"])
    runs = pd.DataFrame(
        {
            "epochs": wide["fit epochs"],
            "several": wide["fit starts"] > 1,
            "restarted": wide["train starts"] > 1,
            "unconverged": (wide["fit converged"] < 1) | (wide["train converged"] < 1),
            "ratio": wide["train rmse"] / wide["fit rmse"],
        }
    )
    return (
        runs.groupby("method", sort=False)
        .agg(
            runs=("epochs", "size"),
            epochs=("epochs", "median"),
            most=("epochs", "max"),
            several=("several", "sum"),
            restarted=("restarted", "sum"),
            unconverged=("unconverged", "sum"),
            ratio=("ratio", "max"),
        )
        .reset_index()
    )
