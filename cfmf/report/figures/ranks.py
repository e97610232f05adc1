"""Figures of the tests: runs by k, distinguishable methods, ranks, and two split schemes."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from cfmf.report.figures.style import PALETTE, Words, colour, figure, of_error, plot, symbol


def cliques(ranks: list[float], critical: float) -> list[tuple[int, int]]:
    """First and last place of every longest run of sorted ranks that is within `critical`."""
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(place for place, other in enumerate(ranks) if other - rank <= critical)
        if last > first and not (found and found[-1][1] >= last):
            found.append((first, last))
    return found


def critical_difference(ranks: pd.DataFrame, critical: float | None, words: Words) -> go.Figure:
    """Critical-difference diagram (Demšar 2006, fig. 1); `ranks` has `method rank`, 1 is best.

    A bar joins methods whose mean ranks differ by less than `critical`: Nemenyi's test does not
    distinguish them. Without it there are no bars.
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
        plot(drawn, ends, [height] * 2, "lines", line={"color": PALETTE[0], "width": 5})
    if critical:
        ruler = {
            "line": {"color": PALETTE[1], "width": 2},
            "marker": {"symbol": "square", "size": 5},
        }
        plot(drawn, [1, 1 + critical], [0.6] * 2, "lines+markers", **ruler)
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
        about = {"meta": method, "name": method}
        plot(drawn, [rank, rank, side], [0, low, low], "lines", line=grey, **about)
        text = f"{method} {rank:.2f}" if left else f"{rank:.2f} {method}"
        _letters(drawn, side, low, text, "middle left" if left else "middle right")
        mark = {"size": 9, "color": colour(method), "symbol": symbol(method)}
        plot(drawn, [rank], [0], "markers", marker=mark, hovertemplate="%{x:.2f}", **about)


def _letters(drawn: go.Figure, x: float, y: float, text: str, place: str) -> None:
    plot(drawn, [x], [y], "text", text=[text], textposition=place)


def split_schemes(points: pd.DataFrame, words: Words) -> go.Figure:
    """RMSE of each method under two split schemes.

    `points` has `method`, `first` (random), `second`.
    """
    rows = points.sort_values("first", ascending=False)
    drawn = figure(120 + 30 * len(rows))
    grey = {"color": "rgba(128,128,128,0.8)", "width": 1.5}
    for method, *ends in rows[["method", "first", "second"]].itertuples(index=False):
        plot(drawn, ends, [method, method], "lines", line=grey, showlegend=False)
    marks = {"first": ("circle", "series.random"), "second": ("diamond", "series.temporal")}
    for ink, (side, (mark, name)) in zip(PALETTE, marks.items(), strict=False):
        shown = {"marker": {"symbol": mark, "color": ink, "size": 9}, "name": words(name)}
        plot(
            drawn,
            rows[side],
            rows["method"],
            "markers",
            **shown,
            hovertemplate=f"%{{y}}: {of_error('x')}",
        )
    drawn.update_xaxes(title_text=words("axis.test_rmse"))
    drawn.update_yaxes(type="category")
    return drawn
