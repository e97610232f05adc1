"""The sections of the report, in reading order. Each is a function of a study and the words."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cfmf.report.context import Study
from cfmf.report.extension import Blocks, Extension, extended
from cfmf.report.page import Note, Section
from cfmf.report.sections import (
    blends,
    cold_start,
    comparison,
    cost,
    datasets,
    explanations,
    factors,
    inference,
    knn,
    literature,
    origin,
    planned,
    questions,
    ratings,
    similarity,
    summary,
)
from cfmf.report.strings import Catalogue, number

ORDER: dict[str, Blocks] = {
    "questions": questions.blocks,
    "summary": summary.blocks,
    "data": ratings.blocks,
    "similarity": similarity.blocks,
    "neighbours": knn.blocks,
    "factorization": factors.blocks,
    "comparison": comparison.blocks,
    "blends": blends.blocks,
    "plan": planned.blocks,
    "statistics": inference.blocks,
    "datasets": datasets.blocks,
    "literature": literature.blocks,
    "cold-start": cold_start.blocks,
    "cost": cost.blocks,
    "explanations": explanations.blocks,
    "provenance": origin.blocks,
}


def sections(study: Study, words: Catalogue, extensions: Sequence[Extension] = ()) -> list[Section]:
    """Every section; one whose tables the run did not make says so in a sentence."""
    found = []
    for name, makers in extended(ORDER, extensions).items():
        blocks = [block for make in makers for block in make(study, words)]
        if not blocks:
            blocks = [Note("missing", words(f"{name}.missing"))]
        found.append(Section(name, words(f"{name}.title"), blocks))
    return found


def question(study: Study, words: Catalogue) -> Markup:
    """The question of the study, with the size of its data where known."""
    if study.ratings is None or study.users is None or study.items is None:
        return words("page.question")
    return words(
        "page.question_sized",
        ratings=number(len(study.ratings), "count"),
        users=number(len(study.users), "count"),
        items=number(len(study.items), "count"),
    )
