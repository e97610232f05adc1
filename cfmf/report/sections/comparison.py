"""All methods against each other."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.methods.registry import is_blend
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import accuracy as figures
from cfmf.report.figures import dots
from cfmf.report.figures.ranks import critical_difference
from cfmf.report.page import Block, Collapsed, Column, Note, Plot, Table, Text, plotted, tabulated
from cfmf.report.sections.summary import informed
from cfmf.report.strings import Catalogue, code, number
from cfmf.statistics.names import CRITICAL_DIFFERENCE
from cfmf.tables import where


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Every fold's RMSE, the differences with their intervals, mean ranks."""
    values = numbers.errors_on_test(study)
    best, drawn = numbers.methods(study)[0], figures.by_fold(values, words.plain)
    return [
        Text(words("comparison.text")),
        *informed(numbers.summary(study), words),
        *_forest(study, words),
        Collapsed(
            words("comparison.fold_table"),
            [
                plotted(words, "by-fold", "comparison.fold", drawn, method=code(best)),
                _fold_table(values, words),
                *_ranks(study, values, words),
            ],
        ),
        *_ranking(study, words),
    ]


def _forest(study: Study, words: Catalogue) -> list[Block]:
    rows = numbers.contrasts(study).sort_values("effect", kind="stable")
    if rows.empty:
        return [Note("missing", words("comparison.no_contrasts"))]
    size = numbers.margin(study)
    caption: Markup = words("comparison.forest_caption")
    if size:
        caption += " " + words("comparison.forest_margin", margin=number(size, "rmse"))
    rows["methods"] = rows[["group_a", "group_b"]].values.tolist()
    for side in ("group_a", "group_b"):
        rows[side] = words.terms("group", rows[side])
    rows["label"] = rows["group_a"] + " − " + rows["group_b"]
    rows["verdict"] = words.terms("verdict", rows["verdict"])
    columns = "group_a=first group_b=second effect=difference"
    columns += " ci_low=low:signed ci_high=high:signed p_adj verdict"
    names = {"effect": "value", "ci_low": "low", "ci_high": "high"}
    drawn = dots.forest(rows.rename(columns=names), words.plain("axis.difference"), size)
    title = words("comparison.forest_table")
    return [
        Plot("forest", words("comparison.forest_title"), caption, drawn),
        Collapsed(title, [tabulated(words, "contrasts", title, rows, columns)]),
    ]


def _ranks(study: Study, values: pd.DataFrame, words: Catalogue) -> list[Block]:
    methods = values[~values["method"].map(is_blend)]
    wide = methods.pivot_table(index="fold", columns="method", values="value")
    wide = wide.dropna(axis="columns")
    if wide.shape[1] < 3 or len(wide) < 2:
        return []
    ranks = wide.rank(axis="columns").mean().rename("rank").rename_axis("method").reset_index()
    critical = _critical(study, wide.shape[1])
    caption: Markup = words("comparison.rank_caption", folds=number(len(wide)))
    if critical:
        caption += " " + words("comparison.rank_critical", critical=number(critical))
    drawn = critical_difference(ranks, critical, words.plain)
    return [Plot("ranks", words("comparison.rank_title"), caption, drawn)]


def _critical(study: Study, methods: int) -> float | None:
    """The critical difference that was computed for this many levels of the factor method."""
    rows = where(study.table("tests"), test=CRITICAL_DIFFERENCE, factor="method")
    found = rows.loc[rows["n_obs"] == rows["n_blocks"] * methods, "stat"].dropna()
    return float(found.iloc[0]) if len(found) else None


def _fold_table(values: pd.DataFrame, words: Catalogue) -> Table:
    wide = values.pivot_table(index="method", columns="fold", values="value")
    wide["mean"] = wide.mean(axis="columns")
    wide = wide.sort_values("mean").reset_index()
    folds = [Column(str(fold), str(fold), "rmse") for fold in wide.columns[1:-1]]
    title = words("comparison.fold_table")
    return tabulated(words, "by-fold", title, wide, "method", *folds, "mean")


def _ranking(study: Study, words: Catalogue) -> list[Block]:
    """Ranking measures with their intervals, best NDCG first, where the run has them."""
    table = study.table("ranking")
    if table.empty:
        return []
    wide = table.pivot(index="method", columns="metric", values=["value", "ci_low", "ci_high"])
    values, low, high = (wide[name] for name in ("value", "ci_low", "ci_high"))
    rows = values.assign(low=low["ndcg"], high=high["ndcg"])
    rows = rows.assign(recall_low=low["recall"], recall_high=high["recall"])
    rows = rows.sort_values("ndcg", ascending=False).reset_index()
    top = str(table["level"].iloc[0])
    ndcg = Column("ndcg", f"NDCG@{top}", "rmse")
    recall = Column("recall", words("column.recall_at", top=top).striptags(), "rmse")
    ends_of_recall = "recall_low=low recall_high=high popularity"
    columns = "method", ndcg, "low high", recall, ends_of_recall
    title = words("comparison.ranking")
    text = words(
        "comparison.ranking_text",
        users=number(table["users"].max(), "count"),
        candidates=words.otherwise(f"slice.{table['slice'].iloc[0]}", table["slice"].iloc[0]),
        top=top,
    )
    drawn = figures.popularity(rows, words.plain)
    caption = words("comparison.popularity_caption", top=top)
    parts: list[Block] = [
        Text(text),
        tabulated(words, "ranking", title, rows, *columns),
        Plot("popularity", words("comparison.popularity_title"), caption, drawn),
    ]
    return [Collapsed(title, parts)]
