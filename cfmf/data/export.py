"""A fold as one plain table, for tools that know nothing of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfmf.data.splits import PARTS, Fold
from cfmf.files import atomic_write


def fold_table(
    ratings: pd.DataFrame, users: pd.Series, items: pd.Series, fold: Fold, name: str
) -> pd.DataFrame:
    """Every rating of a fold with its part; the ratings of the test part are left out.

    Without them a tool can neither train nor be tuned on test by mistake.

    Parameters
    ----------
    ratings
        Columns user and item (numbers), rating, and date.
    users, items
        Raw ids by the numbers of users and items.
    fold
        Row numbers of each part.
    name
        Of the fold.

    Returns
    -------
    Columns fold, part (fit, validation or test), user, item (raw ids), rating (float32, missing in
    test), and date where any rating has one; in order of the parts and of the rows of `ratings`.
    """
    tables = []
    for part in PARTS:
        rows = ratings.iloc[getattr(fold, part)]
        ids = {"user": users.to_numpy()[rows["user"]], "item": items.to_numpy()[rows["item"]]}
        known: dict[str, Any] = {"rating": np.nan if part == "test" else rows["rating"].to_numpy()}
        if ratings["date"].notna().any():
            known["date"] = rows["date"].to_numpy()
        tables.append(pd.DataFrame({"fold": name, "part": part, **ids, **known}))
    return pd.concat(tables, ignore_index=True).astype({"rating": np.float32})


def write_fold(path: str | Path, table: pd.DataFrame) -> None:
    """Write what `fold_table` returned as CSV or Parquet, by the end of the path's name."""
    with atomic_write(path) as temporary:
        if Path(path).suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False, lineterminator="\n")
