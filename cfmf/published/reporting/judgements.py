"""The study's twelve claims and the conclusions of its experiment, each judged by a rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from cfmf.methods.registry import family, of_published
from cfmf.published.printed import printed_numbers
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.sections.cold_start import by_level, levels_of
from cfmf.report.sections.comparison import contrasts
from cfmf.report.sections.cost import fits
from cfmf.report.strings import amounts, code, number
from cfmf.tables import where

STATUSES = ("supported", "contradicted", "undecided", "untestable")
CLAIMS = [f"cf{place}" for place in range(1, 8)] + [f"mf{place}" for place in range(1, 6)]
EXPERIMENT = [f"v{place}" for place in range(1, 6)]
"""What the study concludes from its own experiment."""
UNTUNED = {"k": 50.0, "reg": 0.01}
"""The study's first setting, of its learning curves."""
OF_ITEMS = "item_ratings"
RARE = ("1-9", "10-19")
"""Levels of that slice whose items are rarely rated."""
ENDS = {"rmse": "value", "low": "low", "high": "high"}


@dataclass(frozen=True)
class Judgement:
    """What a rule finds of a claim: one of `STATUSES`, with its evidence.

    Attributes
    ----------
    values
        For the text of the evidence.
    section
        The section of the report that has the evidence.
    measured
        Whether the evidence is from the tables that are measured of each method, which has a text
        of its own (`discussion.measured_…`).
    """

    status: str
    values: Mapping[str, object]
    section: str
    measured: bool = False


def judge(study: Study, claims: Iterable[str]) -> dict[str, Judgement | None]:
    """The judgement of every claim; None where this run has no evidence."""
    return {claim: RULES[claim](study) if claim in RULES else None for claim in claims}


def _folds(difference: pd.Series) -> dict[str, Markup]:
    """In how many folds a difference is positive, and of how many."""
    return amounts("", folds=int((difference > 0).sum()), of=len(difference))


def _status(supported: bool, contradicted: bool) -> str:
    return "supported" if supported else "contradicted" if contradicted else "undecided"


def _best(study: Study, wanted: str) -> str | None:
    found = [m for m in numbers.methods(study) if family(m) == wanted and not of_published(m)]
    return found[0] if found else None


def _explained(study: Study) -> Judgement | None:
    """How much of a recommendation its three strongest parts carry; no rule judges readers."""
    rows, other = study.table("explanations"), _best(study, "factorization")
    carried = rows.groupby(["method", "user", "rank"])["share"].sum().groupby("method").mean()
    if other is None or not {"user-knn", other} <= set(carried.index):
        return None
    values = amounts("percent", share=carried["user-knn"], other=carried[other])
    return Judgement("untestable", {**values, "method": code(other)}, "explanations", measured=True)


def _space(study: Study) -> Judgement | None:
    """Bytes of the full similarity matrix against those of the factors, in float32."""
    method = _best(study, "factorization")
    if study.users is None or study.items is None or method is None:
        return None
    k = int(where(study.tables["selected"], method=method)["k"].astype(int).max())
    m, n = len(study.users), len(study.items)
    matrix, factors = 4.0 * m * m, 4.0 * (m + n) * k
    values = amounts("bytes", matrix=matrix, factors=factors, top=8.0 * m * 100)
    status = _status(matrix > factors, matrix <= factors)
    return Judgement(status, values | {"k": number(k)}, "similarity")


def _bytes_kept(study: Study) -> tuple[str, float, float, float] | None:
    """The best factorization, bytes of its model, of what user-knn keeps, and of the matrix."""
    table, method = fits(study), _best(study, "factorization")
    kept = dict(zip(table["method"], table["bytes"], strict=True)) if len(table) else {}
    if study.users is None or method is None or not {"user-knn", method} <= kept.keys():
        return None
    return method, float(kept[method]), float(kept["user-knn"]), 4.0 * len(study.users) ** 2


def _judged_bytes(study: Study, rule: Callable[[float, float, float], str]) -> Judgement | None:
    """A rule of the bytes of factors, ratings and the matrix; `_space` where none were measured."""
    found = _bytes_kept(study)
    if found is None:
        return _space(study)
    method, factors, ratings, matrix = found
    values = amounts("bytes", factors=factors, ratings=ratings, matrix=matrix)
    status = rule(factors, ratings, matrix)
    return Judgement(status, values | {"method": code(method)}, "cost", measured=True)


