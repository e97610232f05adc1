"""Figures of a value with its interval on each line: decisions have colour, ties are grey."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from cfmf.report.figures.style import (
    GREY,
    KIND_INKS,
    PALETTE,
    SYMBOLS,
    Words,
    figure,
    fixed,
    kind,
    of_error,
    plot,
)

BAND = {"fillcolor": "rgba(128,128,128,0.2)", "line_width": 0, "layer": "below"}


def interval(
    low: pd.Series, value: pd.Series, high: pd.Series, **style: object
) -> dict[str, object]:
    """Error bars of intervals; none where an end is missing."""
    above, below = ((high - value).fillna(0), (value - low).fillna(0))
    ends = {"array": above.tolist(), "arrayminus": below.tolist()}
    return {"type": "data", "symmetric": False, **ends, **style}


def dots(rows: pd.DataFrame, written: Callable[[str], str] = of_error) -> go.Figure:
    """A value with its interval on each line, the first on top.

    Parameters
    ----------
    rows
        Columns label, value, low and high (NaN without an interval), ink and mark (as Plotly has
        them), methods (that the line is about, to be highlighted), and perhaps series, which has
        an entry in the legend.
    written
        Gives how a value is written where the pointer shows it.
    """
    drawn = figure(110 + 21 * len(rows), showlegend="series" in rows)
    ends = f"[{written('customdata[1]')}, {written('customdata[2]')}]"
    hover = f"%{{customdata[0]}}: {written('x')} {ends}<extra></extra>"
    places = list(range(len(rows) - 1, -1, -1))
    seen = set()
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        label, ink, group = row["label"], row["ink"], row.get("series")
        one = pd.DataFrame([row])
        style = {
            "marker": {"color": ink, "symbol": row["mark"], "size": 9},
            "error_x": interval(one["low"], one["value"], one["high"], thickness=1.8, color=ink),
        }
        known: dict[str, object] = {
            "customdata": [[label, row["low"], row["high"]]],
            "hovertemplate": hover,
        }
        if group:
            known |= {"name": group, "legendgroup": group, "showlegend": group not in seen}
            seen.add(group)
        plot(drawn, one["value"], [place], "markers", meta=row["methods"], **style, **known)
    labels = {"tickvals": places, "ticktext": rows["label"].tolist()}
    drawn.update_yaxes(range=[-0.7, len(rows) - 0.3], showgrid=False, **labels)
    return drawn


def _against(drawn: go.Figure, reference: float, margin: float | None = None) -> None:
    """A line that values are compared with, and a band about it that does not matter."""
    if margin:
        drawn.add_vrect(x0=reference - margin, x1=reference + margin, **BAND)
    drawn.add_vline(x=reference, line={"color": "rgba(128,128,128,0.9)", "width": 1.2})


def _decided(rows: pd.DataFrame, reference: float) -> pd.DataFrame:
    """The rows with ink and mark: grey and open where the interval contains the reference."""
    clear = (rows["high"] < reference) | (rows["low"] > reference)
    return rows.assign(
        ink=clear.map({True: PALETTE[0], False: GREY}),
        mark=clear.map({True: "diamond", False: "diamond-open"}),
    )


def ranking(points: pd.DataFrame, words: Words, control: float | None, margin: float) -> go.Figure:
    """Test RMSE of every method, best first, by family, with intervals about that of the control.

    `points` has `method label rmse low high`, best first; `low` and `high` are NaN without an
    interval. Differences within `margin` of the control's RMSE, a line, do not matter in practice.
    """
    kinds = points["method"].map(kind)
    rows = points.assign(
        value=points["rmse"],
        ink=kinds.map(KIND_INKS).fillna(GREY),
        mark=kinds.map(SYMBOLS).fillna("x"),
        series=[words(f"series.{name}") if name else "" for name in kinds],
        methods=points["method"],
    )
    drawn = dots(rows)
    if control is not None:
        _against(drawn, control, margin)
    drawn.update_xaxes(title_text=words("axis.test_rmse"), **fixed(rows["rmse"]))
    return drawn


def forest(rows: pd.DataFrame, title: str, margin: float | None = None) -> go.Figure:
    """Differences from zero with their intervals; `rows` has `label value low high methods`.

    `margin`, if given, is drawn as a band about zero: differences inside it do not matter in
    practice.
    """
    drawn = dots(_decided(rows, 0))
    _against(drawn, 0, margin)
    drawn.update_xaxes(title_text=title, **fixed(rows[["low", "high"]]))
    return drawn


def shares(rows: pd.DataFrame, title: str) -> go.Figure:
    """Proportions with intervals about one half; `rows` has `label value low high methods`."""
    drawn = dots(_decided(rows, 0.5), lambda name: f"%{{{name}:.1%}}")
    _against(drawn, 0.5)
    drawn.update_xaxes(title_text=title, tickformat=".0%")
    return drawn


def coverage(points: pd.DataFrame, title: str, nominal: tuple[float, float]) -> go.Figure:
    """Proportions beside a band of nominal ones; `points` has `series label value`.

    Labels are on lines, the first on top; series have a colour and a mark each.
    """
    labels = list(dict.fromkeys(points["label"]))[::-1]
    drawn = figure(120 + 24 * len(labels))
    marks = zip(SYMBOLS.values(), [GREY, *PALETTE], strict=False)
    for (mark, ink), (name, rows) in zip(marks, points.groupby("series", sort=False), strict=False):
        places = [labels.index(label) for label in rows["label"]]
        known = {"name": str(name), "customdata": rows["label"].tolist()}
        known |= {"hovertemplate": "%{customdata}: %{x:.1%}"}
        style = {"marker": {"color": ink, "symbol": mark, "size": 9}}
        plot(drawn, rows["value"], places, "markers", **style, **known)
    drawn.add_vrect(x0=nominal[0], x1=nominal[1], **BAND)
    drawn.update_xaxes(title_text=title, tickformat=".0%")
    ticks = {"tickvals": list(range(len(labels))), "ticktext": labels}
    drawn.update_yaxes(range=[-0.7, len(labels) - 0.3], showgrid=False, **ticks)
    return drawn
