"""The whole analysis of one data set: the published battery, the corrected tests, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from cfmf.config import family
from cfmf.evaluation.bootstrap import Resampling
from cfmf.evaluation.collect import choose, late_trials, trial_edges
from cfmf.published import battery as published
from cfmf.search import PUBLISHED_METHOD
from cfmf.statistics import assumptions, blocked, blocks, contrasts, names, verdict
from cfmf.statistics.names import BLOCKED, CHAMPIONS, COMPLETE, E1, E2, E3, GRID, PRUNED, USERS
from cfmf.statistics.rows import Row, about, adjust, test_row
from cfmf.tables import COLUMNS

NEEDED = (
    *("control", "primary", "estimands", "alpha", "ci_level", "margin", "rope", "power"),
    *("bootstrap_repeats", "seed"),
)

SEARCHED = ("k", "reg", "neighbours", "shrinkage")
"""Parts of a setting that the config gives a range to search in."""


@dataclass(frozen=True)
class Results:
    """Tables of the study and its verdict; the columns are those of `cfmf.tables`."""

    tests: pd.DataFrame
    assumptions: pd.DataFrame
    medians: pd.DataFrame
    best_rows: pd.DataFrame
    verdict: list[verdict.Sentence]


def analyse(
    metrics: pd.DataFrame,
    selected: pd.DataFrame,
    user_errors: pd.DataFrame,
    block: Mapping[str, Any],
    *,
    search: pd.DataFrame | None = None,
    ratio: float | None = None,
    trials: pd.DataFrame | None = None,
    searched: pd.DataFrame | None = None,
    ranges: Mapping[str, Any] | None = None,
) -> Results:
    """Every analysis of one data set: the published battery and the tests of the design.

    Parameters
    ----------
    metrics
        `metrics` table of all methods.
    selected
        The same for the settings chosen on validation.
    user_errors
        Columns fold, method, user, n, squared_error of the chosen settings.
    block
        The `statistics` block of the config, with the schema's defaults filled in.
    search
        Trials of the published search, the frame of `cfmf.published.search.search`: columns
        params_k, params_lmd, value, state. Without it the battery runs on the grids alone.
    ratio
        Test ratings over train ratings of a fold. Without it 1/(J-1), which J disjoint folds have.
    trials
        `trials` table of the neighbour methods' grids.
    searched
        `trials` table of the searches on validation.
    ranges
        The `tuning.search` block of the config, whose pairs of numbers these drew from.

    Raises
    ------
    ValueError
        If the block lacks a key or a grid lacks a cell.
    """
    missing = [key for key in NEEDED if key not in block]
    if missing:
        raise ValueError(f"the statistics block lacks {missing}; the schema has their defaults")
    folds = int(selected["fold"].nunique())
    if ratio is None:
        ratio = 1 / max(folds - 1, 1)
    chosen = choose(metrics)
    if trials is not None:
        chosen = with_trial_edges(chosen, trials)
    late = blocks.late_choices(metrics, chosen)
    compared = selected[~selected["method"].isin(late["method"])]
    grids, refused = complete_grids(metrics, [e for e in blocks.declared(block) if e != E3])
    parts = [
        _published(grids, search, block),
        (refused, [], []),
        (incomplete_choices(late) if E3 in blocks.declared(block) else [], [], []),
        *(_levels_of_k(method, cells, block, ratio) for method, cells in grids.items()),
        _methods(compared, user_errors, block, ratio),
    ]
    tests = adjust([row for part in parts for row in part[0]], block["alpha"])
    checks = pd.DataFrame(
        [row for part in parts for row in part[1]], columns=COLUMNS["assumptions"]
    )
    medians = pd.DataFrame([row for part in parts for row in part[2]], columns=COLUMNS["medians"])
    rows = pd.DataFrame(_best_rows(grids, chosen, search), columns=COLUMNS["best_rows"])
    words = _verdict(tests, checks, medians, chosen, selected, compared, block)
    if searched is not None:
        bounds = {name: ends for name, ends in (ranges or {}).items() if name in SEARCHED}
        words += verdict.of_edges(trial_edges(searched, bounds), "edge_search")
    words += verdict.of_cuts(blocks.cuts(metrics))
    if E3 in blocks.declared(block):
        words += verdict.of_cuts(late, "refused")
    if trials is not None:
        words += verdict.of_cuts(late_trials(trials), "cut_trials")
    return Results(tests, checks, medians, rows, words)


def with_trial_edges(chosen: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """What `choose` returns, with the edges of those methods that chose among trials."""
    found = trial_edges(trials).set_index(["fold", "method"])["edge"]
    places = zip(chosen["fold"], chosen["method"], chosen["edge"], strict=True)
    return chosen.assign(edge=[found.get((fold, method), edge) for fold, method, edge in places])


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


def _published(
    grids: Mapping[str, pd.DataFrame], search: pd.DataFrame | None, block: Mapping[str, Any]
) -> Part:
    """The published battery, on the search's trials and on the grids it may be compared with."""
    rows: list[Row] = []
    checks: list[Row] = []
    medians: list[Row] = []
    samples = {}
    if search is not None:
        runs, method = trial_runs(search), PUBLISHED_METHOD
        samples[PRUNED, method] = runs
        medians += published.medians(runs[runs["state"] == "COMPLETE"], COMPLETE, method)
    for method in dict.fromkeys(["mf-published", block["primary"]]):
        if method in grids:
            runs = grids[method].rename(columns={"test": "value"})
            samples[GRID, method] = runs
    for (arm, method), runs in samples.items():
        family = f"published: k of {method}, {arm.removeprefix('published: ')}"
        found = published.battery(runs, family, block["alpha"], Resampling.of(block))
        rows += found[0]
        checks += found[1]
        medians += published.medians(runs, arm, method)
    return rows, checks, medians


