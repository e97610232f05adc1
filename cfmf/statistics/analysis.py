"""The corrected analysis of one data set: tests between levels of k and between methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cfmf.methods.registry import family as kind
from cfmf.methods.registry import is_blend, nested, uses
from cfmf.selection import chosen_rows
from cfmf.statistics import assumptions, blocked, blocks, contrasts, names
from cfmf.statistics.families import adjust
from cfmf.statistics.names import BLOCKED, E1, E2, E3
from cfmf.statistics.populations import Influence, differences
from cfmf.statistics.results import Analysis, Family, Result, Row, of_family
from cfmf.tables import COLUMNS, where

NEEDED = (
    *("control", "primary", "estimands", "alpha", "ci_level", "margin", "power"),
    *("populations", "bootstrap_repeats", "seed"),
)


@dataclass(frozen=True)
class Measured:
    """What the stages before measured on one data set.

    Attributes
    ----------
    metrics
        `metrics` table of all methods.
    selection
        `selection` table: what validation chose for each method and fold.
    user_errors
        Columns fold, method, user, n, squared_error of the chosen settings.
    trials
        `trials` table of the neighbour methods' grids.
    size_ratio
        Test ratings over train ratings of a fold. Without it 1/(J-1), which J disjoint folds have.
    influence_of
        Called with a table of levels; see `cfmf.statistics.populations.of_levels`, whose first
        parameter it is. None where there are no predictions.
    repeats
        How many times each rating is tested.
    blends
        Members of each blend, by its name.
    """

    metrics: pd.DataFrame
    selection: pd.DataFrame
    user_errors: pd.DataFrame
    trials: pd.DataFrame | None = None
    size_ratio: float | None = None
    influence_of: Callable[[pd.DataFrame], Influence] | None = None
    repeats: int = 1
    blends: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def selected(self) -> pd.DataFrame:
        """Rows of `metrics` that belong to the chosen settings."""
        return chosen_rows(self.metrics, self.selection)

    def chosen(self) -> pd.DataFrame:
        """The chosen settings, with their RMSE on test averaged over seeds."""
        rows = where(self.selected, split="test", metric="rmse")
        test = rows.groupby(["fold", "method"])["value"].mean().rename("test_rmse")
        return self.selection.merge(test.reset_index(), "left")

    @property
    def ratio(self) -> float:
        """Test ratings over train ratings of a fold."""
        folds = self.selected["fold"].nunique()
        return 1 / max(folds - 1, 1) if self.size_ratio is None else self.size_ratio

    @cached_property
    def compared(self) -> pd.DataFrame:
        """Rows of `selected` of the methods whose runs at the chosen settings are all complete.

        Without blends, which are compared with each other only.
        """
        stopped = blocks.stopped_choices(self.metrics, self.chosen())["method"]
        rows = self.selected[~self.selected["method"].map(is_blend)]
        return rows[~rows["method"].isin(stopped)]

    @cached_property
    def table(self) -> pd.DataFrame:
        """RMSE on test of the compared methods: folds × methods."""
        return blocks.table(blocks.of_methods(self.compared), "method")

    @cached_property
    def blended(self) -> pd.DataFrame:
        """RMSE on test of the blends: folds × blends."""
        rows = self.selected[self.selected["method"].isin(self.blends)]
        return blocks.table(blocks.of_methods(rows), "method")

    @cached_property
    def best(self) -> pd.DataFrame:
        """The best of each family, fold by fold: what `blocks.composites` returns."""
        return blocks.composites(self.compared[self.compared["method"].isin(self.table.columns)])

    @cached_property
    def influence(self) -> Influence | None:
        """Of the test ratings on the compared methods, the best of each family, and the blends."""
        if self.influence_of is None:
            return None
        chosen = self.selection[["fold", "method", "k", "reg"]]
        chosen = chosen[chosen["method"].isin([*self.table.columns, *self.blended.columns])]
        best = self.best.rename(columns={"method": "level", "taken": "method"})
        best = best[["fold", "level", "method"]].merge(chosen, on=["fold", "method"])
        return self.influence_of(pd.concat([chosen.assign(level=chosen["method"]), best]))


def analyse(measured: Measured, block: Mapping[str, Any]) -> Analysis:
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
    chosen = measured.chosen()
    grids, stopped = complete_grids(measured.metrics)
    found = Analysis(tests=(*_not_tested(stopped, measured, block),))
    for method, cells in grids.items():
        found += _levels_of_k(method, cells, block, measured.ratio)
    if E3 in block["estimands"]:
        found += _methods(measured, block)
    tests = adjust(found.tests, block["alpha"])
    return Analysis(tests, found.checks, found.medians, _best_rows(grids, chosen))


def complete_grids(metrics: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Grids of two k or more whose runs are all complete; how many runs of the others were stopped.

    Returns
    -------
    What `blocks.grid` returns, by method; and columns method, stopped, runs of the other grids.

    Raises
    ------
    ValueError
        If a grid lacks a cell.
    """
    counts = metrics[metrics["k"] != ""].groupby("method", sort=False)["k"].nunique()
    methods = [str(method) for method in counts.index[counts > 1]]
    found = blocks.stopped(metrics)
    stopped = found[(found["stopped"] > 0) & found["method"].isin(methods)]
    kept = [method for method in methods if method not in set(stopped["method"])]
    return {method: blocks.grid(metrics, method) for method in kept}, stopped


