"""Blends: their errors, what one adds to another, and the weights of their members."""

from __future__ import annotations

import pandas as pd

from cfmf.methods.registry import is_blend
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Column, Points, Table, Text, tabulated
from cfmf.report.sections.summary import on_blends, sentence
from cfmf.report.strings import Catalogue


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The verdicts on nested blends, the blends' errors, and their mean weights."""
    weights = study.blend_weights
    if weights is None:
        return []
    said = [sentence(one, words) for pair in on_blends(study.verdict) for one in pair]
    table = numbers.summary(study)
    table = table[table["method"].map(is_blend)]
    errors = tabulated(
        words, "blends", words("blends.errors"), table, "method rmse=test_rmse sd setting"
    )
    return [
        Text(words("blends.text")),
        errors,
        *([Collapsed(words("blends.said"), [Points(said)])] if said else []),
        Collapsed(
            words("blends.weights"),
            [Text(words("blends.weights_text")), _weights(weights, words)],
        ),
    ]


def _weights(weights: pd.DataFrame, words: Catalogue) -> Table:
    """Mean weight of each member in each blend, the intercepts last."""
    wide = weights.pivot_table(index="member", columns="method", values="weight")
    rows = wide.loc[[*(name for name in wide.index if name), ""]].reset_index()
    rows["member"] = [name or words.plain("blends.intercept") for name in rows["member"]]
    columns = [Column(str(name), str(name), "exponent") for name in wide.columns]
    return tabulated(words, "blend-weights", words("blends.weights"), rows, "member", *columns)
