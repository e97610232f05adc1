"""Figures show the numbers they are given, the same in both dresses, and the same at every call."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from cfmf.methods import registry
from cfmf.published.reporting import drawings
from cfmf.report.figures import accuracy, curves, distributions, dots, ranks
from cfmf.report.figures.static import to_svg
from cfmf.report.figures.style import (
    GREY,
    KIND_INKS,
    KINDS,
    ON_BAR,
    PALETTE,
    SEQUENTIAL,
    colour,
    fixed,
    generated,
    thinned,
)

INKS = list(KIND_INKS.values())
RNG = np.random.default_rng(3)
K = ["1", "4", "16"]


def words(key):
    return f"<{key}>"


def history():
    epochs = np.arange(2000)
    rmse = 1 + np.exp(-epochs / 50)
    nothing = np.full(2000, np.nan)
    return pd.DataFrame(
        {
            "epoch": epochs,
            "loss": rmse**2 / 2,
            "delta_loss": np.abs(np.diff(rmse**2 / 2, prepend=0)),
            "train_rmse": rmse,
            "validation_rmse": nothing,
            "test_rmse": rmse + 0.1,
        }
    )


DIFFERENCES = pd.DataFrame(
    {
        "label": ["a - b", "c - b"],
        "value": [-0.1, 0.0],
        "low": [-0.2, -0.1],
        "high": [-0.05, 0.1],
        "methods": [["a", "b"], ["c", "b"]],
    }
)
FIGURES = {
    "ratings": distributions.rating_distribution(
        pd.DataFrame({"rating": [1.0, 2.5], "count": [3, 1]}), words
    ),
    "activity": distributions.activity(RNG.integers(1, 90, 50), RNG.integers(0, 40, 80), words),
    "time": distributions.over_time(
        pd.DataFrame({"period": ["1997", "1998"], "count": [4, 5]}), words
    ),
    "similarity": distributions.similarity_distribution(
        pd.DataFrame({"low": np.arange(5), "high": np.arange(1, 6), "count": range(5)}), words
    ),
    "curves": curves.learning_curves(history(), words),
    "by-k": curves.rmse_by_k(
        pd.DataFrame(
            {"method": ["mf"] * 3, "k": K, "mean": [1, 0.9, 0.95], "sd": [0.1, 0.1, None]}
        ),
        words,
    ),
    "heatmap": curves.heatmap(
        pd.DataFrame({"k": K * 2, "reg": ["0.01"] * 3 + ["0.1"] * 3, "value": range(6)}), words
    ),
    "side": drawings.side_by_side(
        pd.DataFrame(
            {
                "k": K * 2,
                "variant": ["mf"] * 3 + ["mf-published"] * 3,
                "label": ["a"] * 3 + ["b"] * 3,
                "mean": range(1, 7),
                "sd": [0.1] * 6,
            }
        ),
        words,
    ),
    "by-fold": accuracy.by_fold(
        pd.DataFrame(
            {"method": ["a"] * 3 + ["b"] * 3, "fold": list("123123"), "value": [3, 4, 5, 1, 2, 3]}
        ),
        words,
    ),
    "forest": dots.forest(DIFFERENCES, "difference", 0.02),
    "shares": dots.shares(
        pd.DataFrame(
            {
                "label": ["a", "b"],
                "value": [0.7, 0.52],
                "low": [0.6, 0.45],
                "high": [0.8, 0.59],
                "methods": ["a", "b"],
            }
        ),
        "users",
    ),
    "coverage": dots.coverage(
        pd.DataFrame(
            {"series": ["s", "s", "t"], "label": ["a", "b", "a"], "value": [0.9, 0.95, 0.96]}
        ),
        "coverage",
        (0.93, 0.97),
    ),
    "ranking": dots.ranking(
        pd.DataFrame(
            {
                "method": ["mf", "als", "item-knn"],
                "label": ["mf", "als", "item-knn"],
                "rmse": [0.9, 0.91, 0.92],
                "low": [0.89, 0.9, None],
                "high": [0.91, 0.92, None],
            }
        ),
        words,
        0.92,
        0.01,
    ),
    "popularity": accuracy.popularity(
        pd.DataFrame({"method": ["a", "b"], "popularity": [100.0, 10], "ndcg": [0.1, 0.2]}), words
    ),
    "levels": accuracy.by_level(
        pd.DataFrame(
            {
                "method": ["a", "a"],
                "level": ["0", "1-9"],
                "value": [1.1, 1.0],
                "low": [1.0, None],
                "high": [1.2, None],
            }
        ),
        ("ratings", "error"),
    ),
    "pareto": accuracy.pareto(
        pd.DataFrame(
            {
                "method": ["a", "b"],
                "seconds": [1.0, 10],
                "rmse": [1, 0.9],
                "frontier": [True, True],
            }
        ),
        words,
    ),
    "growth": accuracy.growth(
        pd.DataFrame(
            {
                "method": ["mf"] * 2 + ["als"] * 2,
                "size": [100, 1000] * 2,
                "seconds": [0.1, 1, 2, 3],
                "fitted": [0.1, 1, 2, 3],
            }
        ),
        "N",
        words,
    ),
    "progress": curves.search_progress(
        pd.DataFrame(
            {
                "method": ["mf"] * 4,
                "by": ["grid", "grid", "search", "search"],
                "trials": [1, 2, 1, 2],
                "seconds": [1.0, 2.0, 0.5, 0.7],
                "value": [1, 0.9, 1.1, 1.1],
            }
        ),
        "seconds",
        words,
    ),
    "trials": accuracy.trials_by_setting(
        pd.DataFrame({"x": [10, 20], "line": ["s 0", "s 0"], "value": [1, 0.9]}), "K", words
    ),
    "density": drawings.density_by_k(
        pd.DataFrame({"k": K * 5, "value": RNG.normal(size=15)}), words
    ),
    "box": drawings.box_by_k(pd.DataFrame({"k": K * 5, "value": RNG.normal(size=15)}), words),
    "history": drawings.search_history(
        pd.DataFrame(
            {"number": [0, 1, 2], "value": [2, 1.5, 1], "state": ["PRUNED", "COMPLETE", "COMPLETE"]}
        ),
        words,
    ),
    "reports": drawings.search_reports(
        pd.DataFrame(
            {
                "trial": [0] * 5 + [1] * 5,
                "step": [*range(5)] * 2,
                "value": 1.0,
                "k": [1] * 5 + [4] * 5,
                "state": ["PRUNED"] * 5 + ["COMPLETE"] * 5,
            }
        ),
        words,
    ),
    "importances": drawings.importances(
        pd.DataFrame({"parameter": ["k", "λ"], "value": [0.9, 0.1]}), words
    ),
    "ranks": ranks.critical_difference(
        pd.DataFrame({"method": ["a", "b", "c"], "rank": [1.2, 1.8, 3.0]}), 0.7, words
    ),
    "ranks-alone": ranks.critical_difference(
        pd.DataFrame({"method": ["a", "b"], "rank": [1.2, 1.8]}), None, words
    ),
    "scatter": drawings.scatter_by_k(
        pd.DataFrame({"k": K * 2, "value": range(6), "state": ["COMPLETE", "PRUNED"] * 3}), words
    ),
    "signs": drawings.sign_plot(
        pd.DataFrame(
            {
                "first": ["1", "1", "4"],
                "second": ["4", "16", "16"],
                "p": [0.2, 0.03, 1e-5],
                "effect": [0.1, -0.2, -0.3],
            }
        ),
        words,
    ),
    "split_schemes": ranks.split_schemes(
        pd.DataFrame({"method": ["a", "b"], "first": [0.9, 0.95], "second": [1.0, 0.96]}), words
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_still_twin_is_sound_and_repeatable(name):
    first, second = (to_svg(FIGURES[name], name, "caption") for _ in range(2))
    assert first == second
    root = ElementTree.fromstring(first)
    assert root.attrib["aria-labelledby"] == "caption"
    assert all(
        node.attrib["id"].startswith(f"{name}-") for node in root.iter() if "id" in node.attrib
    )
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 3


def test_still_twin_keeps_axis_titles_as_text():
    text = "".join(ElementTree.fromstring(to_svg(FIGURES["by-k"], "x", "y")).itertext())
    assert "<axis.k>" in text
    assert "<axis.test_rmse>" in text


def test_unknown_trace_has_no_twin():
    drawn = distributions.over_time(pd.DataFrame({"period": ["1"], "count": [1]}), words)
    drawn.add_scatterpolar(r=[1], theta=[1])
    with pytest.raises(ValueError, match="scatterpolar trace has no static version"):
        to_svg(drawn, "x", "y")


def test_learning_curves_leave_out_what_was_not_watched():
    names = [trace.name for trace in FIGURES["curves"].data]
    assert names == [
        f"<series.{name}>" for name in ("loss", "delta_loss", "train_rmse", "test_rmse")
    ]
    assert [trace.yaxis for trace in FIGURES["curves"].data] == ["y", "y", "y2", "y2"]


def test_thinning_keeps_ends_and_bounds():
    kept = thinned(100_000, 200)
    assert kept[0] == 0
    assert kept[-1] == 99_999
    assert len(kept) <= 202
    assert kept == sorted(set(kept))
    assert thinned(5) == [0, 1, 2, 3, 4]


def test_share_of_users_with_at_least_so_many_ratings():
    drawn = distributions.activity(np.array([1, 2, 2, 5]), np.array([0, 3]), words)
    users, items = drawn.data
    assert dict(zip(users.x, users.y, strict=True)) == {1: 1.0, 2: 0.75, 5: 0.25}
    assert dict(zip(items.x, items.y, strict=True)) == {3: 1.0}


@pytest.mark.parametrize(("name", "ties"), [("forest", ["c - b"]), ("shares", ["b"])])
def test_ties_are_grey_and_open(name, ties):
    drawn = FIGURES[name]
    labels = dict(zip(drawn.layout.yaxis.tickvals, drawn.layout.yaxis.ticktext, strict=True))
    looks = {labels[trace.y[0]]: trace.marker for trace in drawn.data}
    assert [label for label, mark in looks.items() if mark.color == GREY] == ties
    assert [label for label, mark in looks.items() if mark.symbol == "diamond-open"] == ties


def test_families_of_the_ranking_are_in_the_legend_once():
    shown = [trace.name for trace in FIGURES["ranking"].data if trace.showlegend]
    assert shown == ["<series.factorization>", "<series.neighbours>"]


@pytest.mark.parametrize("name", ["by-fold", "levels", "pareto", "growth", "by-k", "ranks"])
def test_what_is_about_a_method_says_so(name):
    """So that a reader can highlight it; see the page's script."""
    drawn = FIGURES[name]
    about = {trace.meta for trace in drawn.data if trace.meta}
    names = {trace.name for trace in drawn.data if trace.name}
    assert about == names


