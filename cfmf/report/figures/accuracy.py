"""Figures that compare the methods."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from cfmf.methods.registry import of_published
from cfmf.report.figures.style import (
    BOX,
    DASHES,
    KIND_INKS,
    PALETTE,
    SYMBOLS,
    Words,
    at,
    colour,
    figure,
    fixed,
    kind,
    look,
    of_error,
    plot,
    symbol,
    ticks,
)


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
            marker={"color": colour(method), "symbol": symbol(method), "size": 7},
            name=method,
            hovertemplate=f"%{{text}}: {of_error('x')}",
            **BOX,
        )
    drawn.update_xaxes(title_text=words("axis.test_rmse"), **fixed(points["value"]))
    drawn.update_yaxes(type="category")
    return drawn


def ranking(points: pd.DataFrame, words: Words, control: float | None, margin: float) -> go.Figure:
    """Test RMSE of every method, best first, by family, with intervals about that of the control.

    `points` has `method label rmse low high`, best first; `low` and `high` are NaN without an
    interval. Differences within `margin` of the control's RMSE, a line, do not matter in practice.
    """
    drawn = figure(90 + 21 * len(points))
    rows = points.assign(y=range(len(points) - 1, -1, -1), kind=points["method"].map(kind))
    between = f"[{of_error('customdata[1]')}, {of_error('customdata[2]')}]"
    hover = f"%{{customdata[0]}}: {of_error('x')} {between}<extra></extra>"
    for name, ink in KIND_INKS.items():
        of_kind = rows[rows["kind"] == name]
        if of_kind.empty:
            continue
        ends = interval(of_kind["low"], of_kind["rmse"], of_kind["high"], thickness=1.8, color=ink)
        style = {"marker": {"color": ink, "symbol": SYMBOLS[name], "size": 9}, "error_x": ends}
        known = {
            "name": words(f"series.{name}"),
            "customdata": of_kind[["method", "low", "high"]].to_numpy().tolist(),
            "hovertemplate": hover,
        }
        plot(drawn, of_kind["rmse"], of_kind["y"], "markers", **style, **known)
    if control is not None:
        band = {"fillcolor": "rgba(128,128,128,0.2)", "line_width": 0, "layer": "below"}
        drawn.add_vrect(x0=control - margin, x1=control + margin, **band)
        drawn.add_vline(x=control, line={"color": "rgba(128,128,128,0.9)", "width": 1.2})
    drawn.update_xaxes(title_text=words("axis.test_rmse"), **fixed(rows["rmse"]))
    labels = {"tickvals": rows["y"].tolist(), "ticktext": rows["label"].tolist()}
    drawn.update_yaxes(range=[-0.7, len(rows) - 0.3], showgrid=False, **labels)
    return drawn


def interval(
    low: pd.Series, value: pd.Series, high: pd.Series, **style: object
) -> dict[str, object]:
    """Error bars of intervals; none where an end is missing."""
    above, below = ((high - value).fillna(0), (value - low).fillna(0))
    ends = {"array": above.tolist(), "arrayminus": below.tolist()}
    return {"type": "data", "symmetric": False, **ends, **style}


def forest(effects: pd.DataFrame, words: Words, margin: float | None = None) -> go.Figure:
    """Differences with their intervals, one a line; `effects` has `label effect ci_low ci_high`.

    Left of zero favours the first of the pair. `margin`, if given, is drawn as a band about zero:
    differences inside it do not matter in practice.
    """
    rows = effects.iloc[::-1]
    drawn = figure(100 + 30 * len(rows), showlegend=False)
    decided = (rows["ci_high"] < 0) | (rows["ci_low"] > 0)
    ink = {"color": PALETTE[0]}
    marks = ["diamond" if clear else "diamond-open" for clear in decided]
    ends = interval(rows["ci_low"], rows["effect"], rows["ci_high"], thickness=1.8, **ink)
    between = f"[{of_error('customdata[0]')}, {of_error('customdata[1]')}]"
    hover = f"%{{y}}: {of_error('x')} {between}<extra></extra>"
    known = {"customdata": rows[["ci_low", "ci_high"]].to_numpy().tolist(), "hovertemplate": hover}
    style = {"error_x": ends, "marker": {"size": 9, "symbol": marks, **ink}}
    plot(drawn, rows["effect"], rows["label"], "markers", **style, **known)
    if margin:
        drawn.add_vrect(
            x0=-margin, x1=margin, fillcolor="rgba(128,128,128,0.2)", line_width=0, layer="below"
        )
    drawn.add_vline(x=0, line={"color": "rgba(128,128,128,0.9)", "width": 1.2, "dash": "dot"})
    drawn.update_xaxes(title_text=words("axis.difference"), **fixed(rows[["ci_low", "ci_high"]]))
    drawn.update_yaxes(type="category")
    return drawn


def foremost(slices: pd.DataFrame, each: int = 2) -> list[str]:
    """Methods to draw with intervals, so that these are distinguishable: the best of every family.

    Published methods count only where there are no others. `slices` has `method value`.
    """
    means = slices.groupby("method", sort=False)["value"].mean().sort_values()
    methods = [str(method) for method in means.index if not of_published(str(method))]
    found: list[str] = []
    for method in methods or [str(method) for method in means.index]:
        if sum(kind(other) == kind(method) for other in found) < each:
            found.append(method)
    return [method for method in dict.fromkeys(slices["method"]) if method in found]


def by_level(slices: pd.DataFrame, axis_title: str, words: Words) -> go.Figure:
    """RMSE of every method minus that of the item mean, at the levels of a slice.

    `slices` has `method level value low high`, levels in the order to draw; `low` and `high` are
    the ends of the interval, NaN where there is none. `foremost` are side by side at a level, so
    that their intervals do not cover each other; the others are thin lines without intervals.
    """
    drawn = figure(400)
    levels = list(dict.fromkeys(slices["level"]))
    methods = list(dict.fromkeys(slices["method"]))
    shown, hover = foremost(slices), f"%{{customdata}}: {of_error('y')}"
    for number, method in enumerate(methods):
        rows = slices[slices["method"] == method]
        first = method in shown
        shift = 0.09 * (shown.index(method) - (len(shown) - 1) / 2) if first else 0.0
        style = look(method, number, 2, 7) if first else look(method, number, 1, 4)
        if first:
            style["error_y"] = interval(rows["low"], rows["value"], rows["high"], thickness=1.1)
        x = [round(levels.index(level) + shift, 3) for level in rows["level"]]
        known = {"customdata": rows["level"].tolist(), "hovertemplate": hover}
        plot(drawn, x, rows["value"], "lines+markers", **style, name=method, **known)
    drawn.update_xaxes(
        title_text=axis_title, tickvals=list(range(len(levels))), ticktext=levels, showgrid=False
    )
    drawn.add_hline(0, line={"color": "rgba(128,128,128,0.8)", "dash": "dot", "width": 1.5})
    drawn.update_yaxes(title_text=words("axis.over_item_mean"), **fixed(slices["value"]))
    return drawn


def pareto(points: pd.DataFrame, words: Words) -> go.Figure:
    """Test RMSE against seconds (logarithmic); `points` has `method seconds rmse frontier`.

    The line joins the Pareto-optimal methods.
    """
    drawn = figure(400, showlegend=False)
    front = points[points["frontier"]].sort_values("seconds")
    line = {"color": "rgba(128,128,128,0.8)", "dash": "dot", "shape": "hv", "width": 1.5}
    plot(drawn, front["seconds"], front["rmse"], "lines", line=line)
    places = list(zip(points["method"], points["seconds"], points["rmse"], strict=True))
    near = 0.12 * (points["rmse"].max() - points["rmse"].min())
    for method, seconds, rmse in places:
        crowded = any(
            abs(math.log10(x / seconds)) < 0.25 and 0 < y - rmse < near for _, x, y in places
        )
        place = "bottom center" if crowded else "top center"
        marker = {"color": colour(method), "symbol": symbol(method), "size": 11}
        style = {"marker": marker, "text": [method], "textposition": place, "cliponaxis": False}
        known = {"name": method, "hovertemplate": f"%{{x:.3g}} s, {of_error('y')}"}
        plot(drawn, [seconds], [rmse], "markers+text", **style, **known)
    low, high = points["seconds"].min(), points["seconds"].max()
    drawn.update_xaxes(title_text=words("axis.seconds"), type="log", **ticks(low, high))
    drawn.update_yaxes(title_text=words("axis.test_rmse"), **fixed(points["rmse"]))
    return drawn


def growth(points: pd.DataFrame, size_title: str, words: Words) -> go.Figure:
    """CPU seconds against size, both logarithmic; `points` has `method size seconds fitted`.

    Marks are measured; lines, `fitted`, have the slope in the table of exponents.
    """
    drawn = figure(420)
    for number, (name, rows) in enumerate(points.groupby("method", sort=False)):
        method, rows = str(name), rows.sort_values("size")
        style, group = look(method, number, width=1.2), {"legendgroup": method}
        mark = {"symbol": symbol(method), "size": 7, "color": colour(method)}
        known = {"name": method, "hovertemplate": "%{x}: %{y:.3g} s"}
        plot(drawn, rows["size"], rows["seconds"], "markers", marker=mark, **group, **known)
        line = {"line": style["line"], "showlegend": False}
        plot(drawn, rows["size"], rows["fitted"], "lines", **line, **group)
    size, seconds = points["size"], points["seconds"]
    drawn.update_xaxes(title_text=size_title, type="log", **ticks(size.min(), size.max()))
    drawn.update_yaxes(
        title_text=words("axis.cpu_seconds"), type="log", **ticks(seconds.min(), seconds.max())
    )
    return drawn


def trials_by_setting(points: pd.DataFrame, x_title: str, words: Words) -> go.Figure:
    """Validation RMSE against one part of a setting; `points` has `x line value`."""
    drawn = figure(380)
    for number, (line, rows) in enumerate(points.groupby("line", sort=False)):
        rows = rows.sort_values("x")
        ink, dash = PALETTE[number % len(PALETTE)], DASHES[number % len(DASHES)]
        style = {"line": {"color": ink, "dash": dash, "width": 2}, "name": str(line)}
        hover = f"%{{x}}: {of_error('y')}"
        plot(drawn, rows["x"], rows["value"], "lines+markers", **style, hovertemplate=hover)
    kind = "log" if points["x"].min() > 0 else "linear"
    drawn.update_xaxes(title_text=x_title, **at(points["x"], kind))
    drawn.update_yaxes(title_text=words("axis.validation_rmse"), **fixed(points["value"]))
    return drawn
