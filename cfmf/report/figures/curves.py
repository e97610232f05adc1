"""Figures of training and of the choice of k and reg."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from cfmf.methods.registry import of_published
from cfmf.report.figures.style import (
    PALETTE,
    SEQUENTIAL,
    Words,
    at,
    figure,
    fixed,
    look,
    of_error,
    plot,
    thinned,
)
from cfmf.report.strings import shown


def learning_curves(history: pd.DataFrame, words: Words) -> go.Figure:
    """Loss and the size of its change (logarithmic) above RMSE, by epoch, as published.

    `history` has the rows of one run and phase: `epoch loss delta_loss train_rmse
    validation_rmse test_rmse`; columns with no value are left out.
    """
    kept = history.iloc[thinned(len(history))]
    drawn = figure(520, hovermode="x unified")
    above = [("loss", kept["loss"], "solid"), ("delta_loss", kept["delta_loss"].abs(), "dot")]
    below = [(name, kept[name], "solid") for name in ("train_rmse", "validation_rmse", "test_rmse")]
    inks = iter(PALETTE)
    for axis, lines in (("y", above), ("y2", below)):
        for name, values, dash in lines:
            ink = next(inks)
            shown = values.notna() & ((values > 0) | (axis == "y2"))
            if shown.any():
                style = {"yaxis": axis, "line": {"color": ink, "dash": dash, "width": 2}}
                y = [float(f"{value:.5g}") for value in values[shown]]
                epochs = kept.loc[shown, "epoch"]
                plot(drawn, epochs, y, "lines", **style, name=words(f"series.{name}"))
    drawn.update_xaxes(title_text=words("axis.epoch"), anchor="y2")
    logarithmic = {"type": "log", "exponentformat": "power", "dtick": 1}
    drawn.update_yaxes(title_text=words("axis.loss"), domain=[0.54, 1], **logarithmic)
    drawn.update_layout(yaxis2={"title": {"text": words("axis.rmse")}, "domain": [0, 0.46]})
    return drawn


def rmse_by_k(points: pd.DataFrame, words: Words) -> go.Figure:
    """Test RMSE against k, a line a method, bars one standard deviation over folds.

    `points` has `method k mean sd` with the reg chosen on validation. Published methods wait in the
    legend: their errors would press the other lines flat.
    """
    drawn = figure(400)
    published = points["method"].map(of_published)
    alone = bool(published.all())
    seen = points if alone else points[~published]
    for number, (name, rows) in enumerate(points.groupby("method", sort=False)):
        method = str(name)
        rows = rows.assign(size=rows["k"].astype(float)).sort_values("size")
        style = look(method, number)
        style["error_y"] = {
            "type": "data",
            "array": rows["sd"].fillna(0).tolist(),
            "thickness": 1.2,
        }
        style["visible"] = "legendonly" if of_published(method) and not alone else True
        known = {"name": method, "hovertemplate": f"k %{{x}}: {of_error('y')}"}
        plot(drawn, rows["size"], rows["mean"], "lines+markers", **style, **known)
    drawn.update_xaxes(title_text=words("axis.k"), **at(points["k"].astype(float)))
    drawn.update_yaxes(title_text=words("axis.test_rmse"), **fixed(seen["mean"]))
    return drawn


def search_progress(points: pd.DataFrame, x: str, words: Words) -> go.Figure:
    """The lowest validation RMSE so far against `trials` or `seconds`, a line a method and search.

    `points` has `method by trials seconds value`; `by` is `grid` or `search`.
    """
    drawn = figure(400)
    for (name, by), rows in points.groupby(["method", "by"], sort=False):
        method = str(name)
        style = look(method, 0 if by == "grid" else 2, size=6)
        known = {
            "name": f"{method}, {words(f'effort.by_{by}')}",
            "hovertemplate": f"%{{x}}: {of_error('y')}",
        }
        plot(drawn, rows[x], rows["value"], "lines+markers", **style, **known)
    drawn.update_xaxes(title_text=words(f"axis.search_{x}"))
    drawn.update_yaxes(title_text=words("axis.validation_rmse"), **fixed(points["value"]))
    return drawn


def heatmap(points: pd.DataFrame, words: Words) -> go.Figure:
    """Validation RMSE over k (down) and reg (across); `points` has `k reg value`."""
    grid = points.set_index(["k", "reg"])["value"].unstack("reg")
    rows = sorted(grid.index, key=float)
    columns = sorted(grid.columns, key=float)
    grid = grid.loc[rows, columns]
    text = [
        [shown(value, "rmse") if math.isfinite(value) else "" for value in row]
        for row in grid.to_numpy()
    ]
    drawn = figure(120 + 44 * len(rows))
    drawn.add_heatmap(
        x=columns,
        y=rows,
        z=grid.to_numpy().tolist(),
        text=text,
        texttemplate="%{text}",
        textfont={"color": "#ffffff"},
        colorscale=SEQUENTIAL,
        zmin=float(points["value"].min()),
        zmax=float(points["value"].quantile(0.85)),
        colorbar={"title": {"text": words("axis.rmse")}, "thickness": 12},
        hovertemplate=f"k %{{y}}, reg %{{x}}: {of_error('z')}<extra></extra>",
    )
    drawn.update_xaxes(title_text=words("axis.reg"), type="category", showgrid=False)
    drawn.update_yaxes(title_text=words("axis.k"), type="category", showgrid=False)
    return drawn
