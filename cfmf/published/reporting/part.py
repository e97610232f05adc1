"""The published study, corrected: one section whose parts a reader expands."""

from __future__ import annotations

from collections.abc import Mapping

from cfmf.published.reporting import (
    claims,
    errata,
    libraries,
    search_as_run,
    tests_as_run,
    training_as_run,
    user_cf_as_run,
)
from cfmf.report.context import Study
from cfmf.report.extension import Blocks
from cfmf.report.page import Block, Collapsed, Note, Text
from cfmf.report.strings import Catalogue

PARTS: Mapping[str, Blocks] = {
    "discussion": claims.blocks,
    "errata": errata.blocks,
    "user-cf-as-run": user_cf_as_run.blocks,
    "training-as-run": training_as_run.blocks,
    "search": search_as_run.blocks,
    "tests-as-run": tests_as_run.blocks,
    "libraries": libraries.blocks,
}


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """What the study is, then its claims, its errata, and its experiment as it was run."""
    parts = {name: make(study, words) for name, make in PARTS.items()}
    return [
        Text(words("published-study.text")),
        Note("erratum", words("published.label")),
        *(Collapsed(words(f"{name}.title"), part, name) for name, part in parts.items() if part),
        *([] if parts["search"] else [Text(words("search.missing"))]),
    ]
