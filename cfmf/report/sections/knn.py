"""Neighbour methods: the published one, honest and contaminated, and the tuned ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cfmf.config import family
from cfmf.report import numbers
from cfmf.report.context import Study, published_figures
from cfmf.report.figures import accuracy as figures
from cfmf.report.page import Block, Column, Fold, Heading, Note, Plot, Table, Text, records
from cfmf.report.strings import Catalogue, code, number
from cfmf.report.terms import terms
from cfmf.selection import setting_parts

PUBLISHED = "user-cf-published"


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """As published with its erratum, then the tuned methods and what they chose."""
    found = [*_published(study, words), *_tuned(study, words)]
    return [Text(words("neighbours.text")), *found] if found else []


def contaminated(study: Study) -> float | None:
    """Training RMSE with the user's own rating among its neighbours', as the study computed it."""
    return numbers.measure(study, PUBLISHED, "train", "rmse_contaminated")


def _published(study: Study, words: Catalogue) -> list[Block]:
    metrics = study.tables["metrics"]
    rows = metrics[(metrics["method"] == PUBLISHED) & metrics["metric"].str.startswith("rmse")]
    if rows.empty:
        return []
    table = numbers.over_folds(rows, ["split", "metric"])
    table = table[table["split"].isin(["train", "test"])]
    table["reading"] = [
        words.otherwise(f"neighbours.reading_{row.split}_{row.metric}", "").striptags()
        for row in table.itertuples()
    ]
    table["split"] = terms(table["split"], words)
    columns = [
        Column("split", words.plain("column.split")),
        Column("metric", words.plain("column.metric"), "code"),
        Column("mean", words.plain("column.rmse"), "rmse"),
        Column("sd", words.plain("column.sd"), "rmse"),
        Column("reading", words.plain("column.reading")),
    ]
    found: list[Block] = [
        Heading(words("neighbours.published")),
        Text(words("neighbours.published_text")),
        Table("user-cf-published", words("neighbours.published_table"), columns, records(table)),
    ]
    honest, dirty = numbers.measure(study, PUBLISHED, "train"), contaminated(study)
    if honest is not None and dirty is not None:
        found.append(
            Note(
                "erratum",
                words(
                    "neighbours.self",
                    honest=number(honest, "rmse"),
                    contaminated=number(dirty, "rmse"),
                ),
            )
        )
    return [*found, *_quotients(study, words)]


def _quotients(study: Study, words: Catalogue) -> list[Block]:
    """First predictions by the study's quotients, and what its loop would take."""
    found = study.similarity
    if found is None or found.first_row is None or study.items is None:
        return []
    items = study.items.set_index("item")
    printed = published_figures()
    rows = [
        {
            "item": items["item_id"].get(row.item, row.item),
            **{name: getattr(row, name) for name in ("wrong", "right")},
            **{f"{name}_published": printed[f"row_{name}"][place] for name in ("wrong", "right")},
        }
        for place, row in enumerate(found.first_row.head(3).itertuples())
    ]
    columns = [
        Column("item", words.plain("column.item_id"), "code"),
        *(Column(name, words.plain(f"column.{name}"), "rmse") for name in ("wrong", "right")),
        *(
            Column(f"{name}_published", words.plain(f"column.{name}_published"), "rmse")
            for name in ("wrong", "right")
        ),
    ]
    blocks: list[Block] = [
        Table("first-row", words("neighbours.first_row", fold=code(found.fold)), columns, rows),
        Note("erratum", words("neighbours.quotients")),
    ]
    if {"loop", "similarity"} <= set(found.seconds):
        blocks.append(
            Text(
                words(
                    "neighbours.loop",
                    loop=number(found.seconds["loop"], "seconds"),
                    similarity=number(found.seconds["similarity"], "seconds"),
                    published=number(printed["similarity_seconds"], "seconds"),
                )
            )
        )
    return blocks


