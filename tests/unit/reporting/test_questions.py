"""Answers to a reader's first questions follow the tables."""

import dataclasses
import re

import pytest

from cfmf.reporting.page import Answers
from cfmf.reporting.sections import questions
from cfmf.reporting.strings import Catalogue

WORDS = Catalogue("en")


def answers(study):
    (block,) = questions.blocks(study, WORDS)
    assert isinstance(block, Answers)
    return dict(zip(questions.ANSWERS, [item[1] for item in block.items], strict=True))


@pytest.mark.parametrize(
    ("count", "near"),
    [(1, 1), (90, 100), (943, 1000), (1400, 1000), (6040, 5000), (480_189, 500_000)],
)
def test_count_is_rounded_in_ratio(count, near):
    assert questions.rounded(count) == near


def test_every_question_is_answered_with_a_link(study):
    (block,) = questions.blocks(study, WORDS)
    assert len(block.items) == 5
    assert "about 100 users" in block.items[0][0].striptags()
    for _, answer, links in block.items:
        assert answer
        assert re.findall('href="#[a-z-]+"', links)


def test_the_method_of_the_answer_has_the_least_error(study):
    assert answers(study)["which"].startswith("<code>mf</code>")
    selected = study.tables["selected"].copy()
    worse = (selected["method"] == "mf") & (selected["metric"] == "rmse")
    selected.loc[worse, "value"] += 0.2
    turned = dataclasses.replace(study, tables={**study.tables, "selected": selected})
    assert answers(turned)["which"].startswith("<code>item-knn</code>")


def test_new_users_are_those_of_the_coldest_level(study):
    slices = study.tables["slices"]
    rows = slices[
        (slices["slice"] == "user's ratings in train")
        & (slices["level"] == "1-9")
        & (slices["metric"] == "rmse")
    ]
    least = rows.groupby("method")["value"].mean().sort_values()
    answer = answers(study)["new_users"]
    assert "with 1-9 ratings" in answer
    assert f"<code>{least.index[0]}</code>" in answer
    assert f"{least.iloc[0]:.9g}" in answer


def test_claims_are_counted(study):
    text = answers(study)["claim"].striptags()
    assert sum(int(count) for count in re.findall(r"\b(\d+) (?:are|contra|open|not)", text)) == 12


def test_what_was_not_run_is_said(study):
    tables = {name: study.tables[name] for name in ("metrics", "selected")}
    bare = dataclasses.replace(study, tables=tables, verdict=[], benchmarks=None, users=None)
    found = answers(bare)
    assert found["how_sure"] == WORDS("questions.how_sure_unknown")
    assert found["cost"] == WORDS("questions.cost_unknown")
    assert found["new_users"] == WORDS("questions.new_users_unknown")
    assert "<code>mf</code>" in found["which"]
