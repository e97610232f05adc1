"""The report says of each population whether its intervals are nominal, and with what coverage."""

import re

import pandas as pd
import pytest

from cfmf.report.page import Note, Table, every
from cfmf.report.sections import calibration
from cfmf.report.strings import Catalogue
from cfmf.statistics.names import POPULATIONS


def said(language):
    words = Catalogue(language)
    notes = [one for one in every(calibration.blocks(words)) if isinstance(one, Note)]
    return words, [one.html for one in notes]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_population_has_its_coverage_in_a_sentence(language):
    words, notes = said(language)
    rows = calibration.shares()
    rows = rows[rows["kind"].isin(["like", "unlike"])]
    assert len(notes) == len(POPULATIONS)
    for population, note in zip(POPULATIONS, notes, strict=True):
        own = rows.loc[rows["redrawn"] == population, f"coverage_{population}"]
        shown = [float(value) for value in re.findall(r'<data value="([\d.e-]+)"', note)]
        assert {own.min(), own.max()} <= set(shown)
        assert words.term("population", population).striptags() in note.striptags()
        nominal = own.between(*calibration.NOMINAL).all()
        approximate = {"en": "approximate", "zh": "近似"}[language]
        assert (approximate in note) != nominal


def test_a_population_within_the_range_is_nominal(tmp_path, monkeypatch):
    rows = pd.read_csv(calibration.MEASURED, sep="\t")
    rows["coverage_new_users"] = 0.95
    path = tmp_path / "coverage.tsv"
    rows.to_csv(path, sep="\t", index=False)
    monkeypatch.setattr(calibration, "MEASURED", path)
    assert "approximate" not in said("en")[1][1]


def test_table_has_every_contrast():
    (table,) = (one for one in every(calibration.blocks(Catalogue("en"))) if isinstance(one, Table))
    assert len(table.rows) == calibration.shares()["kind"].isin(["like", "unlike"]).sum()
    assert len(table.columns) == 3 + len(POPULATIONS)