def test_bars_join_the_longest_runs_within_the_critical_difference():
    assert ranks.cliques([1.0, 1.4, 2.0, 3.5], 1.0) == [(0, 2)]
    assert ranks.cliques([1.0, 1.6, 2.4, 3.0], 1.0) == [(0, 1), (1, 2), (2, 3)]
    assert ranks.cliques([1.0, 2.0, 3.0], 0.5) == []


def test_diagram_of_demsar_joins_what_he_says():
    """Demšar (2006): at .05 Nemenyi's test tells none of his four classifiers apart."""
    means = [1.964, 2.0, 2.893, 3.143]
    assert ranks.cliques(means, 1.253559) == [(0, 3)]
    # At .10 both with m are told apart from C4.5, and C4.5+cf belongs to either group.
    assert ranks.cliques(means, 1.118060) == [(0, 2), (2, 3)]


def test_sign_plot_is_antisymmetric():
    trace = FIGURES["signs"].data[0]
    assert trace.z[0][1] == trace.z[1][0] == 0
    assert trace.text[0][2].startswith("−")
    assert trace.text[2][0].startswith("+")
    assert trace.z[1][2] == 3
    assert trace.z[0][0] is None


def test_pruned_trials_are_told_apart():
    marks = [t for t in FIGURES["reports"].data if t.name == "<series.pruned>"]
    assert [list(mark.x) for mark in marks] == [[5]]


