"""Figures of the published study: its search, its runs by k, its comparisons, and both recipes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy import stats

from cfmf.report.figures.style import (
    BOX,
    DASHES,
    PALETTE,
    Words,
    at,
    bars,
    colour,
    figure,
    plot,
    thinned,
    ticks,
)
from cfmf.tables import where

STEPS = ["#5c636a", "#3c73ad", "#17548c", "#0b3055"]
"""Colours of a sign plot, from not distinguishable to p < 0.001; white letters are readable."""


LEVELS = (0.05, 0.01, 0.001)
MARKS = {"COMPLETE": ("circle", PALETTE[0]), "PRUNED": ("diamond-open", PALETTE[1])}
"""Symbol and colour of the runs of a state."""
HOVER = "%{x}: %{y:.4f}"


def side_by_side(points: pd.DataFrame, words: Words) -> go.Figure:
    """Bars of test RMSE per k, one a `variant`; `points` has `k variant label mean sd`."""
    drawn = figure(340, barmode="group", bargap=0.3)
    for variant, rows in points.groupby("variant", sort=False):
        rows = rows.assign(size=rows["k"].astype(float)).sort_values("size")
        error = {"type": "data", "array": rows["sd"].fillna(0).tolist(), "thickness": 1.2}
        text = [f"{value:.3f}" for value in rows["mean"]]
        style = {"error_y": error, "text": text, "textposition": "inside"}
        style |= {"insidetextanchor": "start", "name": rows["label"].iloc[0]}
        names = [f"k {k}" for k in rows["k"]]
        bars(drawn, names, rows["mean"], colour(str(variant)), **style, hovertemplate=HOVER)
    drawn.update_xaxes(type="category")
    drawn.update_yaxes(title_text=words("axis.test_rmse"))
    return drawn


def _mark(state: str, size: int, words: Words) -> dict[str, object]:
    """Marks of the runs of a state, and its name."""
    symbol, ink = MARKS.get(state, ("square", PALETTE[6]))
    marker = {"symbol": symbol, "color": ink, "size": size}
    return {"marker": marker, "name": words(f"series.{state.lower()}")}


def search_history(trials: pd.DataFrame, words: Words, value: str = "axis.value") -> go.Figure:
    """Value of every trial of a search, and the lowest so far of the complete ones.

    `trials` has `number value state`; `value` is the key of what the values are called.
    """
    drawn = figure(360)
    for state, rows in trials.groupby("state", sort=True):
        style = _mark(str(state), 8, words)
        plot(drawn, rows["number"], rows["value"], "markers", **style, hovertemplate=HOVER)
    complete = where(trials, state="COMPLETE").sort_values("number")
    style = {"line": {"color": PALETTE[0], "shape": "hv", "width": 1.5}}
    style |= {"name": words("series.best"), "hovertemplate": HOVER}
    plot(drawn, complete["number"], complete["value"].cummin(), "lines", **style)
    drawn.update_xaxes(title_text=words("axis.trial"))
    drawn.update_yaxes(title_text=words(value))
    return drawn


def search_reports(reports: pd.DataFrame, words: Words, value: str = "axis.value") -> go.Figure:
    """Every trial's reports by epoch, a colour a k; `reports` has `trial step value k state`.

    `value` is the key of what the values are called.
    Pruned trials end in an open diamond where the pruner cut them off.
    """
    drawn = figure(400)
    for ink, dash, (k, rows) in zip(PALETTE, DASHES, reports.groupby("k"), strict=False):
        x: list[float | None] = []
        y: list[float | None] = []
        for _, trial in rows.groupby("trial"):
            kept = trial.iloc[thinned(len(trial), 60)]
            # A gap, so that one trace holds all trials of a k.
            x += [*(kept["step"] + 1).tolist(), None]
            y += [*kept["value"].round(5).tolist(), None]
        style = {"line": {"color": ink, "dash": dash, "width": 1.2}, "name": f"k {k}"}
        plot(drawn, x, y, "lines", **style, hovertemplate=HOVER)
    ends = reports.sort_values("step").groupby("trial").tail(1)
    cut = where(ends, state="PRUNED")
    if len(cut):
        style = {"marker": {"symbol": "diamond-open", "color": PALETTE[6], "size": 8}}
        style |= {"name": words("series.pruned"), "customdata": cut["trial"].tolist()}
        style["hovertemplate"] = "%{customdata}: %{y:.4f}"
        plot(drawn, cut["step"] + 1, cut["value"].round(5), "markers", **style)
    drawn.update_xaxes(
        title_text=words("axis.epoch"), type="log", **ticks(1, float(reports["step"].max()) + 1)
    )
    drawn.update_yaxes(title_text=words(value))
    return drawn


def importances(shares: pd.DataFrame, words: Words) -> go.Figure:
    """Bars of the importance of each parameter; `shares` has `parameter value`."""
    drawn = figure(260, bargap=0.5, showlegend=False)
    text, hover = [f"{value:.2f}" for value in shares["value"]], "%{x}: %{y:.3f}<extra></extra>"
    known = {"text": text, "hovertemplate": hover}
    bars(drawn, shares["parameter"], shares["value"], PALETTE[0], **known)
    drawn.update_xaxes(type="category")
    drawn.update_yaxes(title_text=words("axis.importance"))
    return drawn


def scatter_by_k(points: pd.DataFrame, words: Words) -> go.Figure:
    """RMSE of every run against k on a logarithmic axis; `points` has `k value state`.

    Runs are drawn slightly apart in order of appearance, so that equal values do not hide each
    other.
    """
    drawn = figure(380)
    sizes = points["k"].astype(float)
    place = points.groupby("k").cumcount() / points.groupby("k")["value"].transform("size")
    x = sizes * 2.0 ** (0.5 * (place - 0.5))
    for state, rows in points.groupby("state", sort=True):
        known = {"customdata": rows["k"].tolist(), "hovertemplate": "k %{customdata}: %{y:.4f}"}
        style = _mark(str(state), 7, words)
        plot(drawn, x[rows.index].round(4), rows["value"], "markers", **style, **known)
    drawn.update_xaxes(title_text=words("axis.k"), **at(sizes))
    drawn.update_yaxes(title_text=words("axis.rmse"))
    return drawn


def sign_plot(pairs: pd.DataFrame, words: Words) -> go.Figure:
    """Which methods are distinguishable; `pairs` has `first second p effect`, one row a pair.

    A cell holds p and a sign: − where the row's level is lower (better), + where it is higher. Its
    colour is the step of p.
    """
    names = list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
    place = {name: number for number, name in enumerate(names)}
    steps = np.full((len(names), len(names)), np.nan)
    text = [["" for _ in names] for _ in names]
    columns = (pairs[name].tolist() for name in ("first", "second", "p", "effect"))
    for first, second, p, effect in zip(*columns, strict=True):
        step = sum(p < level for level in LEVELS)
        signs = ("−", "+") if effect < 0 else ("+", "−")
        for a, b, sign in zip((first, second), (second, first), signs, strict=True):
            steps[place[a], place[b]] = step
            text[place[a]][place[b]] = f"{sign} {p:.3g}" if step else f"{p:.3g}"
    drawn = figure(130 + 40 * len(names))
    size = len(STEPS)
    scale = [[(n + end) / size, ink] for n, ink in enumerate(STEPS) for end in (0, 1)]
    drawn.add_heatmap(
        x=names,
        y=names,
        z=[[None if math.isnan(step) else int(step) for step in row] for row in steps],
        text=text,
        texttemplate="%{text}",
        textfont={"color": "#ffffff"},
        colorscale=scale,
        zmin=-0.5,
        zmax=len(STEPS) - 0.5,
        colorbar={
            "tickvals": list(range(len(STEPS))),
            "ticktext": [words("axis.not_told_apart"), *(f"p < {level:g}" for level in LEVELS)],
            "thickness": 12,
        },
        hovertemplate="%{y} − %{x}: p %{text}<extra></extra>",
    )
    drawn.update_xaxes(type="category", showgrid=False)
    drawn.update_yaxes(type="category", showgrid=False, autorange="reversed")
    return drawn


def density_by_k(points: pd.DataFrame, words: Words) -> go.Figure:
    """Histogram of RMSE by k with a kernel density of each and of all; `points` has `k value`."""
    drawn = figure(360, barmode="stack")
    low, high = points["value"].min(), points["value"].max()
    edges = np.linspace(low, high, 21) if high > low else np.array([low - 0.5, high + 0.5])
    beyond = (high - low) / 8
    line = np.linspace(low - beyond, high + beyond, 120)
    width, middle = float(edges[1] - edges[0]), ((edges[:-1] + edges[1:]) / 2).round(5).tolist()

    def density(values: NDArray[np.float64], **style: object) -> None:
        if len(values) > 2 and np.ptp(values) > 0:
            height = stats.gaussian_kde(values)(line) * (len(values) * width)
            plot(drawn, line.round(5).tolist(), height.round(5).tolist(), "lines", **style)

    for ink, k in zip(PALETTE, sorted(points["k"].unique(), key=float), strict=False):
        values = points.loc[points["k"] == k, "value"].to_numpy(float)
        counts, _ = np.histogram(values, edges)
        style = {
            "width": width,
            "opacity": 0.55,
            "name": f"k {k}",
            "hovertemplate": "%{x:.4f}: %{y}",
        }
        bars(drawn, middle, counts.tolist(), ink, **style)
        density(values, line={"color": ink, "width": 2}, showlegend=False)
    dashed = {"color": PALETTE[8], "width": 2.5, "dash": "dash"}
    density(points["value"].to_numpy(float), line=dashed, name=words("series.all"))
    drawn.update_xaxes(title_text=words("axis.rmse"))
    drawn.update_yaxes(title_text=words("axis.trials"))
    return drawn


def box_by_k(points: pd.DataFrame, words: Words) -> go.Figure:
    """Box and points of RMSE per k, k on a logarithmic axis in words; `points` has `k value`."""
    drawn = figure(360, showlegend=False)
    for ink, k in zip(PALETTE, sorted(points["k"].unique(), key=float), strict=False):
        values = points.loc[points["k"] == k, "value"]
        style = {"marker": {"color": ink, "size": 6}, "hovertemplate": "%{y:.4f}", **BOX}
        drawn.add_box(y=values.tolist(), x=[f"k {k}"] * len(values), name=f"k {k}", **style)
    drawn.update_xaxes(type="category")
    drawn.update_yaxes(title_text=words("axis.rmse"))
    return drawn
