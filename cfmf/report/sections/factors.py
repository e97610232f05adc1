"""Matrix factorization: how it learns, and what k and reg do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import curves as figures
from cfmf.report.page import Block, Collapsed, Heading, Plot, Text, plotted, tabulated
from cfmf.report.sections import peeking, trainings
from cfmf.report.strings import Catalogue, amounts, code, number
from cfmf.tables import where


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """RMSE by k, learning curves, grids, and whether the trainings converged."""
    points = numbers.tuned_by_k(study)
    if points.empty:
        return []
    return [
        Text(words("factorization.text")),
        *_by_k(points, words),
        *_rises(study, words),
        *_curves(study, words),
        *_grids(study, words),
        *trainings.blocks(study, words),
        *peeking.blocks(study, words),
    ]


def _by_k(points: pd.DataFrame, words: Catalogue) -> list[Block]:
    table = numbers.over_folds(points, ["method", "k"])
    best = numbers.least(table, "mean")
    rows, columns = table.assign(k=table["k"].astype(int)), "method k mean=test_rmse sd folds"
    values = {"method": code(best["method"]), "k": number(int(best["k"]))}
    values["rmse"] = number(best["mean"], "rmse")
    drawn, title = figures.rmse_by_k(table, words.plain), words("factorization.k_table")
    return [
        Heading(words("factorization.k_heading")),
        plotted(words, "rmse-by-k", "factorization.k", drawn, **values),
        Collapsed(title, [tabulated(words, "rmse-by-k", title, rows, columns)]),
    ]


def _rises(study: Study, words: Catalogue) -> list[Block]:
    """Each method at its best k and at the largest: errors on test, and gaps to train."""
    rises = numbers.rises(study)
    if rises.empty:
        return []
    most = rises.sort_values("rise").iloc[-1]
    columns = "method best_k best=best_rmse best_gap"
    columns += " largest_k largest=largest_rmse largest_gap rise"
    text = words(
        "factorization.rises_text",
        method=code(most["method"]),
        **amounts("", **most[["best_k", "largest_k"]]),
        **amounts("signed", **most[["rise", "best_gap", "largest_gap"]]),
    )
    title = words("factorization.rises_title")
    return [Text(text), tabulated(words, "rises-with-k", title, rises, columns)]


def watched_phase(history: pd.DataFrame) -> pd.DataFrame:
    """The phase whose error on other ratings was watched: on test as published, else validation."""
    for name in ("test_rmse", "validation_rmse"):
        watched = history.loc[history[name].notna(), "phase"]
        if len(watched):
            return history[history["phase"] == watched.iloc[-1]]
    return history[history["phase"] == history["phase"].iloc[-1]]


def curve_choice(study: Study, method: str) -> list[tuple[str, str, str]]:
    """For each k of a method, the point of lowest validation RMSE, whose curve is shown."""
    grid = numbers.grid(study, method)
    if grid.empty:
        grid = numbers.grid(study, method, "test")
    if grid.empty:  # trained with the published search only
        return [point for point in study.histories if point[0] == method]
    chosen = []
    for k, rows in grid.groupby("k", sort=False):
        point = (method, str(k), str(numbers.least(rows, "value")["reg"]))
        if point in study.histories:
            chosen.append(point)
    return sorted(chosen, key=lambda point: float(point[1]))


def _curves(study: Study, words: Catalogue) -> list[Block]:
    """Curves of the best method, then those of the others; none that were watched on test."""
    found: list[Block] = []
    collapsed: list[Block] = []
    for method in numbers.methods(study):
        chosen = [
            point
            for point in curve_choice(study, method)
            if study.histories[point]["test_rmse"].isna().all()
        ]
        if found or not chosen:
            collapsed += [curve(study, point, words) for point in chosen]
            continue
        shown = chosen[len(chosen) // 2]
        found.append(curve(study, shown, words))
        others = [curve(study, point, words) for point in chosen if point != shown]
        if others:
            found.append(Collapsed(words("factorization.more_curves", method=code(method)), others))
    if collapsed:
        found.append(Collapsed(words("factorization.other_curves"), collapsed))
    return [Collapsed(words("factorization.curves_heading"), found)] if found else []


def curve(study: Study, point: tuple[str, str, str], words: Catalogue) -> Plot:
    """Loss and RMSE of one training by epoch."""
    method, k, reg = point
    history = watched_phase(study.histories[point])
    last = history.iloc[-1]
    watched = next(
        (name for name in ("validation_rmse", "test_rmse") if history[name].notna().any()),
        "train_rmse",
    )
    least = numbers.least(history, watched)
    values = {"method": code(method), "k": number(int(k)), "reg": code(reg)}
    values |= {"fold": code(last["fold"]), "watched": words(f"series.{watched}")}
    values |= amounts("count", epochs=int(last["epoch"]), at=int(least["epoch"]))
    values |= amounts("rmse", least=float(least[watched]), end=float(last[watched]))
    drawn = figures.learning_curves(history, words.plain)
    name = f"curve-{method}-k{k}-{reg.replace('.', '_')}"
    return plotted(words, name, "factorization.curve", drawn, **values)


def _grids(study: Study, words: Catalogue) -> list[Block]:
    """The grid of the best method that has one, then the others' grids."""
    found: list[Block] = []
    collapsed: list[Block] = []
    for method in numbers.methods(study):
        grid = numbers.grid(study, method)
        grid = grid[pd.to_numeric(grid["reg"], errors="coerce").notna()]
        if grid["reg"].nunique() < 2 or grid["k"].nunique() < 2:
            continue
        if found:
            collapsed.append(_grid(method, grid, words))
            continue
        found = [_grid(method, grid, words)]
    if collapsed:
        found.append(Collapsed(words("factorization.other_grids"), collapsed))
    return [Collapsed(words("factorization.grid_heading"), found)] if found else []


def _grid(method: str, grid: pd.DataFrame, words: Catalogue) -> Plot:
    best = numbers.least(grid, "value")
    values = {"method": code(method), "k": number(int(best["k"])), "reg": code(best["reg"])}
    values |= amounts("rmse", rmse=best["value"], spread=_spread(grid, str(best["k"])))
    drawn = figures.heatmap(grid, words.plain)
    return plotted(words, f"grid-{method}", "factorization.grid", drawn, **values)


def _spread(grid: pd.DataFrame, k: str) -> float:
    return float(np.ptp(where(grid, k=k)["value"]))
