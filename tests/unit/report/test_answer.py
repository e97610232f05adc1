"""The first screen: sentences, facts and badges follow the tables; what to cite is sound."""

import dataclasses
import re

import pytest

from cfmf.methods.registry import installed
from cfmf.report import numbers
from cfmf.report.page import Badges, Collapsed, Facts, Plot, Text, every
from cfmf.report.sections import answer, cards, citing
from cfmf.report.strings import Catalogue, languages

WORDS = Catalogue("en")
PAIR = {"first": "mf", "second": "user-knn", "size": 0.02, "low": 0.01, "high": 0.03}
PAIR |= {"level": 0.95, "margin": 0.005, "population": "new_ratings"}
GRADED = {
    "better": "and the difference matters",
    "better_small": "too small to matter",
    "equivalent": "are equivalent",
    "undecided": "is inconclusive: the first is lower",
    "undecided_size": "whether the difference matters is inconclusive",
}


def block(study, kind):
    return next(one for one in answer.blocks(study, WORDS) if isinstance(one, kind))


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("key", GRADED)
def test_the_title_is_answered_by_the_grade_of_the_verdict(study, key, language):
    found = dataclasses.replace(study, verdict=[{"key": key, "numbers": PAIR}])
    (lead,) = [one for one in answer.blocks(found, Catalogue(language)) if isinstance(one, Text)]
    assert lead.kind == "lead"
    said = lead.html.striptags()
    assert "0.0200" in said
    assert language != "en" or (GRADED[key] in said and "matrix factorization (mf)" in said)


def test_a_pair_of_methods_is_before_the_best_of_families(study):
    best = {**PAIR, "first": "best_factorization", "second": "best_neighbours"}
    chosen = {"best_factorization": [["mf", 5]], "best_neighbours": [["item-knn", 5]]}
    verdict = [
        {"key": "best_per_family", "numbers": chosen},
        {"key": "better", "numbers": best},
        {"key": "better", "numbers": PAIR},
    ]
    said = answer.verdict(dataclasses.replace(study, verdict=verdict), None, WORDS)
    assert "user-based collaborative filtering" in said[0]
    assert "best factorization (mf)" in said[1].striptags()


def test_without_a_verdict_the_lowest_error_is_said_to_be_untested(study):
    lead = block(dataclasses.replace(study, verdict=[]), Text).html.striptags()
    assert lead.startswith("mf has the lowest test RMSE of any single method")
    assert "no test compares it" in lead


def test_intervals_are_those_of_the_tests_about_the_control(study):
    control = numbers.control_of(study)
    pairs = numbers.against_control(study)
    assert control == "user-knn"
    assert control not in pairs.index
    assert len(pairs) >= 2
    tests = study.tables["tests"]
    for method, pair in pairs.iterrows():
        assert pair["low"] < pair["high"]
        both = {method, control}
        rows = tests[[set(one) == both for one in tests[["group_a", "group_b"]].to_numpy()]]
        widths = (rows["ci_high"] - rows["ci_low"]).dropna()
        assert widths.min() - 1e-9 <= pair["high"] - pair["low"] <= widths.max() + 1e-9
    plot = block(study, Plot)
    assert {trace.meta for trace in plot.figure.data} == set(study.tables["selected"]["method"])


def test_facts_name_the_best_single_method(study):
    facts = [[part.striptags() for part in fact] for fact in block(study, Facts).items]
    assert facts[0][:2] == ["Which method", "mf"]
    assert len(facts) >= 4


def test_badges_follow_the_audit_the_verdict_and_the_plan(study):
    def states(one):
        return {section: state for state, _, section in block(one, Badges).items}

    before = states(study)
    assert before["data"] == "open"  # two duplicates
    audit = {**study.audit, "rows_refused": 0, "checks": {"malformed": {"count": 0}}}
    edge = {"key": "edge", "numbers": {"method": "mf", "folds": 1, "all_folds": 5, "where": []}}
    other = dataclasses.replace(
        study,
        audit=audit,
        verdict=[edge],
        plan={**study.plan, "written_after_scores": False, "changes": []},
    )
    after = states(other)
    assert (after["data"], after["summary"], after["plan"]) == ("yes", "open", "yes")
    late = dataclasses.replace(other, plan={**other.plan, "written_after_scores": True})
    assert states(late)["plan"] == "no"


def test_bibtex_is_escaped_and_names_version_and_commit(study):
    known = {**study.provenance, "versions": {"cfmf": "1.2"}, "git": {"commit": "a" * 40}}
    known["config"] = {"datasets": {study.dataset: {"label": "50% & more_ {x} \\y"}}}
    entry = citing.bibtex(dataclasses.replace(study, provenance=known))
    assert entry.startswith("@misc{cfmf-generated,")
    assert r"50\% \& more\_ \{x\} \textbackslash{}y" in entry
    assert f"cfmf 1.2, commit {'a' * 12}" in entry
    assert entry.count("{") == entry.count("}")


def test_every_method_has_a_card_with_equation_and_source(study):
    for method in installed().values():
        assert method.equation
        assert method.source
        assert not re.search(r"<(?!/?su[bp]>)", method.equation)
    found = [one for one in every(cards.blocks(study, WORDS)) if isinstance(one, Collapsed)]
    assert {one.name for one in found} == {
        f"method-{name}" for name in study.tables["selected"]["method"]
    }


def test_the_card_of_predictions_of_another_tool_names_their_files(study):
    name = str(study.tables["selected"]["method"].iloc[0])
    given = {"plan": {"predictions": {name: {"files": "<b>/{fold}.csv"}}}}
    found = every(cards.blocks(dataclasses.replace(study, plan=given), WORDS))
    told = [str(one) for one in found if "&lt;b&gt;/{fold}.csv" in str(one)]
    assert told
    assert not any("<b>/{fold}" in str(one) for one in found)
