"""The verdict, made from the results by rule: messages, each a key and the numbers it holds.

The report's catalogues have the sentences, under `verdict`. Of a pair the verdict is one of four,
by its simultaneous interval and the margin; what is listed without a test is said to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cfmf.evaluation.collect import stopped_trials
from cfmf.evaluation.data_sets import independent, pairs_of_schemes, side_by_side
from cfmf.methods.registry import is_blend
from cfmf.selection import edge_parts, search_edges
from cfmf.statistics import blocked, blocks, names
from cfmf.statistics.across import LEAST, METHODS
from cfmf.statistics.analysis import Measured, roles
from cfmf.statistics.contrasts import inner_interval
from cfmf.statistics.names import BLOCKED, E1, E3
from cfmf.statistics.results import Analysis, Check, Result, find

Message = dict[str, Any]
SEARCHED = ("k", "reg", "neighbours", "shrinkage")
"""Parts of a setting that the config gives a range to search in."""
FOLDS, SEEDS = 10, 3
"""Numbers from which a study is one for claims."""


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
    said = of_design(int(selected["fold"].nunique()), fewest_seeds(selected))
    said += _comparisons(found.tests, measured, block) if methods else []
    said += [*_described(found.tests, selected), *known.order_messages]
    said += [*_orders_of_k(found, known.order, block["alpha"]), *of_edges(chosen)]
    undeclared = [name for name in names.ESTIMANDS if name not in block["estimands"]]
    said += [message("undeclared", names=undeclared)] if undeclared else []
    said += of_checks([check for check in found.checks if check.family.design == BLOCKED])
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
    tests: Sequence[Result], measured: Measured, block: Mapping[str, Any]
) -> list[Message]:
    """The primary comparisons, then each other method against the control, then blends."""
    if measured.table.shape[1] < 2:
        return []
    said = []
    pairs = {
        key: contrasts_of(find(tests, key)) for key in (names.PRIMARY, names.AGAINST, names.BLENDS)
    }
    if set(names.COMPOSITES.values()) <= set(measured.best["method"]):
        said.append(message("best_per_family", **times_taken(measured.best)))
    for (first, second), pair in pairs[names.PRIMARY].items():
        said += of_contrast(pair, first, second, block["alpha"])
        said += of_populations(pair, first, second) + of_power(pair, first, second)
    control, primary = roles([str(name) for name in measured.table.columns], block)
    for role, used in (("control", control), ("primary", primary)):
        if used != block[role]:
            said.append(message("absent", wanted=block[role], taken=used, role=role))
    for (first, second), pair in pairs[names.AGAINST].items():
        said += of_contrast(pair, first, second, block["alpha"])
    for (first, second), pair in pairs[names.BLENDS].items():
        whole, part = measured.blends[first], measured.blends[second]
        added = [one for one in whole if one not in part]
        said.append(message("blend_adds", first=first, second=second, added=added))
        said += of_contrast(pair, first, second, block["alpha"])
        said += of_populations(pair, first, second)
    return said


def contrasts_of(tests: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    """The results of every pair of levels, by the pair."""
    pairs: dict[tuple[str, str], list[Result]] = {}
    for one in tests:
        if one.group_b:
            pairs.setdefault((one.group_a, one.group_b), []).append(one)
    return pairs


def times_taken(taken: pd.DataFrame) -> dict[str, list[list[Any]]]:
    """For each family the methods that its best is in some fold, with the number of folds."""
    return {
        str(name): [[str(one), int(folds)] for one, folds in rows["taken"].value_counts().items()]
        for name, rows in taken.groupby("method")
    }


def _described(tests: Sequence[Result], selected: pd.DataFrame) -> list[Message]:
    """Which methods lack a fold, and the order of the others."""
    values = blocks.of_methods(selected[~selected["method"].map(is_blend)])
    lacking = blocks.lacking(values, "method")
    said = [message("left_out", names=lacking)] if lacking else []
    table = blocks.table(values, "method")
    if not table.shape[1]:
        return said
    means = table.mean().sort_values(kind="stable")
    order = [[str(name), float(value)] for name, value in means.items()]
    omnibus = of_omnibus(find(tests, names.METHODS), "omnibus_methods")
    return [*said, message("order_methods", order=order, folds=len(table)), *omnibus]


def _orders_of_k(found: Analysis, published: Sequence[str], alpha: float) -> list[Message]:
    """Every method's mean errors by k, and what its pairs of k show of the published order."""
    said = []
    corrected = [row for row in found.medians if row["arm"] == names.ARMS[E1]]
    for method in dict.fromkeys(row["method"] for row in corrected):
        means = {row["k"]: row["mean"] for row in corrected if row["method"] == method}
        order = sorted(means, key=means.__getitem__)
        values = [means[k] for k in order]
        said.append(message("order_corrected", method=method, order=order, values=values))
        family = find(found.tests, names.OF_K, method=method, estimand=E1)
        said += [*of_pairs_of_k(family, method), *of_order(published, family, method)]
        said += of_omnibus(family, "omnibus_k", method=method)
    return said


def of_pairs_of_k(family: Sequence[Result], method: str) -> list[Message]:
    """How many pairs of k have each verdict."""
    verdicts = [one.verdict for one in family if one.test == names.CORRECTED_T and one.verdict]
    counts = {verdict: verdicts.count(verdict) for verdict in names.VERDICTS}
    margins = [one.margin for one in family if one.test == names.CORRECTED_T and one.verdict]
    if not verdicts:
        return []
    return [message("pairs_of_k", method=method, pairs=len(verdicts), margin=margins[0], **counts)]


