"""The tests that the design supports, the power to detect differences, and the assumptions."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.report.context import Study
from cfmf.report.page import Block, Fold, Heading, Note, Text
from cfmf.report.sections import simulated
from cfmf.report.sections.tests import checks, family_title, plain_table, table
from cfmf.report.strings import Catalogue, number
from cfmf.statistics.names import CORRECTED_ARMS, ESTIMANDS, POWER, SUPPORTED


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Blocked tests, power, simulated rates of the tests, assumptions, medians and best rows."""
    tests = study.table("tests")
    if tests is None:
        return []
    supported = tests[tests["design"].isin(SUPPORTED)]
    return [
        Text(words("statistics.text")),
        *_blocked(supported, words),
        *_power(tests, words),
        *simulated.blocks(words),
        *_assumptions(study, words),
        *_side_tables(study, words),
    ]


def _blocked(tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    if tests.empty:
        return []
    found = set(tests["estimand"])
    estimands = Markup("; ").join(
        words(f"statistics.estimand_{key}") for key in ESTIMANDS if key in found
    )
    return [
        Heading(words("statistics.blocked")),
        Text(words("statistics.blocked_text", estimands=estimands)),
        *families("tests", tests, words),
    ]


def families(name: str, tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    """A fold for each family of tests."""
    found: list[Block] = []
    keys = tests[["family", "method"]].fillna("")
    groups = tests.groupby([keys["family"], keys["method"]], sort=False)
    for place, ((family, method), rows) in enumerate(groups, start=1):
        title = family_title(str(family), str(method), words)
        found.append(Fold(title, [table(f"{name}-{place}", title, rows, words)]))
    return found


def _power(tests: pd.DataFrame, words: Catalogue) -> list[Block]:
    rows = tests[(tests["test"] == POWER) & tests["stat"].notna() & (tests["factor"] == "method")]
    if rows.empty:
        return []
    return [
        Note(
            "hint",
            words(
                "statistics.power",
                blocks=number(int(rows["n_blocks"].max())),
                least=number(float(rows["effect"].min()), "rmse"),
                most=number(float(rows["effect"].max()), "rmse"),
                low=number(float(rows["stat"].min()), "share"),
                high=number(float(rows["stat"].max()), "share"),
                margin=number(float(rows["margin"].iloc[0]), "rmse"),
            ),
        )
    ]


def _assumptions(study: Study, words: Catalogue) -> list[Block]:
    rows = study.table("assumptions")
    if rows is None:
        return []
    rows = rows[rows["design"].isin(SUPPORTED)]
    judged = rows["violation"].dropna()
    text = words(
        "statistics.assumptions_text",
        failed=number(int(judged.astype(bool).sum())),
        judged=number(len(judged)),
    )
    title = words("statistics.assumptions")
    return [Fold(title, [Text(text), checks("assumptions", title, rows, words)])]


def _side_tables(study: Study, words: Catalogue) -> list[Block]:
    """Medians and best rows of the corrected analysis."""
    found: list[Block] = []
    for name in ("medians", "best_rows"):
        rows = study.table(name)
        if rows is None:
            continue
        rows = rows[rows["arm"].isin(CORRECTED_ARMS)]
        if rows.empty:
            continue
        title = words(f"statistics.{name}")
        found.append(Fold(title, [plain_table(name.replace("_", "-"), title, rows, words)]))
    return found