def _similarities_stored(study: Study) -> Judgement | None:
    """Supported where the matrix takes more than the factors do; the ratings alone may do."""

    def rule(factors: float, ratings: float, matrix: float) -> str:
        return "supported" if matrix > max(factors, ratings) else "contradicted"

    return _judged_bytes(study, rule) if _space(study) else None


def _less_space(study: Study) -> Judgement | None:
    """Supported below what user-knn keeps, contradicted above the matrix, open between them."""
    return _judged_bytes(
        study, lambda factors, ratings, matrix: _status(factors < ratings, factors > matrix)
    )


def _coldest(study: Study, name: str, method: str) -> pd.DataFrame | None:
    """RMSE of a method by fold at the coldest level of a slice and at all others together.

    Columns level (the coldest), cold, rest; the rest is pooled by the number of test ratings.
    """
    rows = where(study.table("slices"), slice=name, method=method, metric="rmse")
    if rows["level"].unique().size < 2:
        return None
    level = by_level(rows, name)["level"].iloc[0]
    cold = rows[rows["level"] == level].set_index("fold")["value"]
    rest = _pooled(rows[rows["level"] != level])
    return pd.DataFrame({"level": level, "cold": cold, "rest": rest}).dropna()


def _pooled(rows: pd.DataFrame) -> pd.Series:
    """RMSE by fold of some levels of a slice together, from theirs and their test ratings."""
    squared = (rows["n"] * rows["value"] ** 2).groupby(rows["fold"]).sum()
    return (squared / rows.groupby("fold")["n"].sum()) ** 0.5


def _rarely_rated(study: Study, method: str) -> pd.Series | None:
    """RMSE of a method by fold on the items of `RARE`; None unless every fold has any in test.

    Items without a rating in train do not count: no method knows anything of them.
    """
    rows = where(study.table("slices"), slice=OF_ITEMS, method=method, metric="rmse")
    found = _pooled(rows[rows["level"].isin(RARE) & (rows["n"] > 0)])
    return found if len(found) and set(found.index) == set(rows["fold"]) else None


def _by_folds(difference: pd.Series) -> str:
    """Supported where a difference is positive in every fold, contradicted where in none."""
    return _status(bool((difference > 0).all()), bool((difference < 0).all()))


def _cut_short(study: Study) -> Judgement | None:
    """The error of user-knn with the shortest history against that with the whole one."""
    trimmed, other = study.table("cold_start"), _best(study, "factorization")
    if not {"user-knn", other} <= set(trimmed["method"]):
        return None
    rows = levels_of(trimmed)
    ours, theirs = (where(rows, method=method) for method in ("user-knn", other))
    cold, whole, length = ours.iloc[0], ours.iloc[-1], str(ours["level"].iloc[0])
    ends = {name: cold[key] for name, key in ENDS.items()}
    ends |= {f"whole_{name}": whole[key] for name, key in ENDS.items()}
    status = _status(cold["low"] > whole["high"], cold["high"] < whole["low"])
    values = amounts("rmse", **ends, other=theirs["value"].iloc[0])
    values |= {"length": escape(length), "method": code(other)}
    return Judgement(status, values, "cold-start", measured=True)


def _new_users(study: Study) -> Judgement | None:
    measured = _cut_short(study)
    if measured is not None:
        return measured
    found = _coldest(study, "user_ratings", "user-knn")
    if found is None:
        return None
    worse = found["cold"] - found["rest"]
    values = amounts("rmse", cold=found["cold"].mean(), warm=found["rest"].mean())
    values |= {"method": code("user-knn"), "level": escape(found["level"].iloc[0])}
    return Judgement(_by_folds(worse), values | _folds(worse), "cold-start")


def _cold_items(study: Study) -> Judgement | None:
    other = _best(study, "factorization")
    ours = _rarely_rated(study, "user-knn")
    theirs = _rarely_rated(study, other) if other else None
    if ours is None or theirs is None:
        return None
    worse = ours - theirs
    values = amounts("rmse", cold=ours.mean(), other=theirs.mean())
    level = f"{RARE[0].split('-')[0]}-{RARE[-1].split('-')[-1]}"
    values |= {"method": code(other), "level": escape(level)}
    return Judgement(_by_folds(worse), values | _folds(worse), "cold-start")


