"""What is checked about the rows of a data set, and what is done about those that fail.

Every check counts, and each has a policy: stop, leave the rows out, or keep them. A row left out
is told with its file, line and bytes, so that rows read = rows kept + rows refused, always.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.data.lines import NO_DATE
from cfmf.data.parallel import even_groups, side_by_side

log = logging.getLogger(__name__)

PARTS = ("", "train", "test")
TRAIN, TEST = 1, 2
MEANING = {
    "malformed": "row that cannot be read as the layout says",
    "off_scale": "rating that is not on the scale",
    "unknown_user": "rating by a user who is not in the file of users",
    "unknown_item": "rating of an item that has no title",
    "duplicates": "rating of an item that the user has rated elsewhere in the same part",
    "test_in_train": "pair of the test part that is rated in the train part too",
    "test_only": "test rating of a user or item that the train part does not have",
    "unmatched_probe": "pair of probe.txt whose rating is not in the training set",
}
ADVICE = {
    "off_scale": "tell the scale of these ratings under `scale` of the data set",
    "unknown_user": "complete the file of users",
    "duplicates": "set audit.duplicates to `keep-last` to keep the latest of each",
}
SHOWN = 5
LONGEST_REFUSED = 1000

# Where a row stood: file, line number (from 1), bytes of the line.
Place = tuple[str, int, bytes]


@numba.njit(nogil=True, cache=True)
def _note_parts(index, part, keep, seen):  # type: ignore[no-untyped-def]
    """Set the bit of its part in `seen` at the index of every row that is kept."""
    for row in range(len(index)):
        if keep[row]:
            seen[index[row]] |= np.uint8(1) << part[row]


@numba.njit(nogil=True, cache=True)
def _note(index, seen):  # type: ignore[no-untyped-def]
    """Set `seen` at every index."""
    for row in range(len(index)):
        seen[index[row]] = True


@numba.njit(nogil=True, cache=True)
def _look_up(index, table, found):  # type: ignore[no-untyped-def]
    """Entries of a table at the given indices."""
    for row in range(len(index)):
        found[row] = table[index[row]]


def _unsigned(index: NDArray[Any]) -> NDArray[Any]:
    """The same bytes as unsigned numbers, with which compiled loops index several times faster."""
    return index.view(f"u{index.itemsize}")


def parts_seen(
    index: NDArray[Any], part: NDArray[np.int8], keep: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """In which parts each number of an index stands among the kept rows: bit p for PARTS[p]."""
    seen = np.zeros(int(index.max()) + 1 if len(index) else 0, np.uint8)
    _note_parts(_unsigned(index), _unsigned(part), keep, seen)
    return seen


def dense_index(
    ids: NDArray[Any], out: NDArray[np.int32] | None = None
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Sorted distinct ids, and the place of each id among them.

    Parameters
    ----------
    ids
        Whole numbers, not negative, or texts.
    out
        Where to put the places, int32; may be `ids` itself.
    """
    if len(ids) and ids.dtype.kind == "i" and ids.max() < max(1 << 22, 4 * len(ids)):
        seen = np.zeros(int(ids.max()) + 1, bool)
        _note(_unsigned(ids), seen)
        distinct = np.flatnonzero(seen)
        place = np.empty(len(seen), np.int32)
        place[distinct] = np.arange(len(distinct), dtype=np.int32)
        places = np.empty(len(ids), np.int32) if out is None else out
        _look_up(_unsigned(ids), place, places)
        return distinct, places
    sorted_ids, found = np.unique(ids, return_inverse=True)
    return sorted_ids, found.astype(np.int32)


@numba.njit(nogil=True, cache=True)
def _by_user(user, n_users, order):  # type: ignore[no-untyped-def]
    """Put rows sorted by user into `order`; returns the place at which each user's begin.

    Mostly a user's rows stand together. So the place of the user at hand is kept at hand: to write
    it to memory and read it back at every row would take longer than all the rest.
    """
    start = np.zeros(n_users + 1, np.int64)
    one, count = user[0], 0
    for row in range(len(user)):
        if user[row] != one:
            start[one + 1] += count
            one, count = user[row], 0
        count += 1
    start[one + 1] += count
    for index in range(n_users):
        start[index + 1] += start[index]
    filled = start[:-1].copy()
    one = user[0]
    place = np.uint64(filled[one])
    for row in range(len(user)):
        if user[row] != one:
            filled[one] = place
            one = user[row]
            place = np.uint64(filled[one])
        order[place] = row
        place += np.uint64(1)
    return start


