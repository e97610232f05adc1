"""A card for every method of the run: its idea, its equation, its settings and its source."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import yaml
from markupsafe import Markup

from cfmf.methods.registry import is_blend, label
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Text
from cfmf.report.strings import Catalogue, code

CARDS = Path(__file__).parents[1] / "assets" / "methods.yaml"
BLEND = "blend"
"""The card of all blends."""


@cache
def known() -> dict[str, dict[str, str]]:
    """Equation and source by method, as report/methods.yaml has them."""
    loaded: dict[str, dict[str, str]] = yaml.safe_load(CARDS.read_text("utf-8"))
    return loaded


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The cards, collapsed, best method first; their anchors are `method-` and the name."""
    table = numbers.summary(study)
    return [
        Text(words("methods.text")),
        *(_card(row, study, words) for _, row in table.iterrows()),
    ]


def _card(row: pd.Series, study: Study, words: Catalogue) -> Collapsed:
    name = str(row["method"])
    about = known().get(BLEND if is_blend(name) else name, {})
    idea = words.otherwise(f"method.{name}", label(name))
    parts = []
    if "equation" in about:
        parts.append(Markup('<span class="equation">{}</span>').format(Markup(about["equation"])))
    plan = study.plan.get("plan", {})
    if given := plan.get("predictions", {}).get(name):
        parts.append(words("methods.foreign", files=code(given["files"])))
    members = plan.get("blends", {}).get(name)
    if members:
        parts.append(words("methods.members", members=Markup(", ").join(map(code, members))))
    if row["setting"]:
        parts.append(words("methods.setting", setting=code(row["setting"])))
    if "source" in about:
        parts.append(
            words("methods.source", source=Markup("<cite>{}</cite>").format(about["source"]))
        )
    title = words("methods.card", name=code(name), idea=idea)
    return Collapsed(title, [Text(part) for part in parts], f"method-{name}")
