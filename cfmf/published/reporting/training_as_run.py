"""The study's trainings beside the corrected ones, and the variants that it promised."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cfmf.published.printed import printed_numbers
from cfmf.published.reporting import drawings
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Column, Fold, Heading, Note, Plot, Points, Table, Text, records
from cfmf.report.sections.factors import curve, curve_choice, watched_phase
from cfmf.report.strings import Catalogue, code, number

PUBLISHED, PUBLISHED_JAX, CORRECTED = "mf-published", "mf-published-jax", "mf"


ITERATIONS = {PUBLISHED: "torch_iterations", PUBLISHED_JAX: "jax_iterations"}


ENDS = 5
"""First and last epochs of a history that are shown."""


VARIANTS = ("mf-bounded", "mf-cubic")


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """RMSE by k of both recipes, variants of the corrected one, and trainings as published."""
    return [
        *_side_by_side(numbers.tuned_by_k(study), words),
        *_variants(study, words),
        *_curves(study, words),
    ]


def _curves(study: Study, words: Catalogue) -> list[Block]:
    """Of each recipe as published the curves, why they ended, and their first and last epochs."""
    found: list[Block] = []
    for method in ITERATIONS:
        chosen = curve_choice(study, method)
        if not chosen:
            continue
        shown = chosen[len(chosen) // 2]
        found.append(curve(study, shown, words))
        if method == PUBLISHED:
            found += _stop_note(study, shown, words)
        found += _history(study, shown, words)
        others = [curve(study, point, words) for point in chosen if point != shown]
        if others:
            found.append(Fold(words("factorization.more_curves", method=code(method)), others))
    return [Heading(words("factorization.curves_published")), *found] if found else []


def _side_by_side(points: pd.DataFrame, words: Catalogue) -> list[Block]:
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
            drawings.side_by_side(table[table["k"].isin(wide["k"].astype(str))], words.plain),
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
        published=number(printed_numbers()[ITERATIONS[method]]),
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
