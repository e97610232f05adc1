"""How often each corrected test rejects a null hypothesis that is true, by simulation.

Five nulls, at a nominal 5 %:

independent
    RMSE of fold j, level k and seed s is a_j + g_jk + e_jks with normal fold effects, levels within
    folds and seed noise, and no effect of the level. Folds are independent. This is what the
    blocked tests assume.
shared
    The same, but g_jk has the correlation 1/J between folds that Nadeau & Bengio (2003) give to
    folds which share their training ratings. This is what the corrected t and
    `rm_anova_nadeau_bengio` assume; tests that take folds as independent reject too often.
unequal
    As `independent`, but the first level has one run a fold and the others three, as a method
    without seeds beside some with: runs are no replicates of their fold.
margin
    Two levels that differ by just the margin of equivalence, folds as in `shared`: a test of
    equivalence must not reject more often than nominal.
users
    Two methods whose errors are exchangeable within each user, for the bootstrap over users.

A test of several pairs counts once: whether any adjusted p-value rejects.
`rm_anova_seeds_as_blocks` is the repeated-measures ANOVA of fold × seed blocks, which is why seeds
are averaged first.

    python benchmarks/type_one_error.py [--repeats 400] [--seed 1]

writes benchmarks/results/type_one_error.tsv, whose `quality` is the share of rejections, and the
same shares as report/type_one_error.tsv, which the report shows.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import math
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cfmf.evaluation.bootstrap import Resampling  # noqa: E402
from cfmf.progress import progress  # noqa: E402
from cfmf.statistics import blocked, blocks, contrasts, names  # noqa: E402
from cfmf.statistics.results import Result, adjust  # noqa: E402

ALPHA = 0.05
STREAMS = {"independent": 0, "shared": 1, "unequal": 4}
"""Random numbers of each null of levels; those of the others are 2 and 3."""
LEVELS = ["1", "4", "16", "64"]
SEEDS = 3
FOLD_SPREAD, LEVEL_SPREAD, SEED_SPREAD = 0.01, 0.003, 0.002
BLOCK = {
    "alpha": ALPHA,
    "ci_level": 0.95,
    "margin": 0.01,
    "power": 0.8,
    "bootstrap_repeats": 2,
    "seed": 1,
}  # intervals of effects are not looked at
RESAMPLING = Resampling.of(BLOCK)
COLUMNS = ["benchmark", "system", "size", "seconds", "peak_mb", "quality", "ratio_to_ours"]


def draw(generator: np.random.Generator, folds: int, correlation: float) -> pd.DataFrame:
    """Runs under a true null: columns fold, k, seed, value."""
    shape = (folds, len(LEVELS))
    shared = generator.normal(0, np.sqrt(correlation), (1, len(LEVELS)))
    own = generator.normal(0, np.sqrt(1 - correlation), shape)
    cells = generator.normal(0.93, FOLD_SPREAD, (folds, 1)) + LEVEL_SPREAD * (shared + own)
    runs = cells[..., None] + generator.normal(0, SEED_SPREAD, (*shape, SEEDS))
    index = pd.MultiIndex.from_product([range(folds), LEVELS, range(SEEDS)])
    frame = pd.Series(runs.ravel(), index=index.set_names(["fold", "k", "seed"])).rename("value")
    return frame.reset_index()


def without_seeds(values: pd.DataFrame, level: str) -> pd.DataFrame:
    """The runs with one seed only of a level."""
    return values[(values["k"] != level) | (values["seed"] == 0)]


def rows_of(values: pd.DataFrame) -> list[Result]:
    """Results of every blocked test of one data set."""
    table = blocks.table(values, "k")
    ratio = 1 / (len(table) - 1)
    rows = [
        *blocked.repeated_measures_anova(table, RESAMPLING, ratio),
        *blocked.mixed_model(values, "k", 0.95),
        *blocked.friedman(table, 0.95),
        *blocked.rank_comparisons(table, ALPHA, 0.95),
        *blocked.many_to_one(table, LEVELS[0], 0.95),
    ]
    pairs = list(itertools.combinations(LEVELS, 2))
    for first, second in pairs:
        rows += contrasts.paired_contrast(table[first], table[second], ratio, BLOCK, len(pairs))
    naive = values.assign(fold=values["fold"].astype(str) + "/" + values["seed"].astype(str))
    anova = blocked.repeated_measures_anova(blocks.table(naive, "k"), RESAMPLING)[0]
    return [*rows, replace(anova, test=names.SEEDS_AS_BLOCKS)]


def rejections(results: list[Result]) -> Counter[str]:
    """Tests that reject at least once after adjustment."""
    return Counter({one.test for one in judged(results) if one.reject})


def judged(results: list[Result]) -> list[Result]:
    """Adjusted results with a p-value, and those of one pair only, unadjusted."""
    pair = [
        replace(one, test=names.ONE_PAIR[one.test], p_adj=math.nan)
        for one in results
        if (one.group_a, one.group_b) == (LEVELS[0], LEVELS[1]) and one.test in names.ONE_PAIR
    ]
    return [one for one in adjust(results + pair, ALPHA) if not math.isnan(one.p_adj)]


def of_levels(null: str, folds: int, repeats: int, seed: int) -> dict[str, float]:
    """Share of rejections of every test under one null."""
    generator = np.random.default_rng([seed, folds, STREAMS[null]])
    correlation = 1 / folds if null == "shared" else 0.0
    counts: Counter[str] = Counter()
    tests: list[str] = []
    for _ in progress(range(repeats), f"{null}, {folds} folds"):
        values = draw(generator, folds, correlation)
        rows = rows_of(without_seeds(values, LEVELS[0]) if null == "unequal" else values)
        tests = tests or list(dict.fromkeys(one.test for one in judged(rows)))
        counts += rejections(rows)
    return {test: counts[test] / repeats for test in tests}


def of_margin(folds: int, repeats: int, seed: int) -> dict[str, float]:
    """Share of rejections of the test of equivalence where the levels differ by its margin."""
    generator = np.random.default_rng([seed, folds, 2])
    count = 0
    for _ in range(repeats):
        table = blocks.table(draw(generator, folds, 1 / folds), "k")
        pair = table["1"] + BLOCK["margin"], table["4"]
        rows = contrasts.paired_contrast(*pair, 1 / (folds - 1), BLOCK)
        count += rows[0].verdict in (names.EQUIVALENT, names.SMALL)
    return {names.EQUIVALENCE: count / repeats}


def of_users(users: int, repeats: int, seed: int) -> dict[str, float]:
    """Share of intervals over users that leave out the true difference, which is none."""
    generator = np.random.default_rng([seed, users, 3])
    count = 0
    for repeat in range(repeats):
        n = generator.integers(5, 60, users)
        taste = generator.gamma(4, 0.25, users)
        sums = [n * taste * generator.gamma(20, 1 / 20, users) for _ in range(2)]
        errors = pd.concat(
            pd.DataFrame(
                {"fold": "u1", "method": m, "user": range(users), "n": n, "squared_error": e}
            )
            for m, e in zip("ab", sums, strict=True)
        )
        found = contrasts.user_bootstrap(errors, "a", "b", Resampling(1000, repeat, 0.95))
        count += not found.interval.low <= 0 <= found.interval.high
    return {names.USER_BOOTSTRAP: count / repeats}


def main() -> None:
    """Simulate every null, print the shares and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    repeats, seed = arguments.repeats, arguments.seed
    gc.freeze()  # statsmodels' multipletests collects garbage at every call: leave it little to see
    jobs = [(null, folds) for null in STREAMS for folds in (5, 10)]
    found: list[list[object]] = []
    shown: list[dict[str, object]] = []
    for null, size in [*jobs, ("margin", 5), ("margin", 10), ("users", 300)]:
        start = time.perf_counter()
        known = dict.fromkeys(("folds", "levels", "seeds", "users"), "")
        if null == "users":
            shares, known["users"] = of_users(size, repeats, seed), size
        elif null == "margin":
            shares, known["folds"] = of_margin(size, repeats, seed), size
        else:
            shares = of_levels(null, size, repeats, seed)
            known |= {"folds": size, "levels": len(LEVELS), "seeds": SEEDS}
        seconds = time.perf_counter() - start
        words = ", ".join(f"{count} {name}" for name, count in known.items() if count)
        for test, share in shares.items():
            print(f"{null:12} {words:28} {test:28} {share:.4f}", flush=True)
            name = f"type I error, {null}"
            shown.append({"null": null, **known, "test": test, "repeats": repeats, "share": share})
            found.append([name, test, f"{words}, {repeats} repeats", seconds, "", share, ""])
    path = ROOT / "benchmarks" / "results" / "type_one_error.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(found, columns=COLUMNS)
    table.to_csv(path, sep="\t", index=False, float_format="%.6g")
    shares_path = ROOT / "report" / path.name
    pd.DataFrame(shown).to_csv(shares_path, sep="\t", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
