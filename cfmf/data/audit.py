"""The checks of a data set's rows, and what happens to rows that fail.

Every check counts, and each has a policy: stop, leave the rows out, or keep them. A row left out
is listed with its file, line and bytes, so that rows read = rows kept + rows refused, always.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.data.dates import NO_DATE
from cfmf.data.parallel import ROWS_AT_ONCE, even_groups, in_threads, key_starts, pieces, rows_of

log = logging.getLogger(__name__)

PARTS = ("", "train", "test")
TRAIN, TEST = 1, 2
MEANING = {
    "malformed": "row that cannot be read in the layout of its file",
    "off_scale": "rating that is not on the scale",
    "unknown_user": "rating by a user who is not in the file of users",
    "unknown_item": "rating of an item that has no title",
    "duplicates": "rating of an item that the user has rated elsewhere in the same part",
    "test_in_train": "pair of the test part that is also rated in the train part",
    "test_only": "test rating of a user or item that the train part does not have",
    "unmatched_probe": "pair of probe.txt whose rating is not in the training set",
    "constant": "rating of a data set whose ratings are all equal",
}
ADVICE = {
    "off_scale": "set the scale of these ratings under `scale` of the data set",
    "unknown_user": "add the missing users to users.txt",
    "duplicates": "set audit.duplicates to `keep-last` to keep the latest of each",
}
FEWEST = 2
SHOWN = 5
LONGEST_REFUSED = 1000

# Where a row is from: file, line number (from 1), bytes of the line.
Place = tuple[str, int, bytes]


@dataclass(frozen=True)
class Pairs:
    """Rows of ratings without their values.

    `user` and `item` are dense indices (int32), `date` microseconds since 1970 (int64, `NO_DATE`
    if there is none) and `part` an index into `PARTS` (int8).
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    date: NDArray[np.int64]
    part: NDArray[np.int8]


