"""What is known beside the ratings: their dates, and attributes of users and of items."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cfmf.files import atomic_write
from cfmf.observed import row_numbers

Use = Literal["dates", "user_attributes", "item_attributes"]
USES: dict[Use, str] = {"dates": "days", "user_attributes": "users", "item_attributes": "items"}
"""What a method may use beside the ratings, and the matrix of `Side` that has it."""


@dataclass(frozen=True, eq=False)
class Side:
    """What is known of a data set beside its ratings.

    Attributes
    ----------
    days
        Users × items, CSR, int32: the day of every dated rating of the data set, those of the test
        parts too, counted from 1 on the day (UTC) of the first. Other pairs are not stored. Only
        the days of training pairs, and those of a pair that is predicted, may be used: which pairs
        have a day tells who rated what in the test part.
    users, items
        Users (items) × attributes, CSR, float32: 1 where a user (item) has an attribute. The values
        of a category are one attribute each, and a number is the range that it is in.
    user_names, item_names
        Names of these columns, such as `occupation=writer`.
    """

    days: sparse.csr_array | None = None
    users: sparse.csr_array | None = None
    items: sparse.csr_array | None = None
    user_names: tuple[str, ...] = ()
    item_names: tuple[str, ...] = ()

    def only(self, uses: Collection[str]) -> Side:
        """With nothing but what a method declares to use.

        Raises
        ------
        ValueError
            If some of it is not known.
        """
        missing = [use for use, name in USES.items() if use in uses and getattr(self, name) is None]
        if missing:
            raise ValueError(
                f"the data set has no {' and no '.join(missing).replace('_', ' ')}; choose methods"
                " that do not use them"
            )
        dropped: dict[str, Any] = {name: None for use, name in USES.items() if use not in uses}
        dropped |= {"user_names": ()} if "users" in dropped else {}
        dropped |= {"item_names": ()} if "items" in dropped else {}
        return replace(self, **dropped)

    def rows(self, users: NDArray[Any], items: NDArray[Any] | None = None) -> Side:
        """For a matrix with these users, and these items, in this order."""
        days, of_users, of_items = self.days, self.users, self.items
        if days is not None:
            days = days[users] if items is None else days[users][:, items]
            days.sort_indices()
        if of_users is not None:
            of_users = of_users[users]
        if of_items is not None and items is not None:
            of_items = of_items[items]
        return replace(self, days=days, users=of_users, items=of_items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that is known, as a file of `save_side` holds it."""
        arrays: dict[str, Any] = {
            "user_names": np.array(self.user_names, np.str_),
            "item_names": np.array(self.item_names, np.str_),
        }
        for name in USES.values():
            matrix = getattr(self, name)
            if matrix is not None:
                arrays[f"{name}_shape"] = np.array(matrix.shape, np.int64)
                for part in ("data", "indices", "indptr"):
                    arrays[f"{name}_{part}"] = getattr(matrix, part)
        return arrays


def usual_days(days: sparse.csr_array, train: sparse.csr_array) -> NDArray[np.int32]:
    """The day of each user's pairs without a date, int32: that of the last dated training rating.

    A user without one has the last of all days.

    Parameters
    ----------
    days
        As in `Side`.
    train
        Users × items, CSR: the training ratings.
    """
    users = row_numbers(train)
    at, found = stored(days, users, train.indices)
    last = np.zeros(train.shape[0], np.int32)
    np.maximum.at(last, users[found], days.data[at[found]])
    last[last == 0] = days.data.max(initial=1)
    return last


def pair_days(
    days: sparse.csr_array, usual: NDArray[np.int32], users: NDArray[Any], items: NDArray[Any]
) -> NDArray[np.int32]:
    """The day of each queried pair, int32; of one without a date, what `usual_days` found."""
    at, found = stored(days, users, items)
    return np.where(found, days.data[at], usual[users]) if days.nnz else usual[users]


def stored(
    matrix: sparse.csr_array, rows: NDArray[Any], columns: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Place in a CSR matrix with sorted indices of each queried entry, and whether it is stored."""
    known = row_numbers(matrix).astype(np.int64) * matrix.shape[1] + matrix.indices
    wanted = np.asarray(rows, np.int64) * matrix.shape[1] + columns
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


def save_side(path: str | Path, side: Side) -> None:
    """Write it as `.npz`, whole or not at all."""
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **side.arrays())


def load_side(path: str | Path, uses: Collection[str] = tuple(USES)) -> Side | None:
    """Read what a method uses from a file of `save_side`; None where it uses nothing.

    Raises
    ------
    ValueError
        If the file holds something else or is damaged, or lacks what is used.
    """
    if not uses:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        found: dict[str, Any] = {
            name: sparse.csr_array(
                tuple(arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr")),
                shape=tuple(arrays[f"{name}_shape"].tolist()),
            )
            for name in USES.values()
            if f"{name}_shape" in arrays
        }
        found |= {key: tuple(arrays[key].tolist()) for key in ("user_names", "item_names")}
    except Exception as error:  # whatever NumPy and SciPy raise of damaged files
        raise ValueError(
            f"{path} is not a readable file of dates and attributes ({error}); delete it and run"
            " again"
        ) from error
    return Side(**found).only(uses)
