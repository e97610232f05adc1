"""What the report says of blends: their errors, what one adds to another, and weights."""

import dataclasses

import pandas as pd
import pytest

from cfmf.report.page import Points, Table, every
from cfmf.report.sections import blends, questions
from cfmf.report.strings import Catalogue
from cfmf.tables import where
from cfmf.verdict import message

WORDS = Catalogue("en")
JUDGED = {"size": 0.0011, "level": 0.95, "low": 0.0006, "high": 0.0016}
JUDGED |= {"inner_level": 0.9, "inner_low": 0.0007, "inner_high": 0.0015, "p": 0.01}
JUDGED |= {"margin": 0.01, "comparisons": 1, "population": "new_users"}


@pytest.fixture
def blended(study):
    """The study with a blend of mf, and one of mf and item-knn."""
    tables = dict(study.tables)
    for name in ("metrics", "selected", "selection", "costs"):
        of_mf = where(tables[name], method="mf")
        added = [of_mf.assign(method=f"blend-{blend}") for blend in ("f", "both")]
        tables[name] = pd.concat([tables[name], *added], ignore_index=True)
    rows = [
        {"dataset": study.dataset, "fold": fold, "method": method, "k": "", "reg": "", "seed": "1"}
        | {"member": member, "weight": weight}
        for fold, change in (("f1", -0.1), ("f2", 0.1))
        for method, known in {
            "blend-f": {"mf": 0.9},
            "blend-both": {"mf": 0.6, "item-knn": 0.25},
        }.items()
        for member, weight in {
            **{name: one + change for name, one in known.items()},
            "": 0.5,
        }.items()
    ]
    pair = {"first": "blend-both", "second": "blend-f"}
    said = [message("blend_adds", **pair, added=["item-knn"])]
    said += [message("better_small", **pair, **JUDGED)]
    others = [["new_ratings", -0.002, 0.0001, "inconclusive"]]
    said += [message("other_populations", **pair, level=0.95, others=others)]
    return dataclasses.replace(
        study,
        tables=tables,
        blend_weights=pd.DataFrame(rows),
        verdict=[*study.verdict, *said],
    )


def test_what_a_blend_adds_is_said_with_its_verdict(blended):
    found = blends.blocks(blended, WORDS)
    [points] = [block for block in every(found) if isinstance(block, Points)]
    said = " ".join(one.striptags() for one in points.items)
    assert said.startswith("Adding item-knn to blend-f gives blend-both.")
    assert "blend-both predicts better than blend-f, but by less than the margin" in said
    assert said.endswith("new ratings of these users and items, −0.0020 to 0.0001 (inconclusive).")
    assert blends.blocks(dataclasses.replace(blended, blend_weights=None), WORDS) == []


def test_weights_are_means_over_folds_with_the_intercept_last(blended):
    tables = [block for block in every(blends.blocks(blended, WORDS)) if isinstance(block, Table)]
    errors, weights = tables
    assert {row["method"] for row in errors.rows} == {"blend-f", "blend-both"}
    by_member = {row["member"]: row for row in weights.rows}
    assert list(by_member) == ["item-knn", "mf", "intercept"]
    assert by_member["mf"]["blend-both"] == pytest.approx(0.6)
    assert by_member["item-knn"]["blend-both"] == pytest.approx(0.25)
    assert by_member["intercept"]["blend-f"] == pytest.approx(0.5)


def test_blends_answer_their_own_question_and_no_other(blended, study):
    def answers(one):
        *_, block = questions.blocks(one, WORDS)
        return [text.striptags() for _, text, _ in block.items]

    with_blends, without = answers(blended), answers(study)
    place = list(questions.ANSWERS).index("both")
    assert with_blends[place].startswith("Adding item-knn to blend-f")
    assert without[place] == WORDS.plain("questions.both_unknown")
    assert [one for n, one in enumerate(with_blends) if n != place][:2] == [
        one for n, one in enumerate(without) if n != place
    ][:2]
