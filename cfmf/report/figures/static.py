"""The static version of a figure: the same Plotly figure drawn by Matplotlib as inline SVG.

For pages that must stay small (Snakemake's own report) and for readers without JavaScript. Only
the kinds of trace that this package's figures use are known. The SVG has no date and no random
ids, so that two runs give the same bytes; text stays text; ink and grid are variables of the
page's style sheet, so that it follows the light and the dark page.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from io import StringIO
from itertools import chain
from typing import Any

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

INK, GRID = "#010203", "#040506"
"""Placeholders for the page's colours, different from all others and replaced in the SVG."""
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "cfmf",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.parse_math": False,  # a title may have dollars
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "legend.frameon": False,
}
LINE_STYLES = {"dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3))}
STEPS = {"hv": "steps-post", "vh": "steps-pre"}
TEXT_PLACES: dict[str, dict[str, Any]] = {
    "top center": {"xytext": (0, 7), "ha": "center"},
    "bottom center": {"xytext": (0, -15), "ha": "center"},
    "middle left": {"xytext": (-5, 0), "ha": "right", "va": "center"},
    "middle right": {"xytext": (5, 0), "ha": "left", "va": "center"},
}
COORDINATES = re.compile(r'\b(?:d|x|y)="[^"]*"')
"""Of an SVG, whose six decimals are more than anyone sees: a hundredth of a pixel is enough."""
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML does not have."""
MARKS = {"circle": "o", "square": "s", "diamond": "D", "diamond-open": "D", "star": "*"}


def to_svg(drawn: go.Figure, name: str, labelled_by: str) -> str:
    """SVG of a figure of this package.

    Parameters
    ----------
    drawn
        A figure made by one of the functions of `cfmf.report.figures`.
    name
        A word that no other figure of the page has: it begins every id of the SVG.
    labelled_by
        Id of the element of the page that describes the figure, for readers who do not see it.

    Raises
    ------
    ValueError
        If the figure holds a kind of trace that has no static version.
    """
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        # Text stays text, so the letters that this font lacks are the reader's browser's business.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        page = Figure(figsize=(8.6, (drawn.layout.height or 380) / 88), layout="constrained")
        canvas = FigureCanvasSVG(page)
        panels = page.subplots(1 + any(map(_below, drawn.data)), sharex=True, squeeze=False)[:, 0]
        shown = [trace for trace in drawn.data if trace.visible != "legendonly"]
        for number, trace in enumerate(shown):
            draw = DRAW.get(trace.type)
            if draw is None:
                raise ValueError(f"figure {name}: a {trace.type} trace has no static version")
            draw(panels[-1 if _below(trace) else 0], trace, drawn, number)
        _shapes(panels[0], drawn)
        _axis(panels[-1].xaxis, drawn.layout.xaxis)
        for panel, axis in zip(panels, ("yaxis", "yaxis2"), strict=False):
            _axis(panel.yaxis, drawn.layout[axis])
        _legend(page, list(panels), drawn)
        layout = page.get_layout_engine()
        assert layout is not None
        layout.execute(page)
        page.set_layout_engine("none")
        for patch in (page.patch, *(panel.patch for panel in panels)):
            patch.set(facecolor="none", edgecolor="none")
        text = StringIO()
        # Not `savefig`, which draws every figure twice, the first time for its layout alone.
        canvas.print_svg(text, metadata={"Date": None, "Creator": None})
    return _inline(text.getvalue(), name, labelled_by)


def to_file(svg: str, title: str) -> str:
    """What `to_svg` gave as a file of its own, on white and with a title."""
    inked = svg.replace("var(--ink)", "#1d2329").replace("var(--grid)", "#c9d0d7")
    head, _, body = CONTROLS.sub("", inked).partition(">")
    head = re.sub(r' aria-labelledby="[^"]*"', ' aria-labelledby="title"', head)
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head)[0]
    size = f'width="{width}pt" height="{height}pt" style="background: #ffffff"'
    label = f'<title id="title">{escape(CONTROLS.sub("", title))}</title>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head} {size}>{label}{body}\n'


def _below(trace: Any) -> bool:
    """Whether a trace is in the lower one of two panels."""
    return trace.type == "scatter" and trace.yaxis == "y2"


def _inline(svg: str, name: str, labelled_by: str) -> str:
    """An SVG document as an element of a page: own ids, page colours, a label."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = COORDINATES.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg)
    svg = svg.replace(INK, "var(--ink)").replace(GRID, "var(--grid)")
    for side in ("width", "height"):
        svg = re.sub(rf'(<svg[^>]*?) {side}="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-labelledby="{labelled_by}"', 1)


def _scatter(axes: Axes, trace: Any, drawn: go.Figure, number: int) -> None:
    mode, line, marker = trace.mode or "lines", trace.line, trace.marker
    ink = _colour(line.color or (marker.color if isinstance(marker.color, str) else None))
    errors: dict[str, Any] = {
        side: bars.array if bars.arrayminus is None else [bars.arrayminus, bars.array]
        for side, bars in (("xerr", trace.error_x), ("yerr", trace.error_y))
        if bars.array is not None
    }
    if errors:
        axes.errorbar(trace.x, trace.y, fmt="none", ecolor=ink, elinewidth=1, capsize=2, **errors)
    if "lines" in mode:
        axes.plot(
            np.array(trace.x, dtype=float) if None in trace.x else trace.x,
            np.array(trace.y, dtype=float) if None in trace.y else trace.y,
            color=ink,
            linewidth=(line.width or 2) * 0.75,
            linestyle=LINE_STYLES.get(line.dash or "solid", "-"),
            drawstyle=STEPS.get(line.shape, "default"),
            marker=_mark(marker) if "markers" in mode else None,
            markersize=5,
            label=_label(trace, drawn),
        )
    elif "markers" in mode:
        _points(axes, trace.x, trace.y, marker, _label(trace, drawn))
    if "text" in mode:
        for x, y, text in zip(trace.x, trace.y, trace.text, strict=True):
            where = TEXT_PLACES.get(trace.textposition, TEXT_PLACES["top center"])
            axes.annotate(text, (x, y), textcoords="offset points", **where)


def _mark(marker: Any) -> str:
    return MARKS.get(marker.symbol if isinstance(marker.symbol, str) else "circle", "o")


def _points(axes: Axes, x: Any, y: Any, marker: Any, label: str | None) -> None:
    """Points one by one where colour or symbol differs, all at once where they do not."""
    looks = (marker.symbol, marker.color)
    each = (look if isinstance(look, (list, tuple)) else [look] * len(x) for look in looks)
    for place, (mark, ink) in enumerate(zip(*each, strict=True)):
        axes.plot(
            [x[place]],
            [y[place]],
            linestyle="none",
            marker=MARKS.get(mark or "circle", "o"),
            markerfacecolor="none" if str(mark).endswith("open") else _colour(ink),
            markeredgecolor=_colour(ink),
            markersize=6,
            label=label if place == 0 else None,
        )


def _bar(axes: Axes, trace: Any, drawn: go.Figure, number: int) -> None:
    bars = [other for other in drawn.data if other.type == "bar"]
    grouped = drawn.layout.barmode == "group" and len(bars) > 1
    style = {
        "color": _colour(trace.marker.color),
        "alpha": trace.opacity or 0.9,
        "label": _label(trace, drawn),
        "error_kw": {"ecolor": INK, "elinewidth": 1, "capsize": 2},
    }
    y = np.asarray(trace.y, dtype=float)
    error = trace.error_y.array
    if trace.x is not None and isinstance(trace.x[0], str):
        categories = list(dict.fromkeys(value for other in bars for value in other.x))
        share = 0.8 / len(bars) if grouped else 0.85
        shift = (bars.index(trace) - (len(bars) - 1) / 2) * share if grouped else 0.0
        places = np.array([categories.index(value) for value in trace.x], dtype=float) + shift
        drawn_bars = axes.bar(places, y, width=share, yerr=error, **style)
        every = max(1, -(-len(categories) // 14))
        axes.set_xticks(range(0, len(categories), every), categories[::every])
        if trace.text is not None:
            axes.bar_label(
                drawn_bars,
                labels=list(trace.text),
                fontsize=8,
                label_type="center",
                color=trace.textfont.color,
            )
    else:
        axes.bar(np.asarray(trace.x, dtype=float), y, width=trace.width or 0.8, **style)
    axes.grid(visible=False, axis="x")


def _box(axes: Axes, trace: Any, drawn: go.Figure, number: int) -> None:
    lying = trace.orientation == "h"
    values = np.asarray(trace.x if lying else trace.y, dtype=float)
    ink = _colour(trace.marker.color)
    parts = ("box", "whisker", "cap", "median")
    props: dict[str, Any] = {f"{part}props": {"color": ink} for part in parts}
    axes.boxplot(
        values,
        positions=[number],
        orientation="horizontal" if lying else "vertical",
        widths=0.5,
        showfliers=False,
        manage_ticks=False,
        **props,
    )
    spread = np.linspace(-0.12, 0.12, len(values)) + number
    mark = {"linestyle": "none", "marker": _mark(trace.marker), "color": ink, "markersize": 4}
    axes.plot(*((values, spread) if lying else (spread, values)), **mark)
    names = [other.name for other in drawn.data]
    (axes.set_yticks if lying else axes.set_xticks)(range(len(names)), names)


def _heatmap(axes: Axes, trace: Any, drawn: go.Figure, number: int) -> None:
    grid = np.asarray(trace.z, dtype=float)
    colours = [(stop, _colour(ink)) for stop, ink in trace.colorscale]
    image = axes.imshow(
        grid,
        cmap=LinearSegmentedColormap.from_list("cfmf", colours),
        vmin=trace.zmin,
        vmax=trace.zmax,
        aspect="auto",
        origin="lower",
        interpolation="none",
    )
    axes.set_xticks(range(len(trace.x)), trace.x)
    axes.set_yticks(range(len(trace.y)), trace.y)
    axes.grid(False)
    for row, texts in enumerate(trace.text):
        for column, text in enumerate(texts):
            axes.text(column, row, text, ha="center", va="center", color="white", fontsize=8.5)
    image.set_rasterized(False)


DRAW: dict[str, Callable[[Axes, Any, go.Figure, int], None]] = {
    "scatter": _scatter,
    "bar": _bar,
    "box": _box,
    "heatmap": _heatmap,
}


def _shapes(axes: Axes, drawn: go.Figure) -> None:
    for shape in drawn.layout.shapes or ():
        if shape.type == "rect":
            axes.axvspan(shape.x0, shape.x1, color="gray", alpha=0.2, linewidth=0, zorder=0)
        elif shape.y0 == shape.y1:
            axes.axhline(shape.y0, color="gray", linewidth=1, linestyle=":")
        else:
            axes.axvline(shape.x0, color="gray", linewidth=1, linestyle=":")


def _axis(axis: Any, layout: Any) -> None:
    axis.set_label_text(layout.title.text or "")
    if layout.visible is False:
        axis.set_visible(False)
        axis.axes.spines["left"].set_visible(False)
    if layout.type == "log":
        (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        low, high = sorted(axis.get_view_interval())
        axis.set_major_locator(LogLocator(subs=(1,) if high > 1000 * low else (1, 2, 5)))
        axis.set_minor_locator(NullLocator())
    if layout.range is not None:
        (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(*layout.range)
    if layout.autorange == "reversed":
        axis.set_inverted(True)
    if layout.tickvals is not None:
        axis.set_ticks(list(layout.tickvals), list(layout.ticktext))
    if layout.tickformat:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:{layout.tickformat}}"))


def _label(trace: Any, drawn: go.Figure) -> str | None:
    if drawn.layout.showlegend is False or trace.showlegend is False:
        return None
    return trace.name


def _legend(page: Figure, all_axes: list[Axes], drawn: go.Figure) -> None:
    found = [axes.get_legend_handles_labels() for axes in all_axes]
    handles, labels = ([*chain(*each)] for each in zip(*found, strict=True))
    if len(handles) > 1:
        page.legend(handles, labels, loc="outside lower left", ncols=5, fontsize=8.5)


def _colour(ink: str | None) -> Any:
    """A Matplotlib colour from a CSS one of the kinds that the figures use."""
    if ink is None:
        return INK
    found = re.fullmatch(r"rgba\((\d+),\s*(\d+),\s*(\d+),\s*([\d.]+)\)", ink)
    if found:
        red, green, blue, alpha = (float(part) for part in found.groups())
        return (red / 255, green / 255, blue / 255, alpha)
    return to_rgba(ink)
