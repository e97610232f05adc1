"""Published figures of the same ratings and folds beside this run's, with what each is worth."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from cfmf.methods.registry import uses
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Heading, Note, Text, tabulated
from cfmf.report.strings import Catalogue, code, number

PUBLISHED = Path(__file__).parents[1] / "assets" / "literature.yaml"
Protocol = dict[str, Any]


@cache
def protocols() -> dict[str, Protocol]:
    """The published figures by protocol, as report/literature.yaml describes them."""
    loaded: dict[str, Protocol] = yaml.safe_load(PUBLISHED.read_text("utf-8"))
    return loaded


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """A table for each protocol that this run followed; nothing where there is none."""
    errors = numbers.errors_on_test(study).pivot(index="fold", columns="method", values="value")
    found: list[Block] = []
    for name, protocol in protocols().items():
        here = _followed(study, protocol, errors)
        if here is not None:
            found += _of_protocol(name, protocol, here, words)
    return [Text(words("literature.text")), *found] if found else []


def _followed(study: Study, protocol: Protocol, errors: pd.DataFrame) -> pd.DataFrame | None:
    """RMSE of this run on the protocol's folds, folds × methods; None if it has another protocol.

    Methods that lack one of the folds are left out.
    """
    rule, left_out = study.folds.get("rule", {}), study.audit.get("left_out", {})
    same = study.audit.get("source") == protocol["source"] and not any(left_out.values())
    same = same and all(rule.get(key) == value for key, value in protocol["split"].items())
    folds = protocol["folds"] or list(errors.index)
    if not same or not set(folds) <= set(errors.index):
        return None
    return errors.loc[folds].dropna(axis="columns")


def _of_protocol(
    name: str, protocol: Protocol, here: pd.DataFrame, words: Catalogue
) -> list[Block]:
    title = words(f"literature.protocol.{name}")
    rows = pd.DataFrame([_row(one, here, words) for one in protocol["figures"]])
    columns = "method also=also_knows rmse=reported:rmse chosen=chosen_by best=best_here:rmse"
    columns += " here=here_rmse:rmse paired=best_paired:signed lower=best_lower:text source"
    found: list[Block] = [Heading(title), Text(_best(here, words))]
    if "standard_error" in protocol:
        size = number(protocol["standard_error"], "rmse")
        beyond = number(2 * protocol["standard_error"], "rmse")
        found.append(Note("hint", words("literature.unpaired", error=size, gap=beyond)))
    table = tabulated(words, f"literature-{name}", title, rows.sort_values("rmse"), columns)
    return [*found, table]


def _row(one: dict[str, Any], here: pd.DataFrame, words: Catalogue) -> dict[str, Any]:
    """A published figure, the nearest method here, and the best one here against it, paired."""
    nearest, knows = one.get("here"), one.get("knows", [])
    row: dict[str, Any] = {
        "method": one["method"],
        "also": ", ".join(words.terms("uses", knows)),
        "rmse": one["rmse"],
        "chosen": words.term("chosen", one["chosen"]).striptags(),
        "best": np.nan,
        "here": np.nan,
        "paired": np.nan,
        "lower": "",
        "source": one["source"],
    }
    best = best_of(here, knows)
    if best is not None:
        row["best"] = here[best].mean()
    if nearest in here:
        row["here"] = here[nearest].mean()
    if nearest in here and best not in (None, nearest):
        gaps = here[best] - here[nearest]
        lower = f"{int((gaps < 0).sum())}/{len(gaps)}"
        row |= {"paired": gaps.mean(), "lower": lower}
    return row


def best_of(here: pd.DataFrame, knows: list[str]) -> str | None:
    """The method with the lowest mean RMSE of those that know no more than this."""
    allowed = [str(name) for name in here if set(uses(str(name))) <= set(knows)]
    return str(here[allowed].mean().idxmin()) if allowed else None


def _best(here: pd.DataFrame, words: Catalogue) -> Any:
    """The best of this run with the ratings alone, and the best that knows more, if it is lower."""
    means = here.mean()
    lowest = str(means.idxmin())
    alone = best_of(here, []) or lowest
    text = words("literature.best", method=code(alone), rmse=number(means[alone], "rmse"))
    if lowest != alone:
        also = ", ".join(words.terms("uses", uses(lowest)))
        known = {"method": code(lowest), "rmse": number(means[lowest], "rmse"), "also": also}
        text += " " + words("literature.best_informed", **known)
    return text
