"""The report says when the plan was written, and what was changed afterwards."""

import pytest

from cfmf.report.context import Study
from cfmf.report.page import Note, Table
from cfmf.report.sections import planned
from cfmf.report.strings import Catalogue
from tests.unit.report.generated_study import plan


def study(source="", **changed):
    described = {"datasets": {"d": {"source": source}}}
    return Study("d", {}, {}, plan=plan(**changed), provenance={"config": described})


def text(blocks):
    return " ".join(block.html.striptags() for block in blocks if hasattr(block, "html"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_change_after_scores_is_printed_with_both_values(language):
    found = planned.blocks(study(), Catalogue(language))
    (table,) = [block for block in found if isinstance(block, Table)]
    assert table.rows == [
        {
            "date": "2026-01-02 00:00:00",
            "item": "statistics.margin",
            "before": "0.02",
            "after": "0.01",
        }
    ]
    assert any(isinstance(block, Note) for block in found)
    assert not [x for x in planned.blocks(study(changes=[]), Catalogue(language)) if x == table]


def test_a_plan_after_scores_does_not_pass_for_one_made_before():
    words = Catalogue("en")
    assert "before any method was scored" in text(planned.blocks(study(), words))
    late = text(planned.blocks(study(written_after_scores=True), words))
    assert "Test scores already existed" in late
    assert "before any method" not in late


def test_the_detectable_difference_is_in_rating_units_where_a_deviation_is_expected():
    words = Catalogue("en")
    assert "3.40 standard deviations" in text(planned.blocks(study(), words))
    items = plan()["plan"]
    items["statistics"]["planned_sd"] = 0.002
    items["detectable"]["primary"]["difference"] = 0.0068
    assert "a difference of 0.0068" in text(planned.blocks(study(plan=items), words))
    items["detectable"] = {}
    assert "one fold" in text(planned.blocks(study(plan=items), words))


def test_ratings_seen_during_development_are_disclosed():
    words = Catalogue("en")
    assert "examined while this program was developed" in text(
        planned.blocks(study("movielens-100k"), words)
    )
    for other in ("movielens-1m", "table", ""):
        assert planned.disclosure(study(other), words) == []


def test_opened_sealed_folds_are_named():
    words, items = Catalogue("en"), plan()["plan"]
    for sealed, folds, said in (["t2"], ["t1", "t2"], True), (["t2"], ["t1"], False):
        known = study(plan=items | {"sealed": sealed, "folds": folds})
        assert ("ratings of t2 were sealed" in text(planned.blocks(known, words))) == said


def test_a_run_without_a_plan_has_no_such_blocks():
    assert planned.blocks(Study("d", {}, {}), Catalogue("en")) == []
