"""Figures that set the methods against each other."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from cfmf.methods.registry import family, of_published
from cfmf.report.figures.curves import DASHES
from cfmf.report.figures.style import PALETTE, Words, colour, figure, symbol, ticks


def by_fold(points: pd.DataFrame, words: Words) -> go.Figure:
    """Test RMSE of every method on every fold; `points` has `method fold value`."""
    order = points.groupby("method")["value"].mean().sort_values(ascending=False).index
    drawn = figure(90 + 38 * len(order), showlegend=False)
    for method in order:
        rows = points[points["method"] == method]
        drawn.add_box(
            x=rows["value"].tolist(),
            y=[method] * len(rows),
            text=rows["fold"].tolist(),
            orientation="h",
            boxpoints="all",
            pointpos=0,
            jitter=0.4,
            marker={"color": colour(method), "symbol": symbol(method), "size": 7},
            line={"width": 1.2},
            fillcolor="rgba(128,128,128,0.12)",
            name=method,
            hovertemplate="%{text}: %{x:.4f}",
        )
    drawn.update_xaxes(title_text=words("axis.test_rmse"))
    drawn.update_yaxes(type="category")
    return drawn


def forest(effects: pd.DataFrame, words: Words, margin: float | None = None) -> go.Figure:
    """Differences with their intervals, one a line; `effects` has `label effect ci_low ci_high`.

    Left of zero favours the first of the pair. `margin`, if given, is drawn as a band about zero:
    differences inside it do not matter in practice.
    """
    rows = effects.iloc[::-1]
    drawn = figure(100 + 30 * len(rows), showlegend=False)
    decided = (rows["ci_high"] < 0) | (rows["ci_low"] > 0)
    drawn.add_scatter(
        x=rows["effect"].tolist(),
        y=rows["label"].tolist(),
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (rows["ci_high"] - rows["effect"]).tolist(),
            "arrayminus": (rows["effect"] - rows["ci_low"]).tolist(),
            "thickness": 1.8,
            "color": PALETTE[0],
        },
        mode="markers",
        marker={
            "size": 9,
            "symbol": ["diamond" if clear else "diamond-open" for clear in decided],
            "color": PALETTE[0],
        },
        customdata=rows[["ci_low", "ci_high"]].to_numpy().tolist(),
        hovertemplate="%{y}: %{x:.4f} [%{customdata[0]:.4f}, %{customdata[1]:.4f}]<extra></extra>",
    )
    if margin:
        drawn.add_vrect(
            x0=-margin, x1=margin, fillcolor="rgba(128,128,128,0.2)", line_width=0, layer="below"
        )
    drawn.add_vline(x=0, line={"color": "rgba(128,128,128,0.9)", "width": 1.2, "dash": "dot"})
    drawn.update_xaxes(title_text=words("axis.difference"))
    drawn.update_yaxes(type="category")
    return drawn


def foremost(slices: pd.DataFrame, each: int = 2) -> list[str]:
    """Methods to draw with intervals, so that these can be told apart: the best of every family.

    Published methods count only where there are no others. `slices` has `method value`.
    """
    means = slices.groupby("method", sort=False)["value"].mean().sort_values()
    methods = [str(method) for method in means.index if not of_published(str(method))]
    found: list[str] = []
    for method in methods or [str(method) for method in means.index]:
        if sum(family(other) == family(method) for other in found) < each:
            found.append(method)
    return [method for method in dict.fromkeys(slices["method"]) if method in found]


def by_level(slices: pd.DataFrame, axis_title: str, words: Words) -> go.Figure:
    """RMSE of every method at the levels of a slice.

    `slices` has `method level value low high`, levels in the order to draw; `low` and `high` are
    the ends of the interval, NaN where there is none. `foremost` stand side by side at a level, so
    that their intervals do not cover each other; the others are thin lines without intervals.
    """
    drawn = figure(400)
    levels = list(dict.fromkeys(slices["level"]))
    methods = list(dict.fromkeys(slices["method"]))
    shown = foremost(slices)
    for number, method in enumerate(methods):
        rows = slices[slices["method"] == method]
        first = method in shown
        shift = 0.09 * (shown.index(method) - (len(shown) - 1) / 2) if first else 0.0
        bars = {
            "type": "data",
            "symmetric": False,
            "array": (rows["high"] - rows["value"]).fillna(0).tolist(),
            "arrayminus": (rows["value"] - rows["low"]).fillna(0).tolist(),
            "thickness": 1.1,
        }
        drawn.add_scatter(
            x=[round(levels.index(level) + shift, 3) for level in rows["level"]],
            y=rows["value"].tolist(),
            error_y=bars if first else None,
            mode="lines+markers",
            line={
                "color": colour(method),
                "dash": DASHES[number % len(DASHES)],
                "width": 2 if first else 1,
            },
            marker={"symbol": symbol(method), "size": 7 if first else 4},
            name=method,
            customdata=rows["level"].tolist(),
            hovertemplate="%{customdata}: %{y:.4f}",
        )
    drawn.update_xaxes(
        title_text=axis_title, tickvals=list(range(len(levels))), ticktext=levels, showgrid=False
    )
    drawn.update_yaxes(title_text=words("axis.test_rmse"))
    return drawn


def pareto(points: pd.DataFrame, words: Words) -> go.Figure:
    """Test RMSE against seconds (logarithmic); `points` has `method seconds rmse frontier`.

    The line joins the methods that no other beats in both.
    """
    drawn = figure(400, showlegend=False)
    front = points[points["frontier"]].sort_values("seconds")
    drawn.add_scatter(
        x=front["seconds"].tolist(),
        y=front["rmse"].tolist(),
        mode="lines",
        line={"color": "rgba(128,128,128,0.8)", "dash": "dot", "shape": "hv", "width": 1.5},
        hoverinfo="skip",
    )
    places = list(zip(points["method"], points["seconds"], points["rmse"], strict=True))
    near = 0.12 * (points["rmse"].max() - points["rmse"].min())
    for method, seconds, rmse in places:
        crowded = any(
            abs(math.log10(x / seconds)) < 0.25 and 0 < y - rmse < near for _, x, y in places
        )
        drawn.add_scatter(
            x=[seconds],
            y=[rmse],
            mode="markers+text",
            text=[method],
            textposition="bottom center" if crowded else "top center",
            marker={"color": colour(method), "symbol": symbol(method), "size": 11},
            cliponaxis=False,
            name=method,
            hovertemplate="%{x:.3g} s, %{y:.4f}",
        )
    low, high = points["seconds"].min(), points["seconds"].max()
    drawn.update_xaxes(title_text=words("axis.seconds"), type="log", **ticks(low, high))
    drawn.update_yaxes(title_text=words("axis.test_rmse"))
    return drawn


def growth(points: pd.DataFrame, size_title: str, words: Words) -> go.Figure:
    """CPU seconds against size, both logarithmic; `points` has `method size seconds fitted`.

    Marks are measured; lines, `fitted`, have the slope that the table of exponents tells.
    """
    drawn = figure(420)
    for number, (name, rows) in enumerate(points.groupby("method", sort=False)):
        method, rows = str(name), rows.sort_values("size")
        mark = {"symbol": symbol(method), "size": 7, "color": colour(method)}
        line = {"color": colour(method), "dash": DASHES[number % len(DASHES)], "width": 1.2}
        size = rows["size"].tolist()
        drawn.add_scatter(
            x=size,
            y=rows["seconds"].tolist(),
            mode="markers",
            marker=mark,
            name=method,
            legendgroup=method,
            hovertemplate="%{x}: %{y:.3g} s",
        )
        drawn.add_scatter(
            x=size,
            y=rows["fitted"].tolist(),
            mode="lines",
            line=line,
            legendgroup=method,
            showlegend=False,
            hoverinfo="skip",
        )
    drawn.update_xaxes(
        title_text=size_title, type="log", **ticks(points["size"].min(), points["size"].max())
    )
    seconds = points["seconds"]
    drawn.update_yaxes(
        title_text=words("axis.cpu_seconds"), type="log", **ticks(seconds.min(), seconds.max())
    )
    return drawn


def trials_by_setting(points: pd.DataFrame, x_title: str, words: Words) -> go.Figure:
    """Validation RMSE against one part of a setting; `points` has `x line value`."""
    drawn = figure(380)
    for number, (line, rows) in enumerate(points.groupby("line", sort=False)):
        rows = rows.sort_values("x")
        drawn.add_scatter(
            x=rows["x"].tolist(),
            y=rows["value"].tolist(),
            mode="lines+markers",
            line={
                "color": PALETTE[number % len(PALETTE)],
                "dash": DASHES[number % len(DASHES)],
                "width": 2,
            },
            name=str(line),
            hovertemplate="%{x}: %{y:.4f}",
        )
    values = sorted(set(points["x"]))
    drawn.update_xaxes(
        title_text=x_title,
        type="log" if min(values) > 0 else "linear",
        tickvals=values,
        ticktext=[f"{value:g}" for value in values],
    )
    drawn.update_yaxes(title_text=words("axis.validation_rmse"))
    return drawn
