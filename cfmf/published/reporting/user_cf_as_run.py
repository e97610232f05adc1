"""User CF as the study ran it, without and with the leak in training, and its first predictions."""

from __future__ import annotations

from cfmf.published.printed import printed_numbers
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Note, Text, tabulated
from cfmf.report.strings import Catalogue, amounts, code
from cfmf.tables import where

PUBLISHED = "user-cf-published"
QUOTIENTS = ("over_all_users", "over_raters")


def leaked(study: Study) -> float | None:
    """Training RMSE with the user's own rating among its neighbours', as the study computed it."""
    return numbers.measure(study, PUBLISHED, "train", "rmse_leaked")


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Errors as published and without the leak, then the first predictions."""
    rows = where(study.tables["metrics"], method=PUBLISHED)
    rows = rows[rows["metric"].str.startswith("rmse")]
    if rows.empty:
        return []
    table = numbers.over_folds(rows, ["split", "metric"])
    table = table[table["split"].isin(["train", "test"])]
    table["reading"] = [
        words.otherwise(f"neighbours.reading_{row.split}_{row.metric}", "").striptags()
        for row in table.itertuples()
    ]
    table["split"] = words.terms("split", table["split"])
    columns, title = "split metric mean=rmse sd reading", words("neighbours.published_table")
    found: list[Block] = [
        Text(words("neighbours.published_text")),
        tabulated(words, "user-cf-published", title, table, columns),
    ]
    left_out, with_own = numbers.measure(study, PUBLISHED, "train"), leaked(study)
    if left_out is not None and with_own is not None:
        both = amounts("rmse", left_out=left_out, leaked=with_own)
        found.append(Note("erratum", words("neighbours.self", **both)))
    return [*found, *_quotients(study, words)]


def _quotients(study: Study, words: Catalogue) -> list[Block]:
    """First predictions by the study's quotients, and what its loop would take."""
    found, predicted = study.similarity, study.table("first_user")
    if found is None or predicted.empty or study.items is None:
        return []
    items = study.items.set_index("item")
    known = printed_numbers()
    rows = [
        {
            "item": items["item_id"].get(row.item, row.item),
            **{name: getattr(row, name) for name in QUOTIENTS},
            **{f"{name}_published": known[f"first_user_{name}"][place] for name in QUOTIENTS},
        }
        for place, row in enumerate(predicted.head(3).itertuples())
    ]
    shown = [f"{name}{suffix}:rmse" for suffix in ("", "_published") for name in QUOTIENTS]
    columns = " ".join(["item=item_id", *shown])
    title = words("neighbours.first_user", fold=code(found.fold))
    blocks: list[Block] = [
        tabulated(words, "first-user", title, rows, columns),
        Note("erratum", words("neighbours.quotients")),
    ]
    loop = study.table("loop")
    if len(loop) and found.seconds is not None:
        seconds = {"loop": loop["value"].iloc[0], "similarity": found.seconds}
        seconds["published"] = known["similarity_seconds"]
        blocks.append(Text(words("neighbours.loop", **amounts("seconds", **seconds))))
    return blocks
