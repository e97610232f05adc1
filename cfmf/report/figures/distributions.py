"""Figures of the ratings themselves and of the users' similarities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cfmf.report.figures.style import ON_BAR, PALETTE, Words, figure, thinned, ticks


def rating_distribution(counts: pd.DataFrame, words: Words) -> go.Figure:
    """Bars of how often each rating was given; `counts` has `rating` and `count`."""
    share = counts["count"] / counts["count"].sum()
    drawn = figure(300, bargap=0.15, showlegend=False)
    drawn.add_bar(
        x=[f"{value:g}" for value in counts["rating"]],
        y=counts["count"].tolist(),
        text=[f"{value:.1%}" for value in share],
        textfont={"color": ON_BAR},
        marker_color=PALETTE[0],
        name=words("axis.ratings"),
        hovertemplate="%{x}: %{y:,} (%{text})<extra></extra>",
    )
    drawn.update_xaxes(title_text=words("axis.rating"), type="category")
    drawn.update_yaxes(title_text=words("axis.ratings"))
    return drawn


def activity(per_user: np.ndarray, per_item: np.ndarray, words: Words) -> go.Figure:
    """Share of users and of items that hold at least so many ratings.

    `per_user`, `per_item`: int arrays, ratings of each user and of each item.
    """
    drawn = figure(320)
    series = [("users", per_user, "solid"), ("items", per_item, "dash")]
    for (name, counts, dash), ink in zip(series, PALETTE, strict=False):
        values, first = np.unique(np.sort(counts[counts > 0]), return_index=True)
        held = 1 - first / max(int((counts > 0).sum()), 1)
        keep = thinned(len(values))
        drawn.add_scatter(
            x=values[keep].tolist(),
            y=np.round(held[keep], 5).tolist(),
            mode="lines",
            line={"color": ink, "dash": dash, "shape": "vh", "width": 2},
            name=words(f"series.{name}"),
            hovertemplate="≥ %{x}: %{y:.1%}",
        )
    most = float(max(per_user.max(), per_item.max()))
    drawn.update_xaxes(title_text=words("axis.at_least"), type="log", **ticks(1, most))
    drawn.update_yaxes(title_text=words("axis.share"), tickformat=".0%", rangemode="tozero")
    return drawn


def over_time(counts: pd.DataFrame, words: Words) -> go.Figure:
    """Bars of ratings a period; `counts` has `period` (text) and `count`."""
    drawn = figure(260, bargap=0.1, showlegend=False)
    drawn.add_bar(
        x=counts["period"].tolist(),
        y=counts["count"].tolist(),
        marker_color=PALETTE[2],
        name=words("axis.ratings"),
        hovertemplate="%{x}: %{y:,}<extra></extra>",
    )
    drawn.update_xaxes(title_text=words("axis.period"), type="category")
    drawn.update_yaxes(title_text=words("axis.ratings"))
    return drawn


def similarity_distribution(edges: np.ndarray, counts: np.ndarray, words: Words) -> go.Figure:
    """Bars of the pairwise similarities; `edges` has one value more than `counts`."""
    drawn = figure(300, bargap=0.02, showlegend=False)
    drawn.add_bar(
        x=((edges[:-1] + edges[1:]) / 2).round(4).tolist(),
        y=counts.tolist(),
        width=float(edges[1] - edges[0]),
        marker_color=PALETTE[0],
        name=words("axis.pairs"),
        hovertemplate="%{x:.3f}: %{y:,}<extra></extra>",
    )
    drawn.update_xaxes(title_text=words("axis.similarity"))
    drawn.update_yaxes(title_text=words("axis.pairs"))
    return drawn
