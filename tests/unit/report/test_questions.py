"""Answers to a reader's first questions follow the tables."""

import dataclasses
import re

import pytest

from cfmf.report.page import Answers, Note
from cfmf.report.sections import questions, summary
from cfmf.report.strings import Catalogue

WORDS = Catalogue("en")


def answers(study):
    *_, block = questions.blocks(study, WORDS)
    assert isinstance(block, Answers)
    return dict(zip(questions.ANSWERS, [item[1] for item in block.items], strict=True))


@pytest.mark.parametrize(
    ("count", "near"),
    [(1, 1), (90, 100), (943, 1000), (1400, 1000), (6040, 5000), (480_189, 500_000)],
)
def test_count_is_rounded_in_ratio(count, near):
    assert questions.rounded(count) == near


def test_every_question_is_answered_with_a_link(study):
    *_, block = questions.blocks(study, WORDS)
    assert len(block.items) == 4
    assert "about 100 users" in block.items[0][0].striptags()
    for _, answer, links in block.items:
        assert answer
        assert re.findall('href="#[a-z-]+"', links)


def test_the_method_of_the_answer_has_the_least_error(study):
    first = "On average over the folds, <code>{}</code> has the lowest"
    assert answers(study)["which"].startswith(first.format("mf"))
    selected = study.tables["selected"].copy()
    worse = (selected["method"] == "mf") & (selected["metric"] == "rmse")
    selected.loc[worse, "value"] += 0.2
    turned = dataclasses.replace(study, tables={**study.tables, "selected": selected})
    assert answers(turned)["which"].startswith(first.format("item-knn"))


def test_sureness_says_where_the_recommended_method_was_not_tested(study):
    said = "is not part of this comparison"
    assert said not in answers(study)["how_sure"]
    selected = study.tables["selected"].copy()
    better = (selected["method"] == "item-knn") & (selected["metric"] == "rmse")
    selected.loc[better, "value"] -= 0.2
    turned = dataclasses.replace(study, tables={**study.tables, "selected": selected})
    assert said in answers(turned)["how_sure"]
    assert "<code>item-knn</code> has the lowest test error but" in answers(turned)["how_sure"]


def least(table, level):
    rows = table[(table["level"].astype(str) == level) & (table["metric"] == "rmse")]
    return rows.loc[rows["value"].idxmin()]


def test_new_users_are_those_whose_history_was_cut(study):
    trimmed = study.extra["cold_start"]
    answer = answers(study)["new_users"]
    levels = trimmed["level"].astype(str).unique()
    for level in (levels[0], levels[-1]):
        best = least(trimmed, level)
        assert f"<code>{best['method']}</code>" in answer
        assert f"{best['value']:.9g}" in answer


def test_new_users_without_the_experiment_are_those_of_the_coldest_level(study):
    pooled = study.extra["intervals"]
    rows = pooled[pooled["slice"] == "user_ratings"]
    level = str(rows["level"].iloc[0])
    best = least(rows, level)
    answer = answers(dataclasses.replace(study, extra={"intervals": pooled}))["new_users"]
    assert f"with {level} training ratings" in answer
    assert f"<code>{best['method']}</code>" in answer
    assert f"{best['value']:.9g}" in answer
    assert "bootstrap over users" in answer


def test_what_was_not_run_is_said(study):
    tables = {name: study.tables[name] for name in ("metrics", "selected")}
    bare = dataclasses.replace(
        study, tables=tables, verdict=[], benchmarks=None, users=None, extra={}
    )
    found = answers(bare)
    assert found["how_sure"] == WORDS("questions.how_sure_unknown")
    assert found["cost"] == WORDS("questions.cost_unknown")
    assert found["new_users"] == WORDS("questions.new_users_unknown")
    assert "<code>mf</code>" in found["which"]


def test_a_quick_study_says_so_first_and_once(study):
    note, _ = questions.blocks(study, WORDS)
    assert isinstance(note, Note)
    assert note.html.startswith("Quick study")
    shown = str(summary.blocks(study, WORDS)) + answers(study)["how_sure"]
    assert "Quick study" not in shown
