"""No section depends on the wording of another stage: tables and messages hold keys and numbers."""

import dataclasses
import json
import re

import generated_study
import pandas as pd
import pytest

from cfmf.published.reporting.extension import EXTENSION
from cfmf.report.extension import catalogue
from cfmf.report.page import Collapsed, Plot, Points, Table
from cfmf.report.sections import inference, sections
from cfmf.report.sections.summary import sentence
from cfmf.report.strings import CATALOGUES, Catalogue, languages

KEYS = {
    "tests": ["family", "estimand", "design", "population", "verdict", "test", "factor",
              "stat_name", "adj_method", "effect_name", "ci_method", "note"],
    "assumptions": ["family", "estimand", "design", "group", "check", "stat_name", "note"],
    "medians": ["arm"],
    "best_rows": ["arm", "edge"],
}  # fmt: skip


class Keyed(Catalogue):
    """A language without words: every text is its key and its placeholders."""

    def __init__(self):
        super().__init__("en", CATALOGUES, EXTENSION.strings)
        for key, text in self.texts.items():
            places = "".join(f" {{{name}}}" for name in re.findall(r"{(\w+)}", text))
            self.texts[key] = key + places


def shape(blocks):
    """What blocks hold apart from words: their kinds and names, and the numbers of tables."""
    for block in blocks:
        yield type(block).__name__, getattr(block, "name", "")
        if isinstance(block, Collapsed):
            yield from shape(block.blocks)
        if isinstance(block, Points):
            yield len(block.items)
        if isinstance(block, Table):
            for column in block.columns:
                values = [row.get(column.key) for row in block.rows]
                yield column.key, values if column.numeric else len(values)
        if isinstance(block, Plot):
            yield len(block.figure.data)


def test_a_report_without_words_has_the_same_numbers(study):
    whole, bare = (
        sections(study, words, [EXTENSION]) for words in (catalogue("en", [EXTENSION]), Keyed())
    )
    for spoken, keyed in zip(whole, bare, strict=True):
        assert str(list(shape(spoken.blocks))) == str(list(shape(keyed.blocks))), spoken.name


def test_tables_of_the_generated_study_hold_keys(study):
    for kind, columns in KEYS.items():
        for column in columns:
            texts = study.tables[kind][column].dropna().astype(str)
            assert not texts.str.contains(r"\s").any(), (kind, column)


def test_messages_hold_no_sentence(results):
    path = results / generated_study.DATASET / "statistics/verdict.json"
    for message in json.loads(path.read_text()):
        assert set(message) == {"key", "numbers"}


@pytest.mark.parametrize("language", languages())
def test_two_k_of_a_method_are_named_with_it(language):
    numbers = {"first": "4", "second": "64", "why": "needs_two_folds", "method": "mf"}
    said = sentence({"key": "no_test", "numbers": numbers}, Catalogue(language)).striptags()
    assert re.search(r"mf.*k = 4.*mf.*k = 64", said)


def test_an_unknown_message_is_refused(study):
    with pytest.raises(KeyError, match=r"verdict\.unheard"):
        sentence({"key": "unheard", "numbers": {}}, Catalogue("en"))


@pytest.mark.parametrize("language", languages())
def test_a_note_names_its_numbers(study, language):
    tests = study.tables["tests"]
    row = {"family": "methods", "method": "", "test": "chosen_setting", "group_a": "mf"}
    row |= {"note": "runs_stopped", "note_value": 2, "n_obs": 10, "design": "by_fold"}
    more = pd.concat([tests, pd.DataFrame([row])], ignore_index=True)
    known = dataclasses.replace(study, tables={**study.tables, "tests": more})
    words = Catalogue(language)
    notes = str(inference.blocks(known, words))
    assert words("term.not_computed", why="").striptags()[:3] in notes
    assert re.search(r"2 of 10 runs|10 次运行中有 2 次", notes)
