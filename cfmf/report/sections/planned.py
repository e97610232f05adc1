"""The plan of the study, what was changed after scores on test, and what had been seen before."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Note, Text, tabulated
from cfmf.report.strings import Catalogue, amounts, code, flatten, number

DEVELOPED_ON = ("movielens-100k",)
"""Sources whose test folds were looked at while this program was developed."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """When the plan was written, what it detects, its items, and its changes."""
    known = study.plan
    if not known:
        return []
    late = "after" if known["written_after_scores"] else "before"
    values = {"date": _date(known["written"]), "hash": code(known["sha256"][:16])}
    rows: list[dict[str, object]] = [
        {"item": item, "value": str(value)} for item, value in flatten(known["plan"]).items()
    ]
    table = tabulated(words, "plan", words("plan.table"), rows, "item:code value:code")
    return [
        Text(words(f"plan.{late}", **values)),
        *_detectable(known["plan"], words),
        *_sealed(known["plan"], words),
        *_changes(known["changes"], words),
        *disclosure(study, words),
        Collapsed(words("plan.table"), [table]),
    ]


def disclosure(study: Study, words: Catalogue) -> list[Block]:
    """A remark where the test ratings had been looked at before the study."""
    described = study.provenance.get("config", {}).get("datasets", {}).get(study.dataset, {})
    seen = described.get("source") in DEVELOPED_ON
    return [Note("hint", words("plan.looked_at"))] if seen else []


def _detectable(plan: dict[str, Any], words: Catalogue) -> list[Block]:
    """The minimum detectable difference of the main question, in both units where known."""
    found = plan["detectable"]
    if not found:
        return [Text(words("plan.one_fold"))]
    first = next(value for value in found.values() if isinstance(value, dict))
    values: dict[str, Markup] = {
        "folds": number(plan["blocks"]["number"]),
        "seeds": number(len(plan["seeds"])),
        "power": number(found["power"], "percent"),
        "multiple": number(round(first["standard_deviations"], 2), "exponent"),
        **amounts("rmse", margin=plan["statistics"]["margin"]),
    }
    key = "plan.detectable"
    if "difference" in first:
        key = "plan.detectable_difference"
        sd = plan["statistics"]["planned_sd"]
        values |= amounts("rmse", difference=first["difference"], sd=sd)
    return [Text(words(key, **values))]


def _sealed(plan: dict[str, Any], words: Catalogue) -> list[Block]:
    """The sealed folds that the study has opened."""
    opened = [fold for fold in plan.get("sealed", []) if fold in plan["folds"]]
    return [Text(words("plan.sealed", folds=words.listed(opened)))] if opened else []


def _changes(changes: list[dict[str, Any]], words: Catalogue) -> list[Block]:
    if not changes:
        return []
    rows: list[dict[str, object]] = [
        {"date": _date(change["written"]), "item": item, "before": str(old), "after": str(new)}
        for change in changes
        for item, (old, new) in change["changed"].items()
    ]
    title = words("plan.changes")
    table = tabulated(words, "plan-changes", title, rows, "date item:code before:code after:code")
    return [Note("hint", words("plan.changed", count=number(len(changes)))), table]


def _date(written: str) -> str:
    """Date and time as people read them; of UTC."""
    return written.replace("T", " ").removesuffix("+00:00")
