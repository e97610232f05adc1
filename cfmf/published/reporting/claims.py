"""The study's claims and conclusions with their judgements, as tables."""

from __future__ import annotations

from markupsafe import Markup

from cfmf.published.reporting.judgements import CLAIMS, EXPERIMENT, judge
from cfmf.report.context import Study
from cfmf.report.page import Block, Heading, Text, tabulated
from cfmf.report.strings import Catalogue

BADGE = {"supported": "yes", "contradicted": "no"}
"""How a status looks; others are open."""
COLUMNS = "claim status=judged evidence"


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """One row a claim, then one row a conclusion of the experiment."""
    rows = _rows(study, CLAIMS, words)
    for claim, row in zip(CLAIMS, rows, strict=True):
        row["family"] = words.plain(f"discussion.{claim[:2]}")
    concluded, title = _rows(study, EXPERIMENT, words), words("discussion.experiment_table")
    return [
        Text(words("discussion.text")),
        tabulated(words, "claims", words("discussion.table"), rows, "family=family_of", COLUMNS),
        Heading(words("discussion.experiment")),
        Text(words("discussion.experiment_text")),
        tabulated(words, "conclusions", title, concluded, COLUMNS),
    ]


def _rows(study: Study, claims: list[str], words: Catalogue) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for claim, judged in judge(study, claims).items():
        status = judged.status if judged else "untestable"
        label = words.otherwise(f"discussion.{status}_{claim[0]}", words(f"discussion.{status}"))
        badge = Markup('<span class="badge {}">{}</span>').format(BADGE.get(status, "open"), label)
        evidence = words(f"discussion.untestable_{claim}")
        if judged:
            link = Markup('<a href="#{}">{}</a>').format(
                judged.section, words(f"{judged.section}.title")
            )
            values = dict(judged.values)
            if "population" in values:
                values["population"] = words.term("population", values["population"])
            evidence = words(f"discussion.evidence_{claim}", **values) + " " + link
        shown = words(f"discussion.claim_{claim}")
        rows.append({"claim": shown, "status": badge, "evidence": evidence})
    return rows
