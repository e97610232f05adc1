"""A results folder as the stages write it, its numbers drawn from a seed. They mean nothing."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse, stats

from cfmf.evaluation.collect import EACH_USER
from cfmf.evaluation.item_mean import CHANGE, OVER
from cfmf.evaluation.trimming import LOSS
from cfmf.files import save_matrix
from cfmf.neighbours.similarity import user_similarity
from cfmf.neighbours.stored import save_similarity
from cfmf.published.search import Search, trials_table
from cfmf.tables import COLUMNS, MEASURED, write_table

DATASET = "generated"
FOLDS = ["u1", "u2", "u3", "u4", "u5"]
KS = ["1", "4", "16", "64"]
REGS = ["0.01", "0.05", "0.2"]
NEIGHBOURS = ["baseline", "user-cf-published", "user-knn", "item-knn"]
LEVEL = {
    "baseline": 0.945,
    "user-cf-published": 1.02,
    "user-knn": 0.926,
    "item-knn": 0.921,
    "mf": 0.913,
    "mf-published": 1.3,
}
HOSTILE = "<script>alert('title')</script> & Co."


def write(results: Path, seed: int = 7) -> Path:
    """Write a whole study below `results` and return its folder."""
    home = results / DATASET
    rng = np.random.default_rng(seed)
    _ratings(home, rng)
    metrics = _metrics(rng)
    write_table(home / "evaluation/metrics.tsv", metrics, "metrics")
    chosen = _chosen(metrics)
    selected = metrics[metrics["split"].isin(["validation", "test"])].merge(
        chosen, on=["method", "fold", "k", "reg"]
    )
    write_table(home / "evaluation/selected.tsv", selected[COLUMNS["metrics"]], "metrics")
    _settings(home, chosen, rng)
    _costs(home, metrics, rng)
    _slices(home, rng)
    _measured(home, rng)
    _histories(home, rng)
    _statistics(home, selected, metrics, rng)
    similarity(home)
    _search(home, rng)
    _searches(home, rng)
    _backends(home, rng)
    _rest(home)
    _across(results)
    return home


def _backends(home: Path, rng: np.random.Generator) -> None:
    rows = [
        dict.fromkeys(COLUMNS["backends"], value) | {"backend": name, "epochs": 30, "repeats": 5}
        for name, value in (("torch", 0.25), ("jax", 0.75))
    ]
    write_table(home / "backends/backends.tsv", pd.DataFrame(rows), "backends")
    pairs = [("torch", "normal"), ("jax", "normal"), ("torch", "jax")]
    tests = [
        {"seed": "42", "n": 1000, "sample": sample, "against": against, "statistic": 0.03}
        | dict(zip(("p_raw", "p_adj"), sorted(rng.random(2)), strict=True))
        for sample, against in pairs
    ]
    write_table(home / "backends/generators.tsv", pd.DataFrame(tests), "generators")


def _ratings(home: Path, rng: np.random.Generator) -> None:
    n, m, items = 3000, 90, 140
    pairs = rng.choice(m * items, n, replace=False)
    frame = pd.DataFrame(
        {
            "user": (pairs // items).astype(np.int32),
            "item": (pairs % items).astype(np.int32),
            "rating": rng.choice([1, 2, 3, 4, 5], n, p=[0.06, 0.11, 0.27, 0.34, 0.22]),
            "date": pd.Timestamp("1997-09-20")
            + pd.to_timedelta(rng.integers(0, 200 * 86400, n), unit="s"),
            "part": "",
        }
    ).astype({"rating": np.float32, "date": "datetime64[s]"})
    folder = home / "ratings"
    folder.mkdir(parents=True)
    frame.to_parquet(folder / "ratings.parquet")
    pd.DataFrame({"user": range(m), "user_id": range(1, m + 1)}).to_parquet(
        folder / "users.parquet"
    )
    titles = [f"Generated film {place}" for place in range(items)]
    titles[int(frame["item"].iloc[0])] = HOSTILE
    pd.DataFrame(
        {"item": range(items), "item_id": range(1, items + 1), "title": titles}
    ).to_parquet(folder / "items.parquet")
    rows = {"rows_read": n + 2, "rows_kept": n, "rows_refused": 2}
    duplicates = {"count": 2, "policy": "drop", "meaning": "rated twice"}
    audit = {
        **rows,
        "files": {
            "u.data": {
                "kind": "ratings",
                **rows,
                "shape": [n + 2, 4],
                "head": [[7, 2, 3.0, "2005-01-01"]],
            },
            "movie_titles.txt": {
                "kind": "titles",
                "shape": [items, 3],
                "head": [[1, None, HOSTILE]],
            },
        },
        "overlap": {
            "users": {"train": m, "test": m, "intersection": m, "union": m},
            "items": {"train": items, "test": 17, "intersection": 17, "union": items},
        },
        "checks": {
            "duplicates": duplicates,
            "malformed": {"count": 0, "policy": "error", "meaning": "unreadable"},
        },
        "source": "generator",
        "genuine": {},
    }
    (folder / "audit.json").write_text(json.dumps(audit))


def _metrics(rng: np.random.Generator) -> pd.DataFrame:
    rows = []

    def add(fold: str, method: str, k: str, reg: str, values: dict[tuple[str, str], float]) -> None:
        seed = "1" if k else ""
        rows.extend(
            [DATASET, fold, method, k, reg, seed, split, metric, value]
            for (split, metric), value in values.items()
        )

    for place, fold in enumerate(FOLDS):
        of_fold = 0.006 * (place - 2)
        for method in NEIGHBOURS:
            test = LEVEL[method] + of_fold + rng.normal(0, 0.002)
            values = {
                ("test", "rmse"): test,
                ("test", "rmse_clipped"): test - 0.001,
                ("test", "mae"): test * 0.79,
                ("test", "fallback_share"): 0.0 if method == "baseline" else 0.004,
                ("validation", "rmse"): test + 0.004,
            }
            if method == "user-cf-published":
                values |= {
                    ("train", "rmse"): test - 0.01,
                    ("train", "rmse_leaked"): test - 0.03,
                }
            add(fold, method, "", "", values)
        grid = [("mf", k, reg) for k, reg in itertools.product(KS, REGS)]
        grid += [("mf-published", k, "0.01") for k in KS]
        for method, k, reg in grid:
            size = np.log2(float(k))
            bend = 0.02 * abs(np.log10(float(reg)) + 1.3) - 0.004 * size
            if method == "mf-published":
                bend = -0.35 + 0.1 * size
            test = LEVEL[method] + of_fold + bend + rng.normal(0, 0.002)
            values = {
                ("test", "rmse"): test,
                ("test", "mae"): test * 0.79,
                ("test", "fallback_share"): 0.0,
                ("validation", "rmse"): test + 0.004,
                ("train", "rmse"): test - 0.03 * (size + 1),
                ("fit", "epochs"): float(100 + 10 * place),
                ("fit", "rmse"): test - 0.03 * (size + 1) - 0.002 * place,
                ("fit", "starts"): float(2 if k == KS[0] else 1),
                ("fit", "converged"): 1.0,
                ("train", "starts"): float(1 + (method == "mf" and k == KS[0] and place == 1)),
                ("train", "converged"): float(method == "mf" or place < 2),
                ("fit", "out_of_time"): float(method == "mf" and k == "64" and place == 0),
            }
            if method == "mf-published":
                values["test", "rmse_lowest_epoch"] = test - 0.002 * (place + 1)
            add(fold, method, k, reg, values)
    return pd.DataFrame(rows, columns=COLUMNS["metrics"])


def _chosen(metrics: pd.DataFrame) -> pd.DataFrame:
    rows = metrics[(metrics["split"] == "validation") & (metrics["metric"] == "rmse")]
    at = rows.groupby(["method", "fold"])["value"].idxmin()
    return rows.loc[at, ["method", "fold", "k", "reg"]]


def _settings(home: Path, chosen: pd.DataFrame, rng: np.random.Generator) -> None:
    rows = [
        [DATASET, row.fold, row.method, f"k={row.k}, reg={row.reg}"]
        for row in chosen.itertuples()
        if row.k
    ]
    trials: dict[str, list[list[object]]] = {"user-knn": [], "item-knn": []}
    for method, fold in itertools.product(trials, FOLDS):
        rows.append([DATASET, fold, method, "neighbours=40, shrinkage=50"])
        grid = itertools.product([10, 20, 40, 80], [0, 50])
        for trial, (neighbours, shrinkage) in enumerate(grid):
            value = 0.92 + 0.0004 * abs(neighbours - 40) + 0.0002 * abs(shrinkage - 50)
            setting = f"neighbours={neighbours}, shrinkage={shrinkage}"
            value += rng.normal(0, 0.0005)
            trials[method].append(
                [DATASET, fold, method, trial, "COMPLETE", setting, "validation_rmse", value]
            )
    table = pd.DataFrame(rows, columns=["dataset", "fold", "method", "setting"])
    table = table.reindex(columns=COLUMNS["selection"])
    write_table(home / "evaluation/selection.tsv", table, "selection")
    for method, found in trials.items():
        table = pd.DataFrame(found, columns=COLUMNS["trials"])
        write_table(home / f"neighbours/{method}/trials.tsv", table, "trials")


def _costs(home: Path, metrics: pd.DataFrame, rng: np.random.Generator) -> None:
    points = metrics[["dataset", "fold", "method", "k", "reg", "seed"]].drop_duplicates()
    parts = [
        points.assign(
            stage=stage, measure="seconds", value=rng.lognormal(0, 1, len(points)).round(4)
        )
        for stage in ("fit", "predict")
    ]
    write_table(home / "evaluation/costs.tsv", pd.concat(parts), "costs")
    folder = home / "benchmarks/train_factorization"
    folder.mkdir(parents=True)
    for place in range(3):
        (folder / f"{place}.tsv").write_text(
            f"s\th:m:s\tmax_rss\tmax_vms\n{place + 1.5}\t0:00:01\t{200 + place}\t900\n"
        )
    (home / "benchmarks/parse_ratings.tsv").write_text("s\th:m:s\tmax_rss\n0.4\t0:00:00\t-\n")


def _slices(home: Path, rng: np.random.Generator) -> None:
    rows = [
        [
            DATASET,
            fold,
            method,
            f"{what}_ratings",
            level,
            40 * (place + 1),
            metric,
            value,
        ]
        for fold, method, what in itertools.product(FOLDS, LEVEL, ["user", "item"])
        for place, level in enumerate(["1-9", "10-19", "20-49", "50-99", "100+"])
        for metric in ("rmse", "mae")
        for value in [LEVEL[method] + 0.1 / (place + 1) + rng.normal(0, 0.01)]
    ]
    slices = {
        "rating": "12345",
        "prediction": ["1.2", "3", "4.8"],
        "item_ratings": ["0", "1-9"],
        "user_ratings": ["1-9", "100+"],
    }
    rows += [
        [DATASET, fold, method, name, level, 50, "bias", round(1 - place / 2, 2)]
        for fold, method in itertools.product(FOLDS, LEVEL)
        for name, levels in slices.items()
        for place, level in enumerate(levels)
    ]
    write_table(
        home / "evaluation/slices.tsv", pd.DataFrame(rows, columns=COLUMNS["slices"]), "slices"
    )


def _intervals(rows: list[list[object]]) -> pd.DataFrame:
    """An `intervals` table from rows up to the value, with an interval about it."""
    columns = [name for name in COLUMNS["intervals"] if not name.startswith("ci_")]
    table = pd.DataFrame(rows, columns=columns)
    half = 0.02 * table["value"].abs()
    ends = {"ci_low": table["value"] - half, "ci_high": table["value"] + half}
    return table.assign(**ends, ci_level=0.95)[COLUMNS["intervals"]]


def _measured(home: Path, rng: np.random.Generator) -> None:
    """What is measured of each method at its chosen setting."""
    lengths, fold = ["0", "2", "20", "all"], FOLDS[0]
    slices = {
        "user_ratings": ["1-9", "10-19", "20-49", "50-99", "100+"],
        "item_ratings": ["0", "1-9", "10-19", "20-49", "50-99", "100+"],
        "date": ["1997-10", "1997-11", "1997-12"],
    }
    pooled: list[list[object]] = [
        [DATASET, "all", method, name, level, 30, 200, metric, value + 0.1 / (place + 1)]
        for method, name in itertools.product(LEVEL, slices)
        for place, level in enumerate(slices[name])
        for metric, value in _of_metrics(method, OVER)
    ]
    left = "ratings_left"
    trimmed: list[list[object]] = [
        [DATASET, fold, method, left, level, 30, 300, metric, value + 0.2 / (place + 1)]
        for method in LEVEL
        for metric, value in _of_metrics(method, OVER, CHANGE, LOSS)
        for place, level in enumerate(lengths)
        if metric not in (CHANGE, LOSS) or level != "all"
    ]
    unrated = "unrated_items"
    measures = {"ndcg": 0.1, "recall": 0.05, "popularity": 120}
    ranking: list[list[object]] = [
        [DATASET, fold, method, unrated, "10", 40, 40, metric, value * rng.uniform(0.8, 1.2)]
        for method in LEVEL
        for metric, value in measures.items()
    ]
    keys = [DATASET, fold, "mf"]
    item = "Generated film 7"
    timed = {"fit": {"seconds": 2, "cpu_seconds": 1.5}, "predict": {"cpu_seconds": 1, "pairs": 500}}
    timed["model"] = {"bytes": 4000, "numbers": 1000}
    frames: dict[str, list[list[object]]] = {
        "recommendations": [[*keys, "12", 40, 1, 3, HOSTILE, 4.5, 0.9, 4.0]],
        "explanations": [
            [*keys, "12", 1, "factor", "1", None, None, 0.6, 0.4],
            [DATASET, fold, "user-knn", "12", 1, "neighbour_user", "77", 0.5, 4, 0.3, 0.2],
            [DATASET, fold, "item-knn", "12", 1, "neighbour_item", HOSTILE, 0.5, 4, 0.3, 0.2],
        ],
        "factors": [[*keys, 1, 0.7, end, 1, HOSTILE, 1.5] for end in ("high", "low")],
        "similar_titles": [[*keys, HOSTILE, 1, item, 0.8]],
        "fit_costs": [
            [DATASET, fold, method, "", "", "", stage, measure, value]
            for method in LEVEL
            for stage, facts in timed.items()
            for measure, value in facts.items()
        ],
        "scaling": [
            [DATASET, fold, method, axis, 4, 100, 800, 1.2, 0.1, 1.0]
            for method in LEVEL
            for axis in ("ratings", "users", "k")
        ],
        "prediction_intervals": [
            [DATASET, one, method, radii, level, 90 - 25 * place, 1000, 0.9 - 0.01 * place, 2.5]
            for one in (fold, "all")
            for method in LEVEL
            for radii in ("by_history", "one")
            for place, level in enumerate(("all", "1-9", "20-49", "500+"))
        ],
        "timings": [
            [DATASET, fold, method, axis, size, 0.003 * size**1.2, size]
            for method in LEVEL
            for axis in ("ratings", "users", "k")
            for size in (100, 200, 400, 800)
        ],
    }
    pooled += [
        [DATASET, "all", method, EACH_USER, "all", 90, 3000, f"user_rmse_{what}", level + less]
        for method, level in LEVEL.items()
        for what, less in (("mean", 0.0), ("median", 0.02))
    ]
    tables = {
        "intervals": _intervals(pooled),
        "cold_start": _intervals(trimmed),
        "ranking": _intervals(ranking),
    }
    for name, rows in frames.items():
        kind = MEASURED.get(name, name)
        tables[name] = pd.DataFrame(rows, columns=COLUMNS[kind])
    for name, table in tables.items():
        kind = "intervals" if name == "intervals" else MEASURED.get(name, name)
        write_table(home / f"evaluation/{name}.tsv", table, kind)


def _of_metrics(method: str, *over: str) -> list[tuple[str, float]]:
    """Values of a method's errors, and of those over the item mean, whose error is 1.1."""
    return [
        *((metric, LEVEL[method]) for metric in ("rmse", "mae")),
        *((metric, LEVEL[method] - 1.1) for metric in over),
    ]