def test_methods_are_ordered_worst_first_from_below():
    assert [trace.name for trace in FIGURES["by-fold"].data] == ["a", "b"]


def luminance(ink):
    channels = [int(ink[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(ink, paper):
    """Of WCAG 2.2, by its own formula."""
    light, dark = sorted([luminance(ink), luminance(paper)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


SEEN_WITHOUT = {
    "red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "nothing": np.eye(3),
}
"""How linear RGB is seen without a kind of cone (Machado, Oliveira & Fernandes 2009, table 1)."""


def oklab(linear):
    """Ottosson 2020, *A perceptual color space for image processing*."""
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    axes = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(linear @ np.transpose(cones)) @ np.transpose(axes)


@pytest.mark.parametrize(("cones", "least"), [("nothing", 0.13), ("green", 0.09), ("red", 0.09)])
def test_colours_of_families_are_told_apart(cones, least):
    channels = np.array([[int(ink[at : at + 2], 16) for at in (1, 3, 5)] for ink in INKS]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = oklab(np.clip(linear @ np.transpose(SEEN_WITHOUT[cones]), 0, 1))
    apart = [np.linalg.norm(one - other) for one, other in combinations(seen, 2)]
    assert min(apart) >= least


@pytest.mark.parametrize("paper", ["#ffffff", "#14181d"])
def test_colours_of_methods_reach_a_contrast_of_three(paper):
    """Success criterion 1.4.11."""
    for ink in [GREY, *PALETTE, *map(generated, range(60))]:
        assert contrast(ink, paper) >= 3, ink


def test_letters_on_bars_and_heatmaps_reach_a_contrast_of_four_and_a_half():
    """Success criterion 1.4.3."""
    for ink in [GREY, *PALETTE, *map(generated, range(60))]:
        assert contrast(ON_BAR, ink) >= 4.5, ink
    for _, ink in SEQUENTIAL:
        assert contrast("#ffffff", ink) >= 4.5, ink


def test_colours_of_methods_differ():
    assert len({generated(number) for number in range(60)}) == 60
    assert colour("baseline") == GREY


def test_unknown_method_has_a_colour_that_stays():
    assert colour("some-method") == colour("some-method") != GREY


ORDER = ["mf-published", "als", "baseline", "gibbs", "user-knn", "mf", "item-knn"]
ERRORS = pd.DataFrame({"method": ORDER, "value": [0.5, 0.93, 0.95, 0.89, 0.92, 0.91, 0.9]})


def test_best_of_every_family_are_drawn_with_intervals():
    first = accuracy.foremost(ERRORS)
    assert first == ["baseline", "gibbs", "user-knn", "mf", "item-knn"]
    assert accuracy.foremost(ERRORS.head(1)) == ["mf-published"]


def test_every_method_is_drawn_at_every_level():
    drawn = accuracy.by_level(ERRORS.assign(level="0", low=0.1, high=1), "ratings", words)
    assert [trace.name for trace in drawn.data] == ORDER
    assert all(trace.visible is not False and trace.visible != "legendonly" for trace in drawn.data)
    barred = [trace.name for trace in drawn.data if trace.error_y.array is not None]
    assert barred == accuracy.foremost(ERRORS)


@pytest.mark.parametrize("level", [True, False])
def test_lines_across_a_static_figure_have_their_direction(level):
    """A dotted line from one side to the other, at the value that it marks."""
    drawn = go.Figure(go.Scatter(x=[-1, 0, 2], y=[-2, 1, 3], mode="lines"))
    drawn.add_hline(0) if level else drawn.add_vline(x=0)
    svg = to_svg(drawn, "name", "title")
    dotted = re.findall(r"<path d=\"M ([\d.]+) ([\d.]+) \s*L ([\d.]+) ([\d.]+) [^>]*dasharray", svg)
    [(x0, y0, x1, y1)] = [tuple(map(float, one)) for one in dotted]
    assert (y0 == y1) == level
    assert (x0 == x1) != level


def test_the_ranking_draws_a_method_of_every_kind():
    registry.register_predictions({"theirs": {}})
    methods = ["baseline", "user-knn", "mf", "blend-both", "theirs"]
    points = pd.DataFrame({"method": methods, "label": methods, "rmse": np.arange(5) / 10 + 0.5})
    try:
        drawn = dots.ranking(points.assign(low=np.nan, high=np.nan), words, None, 0.01)
    finally:
        registry.register_predictions({})
    assert len(drawn.data) == len(KINDS) == len(methods)
    assert len({(trace.marker.color, trace.marker.symbol) for trace in drawn.data}) == len(methods)
    assert {value for trace in drawn.data for value in trace.x} == set(points["rmse"])


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.88, 1.02], ".2f"), ([0.0009, 0.001], ".6f"), ([20, 31], ".1f"), ([0, 400], ".0f")],
)
def test_ticks_have_the_decimals_of_their_range(values, expected):
    assert fixed(pd.Series(values)) == {"tickformat": expected}


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0], [float("nan")]])
def test_an_axis_without_a_range_has_the_ticks_of_plotly(values):
    assert fixed(pd.Series(values, dtype=float)) == {}


def test_a_method_that_waits_in_the_legend_does_not_set_the_decimals():
    rows = {"method": ["mf", "mf", "mf-published"], "k": ["1", "4", "4"], "sd": [0.0, 0.0, 0.0]}
    drawn = curves.rmse_by_k(pd.DataFrame({**rows, "mean": [0.93, 0.91, 2.1]}), str)
    assert drawn.layout.yaxis.tickformat == ".3f"
