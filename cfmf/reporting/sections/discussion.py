"""The study's twelve claims about the two families, each judged by a rule on this run's numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from cfmf.figures.style import family
from cfmf.reporting import numbers
from cfmf.reporting.page import Block, Column, Table, Text
from cfmf.reporting.sections.cold_start import by_level
from cfmf.reporting.sections.comparison import contrasts
from cfmf.reporting.strings import Catalogue, code, number
from cfmf.reporting.study import Study

CLAIMS = [f"cf{place}" for place in range(1, 8)] + [f"mf{place}" for place in range(1, 6)]
BADGE = {"supported": "yes", "contradicted": "no", "undecided": "open", "untestable": "open"}


@dataclass(frozen=True)
class Judgement:
    """What a rule says of a claim: `status` is a key of `BADGE`; values for the evidence's text."""

    status: str
    values: dict[str, object]
    section: str


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """One row a claim."""
    rows: list[dict[str, object]] = []
    for claim, judged in judgements(study).items():
        status = judged.status if judged else "untestable"
        badge = Markup('<span class="badge {}">{}</span>').format(
            BADGE[status], words(f"discussion.{status}")
        )
        evidence = words(f"discussion.untestable_{claim}")
        if judged:
            link = Markup('<a href="#{}">{}</a>').format(
                judged.section, words(f"{judged.section}.title")
            )
            evidence = words(f"discussion.evidence_{claim}", **judged.values) + " " + link
        rows.append(
            {
                "family": words(f"discussion.{claim[:2]}").striptags(),
                "claim": words(f"discussion.claim_{claim}"),
                "status": badge,
                "evidence": evidence,
            }
        )
    columns = [
        Column("family", words.plain("column.family_of")),
        Column("claim", words.plain("column.claim"), "html"),
        Column("status", words.plain("column.judged"), "html"),
        Column("evidence", words.plain("column.evidence"), "html"),
    ]
    table = Table("claims", words("discussion.table"), columns, rows)
    return [Text(words("discussion.text")), table]


def judgements(study: Study) -> dict[str, Judgement | None]:
    """What the rules say of every claim; None where this run cannot tell."""
    return {claim: RULES[claim](study) if claim in RULES else None for claim in CLAIMS}


def _best(study: Study, wanted: str) -> str | None:
    found = [m for m in numbers.methods(study) if family(m) == wanted and "published" not in m]
    return found[0] if found else None


def _space(study: Study, status_if_larger: str) -> Judgement | None:
    """Bytes of the full similarity matrix against those of the factors, in float32."""
    selected = study.tables["selected"]
    method = _best(study, "factorization")
    if study.users is None or study.items is None or method is None:
        return None
    k = int(selected.loc[selected["method"] == method, "k"].astype(int).max())
    m, n = len(study.users), len(study.items)
    matrix, factors = 4.0 * m * m, 4.0 * (m + n) * k
    return Judgement(
        status_if_larger if matrix > factors else "contradicted",
        {
            "matrix": number(matrix, "bytes"),
            "factors": number(factors, "bytes"),
            "k": number(k),
            "top": number(8.0 * m * 100, "bytes"),
        },
        "similarity",
    )


def _coldest(study: Study, name: str, method: str) -> pd.DataFrame | None:
    """RMSE of a method by fold at the coldest level of a slice and at all others together.

    Columns level (the coldest), cold, rest; the rest is pooled by the number of test ratings.
    """
    slices = study.table("slices")
    if slices is None:
        return None
    rows = slices[
        (slices["slice"] == name) & (slices["method"] == method) & (slices["metric"] == "rmse")
    ]
    if rows["level"].unique().size < 2:
        return None
    level = by_level(rows, name)["level"].iloc[0]
    cold = rows[rows["level"] == level].set_index("fold")["value"]
    others = rows[rows["level"] != level]
    squared = (others["n"] * others["value"] ** 2).groupby(others["fold"]).sum()
    rest = (squared / others.groupby("fold")["n"].sum()) ** 0.5
    return pd.DataFrame({"level": level, "cold": cold, "rest": rest}).dropna()


def _by_folds(difference: pd.Series) -> str:
    """Supported where a difference is positive in every fold, contradicted where in none."""
    if (difference > 0).all():
        return "supported"
    return "contradicted" if (difference < 0).all() else "undecided"