def _histories(home: Path, rng: np.random.Generator) -> None:
    points = [("mf", k, reg) for k, reg in itertools.product(KS, REGS)]
    points += [("mf-published", k, "0.01") for k in KS]
    for method, k, reg in points:
        epochs = np.arange(600)
        start = (float(k) + 13.3) ** 0.5 if method == "mf-published" else 1.2
        rmse = 0.8 + (start - 0.8) * np.exp(-epochs / 80)
        loss = rmse**2 / 2
        nothing = np.full(len(epochs), np.nan)
        held = rmse + 0.1 + 0.0001 * epochs
        frame = pd.DataFrame(
            {
                "fold": "u1",
                "seed": "1",
                "phase": "fit",
                "epoch": epochs.astype(np.int32),
                "loss": loss,
                "delta_loss": np.abs(np.diff(loss, prepend=0)),
                "train_rmse": rmse,
                "validation_rmse": held if method == "mf" else nothing,
                "test_rmse": held if method != "mf" else nothing,
                "seconds": epochs * 0.01,
            }
        )
        folder = home / f"factorization/{method}/k~{k}_reg~{reg}"
        folder.mkdir(parents=True)
        frame.to_parquet(folder / "history.parquet")


def _statistics(
    home: Path, selected: pd.DataFrame, metrics: pd.DataFrame, rng: np.random.Generator
) -> None:
    rows = []

    def add(**known: object) -> None:
        rows.append({name: known.get(name, "") for name in COLUMNS["tests"]})

    rmse = selected[(selected["split"] == "test") & (selected["metric"] == "rmse")]
    wide = rmse.pivot_table(index="fold", columns="method", values="value")
    blocked = {"design": "by_fold", "estimand": "E3", "factor": "method"}
    size = {"n_blocks": len(wide), "n_obs": wide.size}
    add(
        family="methods", test="friedman", function="scipy", stat_name="chi2", stat=18.3, df1=5,
        p_raw=0.0026, p_adj=0.0026, effect_name="kendall_w", effect=0.73, **blocked, **size,
    )  # fmt: skip
    add(
        family="methods", test="critical_difference", function="scipy", stat_name="CD", stat=3.37,
        **blocked, **size,
    )  # fmt: skip
    for method in wide.columns.drop("user-knn"):
        difference = wide[method] - wide["user-knn"]
        mean, half = difference.mean(), 3.2 * difference.std() + 0.002
        pair = {
            "family": "against_control", "method": "user-knn", "group_a": method,
            "group_b": "user-knn",
            "effect_name": "difference_of_rmse", "effect": mean, **blocked, "n_blocks": 5,
        }  # fmt: skip
        add(
            test="corrected_t", function="scipy", stat_name="t",
            stat=mean / half * 2.8, df1=4, p_raw=0.01, p_adj=0.04, ci_low=mean - half,
            ci_high=mean + half, ci_level=0.95, reject=True, margin=0.005,
            verdict="inconclusive", population="new_ratings", **pair,
        )  # fmt: skip
        add(
            test="power", function="scipy", note="at_power_of_one", note_value=0.8,
            stat_name="power_at_margin", stat=0.4, margin=0.005,
            **{**pair, "effect_name": "minimum_detectable_difference", "effect": 0.008},
        )  # fmt: skip
    published = {
        "design": "unblocked", "estimand": "published", "factor": "k",
        "family": "published_grid", "method": "mf-published", "n_obs": 20,
        "function": "scipy",
    }  # fmt: skip
    add(test="one_way_anova", stat_name="F", stat=8.1, df1=3, df2=16, p_raw=0.0016, **published)
    add(
        test="kruskal_wallis", stat_name="H", stat=12.5, df1=3, p_raw=0.0058,
        effect_name="epsilon_squared_of_h", effect=0.66, **published,
    )  # fmt: skip
    for a, b in itertools.combinations(KS, 2):
        p = float(rng.uniform(0, 0.2))
        add(test="dunn", stat_name="z", stat=1.1, group_a=a, group_b=b, p_raw=p, **published)
    tests = pd.DataFrame(rows).replace("", np.nan)
    write_table(home / "statistics/tests.tsv", tests, "tests")
    checks = pd.DataFrame(
        [
            ["published_grid", "mf-published", "published", "unblocked", "k=1",
             "shapiro_wilk", "scipy", 5, "W", 0.81, 0.04, 0.05, True, "", np.nan],
            ["methods", "", "E3", "by_fold", "all", "sphericity", "cfmf", 5,
             "epsilon", 0.61, np.nan, 0.75, True, "lowest_epsilon", 0.2],
        ],
        columns=COLUMNS["assumptions"],
    )  # fmt: skip
    write_table(home / "statistics/assumptions.tsv", checks, "assumptions")
    of_k = metrics[(metrics["method"] == "mf") & (metrics["metric"] == "rmse")]
    of_k = of_k[of_k["split"] == "test"].groupby("k", sort=False)["value"]
    medians = of_k.agg(n="size", median="median", mean="mean", minimum="min", maximum="max")
    medians["interquartile_mean"] = of_k.apply(stats.trim_mean, 0.25)
    medians = pd.concat(
        medians.reset_index().assign(arm=arm, method="mf") for arm in ("grid", "tuned_reg")
    )
    write_table(home / "statistics/medians.tsv", medians, "medians")
    shares = {"q05": -0.1, "q25": -0.02, "q50": -0.01, "q75": 0.01, "q95": 0.1}
    shares |= {"users": 90, "better": 60, "worse": 30, "share_better": 2 / 3, "ci_level": 0.95}
    shares |= {"ci_low": 0.56, "ci_high": 0.75, "group_a": "mf", "group_b": "user-knn"}
    differences = pd.DataFrame([shares])
    write_table(home / "statistics/user_differences.tsv", differences, "user_differences")
    best = pd.DataFrame(
        [["reg_chosen_on_validation", "mf", k, "0.05", "u1", "1", 0.92, 0.91, ""]
         for k in KS],
        columns=COLUMNS["best_rows"],
    )  # fmt: skip
    write_table(home / "statistics/best_rows.tsv", best, "best_rows")
    verdict = [
        {
            "key": "quick_study_folds",
            "numbers": {"folds": 5, "needed_folds": 10, "needed_seeds": 3},
        },
        {
            "key": "better",
            "numbers": {
                "first": "mf", "second": "user-knn", "size": 0.0132, "low": 0.0101, "high": 0.0163,
                "level": 0.95, "p": 0.0004, "margin": 0.005, "population": "new_ratings",
            },
        },
    ]  # fmt: skip
    (home / "statistics/verdict.json").write_text(json.dumps(verdict))