def trial_runs(search: pd.DataFrame) -> pd.DataFrame:
    """Trials that have a value, pruned ones too, as runs: columns k (text), value, state."""
    kept = search.dropna(subset=["value"])
    return pd.DataFrame(
        {
            "k": kept["params_k"].astype(int).astype(str),
            "reg": kept["params_lmd"].map("{:.9g}".format),
            "value": kept["value"].astype(float),
            "state": kept["state"].astype(str),
        }
    ).reset_index(drop=True)


def _levels_of_k(method: str, cells: pd.DataFrame, block: Mapping[str, Any], ratio: float) -> Part:
    """Corrected tests of the k of one method, for E1 and E2 if declared; E2 needs two reg."""
    rows: list[Row] = []
    checks: list[Row] = []
    medians: list[Row] = []
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
        medians += published.medians(runs, f"corrected: {estimand}", method)
    return rows, checks, medians


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


def _best_rows(
    grids: Mapping[str, pd.DataFrame], chosen: pd.DataFrame, search: pd.DataFrame | None
) -> list[Row]:
    """Best row for each k: chosen on test as published, and on validation fold by fold."""
    rows: list[Row] = []
    if search is not None:
        runs, method = trial_runs(search), PUBLISHED_METHOD
        for k in published.grouped(runs):
            best = runs[runs["k"] == k].nsmallest(1, "value").rename(columns={"value": "test"})
            rows += _best(names.SEARCH_ON_TEST, method, best)
    for method, cells in grids.items():
        best = cells.loc[cells.groupby("k")["test"].idxmin()]
        best = best.sort_values("k", key=lambda s: s.map(blocks.number))
        rows += _best(names.GRID_ON_TEST, method, best)
        rows += _best(names.REG_ON_VALIDATION, method, blocks.best_reg(cells))
    renamed = chosen.rename(columns={"validation_rmse": "validation", "test_rmse": "test"})
    for name, of_method in renamed.groupby("method", sort=False):
        rows += _best(names.SETTING_ON_VALIDATION, str(name), of_method)
    return [{"seed": "", "fold": "", "edge": "", **row} for row in rows]


def _best(arm: str, method: str, rows: pd.DataFrame) -> list[Row]:
    named = rows.rename(columns={"validation": "validation_rmse", "test": "test_rmse"})
    kept = [name for name in COLUMNS["best_rows"] if name in named.columns]
    return [
        {**{str(name): value for name, value in row.items()}, "arm": arm, "method": method}
        for row in named[kept].to_dict("records")
    ]


