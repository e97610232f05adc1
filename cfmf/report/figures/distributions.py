"""Figures of the ratings themselves and of the users' similarities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cfmf.report.figures.style import PALETTE, Words, bars, figure, plot, thinned, ticks


def rating_distribution(counts: pd.DataFrame, words: Words) -> go.Figure:
    """Bars of how often each rating was given; `counts` has `rating` and `count`."""
    share = counts["count"] / counts["count"].sum()
    drawn = figure(300, bargap=0.15, showlegend=False)
    text, hover = [f"{value:.1%}" for value in share], "%{x}: %{y:,} (%{text})<extra></extra>"
    style = {"text": text, "name": words("axis.ratings"), "hovertemplate": hover}
    bars(drawn, [f"{value:g}" for value in counts["rating"]], counts["count"], PALETTE[0], **style)
    drawn.update_xaxes(title_text=words("axis.rating"), type="category")
    drawn.update_yaxes(title_text=words("axis.ratings"))
    return drawn


def activity(per_user: np.ndarray, per_item: np.ndarray, words: Words) -> go.Figure:
    """Proportion of users and of items that have at least n ratings.

    `per_user`, `per_item`: int arrays, ratings of each user and of each item.
    """
    drawn = figure(320)
    series = [("users", per_user, "solid"), ("items", per_item, "dash")]
    for (name, counts, dash), ink in zip(series, PALETTE, strict=False):
        values, first = np.unique(np.sort(counts[counts > 0]), return_index=True)
        held = 1 - first / max(int((counts > 0).sum()), 1)
        keep = thinned(len(values))
        line = {"color": ink, "dash": dash, "shape": "vh", "width": 2}
        known = {"name": words(f"series.{name}"), "hovertemplate": "≥ %{x}: %{y:.1%}"}
        y = np.round(held[keep], 5).tolist()
        plot(drawn, values[keep].tolist(), y, "lines", line=line, **known)
    most = float(max(per_user.max(), per_item.max()))
    drawn.update_xaxes(title_text=words("axis.at_least"), type="log", **ticks(1, most))
    drawn.update_yaxes(title_text=words("axis.share"), tickformat=".0%", rangemode="tozero")
    return drawn


def over_time(counts: pd.DataFrame, words: Words) -> go.Figure:
    """Bars of ratings a period; `counts` has `period` (text) and `count`."""
    drawn = figure(260, bargap=0.1, showlegend=False)
    known = {"name": words("axis.ratings"), "hovertemplate": "%{x}: %{y:,}<extra></extra>"}
    bars(drawn, counts["period"], counts["count"], PALETTE[2], **known)
    drawn.update_xaxes(title_text=words("axis.period"), type="category")
    drawn.update_yaxes(title_text=words("axis.ratings"))
    return drawn


def similarity_distribution(histogram: pd.DataFrame, words: Words) -> go.Figure:
    """Bars of the pairwise similarities; `histogram` has `low high count`."""
    drawn = figure(300, bargap=0.02, showlegend=False)
    low, high = histogram["low"], histogram["high"]
    known = {"name": words("axis.pairs"), "hovertemplate": "%{x:.3f}: %{y:,}<extra></extra>"}
    width = float(high.iloc[0] - low.iloc[0])
    middle = ((low + high) / 2).round(4)
    bars(drawn, middle, histogram["count"], PALETTE[0], width=width, **known)
    drawn.update_xaxes(title_text=words("axis.similarity"))
    drawn.update_yaxes(title_text=words("axis.pairs"))
    return drawn
