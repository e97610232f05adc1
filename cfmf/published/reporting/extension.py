"""The published study as an extension of the report."""

from __future__ import annotations

from pathlib import Path

from cfmf.published.reporting import part, question
from cfmf.published.reporting.loading import load
from cfmf.report.extension import Extension

EXTENSION = Extension(
    strings=Path(__file__).parents[1] / "strings",
    load=load,
    sections={"published-study": ("literature", part.blocks)},
    additions={"questions": question.blocks},
)
