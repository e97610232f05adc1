"""The study's trainings compared with the corrected ones, and the variants that it promised."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cfmf.published.printed import printed_numbers
from cfmf.published.reporting import drawings
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Heading, Note, Points, Text, plotted, tabulated
from cfmf.report.sections.factors import curve, curve_choice, watched_phase
from cfmf.report.strings import Catalogue, amounts, code, number
from cfmf.tables import where

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
            found.append(Collapsed(words("factorization.more_curves", method=code(method)), others))
    return [Heading(words("factorization.curves_published")), *found] if found else []


def _side_by_side(points: pd.DataFrame, words: Catalogue) -> list[Block]:
    both = points[points["method"].isin([PUBLISHED, CORRECTED])]
    if both["method"].nunique() < 2:
        return []
    table = numbers.over_folds(both, ["method", "k"]).rename(columns={"method": "variant"})
    table["label"] = [words.plain(f"factorization.variant_{one}") for one in table["variant"]]
    wide = table.pivot_table(index="k", columns="variant", values="mean").dropna()
    if wide.empty:
        return []
    wide = wide.loc[sorted(wide.index, key=float)]
    wide["difference"] = wide[CORRECTED] - wide[PUBLISHED]
    wide = wide.reset_index().assign(k=lambda rows: rows["k"].astype(int))
    sides = (f"{side}=factorization.variant_{side}:rmse" for side in (PUBLISHED, CORRECTED))
    worst, name = numbers.least(wide, "difference"), "published-corrected"
    spreads = {"published": np.ptp(wide[PUBLISHED]), "corrected": np.ptp(wide[CORRECTED])}
    values = amounts("rmse", published=worst[PUBLISHED], corrected=worst[CORRECTED])
    values |= amounts("rmse", **{f"spread_{side}": spread for side, spread in spreads.items()})
    values["k"] = number(int(worst["k"]))
    title = words("factorization.both_title")
    drawn = drawings.side_by_side(table[table["k"].isin(wide["k"].astype(str))], words.plain)
    return [
        Heading(words("factorization.both_heading")),
        Text(words("factorization.both_text")),
        plotted(words, name, "factorization.both", drawn, **values),
        tabulated(words, name, title, wide, "k", *sides, "difference"),
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
        points = where(metrics, method=name)[["k", "reg"]].drop_duplicates()
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
    plain = rows[0]
    said = [
        words(
            f"factorization.told_{row['method']}",
            **amounts("rmse", rmse=row["mean"], plain=plain["mean"]),
            difference=number(row["difference"], "signed"),
            **amounts("count", better=row["folds"], folds=len(errors)),
            **amounts("count", trials=row["trials"], plain_trials=plain["trials"]),
        )
        for row in rows[1:]
    ]
    columns = "method trials mean=test_rmse difference folds=better_folds"
    heading = words("factorization.variants_heading")
    return [
        Heading(heading),
        Text(words("factorization.variants_text")),
        Points(said),
        tabulated(words, "variants", heading, rows, columns),
    ]


def _stop_note(study: Study, point: tuple[str, str, str], words: Catalogue) -> list[Block]:
    history = watched_phase(study.histories[point])
    if len(history) < 2:
        return []
    last = history.iloc[-1]
    note = words(
        "factorization.stop_note",
        delta=number(float(f"{abs(last['delta_loss']):.3g}")),
        epoch=number(int(last["epoch"]), "count"),
        step=number(float(f"{np.spacing(np.float32(last['loss'])):.2g}")),
    )
    return [Note("erratum", note)]


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
    columns = "epoch=axis.epoch loss:loss train_rmse:loss test_rmse:loss delta_loss"
    title = words("factorization.history_title", **named)
    table = tabulated(words, f"history-{method}", title, ends, columns)
    return [Collapsed(title, [Text(text), table])]