def _not_tested(
    stopped: pd.DataFrame, measured: Measured, block: Mapping[str, Any]
) -> list[Result]:
    """A result without p for each grid, and for each method, that stopped runs keep out of tests.

    That of a grid is of the first of the estimands that are about k; without any there is none.
    """
    found = []
    for estimand in [name for name in block["estimands"] if name != E3][:1]:
        for method, count, runs in stopped.itertuples(index=False):
            family = Family(names.OF_K, method, estimand, BLOCKED, "k")
            found.append(_stopped("grid", family, count, runs))
    if E3 in block["estimands"]:
        family = Family(names.METHODS, "", E3, BLOCKED, "method")
        late = blocks.stopped_choices(measured.metrics, measured.chosen())
        for method, count, runs in late.itertuples(index=False):
            found.append(_stopped("chosen_setting", family, count, runs, method))
    return found


def _stopped(test: str, family: Family, stopped: int, runs: int, method: str = "") -> Result:
    known: dict[str, Any] = {"family": family, "group_a": method, "n_obs": runs}
    return Result(test, note="runs_stopped", note_value=stopped, **known)


def _levels_of_k(
    method: str, cells: pd.DataFrame, block: Mapping[str, Any], ratio: float
) -> Analysis:
    """Corrected tests of the k of one method, for E1 and E2 if declared; E2 needs two reg."""
    found = Analysis()
    makers = {E1: blocks.tuned, E2: blocks.averaged}
    for estimand in block["estimands"]:
        shared = blocks.complete(cells)
        if estimand not in makers or (estimand == E2 and shared[["k", "reg"]].nunique().min() < 2):
            continue
        values = makers[estimand](cells)
        table = blocks.table(values, "k")
        family = Family(names.OF_K, method, estimand, BLOCKED, "k")
        tests = _omnibus(values, table, "k", block, ratio)
        pairs = list(combinations(table.columns, 2))
        for first, second in pairs:
            tests += contrasts.paired_contrast(
                table[first], table[second], ratio, block, len(pairs)
            )
        checks = of_family(assumptions.of_blocks(table, block["alpha"]), family)
        of_k = medians(table.melt(var_name="k"), names.ARMS[estimand], method)
        found += Analysis((*of_family(tests, family),), (*checks,), (*of_k,))
    return found


def medians(runs: pd.DataFrame, arm: str, method: str) -> list[Row]:
    """Rows of the `medians` table for runs grouped by k, in order of the medians.

    The interquartile mean is that of the middle half: without a quarter of the runs at either end.
    """
    measures: dict[str, Callable[[NDArray[np.float64]], Any]] = {
        "median": np.median,
        "mean": np.mean,
        "interquartile_mean": lambda values: stats.trim_mean(values, 0.25),
        "minimum": np.min,
        "maximum": np.max,
    }
    rows = [
        {"arm": arm, "method": method, "k": k, "n": values.size}
        | {name: float(measure(values)) for name, measure in measures.items()}
        for k, values in blocks.grouped(runs).items()
    ]
    return sorted(rows, key=lambda row: row["median"])


def _omnibus(
    values: pd.DataFrame, table: pd.DataFrame, factor: str, block: Mapping[str, Any], ratio: float
) -> list[Result]:
    """All levels together; with one run in a cell the mixed model would repeat the analysis."""
    kept = values[values[factor].isin(table.columns)]
    found = blocked.shared_anova(table, ratio, block["ci_level"])
    if kept.groupby(["fold", factor]).size().min() > 1:
        found += blocked.mixed_model(kept, factor, block["ci_level"])
    return found