def between(study: Study, first: str, second: str) -> tuple[str, dict[str, Markup]] | None:
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
        rows = where(found, group_a=a, group_b=b)
        if len(rows):
            ends = sorted(sign * float(rows.iloc[0][name]) for name in ("ci_low", "ci_high"))
            low, high = ends
    values = amounts("signed", difference=difference.mean(), low=low, high=high)
    return _status(high < 0, low > 0), values | {"first": code(first), "second": code(second)}


def _finds_what_is_hot(study: Study) -> Judgement | None:
    """Whether the items that user-knn puts first have more ratings than a factorization's."""
    rows, other = where(study.table("ranking"), metric="popularity"), _best(study, "factorization")
    if not {"user-knn", other} <= set(rows["method"]):
        return None
    ours, theirs = (where(rows, method=method).iloc[0] for method in ("user-knn", other))
    status = _status(ours["ci_low"] > theirs["ci_high"], ours["ci_high"] < theirs["ci_low"])
    values = amounts("count", ours=round(ours["value"]), theirs=round(theirs["value"]))
    values |= {"top": escape(ours["level"]), "method": code(other)}
    return Judgement(status, values, "comparison", measured=True)


def _combines(study: Study) -> Judgement | None:
    """Whether the Bayesian factorization gains by a further source joined to its vectors."""
    found = between(study, "gibbs-implicit", "gibbs")
    return Judgement(*found, "comparison", measured=True) if found else None


def _items_before_users(study: Study) -> Judgement | None:
    found = between(study, "item-knn", "user-knn")
    return Judgement(*found, "comparison") if found else None


def _generalises(study: Study) -> Judgement | None:
    ours, theirs = _best(study, "factorization"), _best(study, "neighbours")
    found = between(study, ours, theirs) if ours and theirs else None
    return Judgement(*found, "comparison") if found else None


def _overfits(study: Study) -> Judgement | None:
    """Whether the largest k is worse than the best k in every fold, reg tuned for each."""
    points = where(numbers.tuned_by_k(study), method="mf")
    if points["k"].nunique() < 2:
        return None
    wide = points.pivot_table(index="fold", columns="k", values="value")
    largest, best = max(wide.columns, key=float), wide.mean().idxmin()
    worse = wide[largest] - wide[best]
    status = _status(best != largest and bool((worse > 0).all()), best == largest)
    values = amounts("", best=int(str(best)), largest=int(largest))
    values |= amounts("rmse", at_best=wide[best].mean(), at_largest=wide[largest].mean())
    return Judgement(status, values | _folds(worse), "factorization")


def _nearest_untuned(study: Study) -> tuple[str, str] | None:
    """The k and reg of mf-published nearest to the study's 50 and .01, by ratio."""
    points = where(study.tables["metrics"], method="mf-published")[["k", "reg"]].drop_duplicates()
    far = [
        (abs(math.log(float(k) / UNTUNED["k"])), abs(math.log(float(reg) / UNTUNED["reg"])), k, reg)
        for k, reg in points.itertuples(index=False)
    ]
    return min(far)[2:] if far else None


def _on_test(study: Study, method: str) -> pd.DataFrame:
    """RMSE on test of every setting of a method: columns fold, k, reg, value (mean over seeds)."""
    rows = where(study.tables["metrics"], method=method, split="test", metric="rmse")
    return rows.groupby(["fold", "k", "reg"], sort=False)["value"].mean().reset_index()


def _wins_untuned(study: Study) -> Judgement | None:
    """The factorization as published, at the study's first setting, against its user CF."""
    point = _nearest_untuned(study)
    rows = _on_test(study, "mf-published")
    theirs = _on_test(study, "user-cf-published").set_index("fold")["value"]
    if point is None or theirs.empty:
        return None
    k, reg = point
    ours = where(rows, k=k, reg=reg).set_index("fold")["value"]
    gain = (theirs - ours).dropna()
    if gain.empty:
        return None
    values = {"method": code("mf-published"), "other": code("user-cf-published")}
    values |= amounts("", k=int(k), reg=float(reg)) | _folds(gain)
    values |= amounts("rmse", ours=ours.mean(), theirs=theirs.mean())
    return Judgement(_by_folds(gain), values, "errata")


