"""What a job that tunes or predicts with one method is given, from Snakemake's objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cfmf.methods import registry
from cfmf.side import load_side
from cfmf.tuning import Matrix, Setup
from cfmf.workflow.job import folds_of


def setup_of(snakemake: Any, *parts: str) -> Setup:
    """The setup of the wildcards' method on all folds, with the named parts of each, on the CPU."""
    method, params = registry.method(snakemake.wildcards.method), snakemake.params
    folds: Mapping[str, Mapping[str, Matrix]] = folds_of(snakemake, *parts)
    low, high = params.scale
    return Setup(
        method,
        params.settings,
        folds,
        dataset=snakemake.wildcards.dataset,
        scale=(low, high),
        threads=snakemake.threads,
        side=load_side(str(snakemake.input.side), method.uses),
    )
