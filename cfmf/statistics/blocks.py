"""From metrics to the values that are compared: one for each fold, level and seed.

The config declares which of three estimands are tested. E1 is the RMSE on test of each k with its
reg tuned on validation; E2 the mean RMSE on test over the whole grid of reg (the study's "expected
improvement"); E3 the RMSE on test of each method at the setting chosen on validation.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.methods.registry import family, uses
from cfmf.selection import best, edge
from cfmf.statistics.names import COMPOSITES
from cfmf.tables import where

CELL = ["k", "reg", "fold", "seed"]


def grid(metrics: pd.DataFrame, method: str) -> pd.DataFrame:
    """The points of one method: its RMSE on validation and test in every cell.

    A search that grows tries some reg only at some k; `complete` is the grid without holes.

    Returns
    -------
    Columns k, reg, fold, seed (text), validation, test (RMSE), in order of k, reg, fold, seed.

    Raises
    ------
    ValueError
        If a cell of point × fold × seed is missing or not finite: tests between folds need complete
        runs, and points with holes would be a selection.
    """
    rows = where(metrics, method=method, metric="rmse")
    rows = rows[rows["split"].isin(["validation", "test"])]
    cells = rows.pivot_table(index=CELL, columns="split", values="value", sort=False)
    cells = cells.reindex(columns=["validation", "test"])
    values = [sorted(rows[name].unique(), key=number) for name in CELL]
    every = pd.MultiIndex.from_product(values, names=CELL)
    tried = pd.MultiIndex.from_frame(rows[["k", "reg"]].drop_duplicates())
    full = cells.reindex(every[every.droplevel(["fold", "seed"]).isin(tried)])
    holes = full.index[~np.isfinite(full.to_numpy()).all(axis=1)]
    if len(holes):
        first = ", ".join(f"{name}={value}" for name, value in zip(CELL, holes[0], strict=True))
        raise ValueError(
            f"the grid of {method} lacks {len(holes)} of {len(full)} cells (the first is {first});"
            " train them to convergence, or take the values off the config: only complete grids are"
            " compared"
        )
    return full.rename_axis(columns=None).reset_index()


def complete(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest part of some points that has every one of its reg at each of its k.

    All of them where a grid stayed as listed. What is averaged over reg needs the same reg at
    every k.
    """
    held = [frozenset(rows["reg"]) for _, rows in cells.groupby("k")]
    shared = set(held)
    while more := {one & other for one in shared for other in shared} - shared:
        shared |= more

    def size(regs: frozenset[str]) -> tuple[int, int, list[str]]:
        return len(regs) * sum(regs <= one for one in held), len(regs), sorted(regs)

    regs = max(shared, key=size)
    kept = cells.groupby("k")["reg"].transform(lambda one: regs <= set(one)).astype(bool)
    return cells[kept & cells["reg"].isin(regs)].reset_index(drop=True)


def stopped(metrics: pd.DataFrame) -> pd.DataFrame:
    """How many runs the time budget stopped: columns method, stopped, runs."""
    rows = where(metrics, split="fit", metric="out_of_time")
    found = rows.groupby("method", sort=False)["value"].agg(stopped="sum", runs="size")
    return found.astype(int).reset_index()


