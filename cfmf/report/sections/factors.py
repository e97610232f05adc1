"""Matrix factorization: how it learns, and what k and reg do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cfmf.report import numbers
from cfmf.report.context import Study, published_figures
from cfmf.report.figures import training as figures
from cfmf.report.page import (
    Block,
    Column,
    Fold,
    Heading,
    Note,
    Plot,
    Points,
    Table,
    Text,
    records,
)
from cfmf.report.strings import Catalogue, code, number

PUBLISHED, PUBLISHED_JAX, CORRECTED = "mf-published", "mf-published-jax", "mf"
ITERATIONS = {PUBLISHED: "torch_iterations", PUBLISHED_JAX: "jax_iterations"}
ENDS = 5
"""First and last epochs of a history that are shown."""
VARIANTS = ("mf-bounded", "mf-cubic")


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Learning curves, RMSE by k, grids, and published beside corrected."""
    points = numbers.tuned_by_k(study)
    if points.empty:
        return []
    return [
        Text(words("factorization.text")),
        *_by_k(points, words),
        *_rises(study, words),
        *_side_by_side(points, study, words),
        *_variants(study, words),
        *_curves(study, words),
        *_grids(study, words),
        *_backends(study, words),
        *_generators(study, words),
    ]


def _by_k(points: pd.DataFrame, words: Catalogue) -> list[Block]:
    table = numbers.over_folds(points, ["method", "k"])
    best = numbers.least(table, "mean")
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("k", "k", "count"),
        Column("mean", words.plain("column.test_rmse"), "rmse"),
        Column("sd", words.plain("column.sd"), "rmse"),
        Column("folds", words.plain("column.folds"), "count"),
    ]
    rows = records(table.assign(k=table["k"].astype(int)))
    return [
        Heading(words("factorization.k_heading")),
        Plot(
            "rmse-by-k",
            words("factorization.k_title"),
            words(
                "factorization.k_caption",
                method=code(best["method"]),
                k=number(int(best["k"])),
                rmse=number(float(best["mean"]), "rmse"),
            ),
            figures.rmse_by_k(table, words.plain),
        ),
        Fold(
            words("factorization.k_table"),
            [Table("rmse-by-k", words("factorization.k_table"), columns, rows)],
        ),
    ]


def _rises(study: Study, words: Catalogue) -> list[Block]:
    """Each method at its best k and at the largest: errors on test, and gaps to train."""
    rises = numbers.rises(study)
    if rises.empty:
        return []
    most = rises.sort_values("rise").iloc[-1]
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("best_k", words.plain("column.best_k"), "count"),
        Column("best", words.plain("column.best_rmse"), "rmse"),
        Column("best_gap", words.plain("column.best_gap"), "signed"),
        Column("largest_k", words.plain("column.largest_k"), "count"),
        Column("largest", words.plain("column.largest_rmse"), "rmse"),
        Column("largest_gap", words.plain("column.largest_gap"), "signed"),
        Column("rise", words.plain("column.rise"), "signed"),
    ]
    told = words(
        "factorization.rises_text",
        method=code(most["method"]),
        best_k=number(int(most["best_k"])),
        largest_k=number(int(most["largest_k"])),
        rise=number(float(most["rise"]), "signed"),
        best_gap=number(float(most["best_gap"]), "signed"),
        largest_gap=number(float(most["largest_gap"]), "signed"),
    )
    title = words("factorization.rises_title")
    return [Text(told), Table("rises-with-k", title, columns, records(rises))]


