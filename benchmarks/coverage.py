"""How often intervals contain the truth, and tests reject a true null, on real ratings redrawn.

MovieLens 1M is the population. It is drawn from again and again, in three ways:

new_ratings
    The ratings of the most active users of the most rated items: each draw is a tenth of them.
new_users
    All ratings of random users, of 1,000 items that stay the same.
new_users_and_items
    All ratings by random users of random items.

Every draw is a study of its own: random folds, the same methods at fixed settings, and the
intervals of `cfmf.statistics.populations`. The truth is the mean difference over all draws. Nothing
is assumed about correlations. Draws are kept in benchmarks/results/coverage/ and made once:

    python -m benchmarks.coverage [--draws 200] [--folds 5] [--data FOLDER]

writes benchmarks/results/coverage.tsv. FOLDER has ml-1m/ml-1m_user_movie_rating.csv.gz; without it
the folder is that of the variable CFMF_REAL_DATA.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.common import RESULTS, matrix, movielens
from cfmf.files import atomic_write
from cfmf.methods import registry
from cfmf.observed import pairs
from cfmf.progress import progress
from cfmf.statistics.populations import POPULATIONS, Influence, of_folds

LEVELS: dict[str, tuple[str, dict[str, Any], int]] = {
    "baseline": ("baseline", {}, 1),
    "user-knn": ("user-knn", {"neighbours": 40, "reg_user": 10.0, "reg_item": 5.0}, 1),
    "user-knn, 10 neighbours": (
        "user-knn",
        {"neighbours": 10, "reg_user": 10.0, "reg_item": 5.0},
        1,
    ),
    "item-knn": ("item-knn", {"neighbours": 40, "reg_user": 10.0, "reg_item": 5.0}, 1),
    "als": ("als", {"k": 4, "reg": 0.3}, 1),
    "als, other seed": ("als", {"k": 4, "reg": 0.3}, 2),
    "user-cf-published": ("user-cf-published", {}, 1),
}
"""Method, settings and seed of each level."""

ARRAYS = ("rmse", "users", "items", "products")
CONTRASTS = {
    "like": [
        ("user-knn, 10 neighbours", "user-knn"),
        ("item-knn", "user-knn"),
        ("als, other seed", "als"),
    ],
    "unlike": [
        ("als", "user-knn"),
        ("baseline", "user-knn"),
        ("baseline", "als"),
        ("user-cf-published", "user-knn"),
    ],
}


def most(counts: Any, size: int) -> Any:
    """The `size` places with the highest counts."""
    return np.sort(np.argsort(-counts, kind="stable")[:size])


def drawn(whole: sparse.csr_array, population: str, seed: int, scale: float = 1.0) -> Any:
    """One draw: a CSR matrix; `scale` below 1 makes it smaller."""
    rng = np.random.default_rng([seed, POPULATIONS.index(population)])
    users, items = whole.shape
    if population == "new_ratings":
        rows = most(np.diff(whole.indptr), int(600 * scale))
        block = whole[rows]
        block = block[:, most(np.bincount(block.indices, minlength=items), int(1200 * scale))]
        found = block.tocoo()
        kept = rng.random(found.nnz) < 0.1
        return matrix(found.row[kept], found.col[kept], found.data[kept], found.shape)
    if population == "new_users":
        rows = rng.choice(users, int(400 * scale), replace=False)
        columns = np.random.default_rng(1).choice(items, int(1000 * scale), replace=False)
    else:
        rows = rng.choice(users, int(600 * scale), replace=False)
        columns = rng.choice(items, int(500 * scale), replace=False)
    return whole[np.sort(rows)][:, np.sort(columns)]


def studied(
    ratings: sparse.csr_array, folds: int, seed: int, levels: Mapping[str, Any] = LEVELS
) -> Influence:
    """Cross-validation of every level on one draw."""
    entries = ratings.tocoo()
    part = np.random.default_rng([seed, 9]).permutation(entries.nnz) % folds

    def of(kept: np.ndarray) -> sparse.csr_array:
        return matrix(entries.row[kept], entries.col[kept], entries.data[kept], entries.shape)

    def fold(number: int) -> tuple[dict[str, np.ndarray], sparse.csr_array]:
        train, test = of(part != number), of(part == number)
        predictions = {}
        for level, (name, settings, level_seed) in levels.items():
            model = registry.method(name)(**settings, scale=(1.0, 5.0)).fit(train, seed=level_seed)
            predictions[level] = model.predict(*pairs(test)).values
        return predictions, test

    return of_folds(fold(number) for number in range(folds))


def kept(
    folder: Path, whole: sparse.csr_array, population: str, folds: int, draws: int
) -> list[Influence]:
    """The draws of a population, those made before read from the folder."""
    found = []
    for seed in progress(range(draws), f"{population}, {folds} folds"):
        path = folder / f"{population}-{folds}-{seed}.npz"
        if not path.exists():
            influence = studied(drawn(whole, population, seed), folds, seed)
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **{name: getattr(influence, name) for name in ARRAYS})
        with np.load(path) as arrays:
            found.append(Influence(tuple(LEVELS), **{name: arrays[name] for name in ARRAYS}))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the draws that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=os.environ.get("CFMF_REAL_DATA"))
    options = parser.parse_args(arguments)
    [whole, _] = movielens(Path(options.data), 0.0)
    folder = RESULTS / "coverage"
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(10, options.draws + 10, 10):
        for population in POPULATIONS:
            kept(folder, whole, population, options.folds, min(start, options.draws))


if __name__ == "__main__":
    main()
