"""The tests that the design supports, the power to detect differences, and the assumptions."""

from __future__ import annotations

import pandas as pd

from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Note, Text
from cfmf.report.sections import calibration, designs
from cfmf.report.sections.tests import checks, family_title, plain_table, table
from cfmf.report.strings import Catalogue, amounts, number
from cfmf.statistics.names import CORRECTED_ARMS, ESTIMANDS, POWER, SUPPORTED
from cfmf.tables import where


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Blocked tests, power, planning, calibration, assumptions, medians and best rows."""
    tests = study.table("tests")
    if tests.empty:
        return []
    supported = tests[tests["design"].isin(SUPPORTED)]
    return [
        Text(words("statistics.text")),
        *_power(tests, words),
        *_blocked(supported, words),
        *designs.blocks(study, words),
        *calibration.blocks(words),
        *_assumptions(study, words),
        *_side_tables(study, words),
    ]


def _blocked(tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    if tests.empty:
        return []
    found = set(tests["estimand"])
    known = [words(f"statistics.estimand_{key}") for key in ESTIMANDS if key in found]
    estimands = words.listed(known, "further")
    parts = [
        Text(words("statistics.blocked_text", estimands=estimands)),
        *families("tests", tests, words),
    ]
    return [Collapsed(words("statistics.blocked"), parts)]


def families(name: str, tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    """A fold for each family of tests."""
    found: list[Block] = []
    keys = tests[["family", "method"]].fillna("")
    groups = tests.groupby([keys["family"], keys["method"]], sort=False)
    for place, ((family, method), rows) in enumerate(groups, start=1):
        title = family_title(str(family), str(method), words)
        found.append(Collapsed(title, [table(f"{name}-{place}", title, rows, words)]))
    return found


def _power(tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    rows = where(tests, test=POWER, factor="method").dropna(subset=["stat"])
    if rows.empty:
        return []
    effect, power, margin = rows["effect"], rows["stat"], rows["margin"].iloc[0]
    text = words(
        "statistics.power",
        blocks=number(int(rows["n_blocks"].max())),
        **amounts("rmse", least=effect.min(), most=effect.max(), margin=margin),
        **amounts("share", low=power.min(), high=power.max()),
    )
    return [Note("hint", text)]


def _assumptions(study: Study, words: Catalogue) -> list[Block]:
    rows = study.table("assumptions")
    if rows.empty:
        return []
    rows = rows[rows["design"].isin(SUPPORTED)]
    judged = rows["violation"].dropna()
    text = words(
        "statistics.assumptions_text",
        failed=number(int(judged.astype(bool).sum())),
        judged=number(len(judged)),
    )
    title = words("statistics.assumptions")
    return [Collapsed(title, [Text(text), checks("assumptions", title, rows, words)])]


def _side_tables(study: Study, words: Catalogue) -> list[Block]:
    """Medians and best rows of the corrected analysis."""
    found: list[Block] = []
    for name in ("medians", "best_rows"):
        rows, title = study.table(name), words(f"statistics.{name}")
        rows = rows[rows["arm"].isin(CORRECTED_ARMS)]
        if len(rows):
            found.append(
                Collapsed(title, [plain_table(name.replace("_", "-"), title, rows, words)])
            )
    return found