def _side_by_side(points: pd.DataFrame, study: Study, words: Catalogue) -> list[Block]:
    both = points[points["method"].isin([PUBLISHED, CORRECTED])]
    if both["method"].nunique() < 2:
        return []
    table = numbers.over_folds(both, ["method", "k"]).rename(columns={"method": "variant"})
    table["label"] = table["variant"].map(
        lambda variant: words(f"factorization.variant_{variant}").striptags()
    )
    wide = table.pivot_table(index="k", columns="variant", values="mean").dropna()
    if wide.empty:
        return []
    wide = wide.loc[sorted(wide.index, key=float)]
    wide["difference"] = wide[CORRECTED] - wide[PUBLISHED]
    wide = wide.reset_index().assign(k=lambda rows: rows["k"].astype(int))
    columns = [
        Column("k", "k", "count"),
        Column(PUBLISHED, words.plain("factorization.variant_mf-published"), "rmse"),
        Column(CORRECTED, words.plain("factorization.variant_mf"), "rmse"),
        Column("difference", words.plain("column.difference"), "signed"),
    ]
    worst = numbers.least(wide, "difference")
    return [
        Heading(words("factorization.both_heading")),
        Text(words("factorization.both_text")),
        Plot(
            "published-corrected",
            words("factorization.both_title"),
            words(
                "factorization.both_caption",
                k=number(int(worst["k"])),
                published=number(float(worst[PUBLISHED]), "rmse"),
                corrected=number(float(worst[CORRECTED]), "rmse"),
                spread_published=number(float(np.ptp(wide[PUBLISHED])), "rmse"),
                spread_corrected=number(float(np.ptp(wide[CORRECTED])), "rmse"),
            ),
            figures.side_by_side(table[table["k"].isin(wide["k"].astype(str))], words.plain),
        ),
        Table("published-corrected", words("factorization.both_title"), columns, records(wide)),
    ]


def _variants(study: Study, words: Catalogue) -> list[Block]:
    """The output and the penalty beyond the plain ones, each against the plain model."""
    errors = numbers.errors_on_test(study).pivot_table(
        index="fold", columns="method", values="value"
    )
    variants = [name for name in VARIANTS if name in errors]
    if CORRECTED not in errors or not variants:
        return []
    metrics = study.tables["metrics"]
    rows = []
    for name in [CORRECTED, *variants]:
        points = metrics.loc[metrics["method"] == name, ["k", "reg"]].drop_duplicates()
        gain = errors[name] - errors[CORRECTED]
        rows.append(
            {
                "method": name,
                "trials": len(points),
                "mean": float(errors[name].mean()),
                "difference": float(gain.mean()),
                "folds": int((gain < 0).sum()),
            }
        )
    told = [
        words(
            f"factorization.told_{row['method']}",
            rmse=number(row["mean"], "rmse"),
            plain=number(rows[0]["mean"], "rmse"),
            difference=number(row["difference"], "signed"),
            better=number(row["folds"], "count"),
            folds=number(len(errors), "count"),
            trials=number(row["trials"], "count"),
            plain_trials=number(rows[0]["trials"], "count"),
        )
        for row in rows[1:]
    ]
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("trials", words.plain("column.trials"), "count"),
        Column("mean", words.plain("column.test_rmse"), "rmse"),
        Column("difference", words.plain("column.difference"), "signed"),
        Column("folds", words.plain("column.better_folds"), "count"),
    ]
    return [
        Heading(words("factorization.variants_heading")),
        Text(words("factorization.variants_text")),
        Points(told),
        Table("variants", words("factorization.variants_heading"), columns, rows),
    ]


def watched_phase(history: pd.DataFrame) -> pd.DataFrame:
    """The phase whose error on other ratings was watched: on test as published, else validation."""
    for name in ("test_rmse", "validation_rmse"):
        watched = history.loc[history[name].notna(), "phase"]
        if len(watched):
            return history[history["phase"] == watched.iloc[-1]]
    return history[history["phase"] == history["phase"].iloc[-1]]


def curve_choice(study: Study, method: str) -> list[tuple[str, str, str]]:
    """For each k of a method the point whose curve is shown: the reg of least validation RMSE."""
    grid = numbers.grid(study, method)
    if grid.empty:
        grid = numbers.grid(study, method, "test")
    if grid.empty:  # trained beside the published search only
        return [point for point in study.histories if point[0] == method]
    chosen = []
    for k, rows in grid.groupby("k", sort=False):
        point = (method, str(k), str(numbers.least(rows, "value")["reg"]))
        if point in study.histories:
            chosen.append(point)
    return sorted(chosen, key=lambda point: float(point[1]))


