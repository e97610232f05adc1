"""Why a method recommends what it does: what each part of a prediction adds to it, in titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.evaluation.fitting import Fit, Setting
from cfmf.models import Model
from cfmf.tables import COLUMNS

EXPLAINED = 3
"""Recommendations of a user that are explained, and parts that are shown of each."""
ENDS = 5
"""Titles at each end of a factor, and nearest titles of a title."""
FACTORS = 8
"""Factors that are shown, the strongest first."""
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Labels:
    """What users and items are called in the tables, by their numbers."""

    users: Sequence[str]
    items: Sequence[str]

    @classmethod
    def of(cls, users: pd.DataFrame, items: pd.DataFrame) -> Labels:
        """Ids of users (columns user, user_id) and titles of items; see `item_titles`."""
        ids = users.sort_values("user")["user_id"].astype(str)
        return cls(ids.tolist(), item_titles(items))


@dataclass(frozen=True)
class Wanted:
    """Whose recommendations are listed, and which.

    Attributes
    ----------
    candidates
        Users × items, CSR: the items that are ranked for each user with any.
    top
        How many recommendations of each user are listed.
    pairs
        User and item of further predictions to list and to explain, whatever their rank; what is
        no candidate is left out.
    """

    candidates: sparse.csr_array
    top: int
    pairs: Sequence[tuple[int, int]] = ()


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
    column = table[f"{what}_id"]
    whole = pd.api.types.is_integer_dtype(column)
    # As whole numbers, 007 in the raw files is 7.
    names = [one.lstrip("0") or "0" if whole and one.isdigit() else one for one in map(str, ids)]
    known = dict(zip(column.astype(str), table[what], strict=True))
    unknown = [one for one in names if one not in known]
    if unknown:
        raise ValueError(
            f"the config asks for {what} {', '.join(unknown)}, which the ratings do not have;"
            f" name {what}s by the ids of the raw files, in quotes if these are texts (YAML reads"
            " 007 as the number 7)"
        )
    return [int(known[one]) for one in names]


def pairs_of(
    queried: Sequence[Sequence[Any]], users: pd.DataFrame, items: pd.DataFrame
) -> list[tuple[int, int]]:
    """Numbers of user and item of the pairs that the config names by the ids of the data.

    Raises
    ------
    ValueError
        If the data has no such id.
    """
    who = numbers_of([user for user, _ in queried], users, "user")
    what = numbers_of([item for _, item in queried], items, "item")
    return list(zip(who, what, strict=True))


def typical_users(train: sparse.csr_array, test: sparse.csr_array) -> list[int]:
    """Of the users with ratings in both parts, the one with most in train, then with fewest.

    Ties go to the first; one user where there is no other, none where there is none.
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
    """Places of the highest predictions; ties go to the item with more ratings, then the first."""
    return np.lexsort((items, -popularity[items], -predictions))[:top]


