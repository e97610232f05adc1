"""What each method costs: seconds and memory. Everything here differs from run to run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import accuracy as figures
from cfmf.report.page import Block, Collapsed, Plot, Text, plotted, tabulated
from cfmf.report.sections import effort
from cfmf.report.strings import Catalogue, code


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Tuning effort, accuracy against cost, cost and scaling of one fit, jobs."""
    found = [
        *_pareto(study, words),
        *_fits(study, words),
        *effort.blocks(study, words),
        *_scaling(study, words),
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
    drawn = figures.pareto(points, words.plain)
    return [plotted(words, "pareto", "cost.pareto", drawn, methods=words.listed(map(code, best)))]


def fits(study: Study) -> pd.DataFrame:
    """What one fit of each method took; empty where the run has no table of it.

    Columns method, fit and predict (CPU seconds), micro (microseconds a predicted pair), memory
    (peak of the method's job, mebibytes), numbers and bytes of the model, joules (of the fit; NaN
    where it could not be measured).
    """
    rows = study.table("fit_costs")
    if rows.empty:
        return rows
    wide = rows.pivot(index="method", columns=["stage", "measure"], values="value")
    nothing = pd.Series(float("nan"), index=wide.index)
    table = pd.DataFrame(
        {
            "fit": wide["fit", "cpu_seconds"],
            "predict": wide["predict", "cpu_seconds"],
            "micro": 1e6 * wide["predict", "cpu_seconds"] / wide["predict", "pairs"],
            "numbers": wide["model", "numbers"],
            "bytes": wide["model", "bytes"],
            "joules": wide.get(("fit", "joules"), nothing),
        }
    )
    jobs_of = study.benchmarks
    if jobs_of is not None:
        own = jobs_of[jobs_of["rule"] == "measure_method"].set_index("job")["max_rss"]
        table["memory"] = own.reindex(table.index)
    return table.sort_values("fit").reset_index()


def _fits(study: Study, words: Catalogue) -> list[Block]:
    table = fits(study)
    if table.empty:
        return []
    known = table["joules"].notna().any()
    columns = "method fit=fit_seconds micro" + (" memory" if "memory" in table else "")
    columns += " numbers=model_numbers bytes=model_bytes" + (" joules" if known else "")
    text = words("cost.fits_text") + " " + words("cost.energy" if known else "cost.no_energy")
    return [Text(text), tabulated(words, "fits", words("cost.fits"), table, columns)]


def _scaling(study: Study, words: Catalogue) -> list[Block]:
    rows = study.table("scaling")
    if rows.empty:
        return []
    columns = "method axis smallest largest exponent se theoretical"
    shown = rows.assign(axis=[words.plain(f"axis.size_{axis}") for axis in rows["axis"]])
    title = words("cost.scaling")
    table = tabulated(words, "scaling", title, shown, columns)
    return [Collapsed(title, [Text(words("cost.scaling_text")), table, *_growth(study, words)])]


def _growth(study: Study, words: Catalogue) -> list[Plot]:
    """What was measured, a figure for each thing that grows, with the lines of the exponents."""
    found = []
    for axis, rows in fitted(study).groupby("axis", sort=False):
        what = words(f"axis.size_{axis}")
        drawn = figures.growth(rows, what.striptags(), words.plain)
        found.append(plotted(words, f"growth-{axis}", "cost.growth", drawn, what=what))
    return found


def fitted(study: Study) -> pd.DataFrame:
    """Measured seconds by method, axis and size, and those of the line with the fitted exponent.

    Columns method, axis, size, seconds, fitted; without samples too short for the clock, as where
    the exponents were fitted.
    """
    timings, scaling = study.table("timings"), study.table("scaling")
    keys = ["dataset", "fold", "method", "axis"]
    names = ["method", "axis", "size", "seconds", "fitted"]
    if timings.empty or scaling.empty:
        return pd.DataFrame(columns=names)
    points = timings[timings["seconds"] > 0].merge(scaling[[*keys, "exponent"]], on=keys)
    logs = points[["size", "seconds"]].astype(float).apply(np.log)
    # A line of least squares passes through the mean of what it is fitted to.
    middle = logs.groupby([points[key] for key in keys]).transform("mean")
    line = middle["seconds"] + points["exponent"] * (logs["size"] - middle["size"])
    return points.assign(fitted=np.exp(line))[names]


def _stages(study: Study, words: Catalogue) -> list[Block]:
    costs = study.table("costs")
    if costs.empty:
        return []
    keys = ["method", "k", "reg", "stage", "measure"]
    rows = costs.groupby(keys, sort=False)["value"].agg(mean="mean", total="sum", n="size")
    shown = rows.reset_index()
    shown = shown.assign(**{key: words.terms(key, shown[key]) for key in ("stage", "measure")})
    columns = "method k:text reg stage measure n=runs mean:value total=sum:value"
    title = words("cost.stages")
    return [Collapsed(title, [tabulated(words, "costs", title, shown, columns)])]


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
    columns = "rule jobs total=sum longest memory"
    title = words("cost.jobs")
    return [Collapsed(title, [tabulated(words, "jobs", title, jobs(study.benchmarks), columns)])]
