"""The first screen: the question answered in two sentences, facts, one figure, and badges."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
from markupsafe import Markup

from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import dots
from cfmf.report.page import Badges, Block, Facts, Plot, Text, plotted
from cfmf.report.sections import citing
from cfmf.report.sections.cold_start import levels_of
from cfmf.report.sections.effort import effort
from cfmf.report.sections.summary import CONTRASTS, SMALL_DESIGN, Message, sentence
from cfmf.report.strings import Catalogue, amounts, code, number, shown
from cfmf.statistics.names import COMPOSITES
from cfmf.tables import where

EDGES = ("edge", "edge_limit", "edge_budget", "edge_search")
ALL = "all"
"""The level of the whole history."""
Badge = tuple[str, Markup, str]


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Two sentences, five facts, the ranking in one figure, badges, and how to cite it."""
    if equal := numbers.equal_ratings(study):
        return [Text(words("questions.equal_ratings", count=number(equal, "count")), "lead")]
    table = numbers.summary(study)
    pairs = numbers.against_control(study)
    badges = [badge for make in BADGES for badge in make(study, words)]
    return [
        *(Text(said, "lead") for said in verdict(study, table, words)),
        Facts(_facts(study, table, pairs, words)),
        Badges(badges),
        _figure(study, table, pairs, words),
        *citing.blocks(study, words),
    ]


def verdict(study: Study, table: pd.DataFrame, words: Catalogue) -> list[Markup]:
    """The first two comparisons of the verdict, each graded; that of two single methods first."""
    said = [one for one in study.verdict if one["key"] in CONTRASTS][:2]
    said.sort(key=lambda one: one["numbers"].get("first") in COMPOSITES.values())
    if said:
        return [_graded(study, one, words) for one in said]
    best = numbers.best_single(table)
    values = {"method": code(best["method"]), "rmse": number(best["rmse"], "rmse")}
    return [words("answer.untested", **values)]


def _graded(study: Study, said: Message, words: Catalogue) -> Markup:
    key, found = f"answer.{said['key']}", said["numbers"]
    if key not in words:
        return sentence(said, words)
    values = amounts("rmse", **{name: found[name] for name in ("size", "low", "high", "margin")})
    values |= amounts("percent", level=found["level"])
    for side in ("first", "second"):
        values[side] = _named(study, str(found[side]), words)
    return words(key, **values)


def _named(study: Study, name: str, words: Catalogue) -> Markup:
    """A method in words, or the best of a family with the methods that it was in the folds."""
    if name not in COMPOSITES.values():
        return words.otherwise(f"answer.name_{name}", code(name), method=code(name))
    told = [one["numbers"] for one in study.verdict if one["key"] == "best_per_family"]
    chosen = told[0].get(name, []) if told else []
    methods = words.listed(code(method) for method, _ in chosen)
    return words("term.with", name=words.term("group", name), detail=methods)


def _facts(
    study: Study, table: pd.DataFrame, pairs: pd.DataFrame, words: Catalogue
) -> list[tuple[Markup, Markup, Markup]]:
    """Which method, how certain, whether it matters, its cost, and whether it suits new users."""
    best = numbers.best_single(table)
    method, rmse = str(best["method"]), number(best["rmse"], "rmse")
    found = {"which": (code(method), words("answer.which_detail", rmse=rmse))}
    if method in pairs.index:
        pair, control = pairs.loc[method], code(numbers.control_of(study))
        ends = amounts("signed", low=pair["low"], high=pair["high"])
        level = number(pair["ci_level"], "percent")
        detail = words("answer.sure_detail", control=control, level=level)
        found["sure"] = (words("answer.sure", **ends), detail)
        limit = number(numbers.margin(study), "rmse")
        detail = words("answer.matters_detail", margin=limit, control=control)
        found["matters"] = (words.term("verdict", pair["verdict"]), detail)
    if not math.isnan(best["seconds"]):
        search = number(best["search"], "seconds")
        fact = words("answer.cost", seconds=number(best["seconds"], "seconds"))
        found["cost"] = (fact, words("answer.cost_detail", search=search))
    if new := _new_users(study, method, words):
        found["new"] = new
    return [(words(f"answer.{name}_name"), *fact) for name, fact in found.items()]


