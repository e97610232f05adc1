"""The sections of the report, in reading order. Each is a function of a study and the words."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cfmf.report.context import Study
from cfmf.report.extension import Blocks, Extension, extended
from cfmf.report.page import Points, Section
from cfmf.report.sections import (
    answer,
    blends,
    cards,
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
    uncertainty,
)
from cfmf.report.strings import Catalogue, number

ORDER: dict[str, Blocks] = {
    "answer": answer.blocks,
    "questions": questions.blocks,
    "summary": summary.blocks,
    "comparison": comparison.blocks,
    "blends": blends.blocks,
    "datasets": datasets.blocks,
    "cost": cost.blocks,
    "cold-start": cold_start.blocks,
    "uncertainty": uncertainty.blocks,
    "explanations": explanations.blocks,
    "data": ratings.blocks,
    "methods": cards.blocks,
    "similarity": similarity.blocks,
    "neighbours": knn.blocks,
    "factorization": factors.blocks,
    "statistics": inference.blocks,
    "plan": planned.blocks,
    "literature": literature.blocks,
    "provenance": origin.blocks,
}
"""A new section is one entry here, where it belongs in reading order."""


def sections(study: Study, words: Catalogue, extensions: Sequence[Extension] = ()) -> list[Section]:
    """Every section that the run has results for, then a list of what it lacks."""
    found, lacking = [], []
    for name, makers in extended(ORDER, extensions).items():
        if blocks := [block for make in makers for block in make(study, words)]:
            found.append(Section(name, words(f"{name}.title"), blocks))
        else:
            # The anchor is kept, as other sections link to it.
            lacking.append(Markup('<span id="{}">{}</span>').format(name, words(f"{name}.missing")))
    if lacking:
        found.append(Section("absent", words("page.absent"), [Points(lacking)]))
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
