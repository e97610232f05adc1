"""Every simulated share of rejections that is not nominal is explained in the report."""

import re

import pandas as pd
import pytest

from cfmf.report.page import Fold, Points
from cfmf.report.sections import simulated
from cfmf.report.strings import Catalogue
from cfmf.report.terms import term


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_share_out_of_range_stands_in_a_sentence_that_knows_why(language):
    words = Catalogue(language)
    (points,) = (block for block in simulated.blocks(words) if isinstance(block, Points))
    said = "\n".join(item.unescape() for item in points.items)
    rows = simulated.shares()
    outside = rows[(rows["share"] < 0.03) | (rows["share"] > 0.07)]
    assert len(outside)
    for test, cells in outside.groupby("test"):
        shown = [float(value) for value in re.findall(r'<data value="([\d.e-]+)"', said)]
        assert f"{term(test, words)} <data" in said
        assert min(cells["share"]) in shown
        assert max(cells["share"]) in shown
    assert words("simulated.outside_unexplained", tests="") not in said


@pytest.mark.parametrize("language", ["en", "zh"])
def test_null_of_unequal_runs_has_words_and_columns(language, tmp_path, monkeypatch):
    rows = pd.read_csv(simulated.SIMULATED, sep="\t")
    like = rows[rows["null"] == "independent"].assign(null="unequal")
    path = tmp_path / "type_one_error.tsv"
    pd.concat([rows[rows["null"] != "unequal"], like]).to_csv(path, sep="\t", index=False)
    monkeypatch.setattr(simulated, "SIMULATED", path)
    words = Catalogue(language)
    (fold,) = (block for block in simulated.blocks(words) if isinstance(block, Fold))
    told = [column.heading for column in fold.blocks[0].columns]
    assert words("simulated.null_unequal", folds=10).striptags() in told


@pytest.mark.parametrize(
    ("null", "test", "folds", "share", "why"),
    [
        ("independent", "Friedman", 5, 0.03, ""),
        ("independent", "Friedman", 5, 0.0701, "unexplained"),
        ("independent", "Friedman", 5, 0.01, "unexplained"),
        ("shared", "Friedman", 5, 0.2, "shared"),
        ("shared", "corrected t (Nadeau-Bengio)", 5, 0.2, "unexplained"),
        ("independent", "corrected t (Nadeau-Bengio)", 5, 0.01, "widened"),
        ("shared", "corrected t (Nadeau-Bengio)", 5, 0.01, "unexplained"),
        ("unequal", "corrected t (Nadeau-Bengio)", 5, 0.01, "widened"),
        ("unequal", "mixed model, Wald", 5, 0.375, "unexplained"),
        ("independent", "repeated-measures ANOVA, Greenhouse-Geisser", 10, 0.0275, "epsilon"),
        ("independent", "repeated-measures ANOVA, seeds as blocks", 10, 0.35, "seeds"),
        ("shared", "Wilcoxon signed-rank", 5, 0.0, "least_p"),
        ("independent", "Wilcoxon signed-rank", 10, 0.0, "unexplained"),
        ("unequal", "Wilcoxon signed-rank", 10, 0.0275, "discrete"),
        ("unequal", "Wilcoxon signed-rank", 10, 0.005, "unexplained"),
        ("independent", "Wilcoxon signed-rank, one pair alone", 10, 0.0275, "unexplained"),
        ("unequal", "Friedman, Iman-Davenport", 5, 0.0925, "approximate"),
        ("independent", "Friedman, Iman-Davenport", 5, 0.11, "unexplained"),
        ("independent", "Friedman, Iman-Davenport", 10, 0.09, "unexplained"),
        ("shared", "Friedman, Iman-Davenport", 5, 0.2, "shared"),
        ("margin", "TOST (equivalence within the margin)", 5, 0.09, "unexplained"),
    ],
)
def test_reason_is_given_by_rule(null, test, folds, share, why):
    assert simulated.reason(null, test, folds, 4, 400, share) == why