def _similarity_slowest(study: Study) -> Judgement | None:
    """Seconds of the similarities of one fold against those of one training as published."""
    point, similarity = _nearest_untuned(study), study.similarity
    if point is None or similarity is None or similarity.seconds is None:
        return None
    k, reg = point
    costs = where(study.table("costs"), method="mf-published", measure="seconds", k=k, reg=reg)
    stage = "refit" if "refit" in set(costs["stage"]) else "fit"
    training = where(costs, stage=stage)["value"].mean()
    if pd.isna(training):
        return None
    seconds = {"similarity": similarity.seconds, "training": training}
    seconds["published"] = printed_numbers()["similarity_seconds"]
    values = amounts("seconds", **seconds) | {"k": number(int(k))}
    values |= {"fold": code(similarity.fold), "method": code("mf-published")}
    status = "supported" if similarity.seconds > training else "contradicted"
    return Judgement(status, values, "similarity")


def _moves(study: Study, method: str) -> pd.DataFrame | None:
    """By fold: how far reg moves the test RMSE (mean over k), and k (mean over reg)."""
    rows = _on_test(study, method)
    if rows["k"].nunique() < 2 or rows["reg"].nunique() < 2:
        return None
    moved = {}
    for fold, points in rows.groupby("fold", sort=False):
        wide = points.pivot_table(index="k", columns="reg", values="value")
        spread = {"reg": np.ptp(wide, axis=1).mean(), "k": np.ptp(wide, axis=0).mean()}
        moved[fold] = spread
    return pd.DataFrame(moved).T


def _reg_hardly_matters(study: Study) -> Judgement | None:
    """Whether reg, as the L2 term of mf, moves the error less than k does."""
    ours, published = _moves(study, "mf"), _moves(study, "mf-published")
    if ours is None:
        return None
    less = ours["k"] - ours["reg"]
    means = dict(ours.mean())
    if published is not None:
        means |= published.mean().add_suffix("_published").to_dict()
    values = amounts("rmse", **means) | _folds(less)
    return Judgement(_by_folds(less), values, "factorization", measured=published is not None)


def _best_k(rows: pd.DataFrame, claimed: str) -> Judgement | None:
    """Whether a k has the lowest RMSE: in every fold, in none, or in some of them.

    `rows` has fold, k and value, one row each; None where the claimed k or another is not there.
    """
    wide = rows.pivot_table(index="fold", columns="k", values="value").dropna()
    if claimed not in wide or wide.shape[1] < 2 or wide.empty:
        return None
    others = wide.drop(columns=claimed)
    ahead = others.min(axis=1) - wide[claimed]
    best = str(wide.mean().idxmin())
    values = amounts("", claimed=int(claimed), best=int(best)) | _folds(ahead)
    values |= amounts("rmse", at_claimed=wide[claimed].mean(), at_best=wide[best].mean())
    return Judgement(_by_folds(ahead), values, "factorization")


def _compromise(study: Study) -> Judgement | None:
    """Whether k = 4 is best over the grid of reg: what the study calls expected improvement."""
    rows = _on_test(study, "mf")
    if rows["reg"].nunique() < 2:
        return None
    return _best_k(rows.groupby(["fold", "k"], sort=False)["value"].mean().reset_index(), "4")


def _best_tuned(study: Study) -> Judgement | None:
    """Whether k = 16 is best with reg chosen on validation for each k."""
    return _best_k(where(numbers.tuned_by_k(study), method="mf"), "16")


RULES: dict[str, Callable[[Study], Judgement | None]] = {
    "cf1": _explained,
    "cf2": _similarities_stored,
    "cf3": _new_users,
    "cf4": _finds_what_is_hot,
    "cf5": _items_before_users,
    "cf6": _cold_items,
    "mf1": _generalises,
    "mf3": _overfits,
    "mf4": _less_space,
    "mf5": _combines,
    "v1": _wins_untuned,
    "v2": _similarity_slowest,
    "v3": _reg_hardly_matters,
    "v4": _compromise,
    "v5": _best_tuned,
}