def _new_users(study: Study) -> Judgement | None:
    found = _coldest(study, "user's ratings in train", "user-knn")
    if found is None:
        return None
    worse = found["cold"] - found["rest"]
    return Judgement(
        _by_folds(worse),
        {
            "method": code("user-knn"),
            "cold": number(float(found["cold"].mean()), "rmse"),
            "warm": number(float(found["rest"].mean()), "rmse"),
            "level": str(found["level"].iloc[0]),
            "folds": number(int((worse > 0).sum())),
            "of": number(len(found)),
        },
        "cold-start",
    )


def _cold_items(study: Study) -> Judgement | None:
    other = _best(study, "factorization")
    name = "item's ratings in train"
    ours = _coldest(study, name, "user-knn")
    theirs = _coldest(study, name, other) if other else None
    if ours is None or theirs is None:
        return None
    worse = (ours["cold"] - theirs["cold"]).dropna()
    return Judgement(
        _by_folds(worse),
        {
            "cold": number(float(ours["cold"].mean()), "rmse"),
            "other": number(float(theirs["cold"].mean()), "rmse"),
            "method": code(other),
            "level": str(ours["level"].iloc[0]),
            "folds": number(int((worse > 0).sum())),
            "of": number(len(worse)),
        },
        "cold-start",
    )


def between(study: Study, first: str, second: str) -> tuple[str, dict[str, object]] | None:
    """Whether `first` has the lower test RMSE: by the interval if there is one, else by all folds.

    Returns `supported`, `contradicted` or `undecided`, and the numbers it rests on.
    """
    wide = numbers.errors_on_test(study).pivot_table(index="fold", columns="method", values="value")
    if not {first, second} <= set(wide.columns):
        return None
    difference = (wide[first] - wide[second]).dropna()
    low, high = float(difference.min()), float(difference.max())
    found = contrasts(study)
    for a, b, sign in ((first, second, 1.0), (second, first, -1.0)):
        rows = found[(found["group_a"] == a) & (found["group_b"] == b)] if len(found) else found
        if len(rows):
            ends = sorted(sign * float(rows.iloc[0][name]) for name in ("ci_low", "ci_high"))
            low, high = ends
    status = "supported" if high < 0 else "contradicted" if low > 0 else "undecided"
    return status, {
        "difference": number(float(difference.mean()), "signed"),
        "low": number(low, "signed"),
        "high": number(high, "signed"),
        "first": code(first),
        "second": code(second),
    }


def _items_before_users(study: Study) -> Judgement | None:
    found = between(study, "item-knn", "user-knn")
    return Judgement(found[0], found[1], "comparison") if found else None


def _generalises(study: Study) -> Judgement | None:
    ours, theirs = _best(study, "factorization"), _best(study, "neighbours")
    found = between(study, ours, theirs) if ours and theirs else None
    return Judgement(found[0], found[1], "comparison") if found else None


def _overfits(study: Study) -> Judgement | None:
    """Whether the largest k is worse than the best k in every fold, reg tuned for each."""
    points = numbers.tuned_by_k(study)
    points = points[points["method"] == "mf"]
    if points["k"].nunique() < 2:
        return None
    wide = points.pivot_table(index="fold", columns="k", values="value")
    largest, best = max(wide.columns, key=float), wide.mean().idxmin()
    worse = wide[largest] - wide[best]
    status = "contradicted" if best == largest else "undecided"
    if best != largest and (worse > 0).all():
        status = "supported"
    return Judgement(
        status,
        {
            "best": number(int(str(best))),
            "largest": number(int(largest)),
            "at_best": number(float(wide[best].mean()), "rmse"),
            "at_largest": number(float(wide[largest].mean()), "rmse"),
            "folds": number(int((worse > 0).sum())),
            "of": number(len(wide)),
        },
        "factorization",
    )


RULES: dict[str, Callable[[Study], Judgement | None]] = {
    "cf2": lambda study: _space(study, "supported"),
    "cf3": _new_users,
    "cf5": _items_before_users,
    "cf6": _cold_items,
    "mf1": _generalises,
    "mf3": _overfits,
    "mf4": lambda study: _space(study, "supported"),
}
