"""Published figures of the same ratings and folds beside this run's, with what each is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup

from cfmf.data.splits import size_ratio
from cfmf.report import ASSETS, numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Heading, Note, Text, tabulated
from cfmf.report.strings import Catalogue, code, number
from cfmf.side import USES
from cfmf.statistics.intervals import of_folds

PUBLISHED = ASSETS / "literature.yaml"
Protocol = dict[str, Any]


@cache
def protocols() -> dict[str, Protocol]:
    """The published figures by protocol, as report/literature.yaml describes them."""
    loaded: dict[str, Protocol] = yaml.safe_load(PUBLISHED.read_text("utf-8"))
    return loaded


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """A table for each protocol that this run followed; nothing where there is none."""
    errors, validation = (
        numbers.errors_on_test(study, split=split).pivot(
            index="fold", columns="method", values="value"
        )
        for split in ("test", "validation")
    )
    found: list[Block] = []
    for name, protocol in protocols().items():
        folds = _followed(study, protocol, [str(fold) for fold in errors.index])
        if folds:
            ratio = size_ratio(study.folds, folds)
            table = numbers.summary(study)
            known = {
                str(one): uses.split(", ")
                for one, uses in zip(table["method"], table["uses"], strict=False)
            }
            kept = errors.loc[folds].dropna(axis="columns")
            here = Here(kept, validation.reindex(folds).mean(), known, ratio)
            found += _of_protocol(name, protocol, here, words)
    return [Text(words("literature.text")), *found] if found else []


@dataclass(frozen=True)
class Here:
    """The methods of the run on the folds of a protocol.

    Attributes
    ----------
    errors
        RMSE on test, folds × methods.
    validation
        Mean RMSE on validation of each method, by which the best is chosen.
    knows
        What each method knows beside the ratings, keys of `cfmf.side.USES`; an empty text is none.
    ratio
        Test ratings over train ratings of a fold.
    """

    errors: pd.DataFrame
    validation: pd.Series
    knows: Mapping[str, Sequence[str]]
    ratio: float

    def best(self, knows: Iterable[str]) -> str | None:
        """The method of lowest RMSE on validation among those that know no more than this."""
        most = {"", *knows}
        allowed = [str(name) for name in self.errors if set(self.knows[str(name)]) <= most]
        scored = self.validation.reindex(allowed).dropna()
        return str(scored.idxmin()) if len(scored) else None

    def paired(self, first: str, second: str) -> dict[str, Any]:
        """The difference of two methods and its 95% interval, corrected as that of the tests."""
        gaps = (self.errors[first] - self.errors[second]).to_numpy(float)
        low, high = of_folds(gaps, self.ratio)
        return {"paired": gaps.mean(), "low": low, "high": high}


def _followed(study: Study, protocol: Protocol, folds: Sequence[str]) -> list[str]:
    """The folds of a protocol that this run has; none if it has another protocol or lacks one."""
    rule, left_out = study.folds.get("rule", {}), study.audit.get("left_out", {})
    same = study.audit.get("source") == protocol["source"] and not any(left_out.values())
    same = same and all(rule.get(key) == value for key, value in protocol["split"].items())
    wanted = protocol["folds"] or list(folds)
    return wanted if same and set(wanted) <= set(folds) else []


def _of_protocol(name: str, protocol: Protocol, here: Here, words: Catalogue) -> list[Block]:
    protocol_name = words(f"literature.protocol.{name}")
    title = words("literature.reported", protocol=protocol_name)
    rows = pd.DataFrame([_row(one, here, words) for one in protocol["figures"]])
    columns = "method also=also_knows rmse=reported:rmse chosen=chosen_by best=best_here:rmse"
    columns += " here=here_rmse:rmse"
    if rows["paired"].notna().any():
        columns += " paired=best_paired:signed"
    if rows["low"].notna().any():
        columns += " low=low:signed high=high:signed"
    found: list[Block] = []
    if "standard_error" in protocol:
        size = number(protocol["standard_error"], "rmse")
        beyond = number(2 * protocol["standard_error"], "rmse")
        found.append(Note("hint", words("literature.unpaired", error=size, gap=beyond)))
    rows = rows.sort_values("rmse")
    found.append(tabulated(words, f"literature-{name}", title, rows, columns, "source"))
    return [Heading(protocol_name), Text(_best(here, words)), Collapsed(title, found)]


def _row(one: dict[str, Any], here: Here, words: Catalogue) -> dict[str, Any]:
    """A published figure, the nearest method here, and the best one here against it, paired."""
    nearest, knows = one.get("here", ""), one.get("knows", [])
    row: dict[str, Any] = {
        "method": one["method"],
        "also": words.listed(words.terms("uses", knows)).striptags(),
        "rmse": one["rmse"],
        "chosen": words.term("chosen", one["chosen"]).striptags(),
        **dict.fromkeys(("best", "here", "paired", "low", "high"), np.nan),
        "source": one["source"],
    }
    best = here.best(knows)
    if best is not None:
        row["best"] = here.errors[best].mean()
    if nearest in here.errors:
        row["here"] = here.errors[nearest].mean()
    if best is not None and nearest in here.errors and nearest != best:
        row |= here.paired(best, nearest)
    return row


def _best(here: Here, words: Catalogue) -> Markup:
    """The best of this run with the ratings alone and, if it is another, the best of all."""
    means, alone, best = here.errors.mean(), here.best([]), here.best(USES)
    found = []
    if alone is not None:
        rmse = number(means[alone], "rmse")
        found.append(words("literature.best", method=code(alone), rmse=rmse))
    if best is not None and best != alone:
        also = words.listed(words.terms("uses", here.knows[best]))
        known = {"method": code(best), "rmse": number(means[best], "rmse"), "also": also}
        found.append(words("literature.best_informed", **known))
    return Markup(" ").join(found)