@numba.njit(nogil=True, cache=True)
def _mark_repeated(order, start, item, users, n_items, repeated):  # type: ignore[no-untyped-def]
    """Mark the rows of some users whose item another row of that user has too."""
    last_user = np.full(n_items, -1, np.int32)
    last_row = np.zeros(n_items, np.uint32)
    for index in range(users[0], users[1]):
        for place in range(start[index], start[index + 1]):
            row = order[place]
            if last_user[item[row]] == index:
                repeated[row] = True
                repeated[last_row[item[row]]] = True
            last_user[item[row]] = index
            last_row[item[row]] = row


def repeated_pairs(
    user: NDArray[np.int32], item: NDArray[np.int32], threads: int = 1
) -> NDArray[np.bool_]:
    """Whether another row has the same user and item, for each row; time and memory O(rows).

    Parameters
    ----------
    user, item
        Dense indices, int32, one a row; fewer than 2^32 rows.
    threads
        Groups of users to look at side by side.
    """
    repeated = np.zeros(len(user), bool)
    if len(user):
        n_users, n_items = int(user.max()) + 1, int(item.max()) + 1
        order = np.empty(len(user), np.uint32)
        start = _by_user(_unsigned(user), n_users, order)

        def mark(users: tuple[int, int]) -> None:
            _mark_repeated(order, start, _unsigned(item), users, n_items, repeated)

        side_by_side(threads, mark, even_groups(start, threads))
    return repeated


class Checks:
    """Runs checks over the rows of a data set and remembers counts and refused rows.

    Parameters
    ----------
    policies
        The `audit` block of the data set's config.
    locate
        Tells the places of rows, by their numbers in source order.
    """

    def __init__(
        self, policies: Mapping[str, str], locate: Callable[[NDArray[np.int64]], list[Place]]
    ) -> None:
        self.policies = policies
        self.locate = locate
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
        # A line may have a mebibyte.
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
        told = [f", {reason}" for reason in reasons or []] or [""] * len(places)
        shown = "; ".join(
            f"{file} line {line}: {text[:80]!r}{reason}"
            for (file, line, text), reason in zip(places, told, strict=False)
        )
        more = f" and {count - len(places):,} more" if count > len(places) else ""
        return (
            f"{check}: {count:,} × {MEANING[check]} ({shown}{more});"
            f" {ADVICE.get(check, 'mend the file')}, or set audit.{check} of the data set to `drop`"
            " to leave such rows out and list them in refused.tsv"
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
    checks: Checks,
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    date: NDArray[np.int64],
    part: NDArray[np.int8],
    keep: NDArray[np.bool_],
    threads: int = 1,
) -> list[NDArray[np.uint8]]:
    """Duplicates, test pairs in train, and users or items in test only, in this order.

    Parameters
    ----------
    checks
        Where to count and refuse.
    user, item
        Dense indices of each row.
    date, part
        Seconds since 1970 (NO_DATE where there are none) and index into PARTS of each row.
    keep
        Rows still kept; changed in place.
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
    suspects = np.flatnonzero(repeated_pairs(user, item, threads) & keep)
    pairs = pd.DataFrame(
        {"user": user[suspects], "item": item[suspects], "part": part[suspects]}, index=suspects
    )
    repeated = pairs[pairs.duplicated(keep=False)]
    if len(repeated) and checks.policies["duplicates"] == "keep-last":
        if (date == NO_DATE).all():
            raise ValueError(
                "audit.duplicates is keep-last but the ratings have no dates; set it to error or"
                " drop, or declare the column of dates"
            )
        by_date = repeated.assign(date=date[repeated.index]).sort_values("date", kind="stable")
        repeated = by_date[by_date.duplicated(["user", "item", "part"], keep="last")]
    checks.apply("duplicates", np.sort(repeated.index.to_numpy()), keep)

    pairs = pairs[keep[pairs.index]]
    in_test = pairs.loc[pairs["part"] == TEST, ["user", "item"]].drop_duplicates()
    in_train = pairs.loc[pairs["part"] == TRAIN].reset_index().merge(in_test, on=["user", "item"])
    checks.apply("test_in_train", np.sort(in_train["index"].to_numpy(np.int64)), keep)

    seen = side_by_side(threads, lambda index: parts_seen(index, part, keep), (user, item))
    unseen = [one == 1 << TEST for one in seen]
    alone = np.zeros(0, np.int64)
    if any(one.any() for one in unseen):
        test_rows = np.flatnonzero(keep & (part == TEST))
        alone = test_rows[unseen[0][user[test_rows]] | unseen[1][item[test_rows]]]
    checks.apply("test_only", alone, keep)
    return seen
