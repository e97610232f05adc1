"""Ratings of any data frame, numbered as the package expects; no config and no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfmf.data.dates import LAST


@dataclass(frozen=True)
class Numbered:
    """Ratings whose users and items are numbers from 0.

    Attributes
    ----------
    ratings
        Columns user and item (int32), rating (float32) and date (NaT if there is none), rows in
        the given order: the input of `cfmf.data.splits.split` and
        `cfmf.data.matrices.fold_matrices`.
    users, items
        Ids by number, sorted.
    """

    ratings: pd.DataFrame
    users: pd.Index
    items: pd.Index

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of users and items."""
        return len(self.users), len(self.items)


def number_ratings(
    frame: pd.DataFrame,
    user: str = "user",
    item: str = "item",
    rating: str = "rating",
    date: str | None = None,
) -> Numbered:
    """Number the users and items of a table of ratings.

    Parameters
    ----------
    frame
        One row a rating.
    user, item, rating, date
        Names of its columns. Ids may be of any type that can be sorted; dates any that pandas
        reads, or numbers of seconds since 1970.

    Raises
    ------
    ValueError
        If a column is missing, an id or a rating is missing or not finite, or a pair occurs twice.
    """
    wanted = [name for name in (user, item, rating, date) if name is not None]
    if missing := [name for name in wanted if name not in frame]:
        raise ValueError(
            f"the table has no column {', '.join(missing)}; its columns are {list(frame)}"
        )
    if frame[[user, item]].isna().to_numpy().any():
        raise ValueError(f"the {user} or {item} of a row is missing; remove such rows")
    values = pd.to_numeric(frame[rating]).to_numpy(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("a rating is not a finite number; remove such rows")
    if twice := int(frame.duplicated([user, item]).sum()):
        raise ValueError(f"{twice} ratings are of a pair already rated above; keep one of each")
    users, items = (pd.Index(frame[name].unique()).sort_values() for name in (user, item))
    ratings = pd.DataFrame(
        {
            "user": users.get_indexer(frame[user]).astype(np.int32),
            "item": items.get_indexer(frame[item]).astype(np.int32),
            "rating": values,
            "date": _dates(frame[date]) if date else pd.NaT,
        }
    )
    return Numbered(ratings, users, items)


def _dates(column: pd.Series) -> NDArray[np.datetime64]:
    """Dates, in UTC; numbers are seconds since 1970."""
    if pd.api.types.is_numeric_dtype(column):
        largest = column.abs().max()
        if largest > LAST / 1e6:
            raise ValueError(
                f"{largest} in column {column.name!r} is not a number of seconds since 1970;"
                " convert the dates with pandas.to_datetime(…, unit=…), its unit ms, us or ns"
            )
        return pd.to_datetime(column, unit="s").to_numpy()
    try:
        return pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy()
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"column {column.name!r} is not one of dates ({error}); convert it with"
            " pandas.to_datetime first"
        ) from None
