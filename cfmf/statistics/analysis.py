"""The corrected analysis of one data set: tests between levels of k and between methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cfmf.config import family
from cfmf.evaluation.bootstrap import Resampling
from cfmf.selection import choose
from cfmf.statistics import assumptions, blocked, blocks, contrasts, names
from cfmf.statistics.names import BLOCKED, CHAMPIONS, E1, E2, E3, USERS
from cfmf.statistics.rows import Row, about, adjust, test_row
from cfmf.tables import COLUMNS

NEEDED = (
    *("control", "primary", "estimands", "alpha", "ci_level", "margin", "rope", "power"),
    *("bootstrap_repeats", "seed"),
)


@dataclass(frozen=True)
class Measured:
    """What the stages before measured on one data set.

    Attributes
    ----------
    metrics
        `metrics` table of all methods.
    selected
        The same for the settings chosen on validation.
    user_errors
        Columns fold, method, user, n, squared_error of the chosen settings.
    trials
        `trials` table of the neighbour methods' grids.
    ratio
        Test ratings over train ratings of a fold. Without it 1/(J-1), which J disjoint folds have.
    """

    metrics: pd.DataFrame
    selected: pd.DataFrame
    user_errors: pd.DataFrame
    trials: pd.DataFrame | None = None
    ratio: float | None = None

    def chosen(self) -> pd.DataFrame:
        """The chosen settings, with their RMSE on test averaged over seeds."""
        rows = self.selected[self.selected["split"].eq("test") & self.selected["metric"].eq("rmse")]
        test = rows.groupby(["fold", "method"])["value"].mean().rename("test_rmse")
        return choose(self.metrics, self.trials).merge(test.reset_index(), "left")


@dataclass(frozen=True)
class Results:
    """Tables of an analysis; the columns are those of `cfmf.tables`."""

    tests: pd.DataFrame
    assumptions: pd.DataFrame
    medians: pd.DataFrame
    best_rows: pd.DataFrame

    @classmethod
    def of(
        cls,
        tests: list[Row],
        checks: list[Row],
        medians: list[Row],
        best_rows: list[Row],
        alpha: float,
    ) -> Results:
        """Tables of rows, p-values adjusted inside each family and judged at level `alpha`."""
        return cls(
            adjust(tests, alpha),
            pd.DataFrame(checks, columns=COLUMNS["assumptions"]),
            pd.DataFrame(medians, columns=COLUMNS["medians"]),
            pd.DataFrame(best_rows, columns=COLUMNS["best_rows"]),
        )

    def __add__(self, other: Results) -> Results:
        """Both analyses' rows, these first."""
        pairs = [(getattr(self, name), getattr(other, name)) for name in self.__dict__]
        return Results(*(_joined(*pair) for pair in pairs))


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    held = [table for table in (first, second) if len(table)]
    return pd.concat(held, ignore_index=True) if held else first


def analyse(measured: Measured, block: Mapping[str, Any]) -> Results:
    """The tests that the design supports, their checks, and what they compare.

    Parameters
    ----------
    measured
        Tables of the data set.
    block
        The `statistics` block of the config, with the schema's defaults filled in.

    Raises
    ------
    ValueError
        If the block lacks a key or a grid lacks a cell.
    """
    missing = [key for key in NEEDED if key not in block]
    if missing:
        raise ValueError(f"the statistics block lacks {missing}; the schema has their defaults")
    metrics, selected = measured.metrics, measured.selected
    folds = int(selected["fold"].nunique())
    ratio = 1 / max(folds - 1, 1) if measured.ratio is None else measured.ratio
    chosen = measured.chosen()
    late = blocks.late_choices(metrics, chosen)
    compared = selected[~selected["method"].isin(late["method"])]
    grids, refused = complete_grids(metrics, [e for e in blocks.declared(block) if e != E3])
    parts = [
        (refused, [], []),
        (incomplete_choices(late) if E3 in blocks.declared(block) else [], [], []),
        *(_levels_of_k(method, cells, block, ratio) for method, cells in grids.items()),
        _methods(compared, measured.user_errors, block, ratio),
    ]
    tests, checks, of_k = ([row for part in parts for row in part[place]] for place in range(3))
    return Results.of(tests, checks, of_k, _best_rows(grids, chosen), block["alpha"])