def similarity(home: Path, **how: int) -> None:
    """Users' similarities as the rule writes them: in full, or lists of the nearest."""
    ratings = pd.read_parquet(home / "ratings/ratings.parquet")
    places = (ratings["user"], ratings["item"])
    found = user_similarity(sparse.csr_array((ratings["rating"], places)), **how)
    save_similarity(home / "similarity/u1.npz", found)
    row = pd.DataFrame(
        {"item": [0, 1, 2], "over_all_users": [0.04, 0.002, 0.1], "over_raters": [3.5, 1.8, 3.4]}
    )
    row = row.assign(dataset=DATASET, fold="u1")
    write_table(home / "published/first_user.tsv", row, "first_user")
    for stage, value, path in (
        ("similarity", 0.02, "similarity/u1/costs.tsv"),
        ("loop", 60.0, "published/loop_costs.tsv"),
    ):
        cost = dict.fromkeys(COLUMNS["costs"], "") | {"dataset": DATASET, "fold": "u1"}
        cost |= {"stage": stage, "measure": "seconds", "value": value}
        write_table(home / path, pd.DataFrame([cost]), "costs")


def _search(home: Path, rng: np.random.Generator, rooted: bool = True) -> None:
    k = rng.choice([1, 4, 16, 64], 24)
    pruned = rng.random(24) < 0.5
    start = (k + 13.3) ** 0.25
    frame = pd.DataFrame(
        {
            "number": range(24),
            "value": np.where(pruned, start, 0.96 - 0.01 * np.log2(k)),
            "params_k": k,
            "params_lmd": rng.uniform(0.001, 0.1, 24),
            "state": np.where(pruned, "PRUNED", "COMPLETE"),
        }
    )
    steps = np.arange(200)
    reports = [
        pd.DataFrame({"trial": trial, "step": steps, "value": 0.9 + top * np.exp(-steps / 30)})
        for trial, top in enumerate(start)
    ]
    shares = pd.DataFrame(
        {"parameter": ["k", "lmd"], "evaluator": "generated", "value": [0.8, 0.2]}
    )
    (home / "published").mkdir(exist_ok=True)
    frame.to_parquet(home / "published/frame.parquet")
    pd.concat(reports).to_parquet(home / "published/intermediate.parquet")
    shares.to_parquet(home / "published/importances.parquet")
    frame = frame.assign(user_attrs_loss=0.9, user_attrs_delta_loss=1e-4, user_attrs_train_rmse=0.9)
    found = Search(frame, pd.concat(reports), shares)
    keys = {"dataset": DATASET, "fold": "u1", "method": "mf-published-jax"}
    table = trials_table(found, {"square_root_twice": rooted}, **keys)
    write_table(home / "statistics/trials.tsv", table, "trials")
    epochs = np.arange(400)
    rmse = 0.7 + 3 * np.exp(-epochs / 50)
    curve = {"epoch": epochs, "loss": rmse, "delta_loss": np.abs(np.diff(rmse, prepend=0))}
    curve |= {"train_rmse": rmse, "validation_rmse": np.nan, "test_rmse": rmse + 0.2}
    curve |= {"seconds": 0.01 * epochs, "fold": "u1", "seed": "1", "phase": "refit", "k": 16}
    pd.DataFrame(curve | {"reg": "0.01"}).to_parquet(home / "published/curve.parquet")


