"""Why a method recommends what it does, in titles."""

from __future__ import annotations

import pandas as pd

from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Column, Table, Text, records
from cfmf.report.strings import Catalogue

TABLES = ("recommendations", "explanations", "factors", "similar_titles")
KINDS = {
    "prediction": "figure",
    "sd": "figure",
    "similarity": "similarity",
    "share": "share",
    "contribution": "signed",
    "loading": "signed",
}
TEXTS = {"method": "code"}
HIDDEN = ("dataset", "fold", "item")


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The tables of explanations that the run made; none if it made none."""
    found: list[Block] = []
    for name in TABLES:
        rows = study.table(name)
        if len(rows):
            title = words(f"explanations.{name}")
            found.append(Collapsed(title, [useful_columns(name, rows, words)]))
    return [Text(words("explanations.text")), *found] if found else []


def useful_columns(name: str, rows: pd.DataFrame, words: Catalogue) -> Table:
    """A table with every column that is useful to a reader."""
    rows = rows.drop(columns=[name for name in HIDDEN if name in rows])
    rows = rows.loc[:, rows.notna().any()]
    for key in ("kind", "end"):
        if key in rows:
            texts = [
                words.otherwise(f"explanations.{key}_{one}", one).striptags() for one in rows[key]
            ]
            rows = rows.assign(**{key: texts})
    columns = [
        Column(
            str(key),
            words.otherwise(f"column.{key}", key).striptags(),
            KINDS.get(str(key), "value")
            if pd.api.types.is_numeric_dtype(rows[key])
            else TEXTS.get(str(key), "text"),
        )
        for key in rows.columns
    ]
    shown = rows.copy()
    text = [column.key for column in columns if not column.numeric]
    shown[text] = shown[text].astype(object).where(shown[text].notna(), "").astype(str)
    return Table(name.replace("_", "-"), words(f"explanations.{name}"), columns, records(shown))