def methods_with_grids(metrics: pd.DataFrame) -> list[str]:
    """Methods that were run at two k or more, in order of appearance."""
    counts = metrics[metrics["k"] != ""].groupby("method", sort=False)["k"].nunique()
    return [str(method) for method in counts.index[counts > 1]]


def complete_grids(
    metrics: pd.DataFrame, estimands: list[str]
) -> tuple[dict[str, pd.DataFrame], list[Row]]:
    """Grids whose runs are all COMPLETE, and for every other a row that says why it is not tested.

    The row is of the first of the estimands; without any there is none.

    Raises
    ------
    ValueError
        If a grid lacks a cell.
    """
    grids, refused = {}, []
    for method in methods_with_grids(metrics):
        try:
            grids[method] = blocks.grid(metrics, method)
        except blocks.IncompleteError as error:
            context = {"family": f"k of {method}", "design": BLOCKED, "factor": "k"}
            refused += [
                test_row("grid", "", estimand=first, note=f"not computed: {error}", **context)
                for first in estimands[:1]
            ]
    return grids, refused


def incomplete_choices(late: pd.DataFrame) -> list[Row]:
    """A row for each method that E3 leaves out, because runs at its settings are not COMPLETE.

    Parameters
    ----------
    late
        What `blocks.late_choices` returns.
    """
    context = {"family": "methods", "estimand": E3, "design": BLOCKED, "factor": "method"}
    return [
        test_row(
            "chosen setting",
            "",
            **context,
            group_a=method,
            note=f"not computed: {cut} of the {runs} runs at the chosen settings of {method} are"
            f" not COMPLETE ({cut} OUT_OF_TIME); raise tuning.seconds: only complete runs are"
            " compared",
        )
        for method, cut, runs in zip(late["method"], late["cut"], late["runs"], strict=True)
    ]


Part = tuple[list[Row], list[Row], list[Row]]


def _levels_of_k(method: str, cells: pd.DataFrame, block: Mapping[str, Any], ratio: float) -> Part:
    """Corrected tests of the k of one method, for E1 and E2 if declared; E2 needs two reg."""
    rows: list[Row] = []
    checks: list[Row] = []
    found_medians: list[Row] = []
    makers = {E1: blocks.tuned, E2: blocks.averaged}
    for estimand in blocks.declared(block):
        if estimand not in makers or (estimand == E2 and len(set(cells["reg"])) < 2):
            continue
        values = makers[estimand](cells)
        table = blocks.table(values, "k")
        context = {"family": f"k of {method}", "design": BLOCKED}
        rows += about(
            _omnibus(values, table, "k", block, ratio), estimand=estimand, factor="k", **context
        )
        pairs = list(combinations(table.columns, 2))
        for first, second in pairs:
            found = contrasts.paired_contrast(
                table[first], table[second], ratio, dict(block), len(pairs)
            )
            rows += about(found, estimand=estimand, factor="k", **context)
        found = assumptions.of_blocks(table, block["alpha"])
        checks += about(found, design=BLOCKED, family=f"k of {method}, {estimand}")
        runs = table.melt(var_name="k")
        found_medians += medians(runs, f"corrected: {estimand}", method)
    return rows, checks, found_medians


def medians(runs: pd.DataFrame, arm: str, method: str) -> list[Row]:
    """Rows of the `medians` table for runs grouped by k, in order of the medians.

    The interquartile mean is that of the middle half: a quarter of the runs is cut at either end.
    """
    rows = [
        {
            "arm": arm,
            "method": method,
            "k": k,
            "n": values.size,
            "median": float(np.median(values)),
            "mean": float(values.mean()),
            "interquartile_mean": float(stats.trim_mean(values, 0.25)),
            "minimum": float(values.min()),
            "maximum": float(values.max()),
        }
        for k, values in blocks.grouped(runs).items()
    ]
    return sorted(rows, key=lambda row: row["median"])


def _omnibus(
    values: pd.DataFrame,
    table: pd.DataFrame,
    factor: str,
    block: Mapping[str, Any],
    ratio: float,
) -> list[Row]:
    kept = values[values[factor].isin(table.columns)]
    return [
        *blocked.repeated_measures_anova(table, Resampling.of(block), ratio),
        *blocked.mixed_model(kept, factor, block["ci_level"]),
        *blocked.friedman(table, block["ci_level"]),
        *blocked.rank_comparisons(table, block["alpha"], block["ci_level"]),
    ]