def _methods(measured: Measured, block: Mapping[str, Any]) -> Analysis:
    """E3: all methods, the primary comparisons, each method against the control, and blends."""
    table, ratio = measured.table, measured.ratio
    if table.shape[1] < 2:
        return Analysis()
    together = Family(names.METHODS, "", E3, BLOCKED, "method")
    values = blocks.of_methods(measured.compared)
    tests = of_family(_omnibus(values, table, "method", block, ratio), together)
    sides = table.join(blocks.table(measured.best, "method")) if len(measured.best) else table
    others = [name for name in names.POPULATIONS[1:] if name in block["populations"]]
    influence = measured.influence if others else None
    sides = sides.join(measured.blended)
    pairs = pairs_of_methods(sides, block) | pairs_of_blends(measured)
    for key, of_pairs in pairs.items():
        method = of_pairs[0][1] if key == names.AGAINST else ""
        family = replace(together, key=key, method=method)
        for pair in of_pairs:
            both, count = (sides[pair[0]], sides[pair[1]]), len(of_pairs)
            found = contrasts.paired_contrast(*both, ratio, block, count)
            if key == names.PRIMARY:
                found += contrasts.power(*both, ratio, block, count)
            if influence is not None:
                each = differences(influence, *pair, ratio, measured.repeats)
                for name in filter(each.__contains__, others):
                    found += contrasts.of_population(each[name], pair, block, count)
            tests += of_family(found, family)
    checks = of_family(assumptions.of_blocks(table, block["alpha"]), together)
    return Analysis((*tests,), (*checks,))


def pairs_of_methods(
    table: pd.DataFrame, block: Mapping[str, Any]
) -> dict[str, list[tuple[str, str]]]:
    """The pairs of methods that are compared, in families; no pair is in two of them.

    The primary family has the best of each family, chosen fold by fold, and the primary method
    against the control. The other family has every other method against the control.

    Parameters
    ----------
    table
        Folds × methods, with `names.COMPOSITES` where both families were run.
    block
        The `statistics` block of the config.
    """
    beside = names.COMPOSITES.values()
    methods = [str(name) for name in table.columns if not (name in beside or is_blend(name))]
    control, primary = roles(methods, block)
    found = [(primary, control)]
    best = names.COMPOSITES["factorization"], names.COMPOSITES["neighbours"]
    if set(best) <= set(table.columns) and not table[[*best]].equals(
        table[[*found[0]]].set_axis(best, axis="columns")
    ):
        found.insert(0, best)
    others = [(name, control) for name in methods if name not in (control, primary)]
    return {names.PRIMARY: found} | ({names.AGAINST: others} if others else {})


def pairs_of_blends(measured: Measured) -> dict[str, list[tuple[str, str]]]:
    """The family of blends against those of some of their members; none without such pairs."""
    held = {name: measured.blends[str(name)] for name in measured.blended.columns}
    found = nested(held)
    return {names.BLENDS: found} if found else {}


def roles(held: Sequence[str], block: Mapping[str, Any]) -> tuple[str, str]:
    """Control and primary method: those of the config or, where they were not run, substitutes.

    A method that uses more than the ratings is a substitute only where there is no other.
    """
    held = sorted(held, key=lambda name: bool(uses(name)))
    neighbours = [name for name in held if kind(name) == "neighbours"]
    control = next(name for name in (block["control"], *neighbours, *held) if name in held)
    others = [name for name in held if name != control]
    factorizations = [name for name in others if kind(name) == "factorization"]
    primary = next(name for name in (block["primary"], *factorizations, *others) if name in others)
    return control, primary


def _best_rows(grids: Mapping[str, pd.DataFrame], chosen: pd.DataFrame) -> tuple[Row, ...]:
    """Best row for each k, its reg chosen on validation, and each method's chosen setting."""
    rows: list[Row] = []
    for method, cells in grids.items():
        rows += best_rows(names.REG_ON_VALIDATION, method, blocks.best_reg(cells))
    # Their errors are means over seeds, so that no seed belongs to them.
    for name, of_method in chosen.drop(columns="seed").groupby("method", sort=False):
        rows += best_rows(names.SETTING_ON_VALIDATION, str(name), of_method)
    return (*rows,)


def best_rows(arm: str, method: str, rows: pd.DataFrame) -> list[Row]:
    """Rows of the `best_rows` table of one arm and method."""
    named = rows.rename(columns={"validation": "validation_rmse", "test": "test_rmse"})
    kept = [name for name in COLUMNS["best_rows"] if name in named.columns]
    empty = {"seed": "", "fold": "", "edge": ""}
    return [
        {**empty, **{str(name): value for name, value in row.items()}}
        | {"arm": arm, "method": method}
        for row in named[kept].to_dict("records")
    ]
