"""The verdict, made from the results by rule: messages, each a key and the numbers it holds.

The report's catalogues have the sentences, under `verdict`. No message states that there is
no difference: for a test that does not reject, the message gives what it could have detected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cfmf.evaluation.collect import stopped_trials
from cfmf.evaluation.data_sets import independent, pairs_of_schemes, side_by_side
from cfmf.selection import edge_parts, search_edges
from cfmf.statistics import blocked, blocks, names
from cfmf.statistics.across import LEAST, METHODS
from cfmf.statistics.analysis import Measured, best_per_family, roles
from cfmf.statistics.names import BLOCKED, E1, E3
from cfmf.statistics.results import Analysis, Check, Result, find

Message = dict[str, Any]
SEARCHED = ("k", "reg", "neighbours", "shrinkage")
"""Parts of a setting that the config gives a range to search in."""


def message(key: str, **numbers: Any) -> Message:
    """A message: its key, and the numbers, names and keys that its sentence holds."""
    return {"key": key, "numbers": numbers}


@dataclass(frozen=True)
class Known:
    """What the verdict reports apart from the tests.

    Attributes
    ----------
    searched
        `trials` table of the searches on validation.
    ranges
        The `tuning.search` block of the config, whose pairs of numbers these drew from.
    order
        An order of k from elsewhere, lowest error first, with which the corrected one is compared.
    order_messages
        The messages that report it.
    """

    searched: pd.DataFrame | None = None
    ranges: Mapping[str, Any] = field(default_factory=dict)
    order: Sequence[str] = ()
    order_messages: Sequence[Message] = ()


def of_dataset(
    found: Analysis, measured: Measured, block: Mapping[str, Any], known: Known
) -> list[Message]:
    """The verdict on one data set.

    Parameters
    ----------
    found
        What `cfmf.statistics.analysis.analyse` returns.
    measured
        What it was made from.
    block
        The `statistics` block of the config, with the schema's defaults filled in.
    known
        What else is reported.
    """
    metrics, selected, chosen = measured.metrics, measured.selected, measured.chosen()
    methods = E3 in block["estimands"]
    said = _comparisons(found.tests, measured.compared(), block) if methods else []
    said += [*_described(found.tests, selected), *known.order_messages]
    said += [*_orders_of_k(found, known.order, block), *of_edges(chosen)]
    undeclared = [name for name in names.ESTIMANDS if name not in block["estimands"]]
    said += [message("undeclared", names=undeclared)] if undeclared else []
    checks = [check for check in found.checks if check.family.design == BLOCKED]
    said += of_design(int(selected["fold"].nunique()), fewest_seeds(selected), checks)
    if known.searched is not None:
        bounds = {name: ends for name, ends in known.ranges.items() if name in SEARCHED}
        said += of_edges(search_edges(known.searched, bounds), "edge_search")
    said += of_stopped(blocks.stopped(metrics), "stopped")
    if methods:
        said += of_stopped(blocks.stopped_choices(metrics, chosen), "refused")
    said += of_unconverged(blocks.unconverged_choices(metrics, chosen))
    if measured.trials is not None:
        said += of_stopped(stopped_trials(measured.trials), "stopped_trials")
    return said


def _comparisons(
    tests: Sequence[Result], compared: pd.DataFrame, block: Mapping[str, Any]
) -> list[Message]:
    """The contrasts of methods: the best of each family, then each method against the control."""
    table = blocks.table(blocks.of_methods(compared), "method")
    if table.shape[1] < 2:
        return []
    control, primary = roles(table, block)
    said = []
    if best := best_per_family(compared, table):
        said.append(message("best_per_family", first=best[0], second=best[1]))
        if best[1] != control:
            pair = find(tests, names.BEST, group_a=best[0], group_b=best[1])
            said += of_contrast(pair, *best, block["alpha"])
            said += of_power(pair, *best)
    for role, taken in (("control", control), ("primary", primary)):
        if taken != block[role]:
            said.append(message("absent", wanted=block[role], taken=taken, role=role))
    others = [str(name) for name in table.mean().sort_values().index]
    for method in (primary, *(name for name in others if name not in (control, primary))):
        pair = find(tests, names.AGAINST, group_a=method, group_b=control)
        said += of_contrast(pair, method, control, block["alpha"])
        said += of_power(pair, method, control) if method == primary else []
    return said


def _described(tests: Sequence[Result], selected: pd.DataFrame) -> list[Message]:
    """Which methods lack a fold, and the order of the others."""
    values = blocks.of_methods(selected)
    lacking = blocks.lacking(values, "method")
    said = [message("left_out", names=lacking)] if lacking else []
    table = blocks.table(values, "method")
    if not table.shape[1]:
        return said
    means = table.mean().sort_values(kind="stable")
    order = [[str(name), float(value)] for name, value in means.items()]
    return [
        *said,
        message("best", first=order[0][0], value=order[0][1], folds=len(table)),
        message("order_methods", order=order),
        *of_omnibus(find(tests, names.METHODS), "omnibus_methods"),
    ]


def _orders_of_k(
    found: Analysis, published: Sequence[str], block: Mapping[str, Any]
) -> list[Message]:
    """The corrected order of k of every method with a grid, compared with the published one."""
    said = []
    corrected = [row for row in found.medians if row["arm"] == names.ARMS[E1]]
    for method in dict.fromkeys(row["method"] for row in corrected):
        means = {row["k"]: row["mean"] for row in corrected if row["method"] == method}
        said += of_orders(published, means, method)
        best = min(means, key=means.__getitem__)
        other = published[0] if published else best
        if other == best or other not in means:
            other = max(means, key=means.__getitem__)
        first, second = sorted((best, other), key=blocks.number)
        family = find(found.tests, names.OF_K, method=method, estimand=E1)
        pair = [one for one in family if (one.group_a, one.group_b) == (first, second)]
        contrast = of_contrast(pair, first, second, block["alpha"])
        said += [message(one["key"], **one["numbers"], method=method) for one in contrast]
        said += of_omnibus(family, "omnibus_k", method=method)
    return said


def of_contrast(pair: Sequence[Result], first: str, second: str, alpha: float) -> list[Message]:
    """What the paired tests of one contrast show, in one message or two.

    Parameters
    ----------
    pair
        Adjusted results of the two levels, of one family.
    first, second
        The two levels, in the order of the results.
    alpha
        Level of the adjusted tests.
    """
    by_test = {(one.test, one.stat_name): one for one in pair}
    t = _of(pair, names.CORRECTED_T)
    if t is None or pd.isna(t.p_adj):
        why = "no_common_folds" if t is None else t.note
        return [message("no_test", first=first, second=second, why=why)]
    tost = _of(pair, names.EQUIVALENCE)
    assert tost is not None  # it is made with every corrected t that has a p
    equivalent = {
        "first": first,
        "second": second,
        "difference": t.effect,
        "margin": tost.margin,
        "equivalence_p": tost.p_adj,
        "equivalence_level": tost.interval.level,
        "equivalence_low": tost.interval.low,
        "equivalence_high": tost.interval.high,
    }
    known = {"first": first, "second": second, "p": t.p_adj, "level": t.interval.level}
    if t.p_adj < alpha:
        # By how much lower or higher: an end on the other side of zero stays negative.
        sign = 1 if t.effect >= 0 else -1
        low, high = sorted((sign * t.interval.low, sign * t.interval.high))
        chance = by_test[names.BAYESIAN_T, names.HIGHER if sign == 1 else names.LOWER]
        shown = {"size": abs(t.effect), "low": low, "high": high}
        known |= {**shown, "probability": chance.stat, "rope": chance.margin}
        said = [message("higher" if sign == 1 else "lower", **known)]
        return said + [message("small", **equivalent)] * (tost.p_adj < alpha)
    if tost.p_adj < alpha:
        return [message("equivalent", **equivalent)]
    ends = {"low": t.interval.low, "high": t.interval.high}
    return [message("undecided", **known, difference=t.effect, **ends)]


def of_power(pair: Sequence[Result], first: str, second: str) -> list[Message]:
    """What one contrast can detect, and how it varies with the users."""
    said = []
    known = {"first": first, "second": second}
    power, users = _of(pair, names.POWER), _of(pair, names.USER_BOOTSTRAP)
    if power is not None:
        comparisons = int(power.family_size)
        said.append(
            message(
                "power" if comparisons == 1 else "power_family",
                **known,
                folds=int(power.n_blocks),
                comparisons=comparisons,
                detectable=power.effect,
                power=power.note_value,
            )
        )
    if users is not None:
        ends = {name: getattr(users.interval, name) for name in ("level", "low", "high")}
        said.append(message("users", **known, difference=users.effect, **ends))
    return said


def _of(results: Iterable[Result], test: str) -> Result | None:
    return next((one for one in results if one.test == test), None)


def of_orders(
    published: Sequence[str], corrected: Mapping[str, float], method: str
) -> list[Message]:
    """The corrected order of k of one method, and how it agrees with the published one.

    Parameters
    ----------
    published
        k in order of the published medians, lowest first; empty where there are none.
    corrected
        Mean RMSE on test by k.
    method
        The method whose k they are.
    """
    order = sorted(corrected, key=corrected.__getitem__)
    values = [corrected[k] for k in order]
    said = [message("order_corrected", method=method, order=order, values=values)]
    shared = [k for k in published if k in order]
    if len(shared) > 1:
        pairs = [(a, b) for i, a in enumerate(shared) for b in shared[i + 1 :]]
        against = sum(order.index(a) > order.index(b) for a, b in pairs)
        key = "order_reversed" if against else "order_same"
        said.append(message(key, method=method, pairs=against, all_pairs=len(pairs)))
    return said


def of_omnibus(family: Sequence[Result], key: str, **known: str) -> list[Message]:
    """What the tests of all levels of a family together show, in a message of this key."""
    tests = (names.FRIEDMAN, names.SHARED_ANOVA, names.ANOVA)
    friedman, anova, naive = (_of(family, test) for test in tests)
    if friedman is None or anova is None or naive is None or pd.isna(friedman.p_raw):
        return []
    p = {"friedman": friedman.p_raw, "anova": anova.p_raw, "naive": naive.p_raw}
    return [message(key, **known, **p, concordance=friedman.effect)]


def of_edges(chosen: pd.DataFrame, key: str = "edge") -> list[Message]:
    """Which methods' chosen settings are on the edge of what was tried, and why.

    Parameters
    ----------
    chosen
        Columns method and edge, one row a fold.
    key
        Of the message: `edge` of grids, `edge_search` of searches. A search that grows adds why it
        did not go on: `edge_limit` or `edge_budget`.
    """
    said = []
    for method, rows in chosen.groupby("method", sort=False):
        ends = [edge_parts(edge) for edge in rows["edge"]]
        for why in sorted({end.partition("-")[2] for one in ends for _, end in one}):
            alike = [[part for part in one if part[1].partition("-")[2] == why] for one in ends]
            where = sorted({part for one in alike for part in one})
            folds = {"folds": sum(map(bool, alike)), "all_folds": len(rows)}
            of_why = "_".join(filter(None, (key, why)))
            said.append(message(of_why, method=str(method), **folds, where=[*map(list, where)]))
    return said


def of_stopped(counts: pd.DataFrame, key: str) -> list[Message]:
    """Which methods' runs the time budget stopped.

    Parameters
    ----------
    counts
        Columns method, stopped, runs.
    key
        Of the message: `stopped` of trainings, `refused` of those at chosen settings,
        `stopped_trials` of a neighbour method's trials.
    """
    return [
        message(key, method=str(method), stopped=int(stopped), runs=int(runs))
        for method, stopped, runs in counts[["method", "stopped", "runs"]].itertuples(index=False)
        if stopped
    ]


def of_unconverged(counts: pd.DataFrame) -> list[Message]:
    """Which methods' runs at their chosen settings did not converge.

    Parameters
    ----------
    counts
        Columns method, unconverged, runs.
    """
    return [
        message("unconverged", method=str(method), unconverged=int(unconverged), runs=int(runs))
        for method, unconverged, runs in counts.itertuples(index=False)
    ]


def fewest_seeds(selected: pd.DataFrame) -> int | None:
    """Seeds of the method that has fewest of those that draw random numbers; None if none does."""
    drawn = selected[selected["seed"] != ""].groupby("method")["seed"].nunique()
    return None if drawn.empty else int(drawn.min())


def of_design(folds: int, seeds: int | None, checks: Sequence[Check]) -> list[Message]:
    """What the design allows.

    Parameters
    ----------
    folds
        Their number.
    seeds
        The lowest number of seeds of a method that draws random numbers; None where none does.
    checks
        The checks of the corrected tests.
    """
    judged = [check.violation for check in checks if check.violation is not None]
    said = []
    if folds == 1:
        said.append(message("one_fold"))
    elif seeds is not None and (folds < 10 or seeds < 3):
        said.append(message("few_runs", folds=folds, seeds=seeds))
    elif folds < 10:
        said.append(message("few_folds", folds=folds))
    if judged:
        said.append(message("assumptions", violations=sum(judged), checks=len(judged)))
    return said


def across(table: pd.DataFrame, tests: Sequence[Result], block: Mapping[str, Any]) -> list[Message]:
    """The verdict on all data sets together."""
    wide = independent(table)
    size = {"datasets": len(wide), "methods": wide.shape[1]}
    friedman = _of(tests, names.FRIEDMAN)
    if E3 not in block["estimands"]:
        said = [message("undeclared", names=[E3])]
    elif friedman is None or pd.isna(friedman.p_raw):
        needed = {"needed_datasets": LEAST, "needed_methods": METHODS}
        said = [message("datasets_few", **size, **needed)]
    else:
        ranks = blocked.ranks(wide).mean().sort_values(kind="stable")
        order = [[str(name), float(rank)] for name, rank in ranks.items()]
        found = {"p": friedman.p_raw, "concordance": friedman.effect}
        said = [message("datasets_order", datasets=len(wide), order=order, **found)]
        lowest = blocked.least_friedman_p(*wide.shape)
        if lowest >= block["alpha"]:
            said.append(message("datasets_reach", **size, p=lowest, alpha=block["alpha"]))
    return said + [_of_schemes(table, *pair) for pair in pairs_of_schemes(table)]


def _of_schemes(table: pd.DataFrame, random: str, temporal: str) -> Message:
    """The best method under each split scheme of the same ratings, and how much errors rise."""
    both = side_by_side(table, random, temporal)
    first, second = (both.sort_values(side)["method"].iloc[0] for side in ("first", "second"))
    return message(
        "split_schemes" if first != second else "split_schemes_same",
        random=random,
        temporal=temporal,
        first=first,
        second=second,
        higher=int((both["difference"] > 0).sum()),
        methods=len(both),
        mean=float(both["difference"].mean()),
    )
