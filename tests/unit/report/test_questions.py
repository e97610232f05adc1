"""Answers to a reader's first questions follow the tables."""

import dataclasses
import re

import pytest

from cfmf.evaluation.item_mean import OVER
from cfmf.methods import registry
from cfmf.report.page import Answers, Note, Table
from cfmf.report.sections import comparison, questions, summary
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
    assert len(block.items) == len(questions.ANSWERS)
    assert "about 100 users" in block.items[0][0].striptags()
    for _, answer, links in block.items:
        assert answer
        assert re.findall('href="#[a-z-]+"', links)


def test_the_method_of_the_answer_has_the_least_error(study):
    first = "Averaged over folds, <code>{}</code> has the lowest"
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


def better(table, level):
    """Methods of a scale that five stars fit, whose interval is below the item mean's error."""
    rows = table[(table["level"].astype(str) == level) & (table["metric"] == OVER)]
    rows = rows[(rows["ci_high"] < 0) & ~rows["method"].str.endswith("-published")]
    return rows.sort_values("value")["method"].tolist()


def told(study, table, **found):
    """The answer on new users where only these tables are there, and its methods by sentence."""
    answer = answers(dataclasses.replace(study, extra=found))["new_users"]
    answer = re.sub("</?data.*?>", "", answer)
    assert f"({(table['metric'] == OVER).sum()} comparisons)" in answer
    return answer, [re.findall("<code>(.*?)</code>", part) for part in answer.split(". ")]


def test_new_users_are_those_whose_history_was_cut(study):
    trimmed = study.extra["cold_start"]
    answer, named = told(study, trimmed, **study.extra)
    assert answer.startswith("With histories truncated to 0 ratings (30 users), ")
    levels = trimmed["level"].astype(str).unique()
    assert named[:3] == [better(trimmed, levels[place]) for place in (0, len(levels) // 2, -1)]
    assert named[0] != named[2] == ["mf", "item-knn", "user-knn", "baseline"]


def test_methods_no_better_than_the_item_mean_are_not_named(study):
    trimmed = study.extra["cold_start"].copy()
    wide = (trimmed["metric"] == OVER) & (trimmed["level"].astype(str) == "0")
    trimmed.loc[wide, "ci_high"] = 0.001
    answer, named = told(study, trimmed, cold_start=trimmed)
    assert answer.startswith(
        "With histories truncated to 0 ratings (30 users), no method is shown to predict better"
        " than the item mean"
    )
    assert named[0] == []


def test_new_users_without_the_experiment_are_those_of_the_coldest_level(study):
    pooled = study.extra["intervals"]
    rows = pooled[pooled["slice"] == "user_ratings"]
    answer, named = told(study, rows, intervals=pooled)
    assert answer.startswith("For users with 1-9 training ratings (30 users), ")
    assert named[0] == better(rows, "1-9")


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


def test_a_method_that_knows_more_is_named_apart(study, monkeypatch):
    monkeypatch.setattr(registry.method("mf"), "uses", frozenset({"dates", "item_attributes"}))
    answer = re.sub("</?data.*?>", "", answers(study)["which"])
    assert "Averaged over folds, <code>item-knn</code> has the lowest" in answer
    beyond = "With information beyond the ratings (dates, attributes of items), <code>mf</code>"
    assert beyond in answer
    [table] = [one for one in summary.blocks(study, WORDS) if isinstance(one, Table)][:1]
    assert "also uses" in [column.heading for column in table.columns]
    also = {row["method"]: row["also"] for row in table.rows}
    assert also["mf"] == "dates, attributes of items"
    assert also["item-knn"] == ""
    for section in (summary, comparison):
        notes = [one.html for one in section.blocks(study, WORDS) if isinstance(one, Note)]
        [said] = [note for note in notes if "use information beyond" in note]
        assert "<code>mf</code> (dates, attributes of items)" in said
        assert "item-knn" not in said
