"""All methods against each other."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.figures import accuracy as figures
from cfmf.report.figures.ranks import critical_difference
from cfmf.report.page import Block, Column, Fold, Note, Plot, Table, Text, records
from cfmf.report.strings import Catalogue, code, number
from cfmf.statistics.names import CORRECTED_T, CRITICAL_DIFFERENCE, EQUIVALENCE


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Every fold's RMSE, the differences with their intervals, mean ranks."""
    values = numbers.errors_on_test(study)
    best = numbers.methods(study)[0]
    return [
        Text(words("comparison.text")),
        *_forest(study, words),
        Plot(
            "by-fold",
            words("comparison.fold_title"),
            words("comparison.fold_caption", method=code(best)),
            figures.by_fold(values, words.plain),
        ),
        *_ranks(study, values, words),
        Fold(words("comparison.fold_table"), [_fold_table(values, words)]),
        *_ranking(study, words),
    ]


def contrasts(study: Study) -> pd.DataFrame:
    """Differences between methods with their intervals, of the tests that the design supports.

    Columns label, group_a, group_b, effect, ci_low, ci_high, p_adj; empty where there are none.
    """
    tests = study.table("tests")
    if tests is None:
        return pd.DataFrame()
    rows = tests[(tests["test"] == CORRECTED_T) & tests["ci_low"].notna()]
    rows = rows[rows["factor"].astype(str) == "method"] if "method" in set(rows["factor"]) else rows
    label = rows["group_a"].astype(str) + " − " + rows["group_b"].astype(str)
    return rows.assign(label=label).drop_duplicates("label").reset_index(drop=True)


def margin(study: Study) -> float | None:
    """The margin declared in advance, within which a difference does not matter."""
    tests = study.table("tests")
    if tests is None or not tests["margin"].notna().any():
        return None
    tost = tests[(tests["test"] == EQUIVALENCE) & tests["margin"].notna()]
    return float(tost["margin"].iloc[0]) if len(tost) else None


def _forest(study: Study, words: Catalogue) -> list[Block]:
    rows = contrasts(study)
    if rows.empty:
        return [Note("missing", words("comparison.no_contrasts"))]
    size = margin(study)
    caption: Markup = words("comparison.forest_caption")
    if size:
        caption += " " + words("comparison.forest_margin", margin=number(size, "rmse"))
    columns = [
        Column("group_a", words.plain("column.first"), "code"),
        Column("group_b", words.plain("column.second"), "code"),
        Column("effect", words.plain("column.difference"), "signed"),
        Column("ci_low", words.plain("column.low"), "signed"),
        Column("ci_high", words.plain("column.high"), "signed"),
        Column("p_adj", words.plain("column.p_adj"), "p"),
    ]
    return [
        Plot(
            "forest",
            words("comparison.forest_title"),
            caption,
            figures.forest(rows, words.plain, size),
        ),
        Fold(
            words("comparison.forest_table"),
            [Table("contrasts", words("comparison.forest_table"), columns, records(rows))],
        ),
    ]


def _ranks(study: Study, values: pd.DataFrame, words: Catalogue) -> list[Block]:
    wide = values.pivot_table(index="fold", columns="method", values="value").dropna(axis="columns")
    if wide.shape[1] < 3 or len(wide) < 2:
        return []
    ranks = wide.rank(axis="columns").mean().rename("rank").rename_axis("method").reset_index()
    critical = _critical(study, wide.shape[1])
    caption: Markup = words("comparison.rank_caption", folds=number(len(wide)))
    if critical:
        caption += " " + words("comparison.rank_critical", critical=number(critical))
    return [
        Plot(
            "ranks",
            words("comparison.rank_title"),
            caption,
            critical_difference(ranks, critical, words.plain),
        )
    ]


def _critical(study: Study, methods: int) -> float | None:
    """The critical difference that was computed for this many levels of the factor method."""
    tests = study.table("tests")
    if tests is None:
        return None
    rows = tests[(tests["test"] == CRITICAL_DIFFERENCE) & (tests["factor"] == "method")]
    rows = rows[(rows["n_obs"] == rows["n_blocks"] * methods) & rows["stat"].notna()]
    return float(rows["stat"].iloc[0]) if len(rows) else None


def _fold_table(values: pd.DataFrame, words: Catalogue) -> Table:
    wide = values.pivot_table(index="method", columns="fold", values="value")
    wide["mean"] = wide.mean(axis="columns")
    wide = wide.sort_values("mean").reset_index()
    columns = [Column("method", words.plain("column.method"), "code")]
    columns += [Column(str(fold), str(fold), "rmse") for fold in wide.columns[1:-1]]
    columns.append(Column("mean", words.plain("column.mean"), "rmse"))
    return Table("by-fold", words("comparison.fold_table"), columns, records(wide))


def _ranking(study: Study, words: Catalogue) -> list[Block]:
    """Ranking measures with their intervals, best NDCG first, where the run has them."""
    table = study.extra.get("ranking")
    if table is None:
        return []
    values = table.pivot_table(index="method", columns="metric", values="value", sort=False)
    ends = table.pivot_table(
        index="method", columns="metric", values=["ci_low", "ci_high"], sort=False
    )
    rows = values.assign(
        low=ends["ci_low"]["ndcg"],
        high=ends["ci_high"]["ndcg"],
        recall_low=ends["ci_low"]["recall"],
        recall_high=ends["ci_high"]["recall"],
    )
    rows = rows.sort_values("ndcg", ascending=False).reset_index()
    top = str(table["level"].iloc[0])
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("ndcg", f"NDCG@{top}", "rmse"),
        Column("low", words.plain("column.low"), "rmse"),
        Column("high", words.plain("column.high"), "rmse"),
        Column("recall", words("column.recall_at", top=top).striptags(), "rmse"),
        Column("recall_low", words.plain("column.low"), "rmse"),
        Column("recall_high", words.plain("column.high"), "rmse"),
        Column("popularity", words.plain("column.popularity"), "value"),
    ]
    title = words("comparison.ranking")
    text = words(
        "comparison.ranking_text",
        users=number(int(table["users"].max()), "count"),
        candidates=words.otherwise(f"slice.{table['slice'].iloc[0]}", table["slice"].iloc[0]),
        top=top,
    )
    return [Fold(title, [Text(text), Table("ranking", title, columns, records(rows))])]
