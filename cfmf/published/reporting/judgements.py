"""The study's twelve claims and the conclusions of its experiment, each judged by one contrast.

A claim that no contrast of this run can decide is not testable here; its text gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
from markupsafe import escape

from cfmf.data.splits import size_ratio
from cfmf.published.printed import printed_numbers
from cfmf.published.reporting.beside import at_published_tolerance
from cfmf.report.context import Study
from cfmf.report.numbers import margin
from cfmf.report.sections.cost import fits
from cfmf.report.strings import amounts, code, number
from cfmf.statistics import names
from cfmf.statistics.contrasts import paired_contrast
from cfmf.tables import where

STATUSES = ("supported", "contradicted", "immaterial", "undecided", "untestable")
CLAIMS = [f"cf{place}" for place in range(1, 8)] + [f"mf{place}" for place in range(1, 6)]
EXPERIMENT = [f"v{place}" for place in range(1, 6)]
"""What the study concludes from its own experiment."""
OVERFITTED, TUNED_BEST = "64", "16"
"""The k of the study's grid that it calls overfitted, and the one it finds best when tuned."""


@dataclass(frozen=True)
class Judgement:
    """What is found of a claim: one of `STATUSES`, with its evidence.

    Attributes
    ----------
    values
        For the text of the evidence.
    section
        The section of the report that has the evidence.
    """

    status: str
    values: Mapping[str, object]
    section: str


def judge(study: Study, claims: Iterable[str]) -> dict[str, Judgement | None]:
    """The judgement of every claim; None where this run has no evidence."""
    return {claim: RULES[claim](study) if claim in RULES else None for claim in claims}


def status(verdict: str, difference: float) -> str:
    """What the verdict on a pair says of the claim that the difference is negative.

    Supported or contradicted where the difference matters, immaterial where it is below the margin
    or the two are equivalent, undecided otherwise.
    """
    if verdict == names.MATTERS:
        return "supported" if difference < 0 else "contradicted"
    return "immaterial" if verdict in (names.SMALL, names.EQUIVALENT) else "undecided"


def of_pair(rows: pd.DataFrame, first: str, second: str) -> Judgement | None:
    """Whether `first` has the lower RMSE, by the widest interval of both among `rows` of the tests.

    Columns group_a, group_b, effect, ci_low, ci_high, margin, verdict and population.
    """
    ends = {1.0: (first, second), -1.0: (second, first)}
    found = [
        (float(row["ci_high"] - row["ci_low"]), sign, row)
        for sign, (a, b) in ends.items()
        for row in where(rows, group_a=a, group_b=b).dropna(subset=["ci_low"]).to_dict("records")
    ]
    if not found:
        return None
    _, sign, row = max(found, key=lambda one: one[0])
    low, high = sorted((sign * row["ci_low"], sign * row["ci_high"]))
    difference = sign * row["effect"]
    values = amounts("signed", difference=difference, low=low, high=high)
    values |= amounts("rmse", margin=row["margin"]) | {"first": code(first), "second": code(second)}
    judged = status(row["verdict"], difference)
    return Judgement(judged, {**values, "population": row["population"]}, "comparison")


def _explained(study: Study) -> Judgement | None:
    """How much of a recommendation its three strongest parts carry; no rule judges readers."""
    rows = study.table("explanations")
    carried = rows.groupby(["method", "user", "rank"])["share"].sum().groupby("method").mean()
    if not {"user-knn", "mf"} <= set(carried.index):
        return None
    values = amounts("percent", share=carried["user-knn"], other=carried["mf"])
    return Judgement("untestable", {**values, "method": code("mf")}, "explanations")


def stored(study: Study) -> dict[str, float] | None:
    """Numbers that must be stored to predict: factors of mf, ratings, similarities of all users.

    The factors are of one set, at the k that validation chose; a sampler keeps one for each draw.
    """
    table = fits(study)
    kept = dict(zip(table["method"], table["numbers"], strict=True)) if len(table) else {}
    if study.users is None or not {"user-knn", "mf"} <= kept.keys():
        return None
    m = float(len(study.users))
    return {"factors": kept["mf"], "ratings": kept["user-knn"], "similarities": m * m}


def _similarities_stored(study: Study) -> Judgement | None:
    """What is stored; when that is too much is no measurement."""
    found = stored(study)
    return Judgement("untestable", amounts("count", **found), "cost") if found else None


