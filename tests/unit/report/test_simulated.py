"""Every simulated share of rejections that is not nominal is explained in the report."""

import re

import pandas as pd
import pytest

from cfmf.report.page import Collapsed, Points
from cfmf.report.sections import simulated
from cfmf.report.strings import Catalogue


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
        assert f"{words.term('test', test)} <data" in said
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
    (fold,) = (block for block in simulated.blocks(words) if isinstance(block, Collapsed))
    told = [column.heading for column in fold.blocks[0].columns]
    assert words("simulated.null_unequal", folds=10).striptags() in told


@pytest.mark.parametrize(
    ("null", "test", "folds", "share", "why"),
    [
        ("independent", "friedman", 5, 0.03, ""),
        ("independent", "friedman", 5, 0.0701, "unexplained"),
        ("independent", "friedman", 5, 0.01, "unexplained"),
        ("shared", "friedman", 5, 0.2, "shared"),
        ("shared", "corrected_t", 5, 0.2, "unexplained"),
        ("independent", "corrected_t", 5, 0.01, "widened"),
        ("shared", "corrected_t", 5, 0.01, "unexplained"),
        ("unequal", "corrected_t", 5, 0.01, "widened"),
        ("unequal", "mixed_model", 5, 0.375, "unexplained"),
        ("independent", "rm_anova_greenhouse_geisser", 10, 0.0275, "epsilon"),
        ("independent", "rm_anova_seeds_as_blocks", 10, 0.35, "seeds"),
        ("shared", "wilcoxon", 5, 0.0, "least_p"),
        ("independent", "wilcoxon", 10, 0.0, "unexplained"),
        ("unequal", "wilcoxon", 10, 0.0275, "discrete"),
        ("unequal", "wilcoxon", 10, 0.005, "unexplained"),
        ("independent", "wilcoxon_one_pair", 10, 0.0275, "unexplained"),
        ("unequal", "friedman_iman_davenport", 5, 0.0925, "approximate"),
        ("independent", "friedman_iman_davenport", 5, 0.11, "unexplained"),
        ("independent", "friedman_iman_davenport", 10, 0.09, "unexplained"),
        ("shared", "friedman_iman_davenport", 5, 0.2, "shared"),
        ("margin", "equivalence", 5, 0.09, "unexplained"),
    ],
)
def test_reason_is_given_by_rule(null, test, folds, share, why):
    assert simulated.reason(null, test, folds, 4, 400, share) == why
