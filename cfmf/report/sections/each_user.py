"""For how many users one method is better than another."""

from __future__ import annotations

from cfmf.report.context import Study
from cfmf.report.figures import dots
from cfmf.report.page import Block, Collapsed, Text, plotted, tabulated
from cfmf.report.strings import Catalogue, code, number

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
    known = rows.dropna(subset=["share_better"]).sort_values("share_better", ascending=False)
    names = {"share_better": "value", "ci_low": "low", "ci_high": "high", "group_a": "label"}
    points = known.rename(columns=names).assign(methods=known["group_a"])
    parts: list[Block] = [Text(words("each-user.text", level=level)), table]
    if len(points):
        drawn = dots.shares(points, words.plain("axis.share_of_users"))
        control = code(str(known["group_b"].iloc[0]))
        values = {"level": level, "control": control}
        parts.insert(1, plotted(words, "user-shares", "each-user.figure", drawn, **values))
    return [Collapsed(title, parts)]
