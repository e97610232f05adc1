"""The first question about the published study: whether its claim is right."""

from __future__ import annotations

from markupsafe import Markup

from cfmf.published.reporting import judgements
from cfmf.report.context import Study
from cfmf.report.page import Answers, Block
from cfmf.report.sections.questions import links
from cfmf.report.sections.summary import CONTRASTS, sentence
from cfmf.report.strings import Catalogue, number

COMPARED = {"mf", "user-knn"}
"""What the published study compared, each tuned and trained as it should be."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The question, its answer, and links to the errata and the claims."""
    more = links(["errata", "discussion"], words)
    return [Answers([(words("questions.claim"), _claim(study, words), more)])]


def _claim(study: Study, words: Catalogue) -> Markup:
    judged = judgements.judge(study, judgements.CLAIMS).values()
    found = [one.status if one else "untestable" for one in judged]
    count = {status: found.count(status) for status in judgements.STATUSES}
    text = words("questions.claim_count", **{name: number(size) for name, size in count.items()})
    for said in study.verdict:
        pair = {said["numbers"].get(name) for name in ("first", "second")}
        if said["key"] in CONTRASTS and pair == COMPARED:
            text += " " + sentence(said, words)
    orders = [said for said in study.verdict if said["key"] in {"order_compared"}]
    orders.sort(key=lambda said: said["numbers"].get("method") != "mf")
    for said in orders[:1]:
        text += " " + sentence(said, words)
    return text + " " + words("questions.claim_root")
