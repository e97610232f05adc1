"""The published study as an extension of the report."""

from __future__ import annotations

from pathlib import Path

from cfmf.published.reporting import (
    claims,
    errata,
    libraries,
    question,
    search_as_run,
    tests_as_run,
    training_as_run,
    user_cf_as_run,
)
from cfmf.published.reporting.loading import load
from cfmf.report.context import Study
from cfmf.report.extension import Extension
from cfmf.report.page import Block
from cfmf.report.strings import Catalogue


def _factorization(study: Study, words: Catalogue) -> list[Block]:
    return [*training_as_run.blocks(study, words), *libraries.blocks(study, words)]


EXTENSION = Extension(
    strings=Path(__file__).parents[1] / "strings",
    load=load,
    sections={
        "search": ("factorization", search_as_run.blocks),
        "errata": ("datasets", errata.blocks),
        "discussion": ("explanations", claims.blocks),
    },
    additions={
        "questions": question.blocks,
        "neighbours": user_cf_as_run.blocks,
        "factorization": _factorization,
        "statistics": tests_as_run.blocks,
    },
)
