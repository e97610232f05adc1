"""A card for every method of the run: its idea, its equation, its settings and its source."""

from __future__ import annotations

import re

import pandas as pd
from markupsafe import Markup, escape

from cfmf.methods.registry import declared, is_blend, label
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Text
from cfmf.report.strings import Catalogue, code

OF_BLENDS = (
    "x̂<sub>ui</sub> = c + Σ<sub>j</sub> w<sub>j</sub> x̂<sup>(j)</sup><sub>ui</sub>",
    "Wolpert (1992). Stacked generalization. Neural Networks 5(2). Breiman (1996). Stacked"
    " regressions. Machine Learning 24.",
)
"""Equation and source of all blends."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The cards, collapsed, best method first; their anchors are `method-` and the name."""
    table = numbers.summary(study)
    return [
        Text(words("methods.text")),
        *(_card(row, study, words) for _, row in table.iterrows()),
    ]


def _card(row: pd.Series, study: Study, words: Catalogue) -> Collapsed:
    name = str(row["method"])
    method = declared(name)
    own = (method.equation, method.source) if method else ("", "")
    equation, source = OF_BLENDS if is_blend(name) else own
    idea = words.otherwise(f"method.{name}", label(name))
    parts = []
    if equation:
        parts.append(Markup('<span class="equation">{}</span>').format(_raised(equation)))
    plan = study.plan.get("plan", {})
    if given := plan.get("predictions", {}).get(name):
        parts.append(words("methods.foreign", files=code(given["files"])))
    members = plan.get("blends", {}).get(name)
    if members:
        parts.append(words("methods.members", members=words.listed(map(code, members))))
    if row["setting"]:
        parts.append(words("methods.setting", setting=code(row["setting"])))
    if source:
        cited = Markup("<cite>{}</cite>").format(source)
        parts.append(words("methods.source", source=cited))
    title = words("methods.card", name=code(name), idea=idea)
    return Collapsed(title, [Text(part) for part in parts], f"method-{name}")


def _raised(equation: str) -> Markup:
    """An equation with its indices and exponents, and no other element."""
    return Markup(re.sub(r"&lt;(/?su[bp])&gt;", r"<\1>", str(escape(equation))))
