"""User CF as the study ran it, without and with the leak in training, and its first predictions."""

from __future__ import annotations

from cfmf.published.printed import printed_numbers
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Column, Heading, Note, Table, Text, records
from cfmf.report.strings import Catalogue, code, number

PUBLISHED = "user-cf-published"


def leaked(study: Study) -> float | None:
    """Training RMSE with the user's own rating among its neighbours', as the study computed it."""
    return numbers.measure(study, PUBLISHED, "train", "rmse_leaked")


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Errors as published and without the leak, then the first predictions."""
    metrics = study.tables["metrics"]
    rows = metrics[(metrics["method"] == PUBLISHED) & metrics["metric"].str.startswith("rmse")]
    if rows.empty:
        return []
    table = numbers.over_folds(rows, ["split", "metric"])
    table = table[table["split"].isin(["train", "test"])]
    table["reading"] = [
        words.otherwise(f"neighbours.reading_{row.split}_{row.metric}", "").striptags()
        for row in table.itertuples()
    ]
    table["split"] = words.terms("split", table["split"])
    columns = [
        Column("split", words.plain("column.split")),
        Column("metric", words.plain("column.metric"), "code"),
        Column("mean", words.plain("column.rmse"), "rmse"),
        Column("sd", words.plain("column.sd"), "rmse"),
        Column("reading", words.plain("column.reading")),
    ]
    found: list[Block] = [
        Heading(words("neighbours.published")),
        Text(words("neighbours.published_text")),
        Table("user-cf-published", words("neighbours.published_table"), columns, records(table)),
    ]
    left_out, with_own = numbers.measure(study, PUBLISHED, "train"), leaked(study)
    if left_out is not None and with_own is not None:
        found.append(
            Note(
                "erratum",
                words(
                    "neighbours.self",
                    left_out=number(left_out, "rmse"),
                    leaked=number(with_own, "rmse"),
                ),
            )
        )
    return [*found, *_quotients(study, words)]


def _quotients(study: Study, words: Catalogue) -> list[Block]:
    """First predictions by the study's quotients, and what its loop would take."""
    found, predicted = study.similarity, study.added.get("first_row")
    if found is None or predicted is None or study.items is None:
        return []
    items = study.items.set_index("item")
    known = printed_numbers()
    rows = [
        {
            "item": items["item_id"].get(row.item, row.item),
            **{name: getattr(row, name) for name in ("wrong", "right")},
            **{f"{name}_published": known[f"row_{name}"][place] for name in ("wrong", "right")},
        }
        for place, row in enumerate(predicted.head(3).itertuples())
    ]
    columns = [
        Column("item", words.plain("column.item_id"), "code"),
        *(Column(name, words.plain(f"column.{name}"), "rmse") for name in ("wrong", "right")),
        *(
            Column(f"{name}_published", words.plain(f"column.{name}_published"), "rmse")
            for name in ("wrong", "right")
        ),
    ]
    blocks: list[Block] = [
        Table("first-row", words("neighbours.first_row", fold=code(found.fold)), columns, rows),
        Note("erratum", words("neighbours.quotients")),
    ]
    loop = study.added.get("loop")
    if loop is not None and found.seconds is not None:
        blocks.append(
            Text(
                words(
                    "neighbours.loop",
                    loop=number(float(loop["value"].iloc[0]), "seconds"),
                    similarity=number(found.seconds, "seconds"),
                    published=number(known["similarity_seconds"], "seconds"),
                )
            )
        )
    return blocks