def _curves(study: Study, words: Catalogue) -> list[Block]:
    methods = list(dict.fromkeys(method for method, _, _ in study.histories))
    first = (PUBLISHED, PUBLISHED_JAX, CORRECTED)
    methods.sort(key=lambda method: (*(method != known for known in first), method))
    found: list[Block] = []
    folded: list[Block] = []
    for method in methods:
        chosen = curve_choice(study, method)
        if not chosen:
            continue
        shown = chosen[len(chosen) // 2]
        if found and method not in first:
            folded += [_curve(study, point, words) for point in chosen]
            continue
        found.append(_curve(study, shown, words))
        if method == PUBLISHED:
            found += _stop_note(study, shown, words)
        if method in {PUBLISHED, PUBLISHED_JAX}:
            found += _history(study, shown, words)
        others = [_curve(study, point, words) for point in chosen if point != shown]
        if others:
            found.append(Fold(words("factorization.more_curves", method=code(method)), others))
    if folded:
        found.append(Fold(words("factorization.other_curves"), folded))
    return [Heading(words("factorization.curves_heading")), *found] if found else []


def _curve(study: Study, point: tuple[str, str, str], words: Catalogue) -> Plot:
    method, k, reg = point
    history = watched_phase(study.histories[point])
    last = history.iloc[-1]
    watched = next(
        (name for name in ("validation_rmse", "test_rmse") if history[name].notna().any()),
        "train_rmse",
    )
    least = numbers.least(history, watched)
    return Plot(
        f"curve-{method}-k{k}-{reg.replace('.', '_')}",
        words("factorization.curve_title", method=code(method), k=number(int(k)), reg=code(reg)),
        words(
            "factorization.curve_caption",
            fold=code(last["fold"]),
            epochs=number(int(last["epoch"]), "count"),
            watched=words(f"series.{watched}"),
            least=number(float(least[watched]), "rmse"),
            at=number(int(least["epoch"]), "count"),
            end=number(float(last[watched]), "rmse"),
        ),
        figures.learning_curves(history, words.plain),
    )


def _stop_note(study: Study, point: tuple[str, str, str], words: Catalogue) -> list[Block]:
    history = watched_phase(study.histories[point])
    if len(history) < 2:
        return []
    last = history.iloc[-1]
    return [
        Note(
            "erratum",
            words(
                "factorization.stop_note",
                delta=number(float(f"{abs(last['delta_loss']):.3g}")),
                epoch=number(int(last["epoch"]), "count"),
                step=number(float(f"{np.spacing(np.float32(last['loss'])):.2g}")),
            ),
        )
    ]


def _history(study: Study, point: tuple[str, str, str], words: Catalogue) -> list[Block]:
    """First and last epochs of a training as published, and its iterations a second."""
    method, k, reg = point
    history = watched_phase(study.histories[point])
    seconds = float(history["seconds"].iloc[-1] - history["seconds"].iloc[0])
    if len(history) < 2 or not seconds > 0:
        return []
    named = {"method": code(method), "k": number(int(k)), "reg": code(reg)}
    text = words(
        "factorization.history_text",
        **named,
        epochs=number(int(history["epoch"].iloc[-1]), "count"),
        rate=number(round((len(history) - 1) / seconds, 2)),
        published=number(published_figures()[ITERATIONS[method]]),
    )
    ends = history if len(history) <= 2 * ENDS else pd.concat([history[:ENDS], history[-ENDS:]])
    columns = [
        Column("epoch", words.plain("axis.epoch"), "count"),
        Column("loss", words.plain("column.loss"), "loss"),
        Column("train_rmse", words.plain("column.train_rmse"), "loss"),
        Column("test_rmse", words.plain("column.test_rmse"), "loss"),
        Column("delta_loss", words.plain("column.delta_loss"), "value"),
    ]
    title = words("factorization.history_title", **named)
    table = Table(f"history-{method}", title, columns, records(ends))
    return [Fold(title, [Text(text), table])]


def _grids(study: Study, words: Catalogue) -> list[Block]:
    metrics = study.tables["metrics"]
    found: list[Block] = []
    first = 1
    methods = metrics.loc[metrics["k"] != "", "method"].unique()
    for method in sorted(methods, key=lambda method: method != CORRECTED):
        grid = numbers.grid(study, method)
        grid = grid[pd.to_numeric(grid["reg"], errors="coerce").notna()]
        if grid["reg"].nunique() < 2 or grid["k"].nunique() < 2:
            continue
        best = numbers.least(grid, "value")
        found.append(
            Plot(
                f"grid-{method}",
                words("factorization.grid_title", method=code(method)),
                words(
                    "factorization.grid_caption",
                    k=number(int(best["k"])),
                    reg=code(best["reg"]),
                    rmse=number(float(best["value"]), "rmse"),
                    spread=number(_spread(grid, str(best["k"])), "rmse"),
                ),
                figures.heatmap(grid, words.plain),
            )
        )
        if method == CORRECTED:
            found.append(
                Plot(
                    f"surface-{method}",
                    words("factorization.surface_title", method=code(method)),
                    words("factorization.surface_caption"),
                    figures.surface(grid, words.plain),
                )
            )
            first = len(found)
    if len(found) > first:
        found[first:] = [Fold(words("factorization.other_grids"), found[first:])]
    return [Heading(words("factorization.grid_heading")), *found] if found else []


def _backends(study: Study, words: Catalogue) -> list[Block]:
    """Torch against JAX, where the study compared them."""
    backends = study.table("backends")
    if backends is None:
        return []
    found: list[Block] = [Heading(words("factorization.backends_heading"))]
    by_name = {str(row["backend"]): row for row in records(backends)}
    if "jax" in by_name:
        torch, jax = by_name["torch"], by_name["jax"]
        told = words(
            "factorization.backends_text",
            epochs=number(torch["epochs"], "count"),
            repeats=number(torch["repeats"], "count"),
            torch=number(torch["epoch_seconds"], "seconds"),
            jax=number(jax["epoch_seconds"], "seconds"),
            compile=number(jax["compile_seconds"], "seconds"),
            setup_torch=number(torch["setup_seconds"], "seconds"),
            setup_jax=number(jax["setup_seconds"], "seconds"),
            difference=number(float(f"{jax['loss_difference']:.1g}")),
        )
        found.append(Text(told))
    columns = [
        Column("backend", words.plain("column.backend"), "code"),
        Column("device", words.plain("column.device"), "code"),
        Column("dtype", words.plain("column.dtype"), "code"),
        Column("setup_seconds", words.plain("column.setup_seconds"), "seconds"),
        Column("compile_seconds", words.plain("column.compile_seconds"), "seconds"),
        Column("epoch_seconds", words.plain("column.epoch_seconds"), "seconds"),
        Column("epoch_seconds_min", words.plain("column.epoch_seconds_min"), "seconds"),
        Column("epoch_seconds_max", words.plain("column.epoch_seconds_max"), "seconds"),
        Column("loss", words.plain("series.loss"), "rmse"),
        Column("test_rmse", words.plain("column.test_rmse"), "rmse"),
    ]
    found.append(
        Table("backends", words("factorization.backends_title"), columns, records(backends))
    )
    return found


def _generators(study: Study, words: Catalogue) -> list[Block]:
    """Tests of the random numbers, beside what the study printed of them."""
    generators = study.table("generators")
    if generators is None:
        return []
    columns = [
        Column("seed", words.plain("column.seed"), "count"),
        Column("n", "n", "count"),
        Column("sample", words.plain("column.sample"), "code"),
        Column("against", words.plain("column.against"), "code"),
        Column("statistic", words.plain("column.statistic"), "rmse"),
        Column("p_raw", "p", "p"),
        Column("p_adj", words.plain("column.p_adj"), "p"),
    ]
    least = numbers.least(generators, "p_raw")
    torch = generators[(generators["sample"] == "torch") & (generators["against"] == "normal")]
    printed = published_figures()["kolmogorov_smirnov"]
    at_seed = torch.loc[torch["seed"].astype(str) == str(printed["seed"]), "statistic"]
    with_jax = "jax" in set(generators["sample"])
    return [
        Heading(words("factorization.generators_title")),
        Text(
            words(
                "factorization.generators_text",
                tests=number(len(generators), "count"),
                least=number(float(least["p_raw"]), "p"),
                adjusted=number(float(generators["p_adj"].min()), "p"),
            )
        ),
        Text(
            words(
                "factorization.generators_printed",
                seed=printed["seed"],
                here=number(float(at_seed.iloc[0]), "rmse") if len(at_seed) else "–",
                **{name: number(printed[name], "rmse") for name in ("torch", "jax", "both")},
            )
        ),
        *([] if with_jax else [Text(words("factorization.generators_off"))]),
        Fold(
            words("factorization.generators_title"),
            [
                Table(
                    "generators",
                    words("factorization.generators_title"),
                    columns,
                    records(generators),
                )
            ],
        ),
    ]


def _spread(grid: pd.DataFrame, k: str) -> float:
    values = grid.loc[grid["k"] == k, "value"]
    return float(values.max() - values.min())
