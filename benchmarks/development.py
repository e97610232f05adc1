"""Ratings to develop on: synthetic ones whose truth is known, and public ones where there are any.

Folds have the parts of `cfmf.training.Run`. Defaults are chosen on `validation` only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cfmf.data.formats import read
from cfmf.data.matrices import fold_matrices
from cfmf.data.sources import retrieve
from cfmf.data.splits import split
from cfmf.training import Run
from cfmf.workflow.config import completed

VALIDATION, SEED = 0.1, 42
SHAPES: dict[str, dict[str, Any]] = {
    "sparse": {"users": 6000, "items": 400, "train": 18_000, "test": 6000},
    "usual": {"users": 900, "items": 600, "train": 60_000, "test": 15_000},
    "dense": {"users": 400, "items": 200, "train": 40_000, "test": 8000},
}
"""Three training ratings a user, about as many as in MovieLens 100K, and half of all pairs."""
RANK = {"rank": 10, "signal": 0.6, "bias": 0.4, "noise": 0.7}
PUBLIC = {
    "ml-100k": ("ml-100k/u.data", "\t", {"kind": "official", "folds": 5}),
    "movietweetings": ("movietweetings/ratings.dat", "::", {"kind": "kfold", "folds": 5}),
    "ml-1m": ("ml-1m/ml-1m_user_movie_rating.csv.gz", ",", {"kind": "kfold", "folds": 5}),
}


class Synthetic(NamedTuple):
    """A synthetic fold, and the RMSE on its test ratings of the best predictions there can be."""

    run: Run
    oracle_rmse: float


def synthetic(seed: int = 1, **settings: Any) -> Synthetic:
    """Ratings of `cfmf.data.synthetic`, and what is known of them.

    Parameters
    ----------
    settings
        Of the `synthetic` block of a config: users, items, train, test, rank, signal, bias, noise.
    """
    block = completed({"source": "synthetic", "synthetic": {**settings, "seed": seed}})
    with tempfile.TemporaryDirectory() as temporary:
        facts = retrieve(block, Path(temporary) / "raw")
        parsed = read(Path(temporary) / "raw", block)
    rule = {"kind": "predefined", "folds": 1}
    [run] = runs(parsed.ratings, rule)
    return Synthetic(run, float(facts["truth"]["oracle_rmse"]))


def public(folder: Path, name: str, folds: int, users: int | None = None) -> list[Run]:
    """The first folds of a public data set; of so many users drawn from it, where given."""
    path, separator, rule = PUBLIC[name]
    columns = ["user", "item", "rating"]
    table = pd.read_csv(
        folder / path,
        sep=separator,
        header=0 if path.endswith(".csv.gz") else None,
        usecols=[0, 1, 2],
        engine="python" if len(separator) > 1 else "c",
    )
    table.columns = pd.Index(columns)
    if users is not None:
        known = np.random.default_rng(SEED).permutation(table["user"].unique())[:users]
        table = table[table["user"].isin(known)]
    for column in columns[:2]:
        table[column] = np.unique(table[column], return_inverse=True)[1].astype(np.int32)
    return runs(table.astype({"rating": np.float32}).reset_index(drop=True), rule)[:folds]


def runs(ratings: pd.DataFrame, rule: Mapping[str, Any]) -> list[Run]:
    """The folds of a rule, with seed 1 of their methods."""
    rule = {**rule, "validation": VALIDATION, "seed": SEED}
    shape = tuple(int(ratings[name].max()) + 1 for name in ("user", "item"))
    return [
        Run(name, 1, **dict(fold_matrices(ratings, fold, *shape)))
        for name, fold in split(ratings, rule).items()
    ]