def stopped_choices(metrics: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The same for the runs at the chosen settings, where there are any.

    Parameters
    ----------
    metrics
        `metrics` table of all methods.
    chosen
        What `cfmf.selection.choose` returns.
    """
    keys = ["dataset", "fold", "method", "k", "reg"]
    found = stopped(metrics.merge(chosen[keys], on=keys))
    return found[found["stopped"] > 0]


def unconverged_choices(metrics: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """How many runs at chosen settings did not converge: columns method, unconverged, runs.

    See `stopped_choices` for the parameters.
    """
    keys = ["dataset", "fold", "method", "k", "reg"]
    rows = metrics[metrics["metric"] == "converged"].merge(chosen[keys], on=keys)
    runs = rows.groupby([*keys, "seed"], sort=False)["value"].min().reset_index()
    runs = runs.assign(unconverged=runs["value"] < 1)
    found = runs.groupby("method", sort=False)["unconverged"].agg(unconverged="sum", runs="size")
    return found[found["unconverged"] > 0].reset_index()


def number(text: str) -> tuple[float, str]:
    """Key that sorts texts of numbers by value, and other texts after them."""
    try:
        return float(text), ""
    except ValueError:
        return float("inf"), text


def grouped(runs: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Values of the runs by k, in order of k."""
    levels = sorted((str(k) for k in runs["k"].unique()), key=number)
    return {k: runs.loc[runs["k"] == k, "value"].to_numpy(dtype=np.float64) for k in levels}


def best_reg(cells: pd.DataFrame) -> pd.DataFrame:
    """The reg that validation chooses for each fold and k, by the rule of `cfmf.selection`.

    Returns
    -------
    Columns fold, k, reg, validation, test (means over seeds), edge (as `cfmf.selection.edge`).
    """
    mean = cells.groupby(["fold", "k", "reg"], as_index=False)[["validation", "test"]].mean()
    found = best(mean.assign(validation_rmse=mean["validation"]), ["fold", "k"])
    regs = {k: rows[["reg"]] for k, rows in cells.groupby("k")}
    found["edge"] = [
        edge({"reg": reg}, regs[k]) for k, reg in found[["k", "reg"]].itertuples(index=False)
    ]
    found = found.sort_values(["k", "fold"], key=lambda s: s.map(number), ignore_index=True)
    return found.drop(columns="validation_rmse")


def tuned(cells: pd.DataFrame) -> pd.DataFrame:
    """E1: columns fold, k, seed, value (RMSE on test at the reg that validation chose)."""
    chosen = best_reg(cells)[["fold", "k", "reg"]]
    rows = cells.merge(chosen, on=["fold", "k", "reg"])
    return rows.rename(columns={"test": "value"})[["fold", "k", "seed", "value"]]


def averaged(cells: pd.DataFrame) -> pd.DataFrame:
    """E2: columns fold, k, seed, value (RMSE on test, mean over the reg that all these k have)."""
    mean = complete(cells).groupby(["fold", "k", "seed"])["test"].mean()
    return mean.rename("value").reset_index()


def of_methods(selected: pd.DataFrame) -> pd.DataFrame:
    """E3: columns fold, method, seed, value (RMSE on test at each method's chosen setting)."""
    rows = where(selected, metric="rmse", split="test")
    return rows[["fold", "method", "seed", "value"]].reset_index(drop=True)


def composites(selected: pd.DataFrame) -> pd.DataFrame:
    """The best of each family, fold by fold: what its method of lowest validation RMSE predicts.

    A method that uses more than the ratings is never taken. The choice is made within each fold:
    over all folds it would depend on test ratings, because the validation part of one fold is test
    data of another.

    Parameters
    ----------
    selected
        `metrics` rows of the chosen settings of methods that were run on every fold.

    Returns
    -------
    Columns fold, method (of `names.COMPOSITES`), taken (the method chosen), value (its RMSE on
    test), means over seeds; without a family that no method belongs to.
    """
    rows = where(selected, metric="rmse")
    wide = rows.pivot_table(index=["fold", "method"], columns="split", values="value").reset_index()
    wide = wide.assign(family=wide["method"].map(family))
    wide = wide[wide["family"].isin(COMPOSITES) & ~wide["method"].map(uses).astype(bool)]
    # Validation knows nothing of predictions of other tools.
    wide = wide.reindex(columns=["fold", "method", "family", "validation", "test"])
    wide = wide.dropna(subset="validation").sort_values(["validation", "method"])
    taken = wide.drop_duplicates(["fold", "family"]).sort_values(["fold", "family"])
    named = taken.assign(taken=taken["method"], method=taken["family"].map(COMPOSITES))
    named = named.rename(columns={"test": "value"}).rename_axis(columns=None)
    return named[["fold", "method", "taken", "value"]].reset_index(drop=True)


def table(values: pd.DataFrame, factor: str) -> pd.DataFrame:
    """Folds × levels of a factor, averaged over seeds first: the fold is the unit of inference.

    Levels that lack a fold are left out; `lacking` names them.
    """
    wide = values.pivot_table(index="fold", columns=factor, values="value", aggfunc="mean")
    wide = wide.dropna(axis="columns")
    return wide[sorted(wide.columns, key=lambda name: number(str(name)))]


def lacking(values: pd.DataFrame, factor: str) -> list[str]:
    """Levels of a factor that `table` leaves out, because a fold of theirs is missing."""
    folds = values["fold"].nunique()
    held = values.groupby(factor)["fold"].nunique()
    return [str(level) for level in held.index[held < folds]]
