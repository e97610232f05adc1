"""The numbers that the published study printed beside those of this run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cfmf.published import SEARCHED, keys
from cfmf.published.printed import printed_numbers
from cfmf.published.reporting.user_cf_as_run import leaked
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Column, Heading, Table, Text, tabulated
from cfmf.report.sections.factors import watched_phase
from cfmf.report.strings import Catalogue
from cfmf.tables import where

CODES = {"torch": "mf-published", "jax": SEARCHED}
"""The study's two trainings, and the methods that repeat them."""
LIBRARIES = {"torch": "torch", "jax": "JAX"}
ROOTED = {"torch": 1.0, "jax": 0.5}
"""The power of an RMSE that the study printed as one."""
SPACING = 2.0**-24
"""Between float32 numbers from 0.5 to 1."""
ARMS = ((keys.ALL_TRIALS, SEARCHED), (keys.GRID, "mf-published"))
"""Runs by k that the study's tests are repeated on, the first that there are."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Single figures, then the tables that the study printed."""
    printed = printed_numbers()
    setting = {
        name: f"{value:g}".replace("e-0", "e-") for name, value in printed["setting"].items()
    }
    tables = [
        _by_k(study, printed, words),
        _dunn(study, printed, words),
        _corner(study, printed, words),
    ]
    return [
        Heading(words("errata.beside_heading")),
        Text(words("errata.beside_text", **setting)),
        _figures(study, printed, words),
        *[Collapsed(table.title, [table]) for table in tables],
        Collapsed(
            words("errata.deltas"),
            [Text(words("errata.deltas_text")), _deltas(study, printed, words)],
        ),
    ]


def _table(study: Study, words: Catalogue, name: str, rows: Any, kind: str = "rmse") -> Table:
    """Rows of what, published and here."""
    here = Column("here", words("column.this_run", dataset=study.label()).striptags(), kind)
    columns = f"what=what_figure published:{kind}", here
    return tabulated(words, f"beside-{name}", words(f"errata.{name}"), rows, *columns)


def _figures(study: Study, printed: Mapping[str, Any], words: Catalogue) -> Table:
    here: dict[str, float | None] = {
        "user_cf_test": numbers.measure(study, "user-cf-published", "test"),
        "user_cf_train": leaked(study),
    }
    for name in CODES:
        here |= _ends(training(study, name), name)
    here |= _statistics(study)
    rows = [
        {"what": words.plain(f"errata.figure_{name}"), "published": printed[name], "here": value}
        for name, value in here.items()
    ]
    return _table(study, words, "figures", rows, "figure")


def at_published_tolerance(study: Study, method: str) -> bool:
    """Whether this run trained a method of the study to the published tolerance."""
    config = study.provenance.get("config", {})
    block = config.get("methods", {}).get(method, {})
    if method not in config.get("study", {}).get("methods", []) and method == SEARCHED:
        block = config.get("published", {}).get("search", {})  # its one curve
    wanted: float = printed_numbers()["setting"]["tolerance"]
    return block.get("tolerance") == wanted


def training(study: Study, name: str) -> pd.DataFrame | None:
    """The training curve of `torch` or `jax` at the study's own setting and tolerance, if any.

    Columns of the histories; the last row is the epoch that it stopped at.
    """
    wanted, method = printed_numbers()["setting"], CODES[name]
    if not at_published_tolerance(study, method):
        return None
    for (trained, k, reg), history in study.histories.items():
        if trained == method and (float(k), float(reg)) == (wanted["k"], wanted["reg"]):
            return watched_phase(history)
    return None


def _ends(curve: pd.DataFrame | None, name: str) -> dict[str, float | None]:
    """Loss and RMSE of the first and last epoch, as the study would have printed them."""
    found: dict[str, float | None] = {}
    for part, place in (("start_", 0), ("", -1)):
        row = None if curve is None else curve.iloc[place]
        found[f"{name}_{part}loss"] = None if row is None else float(row["loss"])
        for split in ("train", "test"):
            rmse = None if row is None else float(row[f"{split}_rmse"]) ** ROOTED[name]
            found[f"{name}_{part}{split}"] = rmse
    found[f"{name}_epochs"] = None if curve is None else float(curve["epoch"].iloc[-1])
    return found