def _less_space(study: Study) -> Judgement | None:
    """Exact counts: no interval and no margin."""
    found = stored(study)
    if found is None:
        return None
    less = found["factors"] < found["similarities"]
    values = amounts("count", **found)
    return Judgement("supported" if less else "contradicted", values, "cost")


def _finds_what_is_hot(study: Study) -> Judgement | None:
    """How popular the first items are; ratings say nothing of news or of social effects."""
    rows = where(study.table("ranking"), metric="popularity")
    if not {"user-knn", "mf"} <= set(rows["method"]):
        return None
    ours, theirs = (where(rows, method=method).iloc[0] for method in ("user-knn", "mf"))
    values = amounts("count", ours=round(ours["value"]), theirs=round(theirs["value"]))
    values |= {"top": escape(ours["level"]), "method": code("mf")}
    return Judgement("untestable", values, "comparison")


def _of_methods(study: Study) -> pd.DataFrame:
    """The contrasts of methods."""
    return where(study.table("tests"), test=names.CORRECTED_T, factor="method")


def _items_before_users(study: Study) -> Judgement | None:
    return of_pair(_of_methods(study), "item-knn", "user-knn")


def _generalises(study: Study) -> Judgement | None:
    """The best factorization against the best neighbour method, chosen in each fold."""
    best = names.COMPOSITES["factorization"], names.COMPOSITES["neighbours"]
    return of_pair(_of_methods(study), *best)


def _fewer_factors(study: Study) -> Judgement | None:
    """Sixteen factors against 64 of mf, each with the reg that validation chose for it."""
    rows = where(
        study.table("tests"),
        test=names.CORRECTED_T,
        family=names.OF_K,
        method="mf",
        estimand=names.E1,
    )
    levels = {
        name: rows[name].astype(str).str.removesuffix(".0") for name in ("group_a", "group_b")
    }
    found = of_pair(rows.assign(**levels), TUNED_BEST, OVERFITTED)
    return Judgement(found.status, found.values, "factorization") if found else None


def _at_published_setting(study: Study) -> pd.Series:
    """Test RMSE of the published torch code at the published setting, by fold."""
    rows = where(study.tables["metrics"], method="mf-published", split="test", metric="rmse")
    if not at_published_tolerance(study, "mf-published"):
        return rows.head(0).set_index("fold")["value"]
    wanted = printed_numbers()["setting"]
    same = rows[["k", "reg"]].astype(float).eq([wanted["k"], wanted["reg"]]).all(axis=1)
    return rows[same].groupby("fold", sort=False)["value"].mean()


def _wins_untuned(study: Study) -> Judgement | None:
    """The factorization as published, at the study's first setting, against its user CF."""
    limit, block = margin(study), study.provenance.get("config", {}).get("statistics", {})
    ours = _at_published_setting(study).rename("mf-published")
    rows = where(study.tables["metrics"], method="user-cf-published", split="test", metric="rmse")
    theirs = rows.groupby("fold", sort=False)["value"].mean().reindex(ours.index)
    if limit is None or not study.folds or len(ours) < 2 or theirs.isna().any():
        return None
    pair = ours, theirs.rename("user-cf-published")
    ratio = size_ratio(study.folds, ours.index)
    found = paired_contrast(*pair, ratio, {**block, "margin": limit})[0]
    return of_pair(pd.DataFrame([found.row()]), "mf-published", "user-cf-published")


def _similarity_slowest(study: Study) -> Judgement | None:
    """Seconds of the similarities of one fold, and of one training as published on it."""
    similarity = study.similarity
    costs = where(study.table("costs"), method="mf-published", measure="seconds")
    costs = costs[costs["stage"].isin(["fit", "refit"])]
    if similarity is None or similarity.seconds is None or costs.empty:
        return None
    costs = costs[costs["k"] == max(costs["k"], key=float)]
    stage = "refit" if "refit" in set(costs["stage"]) else "fit"
    training = where(costs, stage=stage)["value"].mean()
    values = amounts("seconds", similarity=similarity.seconds, training=training)
    return Judgement("untestable", values | {"k": number(int(costs["k"].iloc[0]))}, "similarity")


RULES: dict[str, Callable[[Study], Judgement | None]] = {
    "cf1": _explained,
    "cf2": _similarities_stored,
    "cf4": _finds_what_is_hot,
    "cf5": _items_before_users,
    "mf1": _generalises,
    "mf3": _fewer_factors,
    "mf4": _less_space,
    "v1": _wins_untuned,
    "v2": _similarity_slowest,
    "v5": _fewer_factors,
}