def parts_seen(
    index: NDArray[Any], part: NDArray[np.int8], keep: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The parts that each number of an index occurs in among the kept rows: bit p for PARTS[p]."""
    seen = np.zeros(int(index.max()) + 1 if len(index) else 0, np.uint8)
    for rows in pieces(len(index)):
        for number in range(len(PARTS)):
            seen[index[rows][keep[rows] & (part[rows] == number)]] |= 1 << number
    return seen


def dense_index(
    ids: NDArray[Any], out: NDArray[np.int32] | None = None
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Sorted distinct ids, and the position of each id among them.

    Parameters
    ----------
    ids
        Whole numbers, not negative.
    out
        Where to write the positions, int32; may be `ids` itself.
    """
    if len(ids) and ids.max() < max(1 << 22, 4 * len(ids)):
        seen = np.zeros(int(ids.max()) + 1, bool)
        for rows in pieces(len(ids)):
            seen[ids[rows]] = True
        distinct = np.flatnonzero(seen)
        position = np.empty(len(seen), np.int32)
        position[distinct] = np.arange(len(distinct), dtype=np.int32)
        positions = np.empty(len(ids), np.int32) if out is None else out
        for rows in pieces(len(ids)):
            positions[rows] = position[ids[rows]]
        return distinct, positions
    distinct, found = np.unique(ids, return_inverse=True)
    return distinct, found.astype(np.int32)


def repeated_pairs(
    user: NDArray[np.int32], item: NDArray[np.int32], threads: int = 1
) -> NDArray[np.bool_]:
    """Whether another row has the same user and item, for each row.

    Parameters
    ----------
    user, item
        Dense indices, one a row.
    threads
        Groups of users to sort at the same time; memory is a group's rows for each.
    """
    repeated = np.zeros(len(user), bool)
    if len(user):
        start = key_starts(user, int(user.max()) + 1)

        def mark(users: tuple[int, int]) -> None:
            rows = rows_of(user, users)
            keys = user[rows].astype(np.int64) << 32 | item[rows]
            ordered = np.sort(keys)
            twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
            if len(twice):
                repeated[rows[np.isin(keys, twice)]] = True

        groups = even_groups(start, max(threads, -(-len(user) // (4 * ROWS_AT_ONCE))))
        in_threads(threads, mark, groups)
    return repeated


class Checks:
    """The checks of the rows of a data set, with counts and refused rows.

    Parameters
    ----------
    policies
        The `audit` block of the data set's config.
    locate
        Returns the places of rows, by their numbers in source order.
    """

    def __init__(
        self, policies: Mapping[str, str], locate: Callable[[NDArray[np.int64]], list[Place]]
    ) -> None:
        self.policies = policies
        self.locate = locate
        self.advice = dict(ADVICE)
        self.counts: dict[str, int] = dict.fromkeys(MEANING, 0)
        self.refused: list[tuple[Place, str]] = []

    def refuse(self, check: str, places: list[Place], reasons: list[str] | None = None) -> None:
        """Count rows that fail a check, and leave them out.

        Raises
        ------
        ValueError
            If there are any and the policy is `error`.
        """
        self.counts[check] += len(places)
        if places and self.policies[check] == "error":
            raise ValueError(self.complaint(check, places[:SHOWN], len(places), reasons))
        # A line may be as long as a mebibyte.
        places = [(file, line, text[:LONGEST_REFUSED]) for file, line, text in places]
        self.refused += zip(places, reasons or [MEANING[check]] * len(places), strict=True)

    def apply(self, check: str, rows: NDArray[np.int64], keep: NDArray[np.bool_]) -> None:
        """Count the rows that fail a check, and clear them in `keep` where the policy is to drop.

        Raises
        ------
        ValueError
            If there are such rows and the policy is `error`.
        """
        policy = self.policies[check]
        if not len(rows) or policy == "keep":
            self.counts[check] += len(rows)
        elif policy == "error":
            self.counts[check] += len(rows)
            raise ValueError(self.complaint(check, self.locate(rows[:SHOWN]), len(rows)))
        else:
            keep[rows] = False
            self.refuse(check, self.locate(rows))

    def complaint(
        self, check: str, places: list[Place], count: int, reasons: list[str] | None = None
    ) -> str:
        """What is wrong, where, and what to do about it."""
        causes = [f", {reason}" for reason in reasons or []] or [""] * len(places)
        shown = "; ".join(
            f"{file} line {line}: {text[:80]!r}{reason}"
            for (file, line, text), reason in zip(places, causes, strict=False)
        )
        more = f" and {count - len(places):,} more" if count > len(places) else ""
        return (
            f"{check}: {count:,} × {MEANING[check]} ({shown}{more});"
            f" {self.advice.get(check, 'correct the file')}, or set audit.{check} of the data set"
            " to `drop` to leave such rows out and list them in refused.tsv"
        )

    def summary(self) -> dict[str, dict[str, Any]]:
        """Count, policy and meaning of every check, for audit.json."""
        return {
            check: {
                "count": self.counts[check],
                "policy": self.policies[check],
                "meaning": meaning,
            }
            for check, meaning in MEANING.items()
        }


def check_pairs(
    checks: Checks, rows: Pairs, keep: NDArray[np.bool_], threads: int = 1
) -> list[NDArray[np.uint8]]:
    """Check for duplicates, test pairs in train, and users or items in test only, in this order.

    Parameters
    ----------
    checks
        Where to count and refuse.
    rows
        The rows to check.
    keep
        Which rows are still kept; changed in place.
    threads
        Cores to use.

    Returns
    -------
    `parts_seen` of the users and of the items, before rows of test_only were left out.

    Raises
    ------
    ValueError
        If rows fail a check whose policy is `error`, or duplicates are to be decided by dates and
        there are none.
    """
    user, item, part = rows.user, rows.item, rows.part
    suspects = np.flatnonzero(repeated_pairs(user, item, threads) & keep)
    pairs = pd.DataFrame(
        {"user": user[suspects], "item": item[suspects], "part": part[suspects]}, index=suspects
    )
    checks.apply("duplicates", _duplicates(checks, pairs, rows.date), keep)

    pairs = pairs[keep[pairs.index]]
    in_test = pairs.loc[pairs["part"] == TEST, ["user", "item"]].drop_duplicates()
    in_train = pairs.loc[pairs["part"] == TRAIN].reset_index().merge(in_test, on=["user", "item"])
    checks.apply("test_in_train", np.sort(in_train["index"].to_numpy(np.int64)), keep)

    seen = in_threads(threads, lambda index: parts_seen(index, part, keep), (user, item))
    unseen = [one == 1 << TEST for one in seen]
    test_only = np.zeros(0, np.int64)
    if any(one.any() for one in unseen):
        test_rows = np.flatnonzero(keep & (part == TEST))
        test_only = test_rows[unseen[0][user[test_rows]] | unseen[1][item[test_rows]]]
    checks.apply("test_only", test_only, keep)
    return seen


def choose_subset(
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    keep: NDArray[np.bool_],
    subset: Mapping[str, Any],
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which kept rows a study uses, and what is left out.

    Parameters
    ----------
    user, item
        Dense indices, one a row.
    keep
        The rows that passed the checks.
    subset
        The `subset` block of the data set's config.

    Returns
    -------
    Whether each row is used; the numbers of ratings, users and items that are left out, and how
    often those with too few ratings were counted.
    """
    chosen = keep.copy()
    sides = (user, item)
    before = [np.count_nonzero(_counts(side, keep)) for side in sides]
    for side, most in zip(sides, (subset["users"], subset["items"]), strict=True):
        if most and len(side):
            among = np.zeros(int(side.max()) + 1, bool)
            among[np.argsort(-_counts(side, keep), kind="stable")[:most]] = True
            chosen &= among[side]
    fewest, rounds = subset["minimum_ratings"], 0
    limits = (fewest["user"], fewest["item"])
    while max(limits) > 1:
        counts = [_counts(side, chosen) for side in sides]
        rounds += 1
        short = [(n > 0) & (n < limit) for n, limit in zip(counts, limits, strict=True)]
        if not any(one.any() for one in short):
            break
        for side, few in zip(sides, short, strict=True):
            chosen &= ~few[side]
        if not fewest["repeat"]:
            break
    after = [np.count_nonzero(_counts(side, chosen)) for side in sides]
    return chosen, {
        "ratings": int(np.count_nonzero(keep) - np.count_nonzero(chosen)),
        "users": int(before[0] - after[0]),
        "items": int(before[1] - after[1]),
        "rounds": rounds,
    }


def _counts(index: NDArray[np.int32], keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Kept rows of each number of an index."""
    size = int(index.max()) + 1 if len(index) else 0
    found = np.zeros(size, np.int64)
    for rows in pieces(len(index)):
        found += np.bincount(index[rows][keep[rows]], minlength=size)
    return found


def check_variety(ratings: pd.DataFrame, policy: str) -> int:
    """Check that ratings can be studied at all: of several users and items, and not all equal.

    Parameters
    ----------
    ratings
        All ratings of the study, at least one: user and item (dense int32), rating.
    policy
        `audit.constant` of the data set: `error`, or `keep` for ratings that are all equal.

    Returns
    -------
    The number of ratings if all are equal, else 0.

    Raises
    ------
    ValueError
        If there are too few users or items, or the ratings are all equal and the policy is `error`.
    """
    every = np.ones(len(ratings), bool)
    for side, by in (("user", "by"), ("item", "of")):
        if np.count_nonzero(_counts(ratings[side].to_numpy(), every)) < FEWEST:
            raise ValueError(
                f"all {len(ratings):,} ratings are {by} one {side}, but a study needs at least"
                f" {FEWEST} {side}s; check `table.columns.{side}`, and the numbers under `subset`,"
                " of the data set"
            )
    rating = ratings["rating"].to_numpy()
    if rating.min() < rating.max():
        return 0
    told = (
        f"all {len(rating):,} ratings are {rating[0]:g}: every method predicts them without error,"
        " so the methods cannot be compared"
    )
    if policy == "error":
        raise ValueError(
            f"constant: {told}; check that `table.columns.rating` is the column of ratings, or set"
            " audit.constant of the data set to `keep` to run the study all the same"
        )
    log.warning("%s", told)
    return len(rating)


def _duplicates(checks: Checks, pairs: pd.DataFrame, date: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of pairs that are rated more than once in a part; with keep-last all but the latest."""
    repeated = pairs[pairs.duplicated(keep=False)]
    if len(repeated) and checks.policies["duplicates"] == "keep-last":
        if (date == NO_DATE).all():
            raise ValueError(
                "audit.duplicates is keep-last but the ratings have no dates; set it to error or"
                " drop, or set the column of dates under table.columns"
            )
        by_date = repeated.assign(date=date[repeated.index]).sort_values("date", kind="stable")
        repeated = by_date[by_date.duplicated(["user", "item", "part"], keep="last")]
    return np.sort(repeated.index.to_numpy())
