"""What each method costs: seconds and memory. Everything here differs from run to run."""

from __future__ import annotations

import pandas as pd

from cfmf.figures import comparison as figures
from cfmf.reporting import numbers
from cfmf.reporting.page import Block, Column, Fold, Plot, Table, Text, records
from cfmf.reporting.sections import effort
from cfmf.reporting.strings import Catalogue, code
from cfmf.reporting.study import Study


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Effort of tuning, accuracy against cost, seconds by stage, jobs as measured."""
    found = [
        *effort.blocks(study, words),
        *_pareto(study, words),
        *_stages(study, words),
        *_jobs(study, words),
    ]
    return [Text(words("cost.text")), *found] if found else []


def _pareto(study: Study, words: Catalogue) -> list[Block]:
    table = numbers.summary(study)
    points = table[["method", "seconds", "rmse"]].dropna()
    points = points[points["seconds"] > 0]
    if len(points) < 2:
        return []
    points = points.assign(frontier=numbers.frontier(points))
    best = points[points["frontier"]].sort_values("seconds")["method"]
    return [
        Plot(
            "pareto",
            words("cost.pareto_title"),
            words("cost.pareto_caption", methods=code(", ".join(best))),
            figures.pareto(points, words.plain),
        )
    ]


def _stages(study: Study, words: Catalogue) -> list[Block]:
    costs = study.table("costs")
    if costs is None:
        return []
    keys = ["method", "k", "reg", "stage", "measure"]
    rows = costs.groupby(keys, sort=False)["value"].agg(mean="mean", total="sum", n="size")
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("k", "k", "text"),
        Column("reg", "reg", "text"),
        Column("stage", words.plain("column.stage")),
        Column("measure", words.plain("column.measure")),
        Column("n", words.plain("column.runs"), "count"),
        Column("mean", words.plain("column.mean"), "value"),
        Column("total", words.plain("column.sum"), "value"),
    ]
    title = words("cost.stages")
    return [Fold(title, [Table("costs", title, columns, records(rows.reset_index()))])]


def jobs(benchmarks: pd.DataFrame) -> pd.DataFrame:
    """Snakemake's measurements by rule: jobs, seconds in all, longest, peak memory in MB."""
    grouped = benchmarks.groupby("rule")
    table = grouped.agg(
        jobs=("s", "size"), total=("s", "sum"), longest=("s", "max"), memory=("max_rss", "max")
    )
    return table.sort_values("total", ascending=False).reset_index()


def _jobs(study: Study, words: Catalogue) -> list[Block]:
    if study.benchmarks is None:
        return []
    columns = [
        Column("rule", words.plain("column.rule"), "code"),
        Column("jobs", words.plain("column.jobs"), "count"),
        Column("total", words.plain("column.sum"), "seconds"),
        Column("longest", words.plain("column.longest"), "seconds"),
        Column("memory", words.plain("column.memory"), "mb"),
    ]
    return [Table("jobs", words("cost.jobs"), columns, records(jobs(study.benchmarks)))]
