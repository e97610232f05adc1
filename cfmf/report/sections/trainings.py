"""Epochs, starts and convergence of the trainings of each method."""

from __future__ import annotations

import pandas as pd

from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Text, tabulated
from cfmf.report.strings import Catalogue, amounts

RUN = ["method", "k", "reg", "fold", "seed"]


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """A row a method; nothing where the tables have no starts."""
    table = trainings(study.tables["metrics"])
    if table.empty:
        return []
    columns = "method runs=trained_twice:count epochs=epochs_median:count most=epochs_most:count"
    columns += " several=several_starts:count restarted:count unconverged:count"
    columns += " ratio=largest_ratio:rmse"
    counts = {name: int(table[name].sum()) for name in ("runs", "restarted", "unconverged")}
    title = words("factorization.trainings_title")
    parts: list[Block] = [
        Text(words("factorization.trainings_text", **amounts("count", **counts))),
        tabulated(words, "trainings", title, table, columns),
    ]
    return [Collapsed(words("factorization.trainings_heading"), parts)]


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
    grouped = runs.groupby("method", sort=False)
    table = grouped.agg(
        runs=("epochs", "size"), epochs=("epochs", "median"), most=("epochs", "max")
    )
    counts = grouped[["several", "restarted", "unconverged"]].sum()
    return table.join(counts).assign(ratio=grouped["ratio"].max()).reset_index()