def _new_users(study: Study, method: str, words: Catalogue) -> tuple[Markup, Markup] | None:
    """The shortest history from which a method is shown to be better than the item mean."""
    rows = levels_of(study.table("cold_start"))
    if rows.empty:
        rows = levels_of(where(study.table("intervals"), slice="user_ratings"))
    rows = rows[rows["method"] == method]
    if rows.empty:
        return None
    better = (rows["high"] < 0).to_numpy()[::-1].cumprod()[::-1].astype(bool)
    detail = words("answer.new_detail")
    if not better.any():
        return words("answer.new_none"), detail
    first = rows["level"].to_numpy()[better][0]
    if first == ALL:
        return words("answer.new_whole"), detail
    return words("answer.new_from", level=words.term("group", first)), detail


def _figure(study: Study, table: pd.DataFrame, pairs: pd.DataFrame, words: Catalogue) -> Plot:
    control = table.loc[table["method"] == numbers.control_of(study), "rmse"]
    level = float(control.iloc[0]) if len(control) else None
    ends = pairs.reindex(table["method"])[["low", "high"]].astype(float).reset_index(drop=True)
    points = table.assign(**(ends + (math.nan if level is None else level)))
    points["label"] = [
        method if math.isnan(seconds) else f"{method} · {shown(seconds, 'seconds')}"
        for method, seconds in zip(table["method"], table["seconds"], strict=True)
    ]
    drawn = dots.ranking(points, words.plain, level, numbers.margin(study) or 0.0)
    plot = plotted(words, "answer", "answer.figure", drawn)
    if level is None or pairs.empty:
        return plot
    values = {
        "control": code(numbers.control_of(study)),
        "margin": number(numbers.margin(study), "rmse"),
    }
    values["level"] = number(pairs["ci_level"].iloc[0], "percent")
    caption = plot.caption + " " + words("answer.figure_intervals", **values)
    return Plot(plot.name, plot.title, caption, plot.figure)


def _audit(study: Study, words: Catalogue) -> Iterator[Badge]:
    checks = study.audit.get("checks", {}).values()
    counts = [one.get("count", 0) if isinstance(one, dict) else one for one in checks]
    found = int(study.audit.get("rows_refused") or 0) + sum(filter(None, counts))
    key = "answer.audit_found" if found else "answer.audit_clean"
    yield "open" if found else "yes", words(key, count=number(found, "count")), "data"


def _budgets(study: Study, words: Catalogue) -> Iterator[Badge]:
    table = effort(study)
    if len(table):
        stopped = int((table["stopped"] > 0).sum())
        key = "answer.budgets_spent" if stopped else "answer.budgets_equal"
        yield "open" if stopped else "yes", words(key, methods=number(stopped)), "cost"


def _grid(study: Study, words: Catalogue) -> Iterator[Badge]:
    if not study.verdict:
        return
    edge = {said["numbers"]["method"] for said in study.verdict if said["key"] in EDGES}
    key = "answer.grid_edge" if edge else "answer.grid_inside"
    yield "open" if edge else "yes", words(key, methods=number(len(edge))), "summary"


def _size(study: Study, words: Catalogue) -> Iterator[Badge]:
    quick = any(said["key"] in SMALL_DESIGN for said in study.verdict)
    seeds = {seed for seed in study.tables["metrics"]["seed"] if seed == seed and str(seed)}
    folds = study.tables["selected"]["fold"].nunique()
    values = {"folds": number(folds), "seeds": number(max(len(seeds), 1))}
    key = "answer.size_quick" if quick else "answer.size"
    yield "open" if quick else "yes", words(key, **values), "statistics"


def _plan(study: Study, words: Catalogue) -> Iterator[Badge]:
    if study.plan:
        late = study.plan["written_after_scores"] or study.plan["changes"]
        yield "no" if late else "yes", words(f"answer.plan_{'late' if late else 'fixed'}"), "plan"


BADGES = (_audit, _budgets, _grid, _size, _plan)
