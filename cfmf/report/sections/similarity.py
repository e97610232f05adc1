"""Users' similarities."""

from __future__ import annotations

from cfmf.report.context import Study
from cfmf.report.figures import distributions as figures
from cfmf.report.page import Block, Collapsed, Column, Plot, Text, tabulated
from cfmf.report.strings import Catalogue, code, number


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The corner that the study printed, and how similar users are."""
    found = study.similarity
    if found is None:
        return []
    fold, histogram = code(found.fold), found.histogram
    middle = (histogram["low"] + histogram["high"]) / 2
    mean = float((middle * histogram["count"]).sum() / max(histogram["count"].sum(), 1))
    caption = "similarity.caption_kept" if found.kept else "similarity.caption"
    text = Text(words("similarity.text", fold=fold))
    blocks: list[Block] = [
        Plot(
            "similarity",
            words("similarity.figure_title"),
            words(caption, mean=number(round(mean, 3)), fold=fold, kept=number(found.kept)),
            figures.similarity_distribution(histogram, words.plain),
        ),
    ]
    if found.corner is None:
        blocks.append(Text(words("similarity.kept", kept=number(found.kept))))
        return [text, Collapsed(words("similarity.figure_title"), blocks)]
    columns = [Column(str(other), str(other), "similarity") for other in range(len(found.corner))]
    rows: list[dict[str, object]] = [
        {"user": row, **{str(other): float(value) for other, value in enumerate(values)}}
        for row, values in enumerate(found.corner)
    ]
    title = words("similarity.corner", fold=fold)
    table = tabulated(words, "similarity-corner", title, rows, "user", *columns)
    return [text, Collapsed(words("similarity.figure_title"), [*blocks, table])]