def _verdict(
    tests: pd.DataFrame,
    checks: pd.DataFrame,
    medians: pd.DataFrame,
    chosen: pd.DataFrame,
    selected: pd.DataFrame,
    compared: pd.DataFrame,
    block: Mapping[str, Any],
) -> list[verdict.Sentence]:
    table = blocks.table(blocks.of_methods(compared), "method")
    said = []
    if table.shape[1] > 1 and E3 in blocks.declared(block):
        control, primary = roles(table, block)
        if best := champions(selected, table):
            said.append(verdict.sentence("champions", first=best[0], second=best[1]))
            if best[1] != control:
                family = tests[tests["family"] == CHAMPIONS]
                said += verdict.of_contrast(family, *best, block["alpha"])
                said += verdict.of_sight(family, *best)
        for role, taken in (("control", control), ("primary", primary)):
            if taken != block[role]:
                said.append(verdict.sentence("absent", wanted=block[role], taken=taken, role=role))
        against = tests[tests["family"] == f"methods against {control}"]
        others = [
            name for name in table.mean().sort_values().index if name not in (control, primary)
        ]
        said += verdict.of_contrast(against, primary, control, block["alpha"])
        said += verdict.of_sight(against, primary, control)
        for method in others:
            said += verdict.of_contrast(against, str(method), control, block["alpha"])
    values = blocks.of_methods(selected)
    if out := blocks.lacking(values, "method"):
        said.append(verdict.sentence("left_out", names=", ".join(out)))
    described = blocks.table(values, "method")
    if described.shape[1]:
        said += verdict.of_methods(described)
        said += verdict.of_omnibus(tests[tests["family"] == "methods"], "methods")
    said += _orders_of_k(medians, tests, block)
    said += verdict.of_edges(chosen)
    said += verdict.of_undeclared(blocks.declared(block))
    corrected = checks[(checks["design"] == BLOCKED) & (checks["departure"] != "")]
    folds, seeds = int(selected["fold"].nunique()), least_seeds(selected)
    return said + verdict.of_design(folds, seeds, corrected["departure"])


def least_seeds(selected: pd.DataFrame) -> int | None:
    """Seeds of the method that has fewest of those that draw random numbers; None if none does."""
    drawn = selected[selected["seed"] != ""].groupby("method")["seed"].nunique()
    return None if drawn.empty else int(drawn.min())


def _orders_of_k(
    medians: pd.DataFrame, tests: pd.DataFrame, block: Mapping[str, Any]
) -> list[verdict.Sentence]:
    """The published order of k, and beside it the corrected order of every method with a grid."""
    published_order, said = _published_order(medians, block["primary"])
    corrected = medians[medians["arm"] == names.TUNED]
    for method, rows in corrected.groupby("method", sort=False):
        means = rows.set_index("k")["mean"]
        said += verdict.of_orders(published_order, means, str(method))
        best = str(means.idxmin())
        other = published_order[0] if published_order else best
        if other == best or other not in means.index:
            other = str(means.idxmax())
        first, second = sorted((best, other), key=blocks.number)
        family = tests[(tests["family"] == f"k of {method}") & (tests["estimand"] == E1)]
        said += verdict.of_contrast(
            family, first, second, block["alpha"], prefix=f"{method} with k="
        )
        said += verdict.of_omnibus(family, f"k of {method}")
    return said


def _published_order(
    medians: pd.DataFrame, primary: str
) -> tuple[list[str], list[verdict.Sentence]]:
    """Order of k by its published medians, best first: of the search or, without one, of a grid."""
    searched = medians.loc[medians["arm"] == PRUNED, "method"].unique().tolist()
    arms = [(PRUNED, name) for name in searched]
    for arm, method in (*arms, (GRID, "mf-published"), (GRID, primary)):
        rows = medians[(medians["arm"] == arm) & (medians["method"] == method)]
        if rows.empty:
            continue
        order = [str(k) for k in rows.sort_values("median", kind="stable")["k"]]
        runs, label = int(rows["n"].sum()), arm.removeprefix("published: ")
        said = [
            verdict.sentence("order_published", arm=label, method=method, order=" < ".join(order))
        ]
        if arm == PRUNED:
            complete = int(medians.loc[medians["arm"] == COMPLETE, "n"].sum())
            said.append(verdict.sentence("pruned", runs=runs, pruned=runs - complete))
        return order, said
    return [], []