def trial_points(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean validation RMSE over folds of every setting: columns method, setting, value, folds."""
    rows = trials[(trials["metric"] == "validation_rmse") & trials["setting"].notna()]
    return (
        rows.groupby(["method", "setting"], sort=False)["value"]
        .agg(value="mean", folds="size")
        .reset_index()
    )


def _tuned(study: Study, words: Catalogue) -> list[Block]:
    trials = study.neighbour_trials
    found: list[Block] = []
    if trials is not None:
        points = trial_points(trials)
        plots = [
            plot
            for method, rows in points.groupby("method", sort=False)
            if (plot := _trials_figure(str(method), rows, words)) is not None
        ]
        found += [plot for plot in plots if plot.name != "trials-baseline"]
        folded: list[Block] = [plot for plot in plots if plot.name == "trials-baseline"]
        columns = [
            Column("method", words.plain("column.method"), "code"),
            Column("setting", words.plain("column.setting"), "code"),
            Column("value", words.plain("column.validation_rmse"), "rmse"),
            Column("folds", words.plain("column.folds"), "count"),
        ]
        title = words("neighbours.trials")
        rows = records(points.sort_values(["method", "value"]))
        found.append(Fold(title, [*folded, Table("neighbour-trials", title, columns, rows)]))
    settings = study.table("settings")
    if settings is not None:
        chosen = settings[settings["method"].map(family).ne("factorization")].dropna()
        if len(chosen):
            found.append(Fold(words("neighbours.chosen"), [_chosen(chosen, words)]))
    return [Heading(words("neighbours.tuned")), *found] if found else []


def profile(rows: pd.DataFrame) -> tuple[str, str, pd.DataFrame] | None:
    """Two parts of the settings to draw, and the least validation RMSE for each of their values.

    Returns the numeric part with most values, the other part that moves the error most (empty
    where only one part varies), and columns x, line, value; None where no numeric part varies.
    """
    parts = pd.DataFrame([setting_parts(setting) for setting in rows["setting"]])
    parts = parts.loc[:, [parts[name].unique().size > 1 for name in parts]].assign(
        value=rows["value"].to_numpy()
    )
    named = [name for name in parts.columns if name != "value"]
    numeric = [n for n in named if pd.to_numeric(parts[n], errors="coerce").notna().all()]
    if not numeric:
        return None
    x = max(numeric, key=lambda name: parts[name].nunique())
    others = [name for name in named if name != x]
    line = max(others, key=lambda name: np.ptp(parts.groupby(name)["value"].min()), default="")
    parts["x"] = pd.to_numeric(parts[x])
    parts["line"] = line + " " + parts[line] if line else ""
    least = parts.groupby(["line", "x"], sort=False)["value"].min().reset_index()
    return x, line, least


def _trials_figure(method: str, rows: pd.DataFrame, words: Catalogue) -> Plot | None:
    found = profile(rows)
    if found is None:
        return None
    x, line, points = found
    if line:
        named = words.plain("term.similarity")
        if line != "similarity":
            named = words.otherwise(f"axis.{line}", line).striptags()
        points["line"] = named + " " + points["line"].str.removeprefix(line + " ")
    best = numbers.least(rows, "value")
    return Plot(
        f"trials-{method}",
        words("neighbours.trials_title", method=code(method)),
        words(
            "neighbours.trials_caption",
            settings=number(len(rows)),
            setting=code(best["setting"]),
            rmse=number(float(best["value"]), "rmse"),
        ),
        figures.trials_by_setting(points, words.otherwise(f"axis.{x}", x).striptags(), words.plain),
    )


def _chosen(rows: pd.DataFrame, words: Catalogue) -> Table:
    columns = [
        Column("method", words.plain("column.method"), "code"),
        Column("fold", words.plain("column.fold"), "code"),
        Column("setting", words.plain("column.setting"), "code"),
    ]
    return Table("neighbour-settings", words("neighbours.chosen"), columns, records(rows))