def _first(rows: pd.DataFrame, column: str) -> float | None:
    return float(rows[column].iloc[0]) if len(rows) else None


def _runs(study: Study, table: str) -> pd.DataFrame:
    """Rows of the study's tests, checks or medians on the first of `ARMS` that has any."""
    found = study.table(table)
    for arm, method in ARMS:
        key = {"arm": arm} if "arm" in found else {"family": f"published_{arm}"}
        rows = where(found, method=method, **key)
        if len(rows):
            return rows
    return found.head(0)


def _statistics(study: Study) -> dict[str, float | None]:
    tests, checks = _runs(study, "tests"), _runs(study, "assumptions")
    bartlett, one_way = where(checks, check="bartlett"), where(tests, test=keys.ONE_WAY)
    kruskal = where(tests, test=keys.KRUSKAL, stat_name="H")
    sums = {
        f"ss_{part}": _first(where(tests, stat_name=f"ss_{part}"), "stat")
        for part in ("between", "within", "total")
    }
    return {
        "variance_ratio": _first(where(checks, check="variance_ratio"), "stat"),
        "bartlett": _first(bartlett, "stat"),
        "bartlett_p": _first(bartlett, "p_value"),
        **sums,
        "anova_f": _first(one_way, "stat"),
        "anova_p": _first(one_way, "p_raw"),
        "kruskal_h": _first(kruskal, "stat"),
        "kruskal_p": _first(kruskal, "p_raw"),
    }


def _rows(published: Iterable[tuple[str, float]], here: Mapping[str, float]) -> list[Any]:
    return [{"what": name, "published": value, "here": here.get(name)} for name, value in published]


def _by_k(study: Study, printed: Mapping[str, Any], words: Catalogue) -> Table:
    rows = _runs(study, "medians")
    here = {f"k = {k}": float(m) for k, m in zip(rows["k"], rows["median"], strict=True)}
    known = ((f"k = {k}", value) for k, value in printed["medians"].items())
    return _table(study, words, "medians", _rows(known, here))


def _dunn(study: Study, printed: Mapping[str, Any], words: Catalogue) -> Table:
    rows = where(_runs(study, "tests"), test=keys.DUNN)
    pairs = zip(rows["group_a"], rows["group_b"], rows["p_adj"], strict=True)
    here = {" – ".join(sorted(_levels(a, b), key=float)): float(p) for a, b, p in pairs}
    known = ((pair.replace("-", " – "), p) for pair, p in printed["dunn"].items())
    return _table(study, words, "dunn", _rows(known, here), "p")


def _levels(*levels: object) -> list[str]:
    """Levels as the config writes them; a table read from a file may have 4.0 for 4."""
    return [str(level).removesuffix(".0") for level in levels]


def _corner(study: Study, printed: Mapping[str, Any], words: Catalogue) -> Table:
    known = np.array(printed["similarity_corner"])
    found = study.similarity
    corner = None if found is None else found.corner
    rows = [
        {
            "what": f"{first + 1}, {second + 1}",
            "published": known[first, second],
            "here": None if corner is None else float(corner[first, second]),
        }
        for first, second in zip(*np.triu_indices(len(known), 1), strict=True)
        if corner is None or second < len(corner)
    ]
    return _table(study, words, "corner", rows)


def _deltas(study: Study, printed: Mapping[str, Any], words: Catalogue) -> Table:
    rows: list[dict[str, object]] = []
    for name in CODES:
        known, curve = printed[f"{name}_deltas"], training(study, name)
        here: list[float | None] = [None] * len(known)
        if curve is not None:
            ends = curve["delta_loss"].abs().tolist()[-len(known) :]
            here = [None] * (len(known) - len(ends)) + ends
        for place, (published, ours) in enumerate(zip(known, here, strict=True), 1 - len(known)):
            what = f"{LIBRARIES[name]}, {place}" if place else LIBRARIES[name]
            mine = None if ours is None else ours / SPACING
            rows.append({"what": what, "published": published / SPACING, "here": mine})
    return _table(study, words, "deltas", rows, "figure")
