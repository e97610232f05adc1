"""Why a method recommends what it does: neighbours with their shares, factors in titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.evaluation.fitting import Fit, Setting
from cfmf.models import Model, Part
from cfmf.tables import COLUMNS

REASONED = 3
"""Recommendations of a user whose reasons are told, and reasons told of each."""
ENDS = 5
"""Titles at each end of a factor, and nearest titles of a title."""
FACTORS = 8
"""Factors whose titles are told, the strongest first."""
Floats = NDArray[np.floating]


def item_titles(items: pd.DataFrame) -> list[str]:
    """A text for each item: its title, with the year where known, or its id where it has none."""
    found = []
    for row in items.sort_values("item").to_dict("records"):
        title = row.get("title")
        if not isinstance(title, str) or not title:
            found.append(str(row["item_id"]))
            continue
        year = row.get("year")
        found.append(title if year is None or pd.isna(year) else f"{title} ({int(year)})")
    return found


def numbers_of(ids: Sequence[Any], table: pd.DataFrame, what: str) -> list[int]:
    """Numbers of the users or items that the config names by the ids of the data.

    Raises
    ------
    ValueError
        If the data has no such id.
    """
    known = dict(zip(table[f"{what}_id"].astype(str), table[what], strict=True))
    unknown = [str(one) for one in ids if str(one) not in known]
    if unknown:
        raise ValueError(
            f"the config asks for {what} {', '.join(unknown)}, which the ratings do not have;"
            f" name {what}s by the ids of the raw files"
        )
    return [int(known[str(one)]) for one in ids]


def pairs_of(
    asked: Sequence[Sequence[Any]], users: pd.DataFrame, items: pd.DataFrame
) -> list[tuple[int, int]]:
    """Numbers of user and item of the pairs that the config names by the ids of the data.

    Raises
    ------
    ValueError
        If the data has no such id.
    """
    who = numbers_of([user for user, _ in asked], users, "user")
    what = numbers_of([item for _, item in asked], items, "item")
    return list(zip(who, what, strict=True))


def typical_users(train: sparse.csr_array, test: sparse.csr_array) -> list[int]:
    """Of the users with ratings in both parts, the one with most in train, then with fewest.

    Of equals the first; one user where there is no other, none where there is none.
    """
    counts = np.diff(train.indptr)
    able = np.flatnonzero((counts > 0) & (np.diff(test.indptr) > 0))
    if not len(able):
        return []
    extremes = [int(able[np.argmax(counts[able])]), int(able[np.argmin(counts[able])])]
    return list(dict.fromkeys(extremes))


def known_items(train: sparse.csr_array) -> NDArray[np.intp]:
    """The items with at least as many ratings as the median of those that have any."""
    counts = np.bincount(train.indices, minlength=train.shape[1])
    return np.flatnonzero(counts >= max(1, np.median(counts[counts > 0])))


def best_items(
    predictions: Floats, items: NDArray[np.integer], popularity: NDArray[np.integer], top: int
) -> NDArray[np.intp]:
    """Places of the highest predictions; of equals the item with more ratings, then the first."""
    return np.lexsort((items, -popularity[items], -predictions))[:top]


def recommend(
    setting: Setting,
    found: Fit,
    candidates: sparse.csr_array,
    train: sparse.csr_array,
    test: sparse.csr_array,
    users: pd.DataFrame,
    titles: Sequence[str],
    top: int,
    dataset: str = "",
    pairs: Sequence[tuple[int, int]] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The items with the highest predictions for each user of `candidates`, and why.

    Parameters
    ----------
    found
        The fit that was asked for `candidates`.
    users
        Columns user and user_id.
    pairs
        User and item of predictions to tell wherever they stand, each with its reasons; of these,
        what is no candidate is left out.

    Returns
    -------
    recommendations
        `recommendations` table: `history` is the user's number of training ratings, `sd` the
        standard deviation that a Bayesian method predicts, `rating` what the user gave the item in
        test (NaN where nothing).
    reasons
        `reasons` table of the first few of them and of the pairs; see `explain_pair`.
    """
    ids = users.set_index("user")["user_id"].astype(str)
    popularity = np.bincount(train.indices, minlength=train.shape[1])
    keys = {"dataset": dataset, "fold": setting.fold, "method": setting.method}
    rows, reasons = [], []
    for user in np.flatnonzero(np.diff(candidates.indptr)):
        start, stop = candidates.indptr[user], candidates.indptr[user + 1]
        items, predicted = candidates.indices[start:stop], found.asked[start:stop]
        tested = slice(test.indptr[user], test.indptr[user + 1])
        given = dict(zip(test.indices[tested], test.data[tested], strict=True))
        wanted = {item for who, item in pairs if who == user}
        order = best_items(predicted, items, popularity, len(items) if wanted else top)
        for rank, place in enumerate(order, start=1):
            item = int(items[place])
            if rank > top and item not in wanted:
                continue
            who: dict[str, Any] = keys | {"user": ids[user], "rank": rank}
            row = who | {"history": int(np.diff(train.indptr)[user]), "item": item}
            deviation = np.nan if found.deviations is None else found.deviations[start + place]
            row |= {"title": titles[item], "prediction": predicted[place], "sd": deviation}
            rows.append(row | {"rating": given.get(item, np.nan)})
            if rank <= REASONED or item in wanted:
                told = explain_pair(found, int(user), item, titles, ids)
                reasons.append(told.assign(**who))
    return (
        pd.DataFrame(rows, columns=COLUMNS["recommendations"]),
        pd.concat(reasons)[COLUMNS["reasons"]] if reasons else _empty("reasons"),
    )