def _searches(home: Path, rng: np.random.Generator) -> None:
    for method, fold in itertools.product(["user-knn", "mf"], FOLDS):
        keys, folder = [DATASET, fold, method], home / f"adaptive/{method}/{fold}"
        trials = [
            [*keys, trial, state, "k=4 reg=0.1", "validation_rmse", rng.uniform(0.9, 1)]
            for trial, state in enumerate(["COMPLETE", "PRUNED" if method == "mf" else "COMPLETE"])
        ]
        metrics = [
            [*keys, "", "", "", split, "rmse", LEVEL[method] - 0.01]
            for split in ("validation", "test")
        ]
        costs = [
            [*keys, "", "", "", stage, "seconds", seconds]
            for stage, seconds in (("search", 12.0), ("trial 0", 7.0), ("trial 1", 4.0))
        ]
        for kind, rows in (("trials", trials), ("metrics", metrics), ("costs", costs)):
            table = pd.DataFrame(rows, columns=COLUMNS[kind])
            write_table(folder / f"{kind}.tsv", table, kind)


def plan(**changed: object) -> dict:
    """A plan that was changed once after scores on test."""
    items = {"methods": {"mf": {"k": [1, 4]}}, "seeds": [1], "statistics": {"margin": 0.01}}
    detected = {"power": 0.8, "primary": {"standard_deviations": 3.4}}
    items |= {"folds": ["u1"], "sealed": ["u1"], "blocks": {"number": 5}, "detectable": detected}
    earlier = {"written": "2026-01-01T00:00:00+00:00", "sha256": "1" * 64, "plan": items}
    change = {"written": "2026-01-02T00:00:00+00:00", "earlier": earlier}
    change["changed"] = {"statistics.margin": [0.02, 0.01]}
    found = {**earlier, "written_after_scores": False, "changes": [change]}
    return found | changed