def of_order(published: Sequence[str], family: Sequence[Result], method: str) -> list[Message]:
    """In how many pairs of k a difference beyond zero confirms the published order, or not.

    Parameters
    ----------
    published
        k in order of the published medians, lowest first; empty where there are none.
    family
        Results of the pairs of k of one method.
    method
        The method whose k they are.
    """
    signs = []
    for one in family:
        pair = (one.group_a, one.group_b)
        if one.test != names.CORRECTED_T or not one.verdict or not set(pair) <= set(published):
            continue
        expected = -1 if published.index(pair[0]) < published.index(pair[1]) else 1
        beyond = (one.interval.low > 0) - (one.interval.high < 0)
        signs.append(beyond * expected)
    if not signs:
        return []
    counts = {"confirmed": signs.count(1), "contradicted": signs.count(-1), "open": signs.count(0)}
    return [message("order_compared", method=method, pairs=len(signs), **counts)]


def of_contrast(pair: Sequence[Result], first: str, second: str, alpha: float) -> list[Message]:
    """The verdict on one pair, in one message: by its widest interval, whose population it names.

    Parameters
    ----------
    pair
        Results of the two levels, of one family.
    first, second
        The two levels, in the order of the results. The message has the one of lower RMSE first and
        by how much it is lower.
    alpha
        Level of the simultaneous tests.
    """
    judged = [one for one in pair if one.verdict]
    if not judged:
        found = _of(pair, names.CORRECTED_T)
        why = "no_common_folds" if found is None else found.note
        return [message("no_test", first=first, second=second, why=why)]
    t = max(judged, key=_width)
    sign = 1 if t.effect > 0 else -1
    if sign > 0:
        first, second = second, first
    low, high = sorted((sign * t.interval.low, sign * t.interval.high))
    inner = sorted(sign * end for end in inner_interval(t, alpha))
    key = {names.MATTERS: "better", names.SMALL: "better_small", names.EQUIVALENT: "equivalent"}
    open_key = "undecided" if low <= 0 else "undecided_size"
    return [
        message(
            key.get(t.verdict, open_key),
            first=first,
            second=second,
            size=abs(t.effect),
            level=t.interval.level,
            low=low,
            high=high,
            inner_level=1 - 2 * alpha,
            inner_low=inner[0],
            inner_high=inner[1],
            p=t.p_adj,
            margin=t.margin,
            comparisons=int(t.family_size),
            population=t.population,
        )
    ]


def _width(found: Result) -> float:
    return found.interval.high - found.interval.low


def of_populations(pair: Sequence[Result], first: str, second: str) -> list[Message]:
    """The intervals of one contrast for the populations other than the one of its verdict."""
    judged = sorted((one for one in pair if one.verdict), key=_width)[:-1]
    if not judged:
        return []
    others = [[one.population, one.interval.low, one.interval.high, one.verdict] for one in judged]
    level = judged[0].interval.level
    return [message("other_populations", first=first, second=second, level=level, others=others)]


def of_power(pair: Sequence[Result], first: str, second: str) -> list[Message]:
    """What one contrast can detect."""
    power = _of(pair, names.POWER)
    if power is None:
        return []
    numbers = {"folds": int(power.n_blocks), "comparisons": int(power.family_size)}
    known = {"detectable": power.effect, "power": power.note_value}
    return [message("power", first=first, second=second, **numbers, **known)]


def _of(results: Iterable[Result], test: str) -> Result | None:
    return next((one for one in results if one.test == test), None)


def of_omnibus(family: Sequence[Result], key: str, **known: str) -> list[Message]:
    """What the test of all levels of a family together shows, in a message of this key."""
    anova = _of(family, names.SHARED_ANOVA)
    if anova is None or pd.isna(anova.p_raw):
        return []
    return [message(key, **known, p=anova.p_raw, epsilon=anova.note_value)]


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


def of_design(folds: int, seeds: int | None) -> list[Message]:
    """What a small design can and cannot show, in one message; none of a study for claims.

    Parameters
    ----------
    folds
        Their number.
    seeds
        The lowest number of seeds of a method that draws random numbers; None where none does.
    """
    if folds == 1:
        return [message("one_fold")]
    if folds >= FOLDS and (seeds is None or seeds >= SEEDS):
        return []
    needed = {"needed_folds": FOLDS, "needed_seeds": SEEDS}
    if seeds is None:
        return [message("quick_study_folds", folds=folds, **needed)]
    return [message("quick_study", folds=folds, seeds=seeds, **needed)]


def of_checks(checks: Sequence[Check]) -> list[Message]:
    """How many checks of the corrected tests found a violation."""
    judged = [check.violation for check in checks if check.violation is not None]
    return [message("assumptions", violations=sum(judged), checks=len(judged))] if judged else []


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
    said += _of_next(tests)
    return said + [_of_schemes(table, *pair) for pair in pairs_of_schemes(table)]


def _of_next(tests: Sequence[Result]) -> list[Message]:
    """What is expected of the primary comparisons on a data set not yet seen."""
    rows = [one for one in tests if one.test == names.HIERARCHICAL and one.function]
    chances: dict[tuple[str, str], dict[str, Any]] = {}
    for one in rows:
        known = chances.setdefault((one.group_a, one.group_b), {})
        known |= {
            "datasets": int(one.n_blocks),
            "margin_share": one.margin,
            one.stat_name: one.stat,
        }
    return [
        message("datasets_next", first=first, second=second, **found)
        for (first, second), found in chances.items()
    ]


def _of_schemes(table: pd.DataFrame, random: str, temporal: str) -> Message:
    """The lowest mean error under each split scheme of the same ratings, and how errors rise."""
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
