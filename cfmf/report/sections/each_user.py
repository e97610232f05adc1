"""For how many users one method is better than another."""

from __future__ import annotations

from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Text, tabulated
from cfmf.report.strings import Catalogue, number

GROUPS = ("group_a", "group_b")


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The shares of users and the quantiles of their differences, collapsed."""
    rows = study.table("user_differences")
    if rows.empty:
        return []
    columns = "group_a=first group_b=second users share_better:share ci_low=low:share"
    columns += " ci_high=high:share q05:signed q25:signed q50=median:signed q75:signed q95:signed"
    shown = rows.assign(**{name: words.terms("method", rows[name]) for name in GROUPS})
    title = words("each-user.title")
    level = number(float(rows["ci_level"].iloc[0]), "percent")
    table = tabulated(words, "user-differences", title, shown, columns)
    return [Collapsed(title, [Text(words("each-user.text", level=level)), table])]
