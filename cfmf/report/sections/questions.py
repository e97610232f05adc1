"""What a reader asks first, each question with its answer from the tables and where to read on."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
from markupsafe import Markup

from cfmf.methods.registry import is_blend
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Answers, Block, Note
from cfmf.report.sections.cold_start import against_item_mean, levels_of
from cfmf.report.sections.cost import jobs
from cfmf.report.sections.summary import CONTRASTS, SMALL_DESIGN, on_blends, sentence
from cfmf.report.strings import Catalogue, code, number
from cfmf.tables import where

HISTORY = "user_ratings"
QUICK = 0.1
"""Share of the best method's time that counts as quick."""


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """The questions that this run can answer; a sentence instead of an answer that is missing."""
    items = []
    equal = numbers.equal_ratings(study)
    for name, (answer, sections) in ANSWERS.items():
        if equal and name != "cost":
            text = words("questions.equal_ratings", count=number(equal, "count"))
        else:
            text = answer(study, words) or words(f"questions.{name}_unknown")
        items.append((_asked(name, study, words), text, links(sections, words)))
    quick = [said for said in study.verdict if said["key"] in SMALL_DESIGN]
    return [*(Note("hint", sentence(said, words)) for said in quick), Answers(items)]


def links(sections: list[str], words: Catalogue) -> Markup:
    """Links to sections by their titles."""
    return words.listed(
        Markup('<a href="#{}">{}</a>').format(section, words(f"{section}.title"))
        for section in sections
    )


def _asked(name: str, study: Study, words: Catalogue) -> Markup:
    if name == "which" and study.users is not None:
        return words("questions.which_for", users=number(rounded(len(study.users)), "count"))
    return words(f"questions.{name}")


def rounded(count: int) -> int:
    """The number of the series 1, 2, 5, 10, 20, 50, … that is nearest to a count, in ratio."""
    decade = 10 ** math.floor(math.log10(count))
    return min((step * decade for step in (1, 2, 5, 10)), key=lambda n: abs(math.log(n / count)))


def _which(study: Study, words: Catalogue) -> Markup | None:
    every = numbers.summary(study)
    best = numbers.best_single(every)
    every = every[~every["method"].map(is_blend)]
    table = every[every["uses"] == best["uses"]]
    text = words(
        "questions.which_best", method=code(best["method"]), rmse=number(best["rmse"], "rmse")
    )
    others, seconds = table.iloc[1:], float(best["seconds"])
    quick = others[others["seconds"] <= QUICK * seconds]
    if len(quick):
        share = number(QUICK, "percent")
        text += " " + words("questions.which_quick", share=share, **_named(quick.iloc[0]))
    if every["rmse"].iloc[0] < best["rmse"]:
        found = every.iloc[0]
        also = words.listed(words.terms("uses", found["uses"].split(", ")))
        text += " " + words("questions.which_informed", also=also, **_named(found))
    return text


def _named(row: pd.Series) -> dict[str, Markup]:
    """A row of the summary as values for a sentence."""
    return {
        "method": code(row["method"]),
        "rmse": number(row["rmse"], "rmse"),
        "seconds": number(row["seconds"], "seconds"),
    }


def _how_sure(study: Study, words: Catalogue) -> Markup | None:
    """The first comparison of the verdict, and whom it leaves out."""
    contrasts = [said for said in study.verdict if said["key"] in CONTRASTS]
    if not contrasts:
        return None
    found = [sentence(contrasts[0], words)]
    pair = [str(contrasts[0]["numbers"].get(name)) for name in ("first", "second")]
    for said in study.verdict:
        if said["key"] == "best_per_family" and pair[0] in said["numbers"]:
            found.append(sentence(said, words))
            pair += [method for name in pair for method, _ in said["numbers"].get(name, [])]
    best = next(name for name in numbers.methods(study) if not is_blend(name))
    if best not in pair:
        found.append(words("questions.how_sure_other", method=code(best)))
    return Markup(" ").join(found)


def _both(study: Study, words: Catalogue) -> Markup | None:
    """What the blend of both families adds to that of each."""
    found = [sentence(said, words) for pair in on_blends(study.verdict) for said in pair[:2]]
    return Markup(" ").join(found) or None


def _cost(study: Study, words: Catalogue) -> Markup | None:
    table = numbers.summary(study).dropna(subset=["seconds", "search"])
    table = table[~table["method"].map(is_blend)]
    if table.empty:
        return None
    best, least = table.iloc[0], numbers.least(table, "seconds")
    text = words("questions.cost_best", search=number(best["search"], "seconds"), **_named(best))
    if least["method"] != best["method"]:
        text += " " + words("questions.cost_least", **_named(least))
    if study.benchmarks is not None:
        largest = jobs(study.benchmarks).sort_values("memory", na_position="first").iloc[-1]
        if not math.isnan(float(largest["memory"])):
            memory = number(float(largest["memory"]), "mb")
            text += " " + words("questions.cost_memory", memory=memory, rule=code(largest["rule"]))
    return text


def _new_users(study: Study, words: Catalogue) -> Markup | None:
    """From shortened histories; otherwise from the users with the shortest histories."""
    trimmed, slices = study.table("cold_start"), where(study.table("intervals"), slice=HISTORY)
    rows, cut = levels_of(trimmed), levels_of(slices)
    key, table = ("questions.new_users_cut", trimmed)
    if rows.empty:
        key, table, rows = "questions.new_users_answer", slices, cut
    if rows.empty:
        return None
    lengths = list(dict.fromkeys(rows["level"]))
    fewest, *more = (lengths[place] for place in (0, len(lengths) // 2, -1))
    found = against_item_mean(rows, fewest, words)
    users = number(int(rows["users"].iloc[0]), "count")
    text = words(key, level=words.term("group", fewest), users=users, found=found)
    for length in dict.fromkeys(more):
        found = against_item_mean(rows, length, words)
        shown = words.term("group", length)
        text += " " + words("questions.new_users_more", level=shown, found=found)
    level = number(table["ci_level"].iloc[0], "percent")
    comparisons = number(len(rows), "count")
    return text + " " + words("questions.new_users_level", level=level, comparisons=comparisons)


ANSWERS: dict[str, tuple[Callable[[Study, Catalogue], Markup | None], list[str]]] = {
    "which": (_which, ["comparison"]),
    "how_sure": (_how_sure, ["statistics"]),
    "both": (_both, ["blends"]),
    "cost": (_cost, ["cost"]),
    "new_users": (_new_users, ["cold-start"]),
}
