"""Figures of the tests: runs by k, distinguishable methods, ranks, and two split schemes."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from cfmf.report.figures.style import PALETTE, Words, colour, figure, symbol


def cliques(ranks: list[float], critical: float) -> list[tuple[int, int]]:
    """First and last place of every longest run of sorted ranks that lies within `critical`."""
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(place for place, other in enumerate(ranks) if other - rank <= critical)
        if last > first and not (found and found[-1][1] >= last):
            found.append((first, last))
    return found


def critical_difference(ranks: pd.DataFrame, critical: float | None, words: Words) -> go.Figure:
    """Critical-difference diagram (Demšar 2006, fig. 1); `ranks` has `method rank`, 1 is best.

    A bar joins methods whose mean ranks differ by less than `critical`: Nemenyi's test does not
    tell them apart. Without it there are no bars.
    """
    rows = ranks.sort_values("rank", kind="stable").reset_index(drop=True)
    places = rows["rank"].tolist()
    joined = cliques(places, critical) if critical else []
    half = (len(rows) + 1) // 2
    depth = 0.35 + 0.3 * len(joined)
    drawn = figure(120 + 16 * len(joined) + 30 * half, showlegend=False)
    margin = 0.45 * (len(rows) - 1)
    _leaders(drawn, rows, depth)
    for number, (first, last) in enumerate(joined):
        ends, height = [places[first] - 0.04, places[last] + 0.04], -0.35 - 0.3 * number
        _line(drawn, ends, [height] * 2, {"color": PALETTE[0], "width": 5})
    if critical:
        mark = {"marker": {"symbol": "square", "size": 5}, "mode": "lines+markers"}
        _line(drawn, [1, 1 + critical], [0.6] * 2, {"color": PALETTE[1], "width": 2}, **mark)
        _letters(drawn, 1 + critical / 2, 0.6, words("axis.critical"), "top center")
    drawn.update_xaxes(
        title_text=words("axis.mean_rank"),
        tickvals=list(range(1, len(rows) + 1)),
        ticktext=[str(rank) for rank in range(1, len(rows) + 1)],
        range=[1 - margin - 0.3, len(rows) + margin + 0.3],
        showgrid=False,
    )
    drawn.update_yaxes(visible=False, range=[-depth - half - 0.4, 1.3])
    return drawn


def _leaders(drawn: go.Figure, rows: pd.DataFrame, depth: float) -> None:
    """A line from each method's rank to its name: the better half on the left."""
    half = (len(rows) + 1) // 2
    for place, (method, rank) in enumerate(zip(rows["method"], rows["rank"], strict=True)):
        left = place < half
        low = -depth - (place if left else len(rows) - 1 - place) - 0.6
        side = 0.8 if left else len(rows) + 0.2
        grey = {"color": "rgba(128,128,128,0.9)", "width": 1}
        _line(drawn, [rank, rank, side], [0, low, low], grey)
        text = f"{method} {rank:.2f}" if left else f"{rank:.2f} {method}"
        _letters(drawn, side, low, text, "middle left" if left else "middle right")
        drawn.add_scatter(
            x=[rank],
            y=[0],
            mode="markers",
            marker={"size": 9, "color": colour(method), "symbol": symbol(method)},
            name=method,
            hovertemplate="%{x:.2f}",
        )


def _line(
    drawn: go.Figure, x: list[float], y: list[float], line: dict[str, Any], **how: Any
) -> None:
    drawn.add_scatter(x=x, y=y, line=line, hoverinfo="skip", **{"mode": "lines", **how})


def _letters(drawn: go.Figure, x: float, y: float, text: str, place: str) -> None:
    drawn.add_scatter(x=[x], y=[y], mode="text", text=[text], textposition=place, hoverinfo="skip")


def split_schemes(points: pd.DataFrame, words: Words) -> go.Figure:
    """RMSE of each method under two split schemes.

    `points` has `method`, `first` (random), `second`.
    """
    rows = points.sort_values("first", ascending=False)
    drawn = figure(120 + 30 * len(rows))
    for method, first, second in zip(rows["method"], rows["first"], rows["second"], strict=True):
        drawn.add_scatter(
            x=[first, second],
            y=[method, method],
            mode="lines",
            line={"color": "rgba(128,128,128,0.8)", "width": 1.5},
            showlegend=False,
            hoverinfo="skip",
        )
    for number, (side, mark) in enumerate((("first", "circle"), ("second", "diamond"))):
        drawn.add_scatter(
            x=rows[side].tolist(),
            y=rows["method"].tolist(),
            mode="markers",
            marker={"symbol": mark, "color": PALETTE[number], "size": 9},
            name=words("series.random" if side == "first" else "series.temporal"),
            hovertemplate="%{y}: %{x:.4f}",
        )
    drawn.update_xaxes(title_text=words("axis.test_rmse"))
    drawn.update_yaxes(type="category")
    return drawn
