"""Users' similarities."""

from __future__ import annotations

from cfmf.figures import data as figures
from cfmf.reporting.page import Block, Column, Plot, Table, Text
from cfmf.reporting.strings import Catalogue, code, number
from cfmf.reporting.study import Study


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The corner that the study printed, and how similar users are."""
    found = study.similarity
    if found is None:
        return []
    columns = [Column("user", words.plain("column.user"), "code")]
    columns += [Column(str(other), str(other), "similarity") for other in range(len(found.corner))]
    rows: list[dict[str, object]] = [
        {"user": row, **{str(other): float(value) for other, value in enumerate(values)}}
        for row, values in enumerate(found.corner)
    ]
    middle = (found.edges[:-1] + found.edges[1:]) / 2
    mean = float((middle * found.counts).sum() / max(found.counts.sum(), 1))
    return [
        Text(words("similarity.text", fold=code(found.fold))),
        Plot(
            "similarity",
            words("similarity.figure_title"),
            words("similarity.caption", mean=number(round(mean, 3)), fold=code(found.fold)),
            figures.similarity_distribution(found.edges, found.counts, words.plain),
        ),
        Table(
            "similarity-corner", words("similarity.corner", fold=code(found.fold)), columns, rows
        ),
    ]
