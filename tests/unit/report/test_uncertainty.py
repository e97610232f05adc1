"""The section on prediction intervals: every method and group, the narrowest first."""

from dataclasses import replace

import pandas as pd

from cfmf.methods.registry import of_published
from cfmf.report.page import Collapsed, Table, plots
from cfmf.report.sections import bias, uncertainty
from cfmf.report.strings import Catalogue

WORDS = Catalogue("en")


def test_section_has_coverage_of_every_method_and_group(study):
    text, table, by_group, other, _ = uncertainty.blocks(study, WORDS)
    assert isinstance(table, Table)
    assert isinstance(other, Collapsed)
    rows = study.table("prediction_intervals")
    [plot] = plots([by_group])
    named = {method for method in rows["method"] if not of_published(method)}
    assert {trace.name for trace in plot.figure.data} == named
    assert list(plot.figure.layout.xaxis.ticktext) == ["1-9 (n 65)", "20-49 (n 40)"]
    assert len(table.rows) == rows["method"].nunique()
    assert [column.key for column in table.columns] == [
        "method", "width", "all", "1-9", "20-49", "500+",
    ]  # fmt: skip
    assert "between 90.0% and 90.0%" in text.html.striptags()


def test_groups_of_few_users_are_not_drawn(study):
    few = study.table("prediction_intervals").assign(users=29)
    made = uncertainty.blocks(
        replace(study, extra={**study.extra, "prediction_intervals": few}), WORDS
    )
    assert not [plot for plot in plots(made) if plot.name == "interval-coverage"]
    assert [plot for plot in plots(made) if plot.name == "bias-rating"]


def test_a_study_without_intervals_has_no_section(study):
    extra = {name: one for name, one in study.extra.items() if name != "prediction_intervals"}
    tables = {name: one for name, one in study.tables.items() if name != "slices"}
    assert uncertainty.blocks(replace(study, extra=extra, tables=tables), WORDS) == []


def test_bias_is_a_mean_over_the_ratings_of_all_folds():
    rows = pd.DataFrame(
        {
            "method": "mf",
            "slice": "rating",
            "level": ["-9", "-9", "1", "10"],
            "n": [10, 30, 40, 29],
            "value": [1.0, 2.0, 0.5, 3.0],
        }
    )
    found = bias.over_folds(rows, "rating")
    assert found[["level", "value", "n"]].values.tolist() == [["-9", 1.75, 40], ["1", 0.5, 40]]


def test_bias_has_a_figure_for_each_slice(study):
    [collapsed] = bias.blocks(study, WORDS)
    drawn = plots([collapsed])
    assert [plot.name for plot in drawn] == [
        "bias-rating", "bias-prediction", "bias-item-ratings", "bias-user-ratings",
    ]  # fmt: skip
    first = [plot.figure.layout.xaxis.ticktext[0] for plot in drawn[:2]]
    assert first == ["1 (n 250)", "1.2"]
