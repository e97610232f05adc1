"""Matrix factorization: how it learns, and what k and reg do."""

from __future__ import annotations

import pandas as pd

from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import curves as figures
from cfmf.report.page import (
    Block,
    Column,
    Fold,
    Heading,
    Plot,
    Table,
    Text,
    records,
)
from cfmf.report.sections import trainings
from cfmf.report.strings import Catalogue, code, number
from cfmf.statistics.blocks import complete


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
    ]


def _by_k(points: pd.DataFrame, words: Catalogue) -> list[Block]:
    table = numbers.over_folds(points, ["method", "k"])
    best = numbers.least(table, "mean")
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("k", "k", "count"),
        Column("mean", words.plain("column.test_rmse"), "rmse"),
        Column("sd", words.plain("column.sd"), "rmse"),
        Column("folds", words.plain("column.folds"), "count"),
    ]
    rows = records(table.assign(k=table["k"].astype(int)))
    return [
        Heading(words("factorization.k_heading")),
        Plot(
            "rmse-by-k",
            words("factorization.k_title"),
            words(
                "factorization.k_caption",
                method=code(best["method"]),
                k=number(int(best["k"])),
                rmse=number(float(best["mean"]), "rmse"),
            ),
            figures.rmse_by_k(table, words.plain),
        ),
        Fold(
            words("factorization.k_table"),
            [Table("rmse-by-k", words("factorization.k_table"), columns, rows)],
        ),
    ]


def _rises(study: Study, words: Catalogue) -> list[Block]:
    """Each method at its best k and at the largest: errors on test, and gaps to train."""
    rises = numbers.rises(study)
    if rises.empty:
        return []
    most = rises.sort_values("rise").iloc[-1]
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("best_k", words.plain("column.best_k"), "count"),
        Column("best", words.plain("column.best_rmse"), "rmse"),
        Column("best_gap", words.plain("column.best_gap"), "signed"),
        Column("largest_k", words.plain("column.largest_k"), "count"),
        Column("largest", words.plain("column.largest_rmse"), "rmse"),
        Column("largest_gap", words.plain("column.largest_gap"), "signed"),
        Column("rise", words.plain("column.rise"), "signed"),
    ]
    told = words(
        "factorization.rises_text",
        method=code(most["method"]),
        best_k=number(int(most["best_k"])),
        largest_k=number(int(most["largest_k"])),
        rise=number(float(most["rise"]), "signed"),
        best_gap=number(float(most["best_gap"]), "signed"),
        largest_gap=number(float(most["largest_gap"]), "signed"),
    )
    title = words("factorization.rises_title")
    return [Text(told), Table("rises-with-k", title, columns, records(rises))]


def watched_phase(history: pd.DataFrame) -> pd.DataFrame:
    """The phase whose error on other ratings was watched: on test as published, else validation."""
    for name in ("test_rmse", "validation_rmse"):
        watched = history.loc[history[name].notna(), "phase"]
        if len(watched):
            return history[history["phase"] == watched.iloc[-1]]
    return history[history["phase"] == history["phase"].iloc[-1]]


def curve_choice(study: Study, method: str) -> list[tuple[str, str, str]]:
    """For each k of a method the point whose curve is shown: the reg of least validation RMSE."""
    grid = numbers.grid(study, method)
    if grid.empty:
        grid = numbers.grid(study, method, "test")
    if grid.empty:  # trained beside the published search only
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
    folded: list[Block] = []
    for method in numbers.methods(study):
        chosen = [
            point
            for point in curve_choice(study, method)
            if study.histories[point]["test_rmse"].isna().all()
        ]
        if found or not chosen:
            folded += [curve(study, point, words) for point in chosen]
            continue
        shown = chosen[len(chosen) // 2]
        found.append(curve(study, shown, words))
        others = [curve(study, point, words) for point in chosen if point != shown]
        if others:
            found.append(Fold(words("factorization.more_curves", method=code(method)), others))
    if folded:
        found.append(Fold(words("factorization.other_curves"), folded))
    return [Heading(words("factorization.curves_heading")), *found] if found else []


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
    return Plot(
        f"curve-{method}-k{k}-{reg.replace('.', '_')}",
        words("factorization.curve_title", method=code(method), k=number(int(k)), reg=code(reg)),
        words(
            "factorization.curve_caption",
            fold=code(last["fold"]),
            epochs=number(int(last["epoch"]), "count"),
            watched=words(f"series.{watched}"),
            least=number(float(least[watched]), "rmse"),
            at=number(int(least["epoch"]), "count"),
            end=number(float(last[watched]), "rmse"),
        ),
        figures.learning_curves(history, words.plain),
    )


def _grids(study: Study, words: Catalogue) -> list[Block]:
    """The grid of the best method that has one, also as a surface, then the others' grids."""
    found: list[Block] = []
    folded: list[Block] = []
    for method in numbers.methods(study):
        grid = numbers.grid(study, method)
        grid = grid[pd.to_numeric(grid["reg"], errors="coerce").notna()]
        if grid["reg"].nunique() < 2 or grid["k"].nunique() < 2:
            continue
        if found:
            folded.append(_grid(method, grid, words))
            continue
        found = [Heading(words("factorization.grid_heading")), _grid(method, grid, words)]
        shared = complete(grid)
        if shared[["k", "reg"]].nunique().min() > 1:
            found.append(
                Plot(
                    f"surface-{method}",
                    words("factorization.surface_title", method=code(method)),
                    words("factorization.surface_caption"),
                    figures.surface(shared, words.plain),
                )
            )
    return [*found, Fold(words("factorization.other_grids"), folded)] if folded else found


def _grid(method: str, grid: pd.DataFrame, words: Catalogue) -> Plot:
    best = numbers.least(grid, "value")
    return Plot(
        f"grid-{method}",
        words("factorization.grid_title", method=code(method)),
        words(
            "factorization.grid_caption",
            k=number(int(best["k"])),
            reg=code(best["reg"]),
            rmse=number(float(best["value"]), "rmse"),
            spread=number(_spread(grid, str(best["k"])), "rmse"),
        ),
        figures.heatmap(grid, words.plain),
    )


def _spread(grid: pd.DataFrame, k: str) -> float:
    values = grid.loc[grid["k"] == k, "value"]
    return float(values.max() - values.min())
