"""The numbers of the report, computed from the tables of a study."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd

from cfmf.evaluation.collect import EACH_USER
from cfmf.methods.registry import family, is_blend, uses
from cfmf.metrics import METRICS
from cfmf.report.context import Study
from cfmf.selection import best
from cfmf.statistics.names import AGAINST, CLUSTERED_T, CORRECTED_T
from cfmf.tables import where

ONE_RUN = {"fit", "refit", "predict"}
"""Stages of the costs that one use of a chosen setting pays; the others belong to the search."""


def methods(study: Study) -> list[str]:
    """Methods of the study, best test RMSE first."""
    return errors_on_test(study).groupby("method")["value"].mean().sort_values().index.tolist()


def errors_on_test(study: Study, metric: str = "rmse", split: str = "test") -> pd.DataFrame:
    """A measure on test, or validation, at each chosen setting: columns method, fold, value.

    The value is the mean over seeds; folds are never mixed here.
    """
    rows = where(study.tables["selected"], split=split, metric=metric)
    return rows.groupby(["method", "fold"], sort=False)["value"].mean().reset_index()


def summary(study: Study) -> pd.DataFrame:
    """One row a method: errors on test over folds, coverage and cost; best first.

    Columns method, family, the metrics that are `in_summary` (`cfmf.metrics`), sd (of the RMSE over
    folds, n − 1), coverage (share of test ratings predicted without the fallback), folds, setting,
    uses (what a method knows beside the ratings, keys of `cfmf.side.USES`), seconds (to fit on one
    fold's train part and predict its test part), search (seconds of everything that method did).
    """
    rmse = errors_on_test(study).groupby("method")["value"]
    table = pd.DataFrame({"sd": rmse.std(), "folds": rmse.size()})
    for name, metric in METRICS.items():
        if metric.in_summary:
            values = errors_on_test(study, name).groupby("method")["value"]
            table[name] = values.agg(metric.over_folds)
    fallback = errors_on_test(study, "fallback_share").groupby("method")["value"].mean()
    table["coverage"] = 1 - fallback
    table["setting"] = chosen_settings(study).reindex(table.index).fillna("")
    seconds = costs(study)
    for name in ("seconds", "search"):
        table[name] = seconds.get(name, np.nan)
    table.insert(0, "family", [family(str(method)) for method in table.index])
    blends = study.plan.get("plan", {}).get("blends", {})
    made_of = [blends.get(method, [method]) for method in table.index]
    table["uses"] = [", ".join(dict.fromkeys(chain(*map(uses, one)))) for one in made_of]
    return table.sort_values("rmse").rename_axis("method").reset_index()


def best_single(table: pd.DataFrame) -> pd.Series:
    """The row of `summary` with the lowest RMSE of a method that is no blend.

    It knows the ratings alone, where there is such a method.
    """
    single = table[~table["method"].map(is_blend)]
    return (single[single["uses"] == ""] if (single["uses"] == "").any() else single).iloc[0]


def of_users(study: Study) -> pd.DataFrame:
    """Mean and median of the users' own RMSE: rows of the `intervals` table, none without it."""
    return where(study.table("intervals"), slice=EACH_USER)


def chosen_settings(study: Study) -> pd.Series:
    """For each method the settings chosen on its folds, the most frequent first, as one text."""
    rows = study.table("selection").dropna(subset=["setting"])
    if rows.empty:
        return pd.Series(dtype=str)
    return rows.groupby("method")["setting"].apply(_tally)


def _tally(settings: pd.Series) -> str:
    counts = settings.value_counts()
    if len(counts) == 1:
        return str(counts.index[0])
    return "; ".join(f"{setting} ({count}×)" for setting, count in counts.items())


def costs(study: Study) -> pd.DataFrame:
    """Seconds by method: `seconds` of one fold at the chosen setting, `search` of everything."""
    rows = study.table("costs")
    if rows.empty:
        return pd.DataFrame()
    rows = where(rows, measure="seconds")
    everything = rows.groupby("method")["value"].sum()
    keys = ["method", "fold", "k", "reg"]
    chosen = study.tables["selected"][keys].drop_duplicates()
    one = rows[rows["stage"].isin(ONE_RUN)].merge(chosen, on=keys)
    refitted = one[one["stage"] == "refit"]["method"].unique()
    one = one[~((one["stage"] == "fit") & one["method"].isin(refitted))]
    each = one.groupby(["method", "fold", "seed"])["value"].sum()
    return pd.DataFrame({"seconds": each.groupby("method").mean(), "search": everything})


def least(table: pd.DataFrame, column: str) -> pd.Series:
    """The row with the lowest value in a column; the first one where all values are missing."""
    values = table[column].to_numpy(dtype=float)
    return table.iloc[int(np.argmin(np.where(np.isnan(values), np.inf, values)))]


def equal_ratings(study: Study) -> int:
    """The number of ratings where all are equal, so that no method can be told from another."""
    about = study.audit.get("checks", {}).get("constant", {})
    return int(about.get("count", 0)) if isinstance(about, dict) else 0


def tuned_by_k(study: Study, split: str = "test") -> pd.DataFrame:
    """RMSE of every factorization at each k, its reg chosen on validation fold by fold.

    Columns method, k, fold, value (mean over seeds).
    """
    rows = where(study.tables["metrics"], metric="rmse")
    rows = rows[rows["k"] != ""]
    keys = ["method", "k", "reg", "fold"]
    wide = rows.pivot_table(index=keys, columns="split", values="value", aggfunc="mean")
    if wide.empty or split not in wide:
        return pd.DataFrame(columns=["method", "k", "fold", "value"])
    chooser = "validation" if "validation" in wide else split
    wide = wide[wide[chooser].notna()].reset_index()
    chosen = best(wide.assign(validation_rmse=wide[chooser]), ["method", "k", "fold"])
    chosen = chosen.rename(columns={split: "value"})
    return chosen[["method", "k", "fold", "value"]].dropna().reset_index(drop=True)


def rises(study: Study) -> pd.DataFrame:
    """How the error of each method with several k changes from the best k to the largest.

    Columns method, best_k (lowest validation RMSE), best (its test RMSE), best_gap (its test minus
    train RMSE), largest_k, largest, largest_gap, and rise, largest minus best. Means over folds and
    seeds; reg has the lowest validation RMSE at each k, fold by fold.
    """
    keys = ["method", "k"]
    means = pd.DataFrame(
        {
            split: tuned_by_k(study, split).groupby(keys, sort=False)["value"].mean()
            for split in ("validation", "test", "train")
        }
    ).reset_index()
    means["k"] = means["k"].astype(int)
    means["gap"] = means["test"] - means["train"]
    rows = []
    for method, points in means.dropna(subset=["validation", "test"]).groupby("method", sort=False):
        if len(points) < 2:
            continue
        row: dict[str, object] = {"method": method}
        best, largest = least(points, "validation"), points.sort_values("k").iloc[-1]
        for name, point in (("best", best), ("largest", largest)):
            row |= {f"{name}_k": point["k"], name: point["test"], f"{name}_gap": point["gap"]}
        rows.append({**row, "rise": largest["test"] - best["test"]})
    return pd.DataFrame(rows)


def over_folds(values: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Mean and standard deviation over folds: columns of `by`, mean, sd, folds."""
    grouped = values.groupby(by, sort=False)["value"]
    return grouped.agg(mean="mean", sd="std", folds="size").reset_index()


def grid(study: Study, method: str, split: str = "validation") -> pd.DataFrame:
    """Mean RMSE over folds and seeds of every k and reg of a method: columns k, reg, value."""
    rows = where(study.tables["metrics"], method=method, metric="rmse", split=split)
    return rows.groupby(["k", "reg"], sort=False)["value"].mean().reset_index()


def measure(
    study: Study, method: str, split: str, metric: str = "rmse", **known: str
) -> float | None:
    """Mean over folds and seeds of one measure of a method; None where there is none."""
    rows = where(study.tables["metrics"], method=method, split=split, metric=metric, **known)
    return float(rows["value"].mean()) if len(rows) else None


def frontier(points: pd.DataFrame) -> pd.Series:
    """Which rows of `seconds` and `rmse` are Pareto-optimal."""
    both = points[["seconds", "rmse"]]
    beaten = [
        ((both <= row).all(axis=1) & (both < row).any(axis=1)).any() for _, row in both.iterrows()
    ]
    return ~pd.Series(beaten, index=points.index, dtype=bool)


def contrasts(study: Study) -> pd.DataFrame:
    """Differences between methods with their widest intervals, one row a pair.

    Columns label, group_a, group_b, effect, ci_low, ci_high, p_adj; empty where there are none.
    """
    rows = study.table("tests").dropna(subset=["ci_low"])
    rows = rows[rows["test"].isin([CORRECTED_T, CLUSTERED_T])]
    rows = where(rows, factor="method") if "method" in set(rows["factor"]) else rows
    label = rows["group_a"].astype(str) + " − " + rows["group_b"].astype(str)
    rows = rows.assign(label=label, width=rows["ci_high"] - rows["ci_low"])
    kept = rows.sort_values("width", ascending=False, kind="stable").drop_duplicates("label")
    return kept.sort_index().reset_index(drop=True)


def margin(study: Study) -> float | None:
    """The margin declared in advance, within which a difference does not matter."""
    margins = where(study.table("tests"), test=CORRECTED_T)["margin"].dropna()
    return float(margins.iloc[0]) if len(margins) else None


def control_of(study: Study) -> str:
    """The method that the others are compared with; empty where the run has no tests."""
    rows = where(study.table("tests"), family=AGAINST)
    return str(rows["method"].iloc[0]) if len(rows) else ""


def against_control(study: Study) -> pd.DataFrame:
    """Each method minus the control, with its widest interval.

    Indexed by method: columns low, high, verdict, ci_level; empty where there are no tests.
    """
    control, rows = control_of(study), contrasts(study)
    sides = []
    for mine, other, low, high, sign in (
        ("group_a", "group_b", "ci_low", "ci_high", 1),
        ("group_b", "group_a", "ci_high", "ci_low", -1),
    ):
        side = rows[rows[other] == control]
        ends = {"low": sign * side[low], "high": sign * side[high]}
        sides.append(side.assign(method=side[mine], **ends))
    both = pd.concat(sides)[["method", "low", "high", "verdict", "ci_level"]]
    return both.drop_duplicates("method").set_index("method")