def _empty(kind: str) -> pd.DataFrame:
    return pd.DataFrame(columns=COLUMNS[kind])


def explain_pair(
    found: Fit, user: int, item: int, titles: Sequence[str], ids: pd.Series
) -> pd.DataFrame:
    """The strongest reasons of one prediction, as rows kind, reason, similarity, … contribution.

    `kind` is `neighbour user` (reason: their id; rating: what they gave the item), `neighbour item`
    (reason: its title; rating: what the user gave it), `factor` (reason: its number in the
    `factors` table), `user` or `item` (their bias). `share` is a neighbour's weight, or a factor's
    or bias's part of the sum of absolute contributions; `contribution` is in rating units before a
    bounded output bounds it. A Bayesian method is told by its last draw.
    """
    parts = [part._asdict() for part in found.model.explain(user, item).parts[:REASONED]]
    table = pd.DataFrame(parts, columns=list(Part._fields))
    known: dict[str, dict[Any, Any]] = {
        "neighbour_user": ids.to_dict(),
        "neighbour_item": dict(enumerate(titles)),
    }
    reason = [
        str(number + 1) if kind == "factor" else known.get(kind, {}).get(number, "")
        for kind, number in zip(table["kind"], table["number"], strict=True)
    ]
    named = table["kind"].str.replace("_", " ")
    return table.assign(reason=reason, kind=named).drop(columns="number")


def factor_titles(
    setting: Setting,
    model: Model,
    train: sparse.csr_array,
    titles: Sequence[str],
    dataset: str = "",
) -> pd.DataFrame:
    """The titles at both ends of the strongest factors, as a `factors` table; empty without any.

    Only items with at least the median number of ratings are told; `share` is the factor's part of
    the sum of squares of all predicted deviations, Σ S² = ‖U Vᵀ‖². Of a Bayesian method, the last
    draw.
    """
    try:
        left, right = model.factors()
    except NotImplementedError:
        return _empty("factors")
    power = (left**2).sum(axis=0) * (right**2).sum(axis=0)
    known = known_items(train)
    rows: list[dict[str, object]] = []
    for place in range(min(FACTORS, right.shape[1])):
        loading = right[known, place]
        order = np.argsort(-loading, kind="stable")
        share = power[place] / max(float(power.sum()), 1e-30)
        for end, chosen in (("high", order[:ENDS]), ("low", order[::-1][:ENDS])):
            rows += [
                {
                    "factor": place + 1,
                    "share": share,
                    "end": end,
                    "rank": rank,
                    "title": titles[known[one]],
                    "loading": loading[one],
                }
                for rank, one in enumerate(chosen, start=1)
            ]
    keys = {"dataset": dataset, "fold": setting.fold, "method": setting.method}
    return pd.DataFrame(rows).assign(**keys)[COLUMNS["factors"]]


def item_similarities(model: Model, item: int) -> Floats | None:
    """How alike all items are to one under a method; None under a method that compares no items.

    Of item neighbours, the similarity that their predictions use; of a factorization, the cosine of
    the items' factors along principal axes, averaged over a Bayesian method's draws.
    """
    try:
        return model.similar_items(item)
    except NotImplementedError:
        return None


def similar_titles(
    setting: Setting,
    model: Model,
    train: sparse.csr_array,
    asked: Sequence[int],
    titles: Sequence[str],
    dataset: str = "",
) -> pd.DataFrame:
    """The nearest of each asked item among the known ones, as a `similar_titles` table."""
    known = known_items(train)
    rows = []
    for item in asked:
        similarity = item_similarities(model, item)
        if similarity is None:
            return _empty("similar_titles")
        others = known[known != item]
        order = np.argsort(-similarity[others], kind="stable")[:ENDS]
        rows += [
            {
                "dataset": dataset,
                "fold": setting.fold,
                "method": setting.method,
                "title": titles[item],
                "rank": rank,
                "similar": titles[others[place]],
                "similarity": similarity[others[place]],
            }
            for rank, place in enumerate(order, start=1)
        ]
    return pd.DataFrame(rows, columns=COLUMNS["similar_titles"])


def typical_items(train: sparse.csr_array, count: int = 3) -> list[int]:
    """The items with most training ratings; of equals the first."""
    counts = np.bincount(train.indices, minlength=train.shape[1])
    return [int(item) for item in np.argsort(-counts, kind="stable")[:count]]
