"""What all figures share: colours, marks, the template, and the words on their axes.

Figures are drawn by Plotly in the report and by Matplotlib in its static SVG (see `static`). Both
get their ink, grid and background from the page's style sheet, so one figure serves the light and
the dark page; the colours here reach a contrast of 3 on either background.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cfmf.methods.registry import FAMILIES, FOREIGN, declared, family, is_blend, methods
from cfmf.report.strings import DECIMALS

Words = Callable[[str], str]
"""Gives the text for a key of the string catalogue."""

PALETTE = [
    "#3f8bea",
    "#c4530e",
    "#0d885c",
    "#9a61a6",
    "#9a7d0a",
    "#6f7fd6",
    "#c75450",
    "#3d94a0",
    "#8d929a",
    "#a0763f",
]
GREY = "#8d929a"
BOX = {
    "boxpoints": "all",
    "pointpos": 0,
    "jitter": 0.4,
    "line": {"width": 1.2},
    "fillcolor": "rgba(128,128,128,0.12)",
}
"""A box with all its points."""
DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"]
HUE_STEP = 0.381966
"""Share of the colour circle from one method to the next (the golden angle): hues stay far apart
however many methods there are."""
LUMINANCE = (0.19, 0.27)
"""Relative luminances of even and odd methods: between them a colour has a contrast of 3 with the
light and the dark page, and black letters one of 4.5 with it (WCAG 2.2)."""
ON_BAR = "#000000"
"""Letters on a bar: black has a contrast of 4.5 with every colour above, white does not."""
SEQUENTIAL = [[0.0, "#17548c"], [0.4, "#3c73ad"], [0.7, "#86609a"], [1.0, "#b3442c"]]
"""Blue is low (good for an error), red is high; white letters are readable on all of it."""

KINDS = (*FAMILIES, "blend", FOREIGN)
KIND_INKS = dict(zip(KINDS, (GREY, *PALETTE[:2], PALETTE[3], PALETTE[2]), strict=True))
"""The colour of a family where a figure has one for each; marks differ too (`SYMBOLS`).

Readers without red or green cones tell them apart: the least distance in OKLab is 0.14, and 0.09 as
these readers see them (Machado et al. 2009), where a just noticeable difference is about 0.02."""
SYMBOLS = dict(zip(KINDS, ("square", "circle", "diamond", "star", "triangle-up"), strict=True))


def kind(method: str) -> str:
    """The family of a method or blend; empty of a method that is no longer installed."""
    return family(method) if is_blend(method) or declared(method) else ""


def symbol(method: str) -> str:
    """The mark of a method's family, so that colour is not the only sign."""
    return SYMBOLS.get(kind(method), "x")


def colour(method: str) -> str:
    """The colour of a method, the same in every figure: by its family and place in the registry."""
    if kind(method) == FAMILIES[0]:
        return GREY
    known = list(methods())
    # A blend, or a method that is no longer installed, gets a colour from its letters.
    number = known.index(method) if method in known else sum(map(ord, method))
    return generated(number)


@cache
def generated(number: int) -> str:
    """The colour of a number: hues a golden angle apart, with two alternating luminances."""
    hue, wanted = (0.56 + number * HUE_STEP) % 1, LUMINANCE[number % 2]
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        lightness = (low + high) / 2
        dark = luminance(colorsys.hls_to_rgb(hue, lightness, 0.5)) < wanted
        low, high = (lightness, high) if dark else (low, lightness)
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, low, 0.5))


def luminance(rgb: Sequence[float]) -> float:
    """Relative luminance of a colour with parts from 0 to 1 (WCAG 2.2)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


AXIS = {
    "gridcolor": "rgba(128,128,128,0.25)",
    "linecolor": "rgba(128,128,128,0.6)",
    "zeroline": False,
    "showline": True,
    "ticks": "outside",
    "ticklen": 4,
    "automargin": True,
    "title": {"standoff": 8},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#6b7076"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": PALETTE,
        "margin": {"l": 10, "r": 10, "t": 20, "b": 10},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"font": {"color": "#ffffff"}, "bgcolor": "#30363d"},
        "xaxis": AXIS,
        "yaxis": AXIS,
    }
)


def ticks(low: float, high: float) -> dict[str, object]:
    """Ticks of a logarithmic axis from `low` to `high`: 1, 2, 5, or powers of ten where many.

    Plotly's own ticks have minor digits too small to read.
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= 4 else (1,)
    values = [step * 10.0**decade for decade in decades for step in steps]
    shown = [value for value in values if low / 2 <= value <= high * 2]
    return {"tickvals": shown, "ticktext": [f"{value:g}" for value in shown]}


def at(values: Iterable[float], kind: str = "log") -> dict[str, object]:
    """An axis of some kind with ticks at all values."""
    shown = sorted(set(values))
    return {"type": kind, "tickvals": shown, "ticktext": [f"{value:g}" for value in shown]}


def fixed(values: pd.Series | pd.DataFrame) -> dict[str, str]:
    """As many decimals at all ticks of an axis of these values as their range asks for."""
    known = values.to_numpy(float)
    span = np.nanmax(known) - np.nanmin(known) if np.isfinite(known).any() else 0.0
    return {"tickformat": f".{max(0, -math.floor(math.log10(span / 12)))}f"} if span > 0 else {}


def of_error(name: str) -> str:
    """A value of a hover text that is an error, with the decimals of the report."""
    return f"%{{{name}:.{DECIMALS.get()}f}}"


def figure(height: int = 380, **layout: object) -> go.Figure:
    """An empty figure in the report's style; `height` in pixels."""
    return go.Figure(layout={"template": TEMPLATE, "height": height, **layout})


def plot(
    drawn: go.Figure, x: Iterable[object], y: Iterable[object], mode: str, **how: object
) -> None:
    """Add lines, marks or text to a figure; `mode` and `how` as Plotly's scatter traces have them.

    Where nothing is said of what the pointer shows, it shows nothing.
    """
    silent = {} if {"hovertemplate", "yaxis"} & how.keys() else {"hoverinfo": "skip"}
    drawn.add_scatter(x=list(x), y=list(y), mode=mode, **silent, **how)


def bars(
    drawn: go.Figure, x: Iterable[object], y: Iterable[object], ink: str, **how: object
) -> None:
    """Add bars of one colour to a figure; a text, if any, is black and inside them."""
    letters = {"textfont": {"color": ON_BAR}} if "text" in how else {}
    drawn.add_bar(x=list(x), y=list(y), marker_color=ink, **letters, **how)


def look(method: str, number: int, width: float = 2, size: float = 8) -> dict[str, object]:
    """Line and marks of a method that is the number-th of a figure, and that they are about it."""
    ink = colour(method)
    return {
        "line": {"color": ink, "dash": DASHES[number % len(DASHES)], "width": width},
        "marker": {"symbol": symbol(method), "size": size},
        "meta": method,
    }


def thinned(n: int, most: int = 400) -> list[int]:
    """At most `most` positions of 0 … n − 1, first and last among them, close together at first.

    A learning curve turns early and is flat later, so half the positions are spaced evenly and
    half geometrically.
    """
    if n <= most:
        return list(range(n))
    half = most // 2
    even = {round(step * (n - 1) / (half - 1)) for step in range(half)}
    geometric = {round((n - 1) ** (step / (half - 1))) for step in range(half)}
    return sorted(even | geometric | {0, n - 1})
