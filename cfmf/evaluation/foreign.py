"""Predictions of any tool, given as files `user,item,prediction`: read, checked and scored.

A file is taken as it is or refused whole: it has every queried pair once and no other, and every
prediction is a finite number. Ids are those of the raw ratings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.metrics import score
from cfmf.observed import pairs
from cfmf.tables import COLUMNS

NEEDED = ("user", "item", "prediction")
TEXT_ENDS = {".csv": ",", ".tsv": "\t"}
PARQUET_ENDS = (".parquet", ".pq")
PACKED = (".gz", ".bz2", ".xz")
LARGEST = float(np.finfo(np.float32).max)


class Judged(NamedTuple):
    """Tables of foreign predictions: those of a method at its chosen setting."""

    metrics: pd.DataFrame
    selection: pd.DataFrame
    costs: pd.DataFrame
    predictions: pd.DataFrame


def read_predictions(path: str | Path) -> pd.DataFrame:
    """The table of a file of predictions: columns user, item (as written) and prediction.

    Parameters
    ----------
    path
        CSV or TSV, perhaps compressed, with a heading, or Parquet. Other columns are ignored.

    Raises
    ------
    ValueError
        If the file cannot be read, or lacks a column.
    """
    path = Path(path)
    ends = [one.lower() for one in path.suffixes if one.lower() not in PACKED]
    end = ends[-1] if ends else ""
    if end not in (*TEXT_ENDS, *PARQUET_ENDS):
        raise ValueError(f"{path} is neither .csv, .tsv nor .parquet; rename or convert it")
    try:
        if end in PARQUET_ENDS:
            found = pd.read_parquet(path)
        else:
            # Only an empty field is no value: an id may be NA.
            found = pd.read_csv(
                path, sep=TEXT_ENDS[end], dtype=str, keep_default_na=False, encoding="utf-8-sig"
            )
    except Exception as error:  # of the file system, of codecs and of parsers
        raise ValueError(f"{path} cannot be read ({error}); write it again") from error
    missing = [name for name in NEEDED if list(found.columns).count(name) != 1]
    if missing:
        raise ValueError(
            f"{path} has the columns {', '.join(map(str, found.columns))}; it needs one named"
            f" {' and one named '.join(missing)}"
        )
    return found[[*NEEDED]]


def in_order(found: pd.DataFrame, wanted: pd.DataFrame, where: str) -> NDArray[np.float32]:
    """The predictions of a table in the order of the queried pairs.

    Parameters
    ----------
    found
        Columns user, item and prediction, in any order of rows.
    wanted
        Columns user and item: the queried pairs, no pair twice.
    where
        Name of the table, for messages.

    Returns
    -------
    One prediction for each row of `wanted`, not clipped to any scale.

    Raises
    ------
    ValueError
        If a pair is missing, twice, or not queried, or a prediction is not a finite number; the
        message has the first row at fault, counted from 1 without the heading.
    """
    numbers = {name: pd.Index(wanted[name].unique()) for name in ("user", "item")}
    keys, known = (_keys(table, numbers) for table in (found, wanted))
    place = pd.Index(known).get_indexer(pd.Index(keys))
    _refuse(place < 0, found, where, "is not a queried pair", "leave out what is not asked for")
    _refuse(pd.Series(place).duplicated(), found, where, "occurs twice", "write each pair once")
    if len(found) < len(wanted):
        absent = np.ones(len(wanted), dtype=bool)
        absent[place] = False
        first = wanted.iloc[int(np.argmax(absent))]
        raise ValueError(
            f"{where} lacks {absent.sum():,} of {len(wanted):,} pairs, the first is user"
            f" {first['user']} and item {first['item']}; predict every queried pair"
        )
    values = pd.to_numeric(found["prediction"], errors="coerce").to_numpy(np.float64)
    finite = np.isfinite(values) & (np.abs(np.nan_to_num(values)) <= LARGEST)
    what = "has a prediction that is not a finite number"
    _refuse(~finite, found, where, what, "predict a number for every pair")
    ordered = np.empty(len(wanted), np.float32)
    ordered[place] = values
    return ordered


def _keys(table: pd.DataFrame, numbers: Mapping[str, pd.Index]) -> NDArray[np.int64]:
    """A number for every row of a table by its pair; -1 where an id is unknown."""
    user, item = (index.get_indexer(_as_ids(table[name], index)) for name, index in numbers.items())
    known = (user >= 0) & (item >= 0)
    return np.where(known, user.astype(np.int64) * len(numbers["item"]) + item, -1)


def _as_ids(column: pd.Series, index: pd.Index) -> pd.Index:
    """Ids as whole numbers where the raw ratings have such, else as text."""
    if pd.api.types.is_integer_dtype(index):
        return pd.Index(pd.to_numeric(column, errors="coerce"))
    return pd.Index(column.astype(str))


def _refuse(faulty: object, found: pd.DataFrame, where: str, what: str, remedy: str) -> None:
    rows = np.flatnonzero(np.asarray(faulty))
    if len(rows):
        first = found.iloc[int(rows[0])]
        more = f"; so have {len(rows) - 1:,} more rows" if len(rows) > 1 else ""
        raise ValueError(
            f"{where}, row {rows[0] + 1}: user {first['user']}, item {first['item']},"
            f" prediction {first['prediction']} {what}{more}; {remedy}"
        )


def queried_pairs(test: sparse.csr_array, users: pd.Series, items: pd.Series) -> pd.DataFrame:
    """Raw ids of the stored entries of a matrix, in its CSR order: columns user and item.

    Parameters
    ----------
    users, items
        Raw ids by the numbers of users and items.
    """
    user, item = pairs(test)
    return pd.DataFrame({"user": users.to_numpy()[user], "item": items.to_numpy()[item]})


def judge(
    name: str,
    dataset: str,
    seeds: Sequence[str],
    predicted: Mapping[str, Mapping[str, NDArray[np.float32]]],
    tests: Mapping[str, sparse.csr_array],
    scale: tuple[float, float],
) -> Judged:
    """Tables of foreign predictions, as those of a method at the setting that validation chose.

    Nothing is known of how they were made: neither a setting nor an error on validation, nor costs.

    Parameters
    ----------
    name
        Of the predictions, as tables call them.
    seeds
        Those of the predictions; one empty text without any.
    predicted
        By fold and seed, in the CSR order of the fold's test matrix.
    tests
        Test matrix by fold.
    scale
        Lowest and highest rating that can be given.
    """
    metrics, choices, predictions = [], [], []
    for fold, of_seeds in predicted.items():
        keys = {"dataset": dataset, "fold": fold, "method": name, "k": "", "reg": ""}
        for seed in seeds:
            values = of_seeds[seed]
            metrics += [
                {**keys, "seed": seed, "split": "test", "metric": metric, "value": value}
                for metric, value in score(values, tests[fold].data, scale).items()
            ]
            predictions.append(pd.DataFrame({"fold": fold, "seed": seed, "prediction": values}))
        unknown = {"setting": "", "edge": "", "epochs": np.nan, "validation_rmse": np.nan}
        choices.append({**keys, **unknown, "seed": seeds[0], "start": 0, "out_of_time": False})
    return Judged(
        pd.DataFrame(metrics)[COLUMNS["metrics"]],
        pd.DataFrame(choices)[COLUMNS["selection"]],
        pd.DataFrame(columns=COLUMNS["costs"]),
        pd.concat(predictions, ignore_index=True),
    )
