"""The section on prediction intervals: every method and group, the narrowest first."""

from dataclasses import replace

from cfmf.report.page import Collapsed, Table
from cfmf.report.sections import uncertainty
from cfmf.report.strings import Catalogue

WORDS = Catalogue("en")


def test_section_has_coverage_of_every_method_and_group(study):
    text, table, other = uncertainty.blocks(study, WORDS)
    assert isinstance(table, Table)
    assert isinstance(other, Collapsed)
    rows = study.table("prediction_intervals")
    assert len(table.rows) == rows["method"].nunique()
    assert [column.key for column in table.columns] == [
        "method", "width", "all", "1-9", "20-49", "500+",
    ]  # fmt: skip
    assert "between 90.0% and 90.0%" in text.html.striptags()


def test_a_study_without_intervals_has_no_section(study):
    extra = {name: one for name, one in study.extra.items() if name != "prediction_intervals"}
    assert uncertainty.blocks(replace(study, extra=extra), WORDS) == []
