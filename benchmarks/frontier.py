"""The best factorization on MovieLens 1M, as the literature splits it: 90% and 10%, at random.

    python -m benchmarks.frontier [--folds 3] [--k 32 48 64] [--threads 2]

`gibbs-full` with eight chains, at the k that the validation part of the first of ten random folds
prefers, on the test parts of the first folds. The folder `ml-1m` of CFMF_REAL_DATA has the files
of MovieLens 1M: all ratings, dates of those in ratings.dat.first487650.gz (49%), age, sex and
occupation of users, genres and years of films. The folds are those of config/ml-1m.yaml. Prints a
row for each fit and writes benchmarks/results/frontier.tsv.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import sparse

from benchmarks.common import RESULTS, ROOT, matrix
from cfmf.data.attributes import Column, encoded
from cfmf.data.matrices import day_matrix
from cfmf.data.splits import split
from cfmf.methods import registry
from cfmf.observed import root_mean_square
from cfmf.side import Side
from cfmf.tasks import Task

METHOD = "gibbs-full"
FIXED = {"sweeps": 200, "chains": 8}
NORMAL_90 = 1.6449
"""Half the width of a central 90% interval, in standard deviations."""


def rating_table(folder: Path) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Columns user, item (numbers), rating and date (or none), and the ids of both."""
    rows = pd.read_csv(folder / "ml-1m_user_movie_rating.csv.gz")
    head = ["user", "movie", "rating", "seconds"]
    path = folder / "ratings.dat.first487650.gz"
    dated = pd.read_csv(path, sep="::", engine="python", names=head)
    dates = pd.to_datetime(dated["seconds"], unit="s").reindex(rows.index)
    users, user_ids = pd.factorize(rows["user"], sort=True)
    items, item_ids = pd.factorize(rows["movie"], sort=True)
    numbers = {"user": users.astype(np.int32), "item": items.astype(np.int32)}
    table = pd.DataFrame({**numbers, "rating": rows["rating"].astype("f4"), "date": dates})
    return table, user_ids, item_ids


def beside(folder: Path, ratings: pd.DataFrame, users: np.ndarray, items: np.ndarray) -> Side:
    """Days of ratings and attributes of users and films."""

    def texts(name: str, columns: list[str], ids: np.ndarray) -> pd.DataFrame:
        options: dict[str, Any] = {"sep": "::", "engine": "python", "encoding": "latin-1"}
        table = pd.read_csv(folder / name, names=["id", *columns], dtype=str, **options)
        return table.set_index("id").reindex(map(str, ids)).fillna("")

    people = texts("users.dat", ["sex", "age", "occupation", "zip"], users)
    films = texts("movies.dat", ["title", "genre"], items)
    years = films["title"].str.extract(r"\((\d{4})\)\s*$")[0].fillna("")
    of_users = encoded(
        {
            Column(name, 0, "category"): people[name].tolist()
            for name in ("age", "sex", "occupation")
        },
        len(users),
    )
    about = {Column("genre", 0, "categories"): films["genre"].tolist()}
    of_items = encoded(about | {Column("year", 0, "number"): years.tolist()}, len(items))
    days = day_matrix(ratings, len(users), len(items))
    return Side(days, of_users.matrix, of_items.matrix, of_users.names, of_items.names)


def fitted(
    train: sparse.csr_array, scored: sparse.csr_array, side: Side, k: int, threads: int
) -> dict[str, float]:
    """RMSE, share of the ratings in their 90% intervals, and seconds of one fit."""
    options = {**FIXED, "k": [k]}
    [method] = registry.method(METHOD).candidates(options, (1.0, 5.0), side)
    began = time.perf_counter()
    [found] = method.fit_tasks([Task(train, test=scored, name=f"k {k}")], threads=threads)
    seconds = time.perf_counter() - began
    error = found.predictions["test"] - scored.data
    inside = np.abs(error) <= NORMAL_90 * found.deviations["test"]
    return {"rmse": root_mean_square(error), "covered": inside.mean(), "seconds": seconds}


def rows(folder: Path, folds: int, grid: Sequence[int], threads: int) -> Iterator[dict[str, Any]]:
    """Validation errors at every k on the first fold, then test errors at the best one."""
    ratings, users, items = rating_table(folder)
    side = beside(folder, ratings, users, items)
    rule = yaml.safe_load((ROOT / "config/ml-1m.yaml").read_text("utf-8"))
    parts = split(ratings, rule["datasets"]["ml-1m"]["split"])

    def part(*numbers: np.ndarray) -> sparse.csr_array:
        held = ratings.iloc[np.concatenate(numbers)]
        return matrix(held["user"], held["item"], held["rating"], (len(users), len(items)))

    first = next(iter(parts.values()))
    validated = [0.0] if len(grid) == 1 else []  # nothing to choose
    for k in grid if len(grid) > 1 else []:
        found = fitted(part(first.fit), part(first.validation), side, k, threads)
        validated.append(found["rmse"])
        yield {"part": "validation", "fold": next(iter(parts)), "k": k, **found}
    best = grid[int(np.argmin(validated))]
    for name, fold in list(parts.items())[:folds]:
        found = fitted(part(fold.fit, fold.validation), part(fold.test), side, best, threads)
        yield {"part": "test", "fold": name, "k": best, **found}


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folds", type=int, default=3, help="test folds")
    parser.add_argument("--k", type=int, nargs="+", default=[32, 48, 64], help="to choose from")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    folder = Path(os.environ["CFMF_REAL_DATA"]) / "ml-1m"
    made = []
    for row in rows(folder, given.folds, given.k, given.threads):
        made.append(row)
        print(
            "  ".join(
                f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}"
                for key, value in row.items()
            ),
            flush=True,
        )
        pd.DataFrame(made).to_csv(
            RESULTS / "frontier.tsv", sep="\t", index=False, float_format="%.5g"
        )


if __name__ == "__main__":
    main()
