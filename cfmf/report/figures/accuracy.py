"""Figures that compare the methods."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cfmf.methods.registry import of_published
from cfmf.report.figures.dots import interval
from cfmf.report.figures.style import (
    BOX,
    DASHES,
    PALETTE,
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

SIDES = {
    "top center": (0, 0.07),
    "bottom center": (0, -0.07),
    "middle right": (0.08, 0),
    "middle left": (-0.08, 0),
}
"""Where the name of a mark may be, as shares of the figure's width and height, best first."""


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
            meta=method,
            hovertemplate=f"%{{text}}: {of_error('x')}",
            **BOX,
        )
    drawn.update_xaxes(title_text=words("axis.test_rmse"), **fixed(points["value"]))
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


def by_level(
    points: pd.DataFrame,
    titles: tuple[str, str],
    reference: float = 0.0,
    shown: Sequence[str] | None = None,
    **axis: object,
) -> go.Figure:
    """A line of each method over the levels of a slice.

    Parameters
    ----------
    points
        Columns method, level and value, and perhaps low and high, levels in the order to draw; low
        and high are the ends of the interval, NaN where there is none.
    titles
        Of the axes.
    reference
        Where the dotted line is.
    shown
        Methods that are side by side at a level, so that their intervals do not cover each other;
        the others are thin lines without intervals. By default `foremost`.
    axis
        Of the values, as Plotly has it.
    """
    drawn = figure(400)
    levels = list(dict.fromkeys(points["level"]))
    shown = foremost(points) if shown is None else shown
    hover = "%{customdata}: " + (f"%{{y:{axis['tickformat']}}}" if axis else of_error("y"))
    for number, method in enumerate(dict.fromkeys(points["method"])):
        rows = points[points["method"] == method]
        first = method in shown
        shift = 0.09 * (list(shown).index(method) - (len(shown) - 1) / 2) if first else 0.0
        style = look(method, number, 2, 7) if first else look(method, number, 1, 4)
        if first and "low" in rows:
            style["error_y"] = interval(rows["low"], rows["value"], rows["high"], thickness=1.1)
        x = [round(levels.index(level) + shift, 3) for level in rows["level"]]
        known = {"customdata": rows["level"].tolist(), "hovertemplate": hover}
        plot(drawn, x, rows["value"], "lines+markers", **style, name=method, **known)
    drawn.update_xaxes(
        title_text=titles[0], tickvals=list(range(len(levels))), ticktext=levels, showgrid=False
    )
    drawn.add_hline(reference, line={"color": "rgba(128,128,128,0.8)", "dash": "dot", "width": 1.5})
    drawn.update_yaxes(title_text=titles[1], **(axis or fixed(points["value"])))
    return drawn


def pareto(points: pd.DataFrame, words: Words) -> go.Figure:
    """Test RMSE against seconds (logarithmic); `points` has `method seconds rmse frontier`.

    The line joins the Pareto-optimal methods.
    """
    drawn = figure(400, showlegend=False)
    front = points[points["frontier"]].sort_values("seconds")
    line = {"color": "rgba(128,128,128,0.8)", "dash": "dot", "shape": "hv", "width": 1.5}
    plot(drawn, front["seconds"], front["rmse"], "lines", line=line)
    places = points.assign(x=points["seconds"], y=points["rmse"], wide=np.log10(points["seconds"]))
    _named(drawn, places, f"%{{x:.3g}} s, {of_error('y')}")
    low, high = points["seconds"].min(), points["seconds"].max()
    drawn.update_xaxes(title_text=words("axis.seconds"), type="log", **ticks(low, high))
    drawn.update_yaxes(title_text=words("axis.test_rmse"), **fixed(points["rmse"]))
    return drawn


def popularity(points: pd.DataFrame, words: Words) -> go.Figure:
    """NDCG against how often the recommended items are rated; `points`: `method popularity ndcg`.

    Popularity is the mean number of training ratings of the recommended items.
    """
    drawn = figure(400, showlegend=False)
    places = points.assign(x=points["popularity"], y=points["ndcg"], wide=points["popularity"])
    _named(drawn, places, "%{x:.1f}, %{y:.3f}")
    drawn.update_xaxes(title_text=words("axis.popularity"), **fixed(points["popularity"]))
    drawn.update_yaxes(title_text=words("axis.ndcg"), **fixed(points["ndcg"]))
    return drawn


def _named(drawn: go.Figure, places: pd.DataFrame, hover: str) -> None:
    """A mark of each method with its name beside it, where it covers least.

    `places` has `method x y wide`; `wide` is x as the axis shows it.
    """
    spans = places[["wide", "y"]].agg(np.ptp).replace(0, 1)
    marks = list((places[["wide", "y"]] / spans).itertuples(index=False, name=None))
    texts: list[tuple[float, float]] = []
    for row, (x, y) in zip(places.to_dict("records"), marks, strict=True):
        taken = [*texts, *(mark for mark in marks if mark != (x, y))]
        at = {side: (x + right, y + up) for side, (right, up) in SIDES.items()}
        side = min(at, key=lambda side: sum(map(partial(_near, at[side]), taken)))
        texts.append(at[side])
        method = row["method"]
        marker = {"color": colour(method), "symbol": symbol(method), "size": 11}
        style = {"marker": marker, "text": [method], "textposition": side, "cliponaxis": False}
        known = {"name": method, "meta": method, "hovertemplate": hover}
        plot(drawn, [row["x"]], [row["y"]], "markers+text", **style, **known)


def _near(text: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether a name covers a mark or a name, by its share of the figure's width and height."""
    return abs(text[0] - other[0]) < 0.12 and abs(text[1] - other[1]) < 0.06


def growth(points: pd.DataFrame, size_title: str, words: Words) -> go.Figure:
    """CPU seconds against size, both logarithmic; `points` has `method size seconds fitted`.

    Marks are measured; lines, `fitted`, have the slope in the table of exponents.
    """
    drawn = figure(420)
    for number, (name, rows) in enumerate(points.groupby("method", sort=False)):
        method, rows = str(name), rows.sort_values("size")
        style = look(method, number, width=1.2)
        group = {"legendgroup": method, "meta": method}
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