def _rest(home: Path) -> None:
    (home / "raw").mkdir(parents=True)
    manifest = {
        "served_by": "generator",
        "genuine": {},
        "files": {"u.data": {"bytes": 12345, "sha256": "0" * 64}},
    }
    (home / "raw/manifest.json").write_text(json.dumps(manifest))
    (home / "folds").mkdir()
    ratings = pd.read_parquet(home / "ratings/ratings.parquet")
    for part, rows in (("train", ratings[600:]), ("test", ratings[:600])):
        places = (rows["user"], rows["item"])
        (home / "matrices/u1").mkdir(parents=True, exist_ok=True)
        matrix = sparse.csr_array((rows["rating"], places), shape=(90, 140))
        save_matrix(home / f"matrices/u1/{part}.npz", matrix)
    sizes = {"fit": 2160, "validation": 240, "test": 600}
    (home / "folds/folds.json").write_text(
        json.dumps({"folds": dict.fromkeys(FOLDS, sizes), "sha256": "0" * 64})
    )
    (home / "plan.json").write_text(json.dumps(plan()))
    provenance = {
        "command": "snakemake --cores 2",
        "config": {
            "study": {"datasets": [DATASET, "past"], "methods": list(LEVEL)},
            # Wider than a phone.
            "datasets": {DATASET: {"urls": [f"https://example.org/{'ratings-' * 9}.zip"]}},
            "tuning": {
                "seconds": 90.0,
                "adaptive": {"enabled": True, "methods": ["user-knn", "mf"]},
            },
        },
        "versions": {"numpy": "2"},
        "git": {"commit": "0" * 40, "dirty": False},
        "machine": {"cores": 2},
        "run": {
            "started": "2026-01-01T00:00:00+00:00",
            "reported": "2026-01-01T00:10:00+00:00",
        },
        "inputs": {"raw/u.data": "0" * 64},
    }
    (home / "provenance.json").write_text(json.dumps(provenance))


def _across(results: Path) -> None:
    """A second data set, the same ratings split by time."""
    rows = [
        [name, DATASET, scheme, method, 5, level + harder, 0.01]
        for name, scheme, harder in ((DATASET, "random", 0.0), ("past", "temporal", 0.05))
        for method, level in LEVEL.items()
    ]
    table = pd.DataFrame(rows, columns=COLUMNS["datasets"])
    write_table(results / "across_datasets/errors.tsv", table, "datasets")
    known = {
        "family": "across_datasets",
        "test": "friedman",
        "note": "too_few_data_sets_or_methods",
    }
    tests = pd.DataFrame([{name: known.get(name, np.nan) for name in COLUMNS["tests"]}])
    write_table(results / "across_datasets/tests.tsv", tests, "tests")
    numbers = {"datasets": 1, "methods": 4, "needed_datasets": 2, "needed_methods": 3}
    verdict = [{"key": "datasets_few", "numbers": numbers}]
    (results / "across_datasets/verdict.json").write_text(json.dumps(verdict))
