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

writes report/coverage.tsv, which the report and the documentation show. FOLDER has
ml-1m/ml-1m_user_movie_rating.csv.gz; without it the folder is that of the variable CFMF_REAL_DATA.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, stats

from benchmarks.common import RESULTS, ROOT, matrix, movielens
from cfmf.files import atomic_write
from cfmf.methods import registry
from cfmf.observed import pairs
from cfmf.progress import progress
from cfmf.statistics.blocked import shared_anova
from cfmf.statistics.names import POPULATIONS
from cfmf.statistics.populations import Influence, differences, of_folds

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

DISTINCT = [place for place, name in enumerate(LEVELS) if name != "als, other seed"]
"""Levels of the omnibus test: different methods and settings."""

SHARES = {"new_ratings": 0.1, "new_users": 400 / 6040, "new_users_and_items": 600 / 6040}
"""Share of the population that a draw takes (of items more, which is left out)."""

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


def place(population: str, folds: int, seed: int) -> Path:
    """Where a draw is kept."""
    return RESULTS / "coverage" / f"{population}-{folds}-{seed}.npz"


def make(whole: sparse.csr_array, folds: int, draws: int) -> None:
    """Make the draws that are not kept yet, of all populations in turn."""
    place("", folds, 0).parent.mkdir(parents=True, exist_ok=True)
    for seed in progress(range(draws), f"draws, {folds} folds"):
        for population in POPULATIONS:
            path = place(population, folds, seed)
            if not path.exists():
                influence = studied(drawn(whole, population, seed), folds, seed)
                with atomic_write(path) as temporary, temporary.open("wb") as file:
                    np.savez(file, **{name: getattr(influence, name) for name in ARRAYS})


def kept(population: str, folds: int, draws: int) -> list[Influence]:
    """The draws of a population."""
    found = []
    for seed in range(draws):
        with np.load(place(population, folds, seed)) as arrays:
            found.append(Influence(tuple(LEVELS), **{name: arrays[name] for name in ARRAYS}))
    return found


def corrected(values: np.ndarray, truth: np.ndarray, share: float) -> np.ndarray:
    """Values as far from the truth as draws from an endless population would be.

    Draws without replacement that take a share of what there is vary less, by the square root of
    what they leave.
    """
    return np.asarray(truth + (values - truth) / np.sqrt(1 - share))


def of_contrast(
    draws: Sequence[Influence], first: str, second: str, ratio: float, share: float
) -> dict[str, Any]:
    """How often the intervals of one contrast contain the truth.

    Returns
    -------
    truth (mean difference over the draws), sd (of the differences), wilcoxon (share of draws in
    which the signed-rank test over folds rejects a true null), and for each population
    `coverage` of the 95 % interval, root mean square `error`, and `equivalence`: how often TOST
    claims it at the 5 % level where the truth is the margin.
    """
    found = [differences(one, first, second, ratio) for one in draws]
    values = np.array([one[POPULATIONS[0]].value for one in found])
    truth = values.mean()
    deviations = corrected(values, truth, share) - truth
    row: dict[str, Any] = {"truth": truth, "sd": deviations.std(ddof=1)}
    a, b = (draws[0].levels.index(name) for name in (first, second))
    folds = [one.rmse[:, a] - one.rmse[:, b] for one in draws]
    null = [one - one.mean() + moved for one, moved in zip(folds, deviations, strict=True)]
    row["wilcoxon"] = np.mean([stats.wilcoxon(one).pvalue < 0.05 for one in null])
    for population in POPULATIONS:
        errors = np.array([one[population].error for one in found])
        dfs = np.array([one[population].df for one in found])
        row[f"coverage_{population}"] = np.mean(
            np.abs(deviations) <= errors * stats.t.isf(0.025, dfs)
        )
        row[f"error_{population}"] = np.sqrt(np.mean(errors**2))
        # Of a true difference at the margin, TOST errs where the estimate is this far inside.
        row[f"equivalence_{population}"] = np.mean(deviations < -errors * stats.t.isf(0.05, dfs))
    return row


def of_omnibus(draws: Sequence[Influence], ratio: float, share: float) -> float:
    """Share of draws in which the corrected analysis of variance rejects, all levels being equal.

    The levels are made equal by taking off the mean of each over all draws: what is left varies and
    covaries as these methods do.
    """
    tables = np.stack([one.rmse for one in draws])
    means = tables.mean(axis=1)
    truth = means.mean(axis=0)
    null = tables - means[:, None, :] + (corrected(means, truth, share) - truth)[:, None, :]
    rejected = [
        shared_anova(pd.DataFrame(one), ratio, 0.95)[0].p_raw < 0.05 for one in null[:, :, DISTINCT]
    ]
    return float(np.mean(rejected))


def of_family(draws: Sequence[Influence], ratio: float, share: float) -> dict[str, float]:
    """How often the simultaneous intervals of all contrasts contain the truth together."""
    pairs = [pair for of_kind in CONTRASTS.values() for pair in of_kind]
    together = {name: np.ones(len(draws), bool) for name in POPULATIONS}
    for first, second in pairs:
        found = [differences(one, first, second, ratio) for one in draws]
        values = np.array([one[POPULATIONS[0]].value for one in found])
        deviations = corrected(values, values.mean(), share) - values.mean()
        for name, kept_by in together.items():
            ends = [
                one[name].error * stats.t.isf(0.025 / len(pairs), one[name].df) for one in found
            ]
            kept_by &= np.abs(deviations) <= ends
    return {f"coverage_{name}": float(kept_by.mean()) for name, kept_by in together.items()}


def table_of(draws: Mapping[str, Sequence[Influence]], folds: int) -> pd.DataFrame:
    """Coverage of every contrast and of all together, and error of the omnibus test, by draw."""
    ratio = 1 / (folds - 1)
    rows = []
    for redrawn, found in draws.items():
        known = {"redrawn": redrawn, "folds": folds, "draws": len(found)}
        share = SHARES[redrawn]
        for kind, pairs_of_kind in CONTRASTS.items():
            for first, second in pairs_of_kind:
                row = of_contrast(found, first, second, ratio, share)
                rows.append({**known, "kind": kind, "first": first, "second": second, **row})
        rows.append({**known, "kind": "family", **of_family(found, ratio, share)})
        rejected = of_omnibus(found, ratio, share)
        rows.append({**known, "kind": "omnibus", "coverage_new_ratings": 1 - rejected})
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the draws that are not there yet, and the table of all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=os.environ.get("CFMF_REAL_DATA"))
    options = parser.parse_args(arguments)
    [whole, _] = movielens(Path(options.data), 0.0)
    make(whole, options.folds, options.draws)
    draws = {name: kept(name, options.folds, options.draws) for name in POPULATIONS}
    table = table_of(draws, options.folds)
    print(table.to_string(index=False))
    path = ROOT / "report" / "coverage.tsv"
    table.to_csv(path, sep="\t", index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main()