def recommend(
    setting: Setting,
    found: Fit,
    wanted: Wanted,
    train: sparse.csr_array,
    test: sparse.csr_array,
    labels: Labels,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The items with the highest predictions for each user of `wanted`, and why.

    Parameters
    ----------
    found
        The fit that predicted the candidates.

    Returns
    -------
    recommendations
        `recommendations` table: `history` is the user's number of training ratings, `sd` the
        standard deviation that a Bayesian method predicts, `rating` the user's rating of the item
        in test (NaN where there is none).
    explanations
        `explanations` table of the first few of them and of the pairs; see `explain_pair`. Empty
        for a method that does not declare `explain`.
    """
    explains = "explain" in setting.method.can
    rows, explanations = [], []
    history = np.diff(train.indptr)
    for user in map(int, np.flatnonzero(np.diff(wanted.candidates.indptr))):
        named = {item for who, item in wanted.pairs if who == user}
        tested = slice(test.indptr[user], test.indptr[user + 1])
        given = dict(zip(test.indices[tested], test.data[tested], strict=True))
        for row in _ranked(user, found, wanted, train, named):
            item = row["item"]
            who = setting.keys | {"user": labels.users[user], "rank": row["rank"]}
            known = {"history": history[user], "title": labels.items[item]}
            rows.append(who | row | known | {"rating": given.get(item, np.nan)})
            if explains and (row["rank"] <= EXPLAINED or item in named):
                explained = explain_pair(found.model, user, item, labels)
                explanations += [who | part for part in explained]
    return (
        pd.DataFrame(rows, columns=COLUMNS["recommendations"]),
        pd.DataFrame(explanations, columns=COLUMNS["explanations"]),
    )


def _ranked(
    user: int, found: Fit, wanted: Wanted, train: sparse.csr_array, named: set[int]
) -> list[dict[str, Any]]:
    """Rank, item, prediction and sd of a user's recommendations and of the items that are named."""
    candidates = wanted.candidates
    mine = slice(candidates.indptr[user], candidates.indptr[user + 1])
    items, predicted = candidates.indices[mine], found.predictions[mine]
    sd = np.full(len(items), np.nan) if found.sd is None else found.sd[mine]
    popularity = np.bincount(train.indices, minlength=train.shape[1])
    order = best_items(predicted, items, popularity, len(items) if named else wanted.top)
    return [
        {"rank": rank, "item": int(items[at]), "prediction": predicted[at], "sd": sd[at]}
        for rank, at in enumerate(order, start=1)
        if rank <= wanted.top or items[at] in named
    ]


def explain_pair(model: Model, user: int, item: int, labels: Labels) -> list[dict[str, Any]]:
    """The strongest parts of one prediction, as rows kind, part, similarity, … contribution.

    `part` is the id of a neighbouring user, the title of a neighbouring item, or the number of a
    factor in the `factors` table; empty of the biases, whose kind is `user` or `item`. The other
    columns are those of `cfmf.models.Part`; what a Bayesian method explains is its last draw.
    """
    names = {
        "neighbour_user": lambda number: labels.users[number],
        "neighbour_item": lambda number: labels.items[number],
        "factor": lambda number: str(number + 1),
    }
    return [
        part._asdict() | {"part": names.get(part.kind, lambda number: "")(part.number)}
        for part in model.explain(user, item).parts[:EXPLAINED]
    ]


def factor_titles(
    setting: Setting, model: Model, train: sparse.csr_array, labels: Labels
) -> pd.DataFrame:
    """The titles at both ends of the strongest factors, as a `factors` table.

    Empty for a method that does not declare `factors`. Only items with at least the median number
    of ratings are listed; `share` is the factor's proportion of the sum of squares of all products
    of factors, Σ S² = ‖U Vᵀ‖². Of a Bayesian method, the last draw.
    """
    if "factors" not in setting.method.can:
        return pd.DataFrame(columns=COLUMNS["factors"])
    left, right = model.factors()
    power = (left**2).sum(axis=0) * (right**2).sum(axis=0)
    known = known_items(train)
    rows: list[Mapping[str, object]] = []
    for place in range(min(FACTORS, right.shape[1])):
        loading = right[known, place]
        order = np.argsort(-loading, kind="stable")
        factor = {"factor": place + 1, "share": power[place] / max(float(power.sum()), 1e-30)}
        for end, chosen in (("high", order[:ENDS]), ("low", order[::-1][:ENDS])):
            for rank, one in enumerate(chosen, start=1):
                shown = {"title": labels.items[known[one]], "loading": loading[one]}
                rows.append(setting.keys | factor | {"end": end, "rank": rank} | shown)
    return pd.DataFrame(rows, columns=COLUMNS["factors"])


def similar_titles(
    setting: Setting,
    model: Model,
    train: sparse.csr_array,
    queried: Sequence[int],
    labels: Labels,
) -> pd.DataFrame:
    """The nearest of each queried item among the known ones, as a `similar_titles` table.

    Empty for a method that does not declare `similar_items`.
    """
    known = known_items(train)
    rows: list[Mapping[str, object]] = []
    for item in queried if "similar_items" in setting.method.can else ():
        similarity = model.similar_items(item)
        others = known[known != item]
        order = np.argsort(-similarity[others], kind="stable")[:ENDS]
        for rank, place in enumerate(order, start=1):
            other = others[place]
            pair = {"title": labels.items[item], "rank": rank, "similar": labels.items[other]}
            rows.append(setting.keys | pair | {"similarity": similarity[other]})
    return pd.DataFrame(rows, columns=COLUMNS["similar_titles"])


def typical_items(train: sparse.csr_array, count: int = 3) -> list[int]:
    """The items with most training ratings; ties go to the first."""
    counts = np.bincount(train.indices, minlength=train.shape[1])
    return [int(item) for item in np.argsort(-counts, kind="stable")[:count]]