def _methods(
    selected: pd.DataFrame, user_errors: pd.DataFrame, block: Mapping[str, Any], ratio: float
) -> Part:
    """E3, if declared: all methods together, and each against the control."""
    values = blocks.of_methods(selected)
    table = blocks.table(values, "method")
    if table.shape[1] < 2 or E3 not in blocks.declared(block):
        return [], [], []
    context = {"estimand": E3, "factor": "method"}
    rows = about(
        _omnibus(values, table, "method", block, ratio), family="methods", design=BLOCKED, **context
    )
    control, _ = roles(table, block)
    family = f"methods against {control}"
    found = blocked.many_to_one(table, control, block["ci_level"])
    rows += about(found, family=family, design=BLOCKED, **context)
    pairs = [(family, str(method), control) for method in table.columns if method != control]
    best = champions(selected, table)
    if best and best[1] != control:  # else the family of the control holds the pair
        pairs.append((CHAMPIONS, *best))
    scored = set(user_errors["method"])
    for family, first, second in pairs:
        comparisons = sum(pair[0] == family for pair in pairs)
        found = contrasts.paired_contrast(
            table[first], table[second], ratio, dict(block), comparisons
        )
        rows += about(found, family=family, design=BLOCKED, **context)
        if {first, second} <= scored:
            found = contrasts.user_bootstrap(user_errors, first, second, Resampling.of(block))
            rows += about(found, family=family, design=USERS, **context)
    checks = about(
        assumptions.of_blocks(table, block["alpha"]), design=BLOCKED, family="methods, " + E3
    )
    return rows, checks, []


def champions(selected: pd.DataFrame, table: pd.DataFrame) -> tuple[str, str] | None:
    """Best factorization and best neighbour method: of the least mean RMSE on validation.

    The test folds have no part in the choice, so a contrast of the two needs no correction for it.
    None where one of the two kinds was not run.
    """
    rows = selected[(selected["split"] == "validation") & (selected["metric"] == "rmse")]
    means = rows[rows["method"].isin(table.columns)].groupby("method")["value"].mean()
    kinds = means.index.map(family)
    neighbours, factorizations = (means[kinds == x] for x in ("neighbours", "factorization"))
    if neighbours.empty or factorizations.empty:
        return None
    return str(factorizations.idxmin()), str(neighbours.idxmin())


def roles(table: pd.DataFrame, block: Mapping[str, Any]) -> tuple[str, str]:
    """Control and primary method: those of the config or, where they were not run, stand-ins."""
    held = [str(name) for name in table.columns]
    neighbours = [name for name in held if family(name) == "neighbours"]
    control = next(name for name in (block["control"], *neighbours, *held) if name in held)
    others = [name for name in held if name != control]
    factorizations = [name for name in others if family(name) == "factorization"]
    primary = next(name for name in (block["primary"], *factorizations, *others) if name in others)
    return control, primary


def _best_rows(grids: Mapping[str, pd.DataFrame], chosen: pd.DataFrame) -> list[Row]:
    """Best row for each k, its reg chosen on validation, and each method's chosen setting."""
    rows: list[Row] = []
    for method, cells in grids.items():
        rows += best(names.REG_ON_VALIDATION, method, blocks.best_reg(cells))
    renamed = chosen.rename(columns={"validation_rmse": "validation", "test_rmse": "test"})
    for name, of_method in renamed.groupby("method", sort=False):
        rows += best(names.SETTING_ON_VALIDATION, str(name), of_method)
    return rows


def best(arm: str, method: str, rows: pd.DataFrame) -> list[Row]:
    """Rows of the `best_rows` table of one arm and method."""
    named = rows.rename(columns={"validation": "validation_rmse", "test": "test_rmse"})
    kept = [name for name in COLUMNS["best_rows"] if name in named.columns]
    empty = {"seed": "", "fold": "", "edge": ""}
    return [
        {**empty, **{str(name): value for name, value in row.items()}}
        | {"arm": arm, "method": method}
        for row in named[kept].to_dict("records")
    ]
