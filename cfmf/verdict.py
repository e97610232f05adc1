"""A verdict in words, made from the tables by rule.

Each sentence is a key of a catalogue, the numbers and names it holds, and the English text made
of both; a translation needs only a catalogue of its own. No sentence says that there is no
difference: a test that does not reject says what it could have seen instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cfmf.evaluation.collect import late_trials
from cfmf.evaluation.datasets import beside, independent, pairs_of_tracks
from cfmf.selection import search_edges
from cfmf.statistics import blocked, blocks, names
from cfmf.statistics.analysis import Measured, Results, champions, roles
from cfmf.statistics.datasets import LEAST, METHODS
from cfmf.statistics.names import BLOCKED, CHAMPIONS, E1, E3, FRIEDMAN

Sentence = dict[str, Any]

ENGLISH = {
    "champions": (
        "Of the factorizations {first} has the least RMSE on validation, of the neighbour methods"
        " {second}."
    ),
    "lower": (
        "{first} predicts better than {second}: its RMSE is lower by {size:.4f} ({level:.0%}"
        " interval {low:.4f} to {high:.4f}, p = {p:.2g} after Holm), and with probability"
        " {sure} by more than {rope:g}."
    ),
    "higher": (
        "{first} predicts worse than {second}: its RMSE is higher by {size:.4f} ({level:.0%}"
        " interval {low:.4f} to {high:.4f}, p = {p:.2g} after Holm), and with probability"
        " {sure} by more than {rope:g}."
    ),
    "equivalent": (
        "The RMSE of {first} and {second} differ by less than the declared margin of {margin:g}"
        " (difference {difference:.4f}, {equivalence_level:.0%} interval {equivalence_low:.4f} to"
        " {equivalence_high:.4f}, p = {equivalence_p:.2g} after Holm)."
    ),
    "undecided": (
        "Whether {first} or {second} predicts better stays open: the difference of RMSE is"
        " {difference:.4f} with a {level:.0%} interval of {low:.4f} to {high:.4f} (p = {p:.2g}"
        " after Holm)."
    ),
    "small": (
        "That difference is also shown to be smaller than the declared margin of {margin:g}"
        " (p = {equivalence_p:.2g} after Holm)."
    ),
    "power": (
        "With {folds} folds the comparison of {first} with {second} would see a difference of"
        " {least:.4f} or more in {power:.0%} of such studies; smaller ones it may well miss."
    ),
    "power_family": (
        "With {folds} folds the comparison of {first} with {second}, one of {comparisons} that Holm"
        " adjusts together, would see a difference of {least:.4f} or more in at least {power:.0%}"
        " of such studies; smaller ones it may well miss."
    ),
    "users": (
        "With the fitted models as they are and other users drawn, the RMSE of {first} less that"
        " of {second} is {difference:.4f} ({level:.0%} interval {low:.4f} to {high:.4f})."
    ),
    "no_test": "{first} and {second} were not tested against each other: {why}.",
    "best": "The least mean RMSE on test has {first}: {value:.4f} (folds: {folds}).",
    "order_methods": "Methods by mean RMSE on test, best first: {order}.",
    "order_published": (
        "As published, by the medians of the runs of {method} ({arm}), k comes out in the order"
        " {order} (best first). These medians and their p-values rest on no design."
    ),
    "order_corrected": (
        "With every k trained to the end and its reg chosen on validation, {method} orders k as"
        " {order} (best first, mean RMSE on test {values})."
    ),
    "order_reversed": (
        "On {pairs} of {all_pairs} pairs of k the corrected order of {method} is the reverse of the"
        " published one."
    ),
    "order_same": "The corrected order of k of {method} agrees with the published one.",
    "pruned": (
        "Of the {runs} runs behind the published medians {pruned} were pruned: their values are"
        " those of models that were hardly trained."
    ),
    "omnibus": (
        "Over the {what}, the repeated-measures ANOVA gives p = {anova:.2g}, corrected for training"
        " ratings that folds share. Taking folds as independent it would claim p = {naive:.2g}, and"
        " Friedman's test p = {friedman:.2g} (Kendall W {concordance:.2f})."
    ),
    "edge": (
        "In {folds} of {all_folds} folds the setting chosen for {method} lies on the edge of its"
        " grid ({where}); a wider grid could be better."
    ),
    "edge_search": (
        "In {folds} of {all_folds} folds the search chose for {method} a setting at a bound of its"
        " ranges ({where}); wider ranges could be better."
    ),
    "cut": (
        "The time for tuning ended {cut} of {runs} trainings of {method} before their own rules"
        " did: its k are not compared with each other, and its error depends on the machine."
    ),
    "refused": (
        "{method} is left out of the tests between methods: the time for tuning ended {cut} of"
        " {runs} trainings at its chosen settings, and only complete ones are compared."
    ),
    "cut_trials": (
        "The time for tuning was spent before {cut} of {runs} trials of {method}: its settings were"
        " chosen among the others, and depend on the machine."
    ),
    "few_folds": (
        "Inference rests on {folds} folds; at least 10 folds with 3 seeds are advised before a"
        " claim is made."
    ),
    "few_runs": (
        "Inference rests on {folds} folds, with {seeds} seed(s) of each method that draws random"
        " numbers; at least 10 folds with 3 seeds are advised before a claim is made."
    ),
    "one_fold": (
        "There is one fold only, so nothing is known of how the results vary with the split; only"
        " users could be resampled."
    ),
    "assumptions": (
        "{failed} of {checks} checks of the corrected tests' assumptions found a departure; they"
        " annotate the results and choose nothing."
    ),
    "datasets_few": (
        "The study has {datasets} data set(s) of different ratings and {methods} methods on all of"
        " them; Friedman's test over data sets needs {needed} and {least_methods}, so their figures"
        " are set beside each other and not tested."
    ),
    "datasets_order": (
        "Over {datasets} data sets the methods' mean ranks are, best first: {order}; Friedman's"
        " test gives p = {p:.2g} (Kendall W {concordance:.2f})."
    ),
    "datasets_reach": (
        "With {datasets} data sets and {methods} methods that p cannot be below {p:.2g}, however"
        " well they agree, and so not below {alpha:g}: no order could be shown."
    ),
    "tracks": (
        "Trained on the past ({temporal}) the best method is {second}, with folds drawn at random"
        " ({random}) it is {first}; the RMSE of {higher} of {methods} methods is higher on the"
        " temporal track, by {mean:.4f} in the mean."
    ),
    "tracks_same": (
        "Trained on the past ({temporal}) the best method is {second}, as with folds drawn at"
        " random ({random}, best {first}); the RMSE of {higher} of {methods} methods is higher on"
        " the temporal track, by {mean:.4f} in the mean."
    ),
    "left_out": "{names} lack a fold and are left out of the comparison of methods.",
    "undeclared": ("Not among the estimands that the config declares, and so not tested: {names}."),
    "absent": ("{wanted} is not among the methods compared; {taken} takes its place as {role}."),
}


def sentence(key: str, **numbers: Any) -> Sentence:
    """A sentence: its key, what it holds, and its English text."""
    return {"key": key, "numbers": numbers, "text": ENGLISH[key].format(**numbers)}


def percent(share: float) -> str:
    """A probability in words that never round to certainty."""
    if share > 0.99:
        return "over 99%"
    return "under 1%" if share < 0.01 else f"{share:.0%}"


SEARCHED = ("k", "reg", "neighbours", "shrinkage")
"""Parts of a setting that the config gives a range to search in."""


@dataclass(frozen=True)
class Known:
    """What the verdict reports beside the tests.

    Attributes
    ----------
    searched
        `trials` table of the searches on validation.
    ranges
        The `tuning.search` block of the config, whose pairs of numbers these drew from.
    order
        An order of k from elsewhere, lowest error first, with which the corrected one is compared.
    order_said
        The messages that report it.
    """

    searched: pd.DataFrame | None = None
    ranges: Mapping[str, Any] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    order_said: list[Sentence] = field(default_factory=list)


def of_dataset(
    results: Results, measured: Measured, block: Mapping[str, Any], known: Known
) -> list[Sentence]:
    """The verdict on one data set.

    Parameters
    ----------
    results
        What `cfmf.statistics.analysis.analyse` returns.
    measured
        What it was made from.
    block
        The `statistics` block of the config, with the schema's defaults filled in.
    known
        What else is reported.
    """
    metrics, selected, chosen = measured.metrics, measured.selected, measured.chosen()
    late = blocks.late_choices(metrics, chosen)
    declared = blocks.declared(block)
    found = []
    if E3 in declared:
        compared = selected[~selected["method"].isin(late["method"])]
        found += _comparisons(results.tests, compared, block)
    found += _described(results.tests, selected)
    found += known.order_said
    found += _orders_of_k(results, known.order, block)
    found += of_edges(chosen)
    found += of_undeclared(declared)
    checks = results.assumptions
    corrected = checks[(checks["design"] == BLOCKED) & (checks["departure"] != "")]
    folds = int(selected["fold"].nunique())
    found += of_design(folds, least_seeds(selected), corrected["departure"])
    if known.searched is not None:
        bounds = {name: ends for name, ends in known.ranges.items() if name in SEARCHED}
        found += of_edges(search_edges(known.searched, bounds), "edge_search")
    found += of_cuts(blocks.cuts(metrics))
    if E3 in declared:
        found += of_cuts(late, "refused")
    if measured.trials is not None:
        found += of_cuts(late_trials(measured.trials), "cut_trials")
    return found


def _comparisons(
    tests: pd.DataFrame, compared: pd.DataFrame, block: Mapping[str, Any]
) -> list[Sentence]:
    """What the contrasts of methods say: the best of each family, then each against the control."""
    table = blocks.table(blocks.of_methods(compared), "method")
    if table.shape[1] < 2:
        return []
    control, primary = roles(table, block)
    found = []
    if best := champions(compared, table):
        found.append(sentence("champions", first=best[0], second=best[1]))
        if best[1] != control:
            family = tests[tests["family"] == CHAMPIONS]
            found += of_contrast(family, *best, block["alpha"])
            found += of_sight(family, *best)
    for role, taken in (("control", control), ("primary", primary)):
        if taken != block[role]:
            found.append(sentence("absent", wanted=block[role], taken=taken, role=role))
    against = tests[tests["family"] == f"methods against {control}"]
    found += of_contrast(against, primary, control, block["alpha"])
    found += of_sight(against, primary, control)
    for method in table.mean().sort_values().index:
        if method not in (control, primary):
            found += of_contrast(against, str(method), control, block["alpha"])
    return found


def _described(tests: pd.DataFrame, selected: pd.DataFrame) -> list[Sentence]:
    """Which methods lack a fold, and the order of the others."""
    values = blocks.of_methods(selected)
    found = []
    if out := blocks.lacking(values, "method"):
        found.append(sentence("left_out", names=", ".join(out)))
    table = blocks.table(values, "method")
    if table.shape[1]:
        found += of_methods(table)
        found += of_omnibus(tests[tests["family"] == "methods"], "methods")
    return found


def least_seeds(selected: pd.DataFrame) -> int | None:
    """Seeds of the method that has fewest of those that draw random numbers; None if none does."""
    drawn = selected[selected["seed"] != ""].groupby("method")["seed"].nunique()
    return None if drawn.empty else int(drawn.min())


def _orders_of_k(
    results: Results, published: list[str], block: Mapping[str, Any]
) -> list[Sentence]:
    """The corrected order of k of every method with a grid, beside the published one."""
    found = []
    corrected = results.medians[results.medians["arm"] == names.TUNED]
    for method, rows in corrected.groupby("method", sort=False):
        means = rows.set_index("k")["mean"]
        found += of_orders(published, means, str(method))
        best = str(means.idxmin())
        other = published[0] if published else best
        if other == best or other not in means.index:
            other = str(means.idxmax())
        first, second = sorted((best, other), key=blocks.number)
        tests = results.tests
        family = tests[(tests["family"] == f"k of {method}") & (tests["estimand"] == E1)]
        found += of_contrast(family, first, second, block["alpha"], prefix=f"{method} with k=")
        found += of_omnibus(family, f"k of {method}")
    return found


def of_contrast(
    tests: pd.DataFrame, first: str, second: str, alpha: float, prefix: str = ""
) -> list[Sentence]:
    """What the paired rows of one contrast say, in one sentence or two.

    Parameters
    ----------
    tests
        Adjusted rows of one family and estimand.
    first, second
        The two levels, in the order of the rows.
    alpha
        Level of the adjusted tests.
    prefix
        Put before the levels' names, such as `mf with k=`.
    """
    rows = _rows(tests, first, second)
    first, second = prefix + first, prefix + second
    t = _row(rows, names.CORRECTED_T)
    if t is None or pd.isna(t["p_adj"]):
        why = "there are no folds in common" if t is None else str(t["note"]).split(": ")[-1]
        return [sentence("no_test", first=first, second=second, why=why)]
    tost = rows[rows["test"] == names.EQUIVALENCE].iloc[0]
    chances = rows[rows["test"] == names.BAYESIAN_T]
    difference, p = float(t["effect"]), float(t["p_adj"])
    ends = float(t["ci_low"]), float(t["ci_high"])
    side = "lower" if difference < 0 else "higher"
    sure = chances.loc[chances["stat_name"].str.contains(f"first {side}"), "stat"].iloc[0]
    equivalence_p = float(tost["p_adj"])
    equivalent = {
        "first": first,
        "second": second,
        "difference": difference,
        "margin": float(tost["margin"]),
        "equivalence_p": equivalence_p,
        "equivalence_level": float(tost["ci_level"]),
        "equivalence_low": float(tost["ci_low"]),
        "equivalence_high": float(tost["ci_high"]),
    }
    known = {"first": first, "second": second, "p": p, "level": float(t["ci_level"])}
    if p < alpha:
        # By how much lower or higher: an end on the other side of zero stays negative.
        low, high = sorted(end if side == "higher" else -end for end in ends)
        rope = float(chances["margin"].iloc[0])
        shown = {"size": abs(difference), "low": low, "high": high, "sure": percent(float(sure))}
        found = [sentence(side, **known, **shown, rope=rope)]
        return found + [sentence("small", **equivalent)] * (equivalence_p < alpha)
    if equivalence_p < alpha:
        return [sentence("equivalent", **equivalent)]
    low, high = sorted(ends)
    return [sentence("undecided", **known, difference=difference, low=low, high=high)]


def of_sight(tests: pd.DataFrame, first: str, second: str) -> list[Sentence]:
    """What one contrast could have seen, and how it varies with the users."""
    rows = _rows(tests, first, second)
    found = []
    power, users = _row(rows, names.POWER), _row(rows, names.USER_BOOTSTRAP)
    if power is not None:
        comparisons = int(power["family_size"])
        found.append(
            sentence(
                "power" if comparisons == 1 else "power_family",
                first=first,
                second=second,
                folds=int(power["n_blocks"]),
                comparisons=comparisons,
                least=float(power["effect"]),
                power=float(str(power["note"]).split()[-1]),
            )
        )
    if users is not None:
        found.append(
            sentence(
                "users",
                first=first,
                second=second,
                difference=float(users["effect"]),
                level=float(users["ci_level"]),
                low=float(users["ci_low"]),
                high=float(users["ci_high"]),
            )
        )
    return found


def _rows(tests: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    return tests[(tests["group_a"] == first) & (tests["group_b"] == second)]


def _row(rows: pd.DataFrame, test: str) -> pd.Series | None:
    found = rows[rows["test"] == test]
    return None if found.empty else found.iloc[0]


def of_orders(published: list[str], corrected: pd.Series, method: str) -> list[Sentence]:
    """The corrected order of k of one method, and how it agrees with the published one.

    Parameters
    ----------
    published
        k in order of the published medians, best first; empty where there are none.
    corrected
        Mean RMSE on test by k.
    method
        The method whose k they are.
    """
    order = [str(k) for k in corrected.sort_values(kind="stable").index]
    values = ", ".join(f"{corrected[k]:.4f}" for k in order)
    found = [sentence("order_corrected", method=method, order=" < ".join(order), values=values)]
    shared = [k for k in published if k in order]
    if len(shared) > 1:
        pairs = [(a, b) for i, a in enumerate(shared) for b in shared[i + 1 :]]
        against = sum(order.index(a) > order.index(b) for a, b in pairs)
        key = "order_reversed" if against else "order_same"
        found.append(sentence(key, method=method, pairs=against, all_pairs=len(pairs)))
    return found


def of_omnibus(tests: pd.DataFrame, what: str) -> list[Sentence]:
    """What the tests of all levels together say.

    Parameters
    ----------
    tests
        Rows of one family and estimand.
    what
        The levels in words, such as `k of mf`.
    """
    friedman, anova = _row(tests, names.FRIEDMAN), _row(tests, names.SHARED_ANOVA)
    naive = _row(tests, names.ANOVA)
    if friedman is None or anova is None or naive is None or pd.isna(friedman["p_raw"]):
        return []
    return [
        sentence(
            "omnibus",
            what=what,
            friedman=float(friedman["p_raw"]),
            concordance=float(friedman["effect"]),
            anova=float(anova["p_raw"]),
            naive=float(naive["p_raw"]),
        )
    ]


def of_undeclared(declared: list[str]) -> list[Sentence]:
    """Which estimands the config does not declare."""
    left = [name for name in names.ESTIMANDS.values() if name not in declared]
    return [sentence("undeclared", names=", ".join(left))] if left else []


def of_edges(chosen: pd.DataFrame, key: str = "edge") -> list[Sentence]:
    """Which methods' chosen settings lie on the edge of what was tried.

    Parameters
    ----------
    chosen
        Columns method and edge, one row a fold.
    key
        Of the sentence: `edge` of grids, `edge_search` of searches.
    """
    found = []
    for method, rows in chosen.groupby("method", sort=False):
        on_edge = rows[rows["edge"] != ""]
        if len(on_edge):
            where = sorted({part for edge in on_edge["edge"] for part in edge.split("; ")})
            found.append(
                sentence(
                    key,
                    method=str(method),
                    folds=len(on_edge),
                    all_folds=len(rows),
                    where=", ".join(where),
                )
            )
    return found


def of_cuts(cuts: pd.DataFrame, key: str = "cut") -> list[Sentence]:
    """Which methods the time for tuning cut short.

    Parameters
    ----------
    cuts
        Columns method, cut, runs.
    key
        Of the sentence: `cut` of trainings, `refused` of those at chosen settings, `cut_trials` of
        a neighbour method's trials.
    """
    return [
        sentence(key, method=str(method), cut=int(cut), runs=int(runs))
        for method, cut, runs in zip(cuts["method"], cuts["cut"], cuts["runs"], strict=True)
        if cut
    ]


def of_methods(table: pd.DataFrame) -> list[Sentence]:
    """Which method has the least mean RMSE, and the order of all."""
    means = table.mean().sort_values(kind="stable")
    order = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
    return [
        sentence("best", first=means.index[0], value=float(means.iloc[0]), folds=len(table)),
        sentence("order_methods", order=order),
    ]


def of_design(folds: int, seeds: int | None, checks: Iterable[Any]) -> list[Sentence]:
    """What the design allows.

    Parameters
    ----------
    folds
        Their number.
    seeds
        The least number of seeds of a method that draws random numbers; None where none does.
    checks
        Whether each check of an assumption found a departure.
    """
    judged = [bool(departure) for departure in checks]
    found = []
    if folds == 1:
        found.append(sentence("one_fold"))
    elif seeds is not None and (folds < 10 or seeds < 3):
        found.append(sentence("few_runs", folds=folds, seeds=seeds))
    elif folds < 10:
        found.append(sentence("few_folds", folds=folds))
    if judged:
        found.append(sentence("assumptions", failed=judged.count(True), checks=len(judged)))
    return found


def across(table: pd.DataFrame, tests: pd.DataFrame, block: Mapping[str, Any]) -> list[Sentence]:
    """What the data sets together say, by rule."""
    wide = independent(table)
    said = []
    friedman = tests[tests["test"] == FRIEDMAN].iloc[0]
    if E3 not in blocks.declared(block):
        said.append(sentence("undeclared", names=E3))
    elif pd.isna(friedman["p_raw"]):
        numbers = {"datasets": len(wide), "methods": wide.shape[1]}
        said.append(sentence("datasets_few", **numbers, needed=LEAST, least_methods=METHODS))
    else:
        order = blocked.ranks(wide).mean().sort_values(kind="stable")
        told = ", ".join(f"{name} {rank:.2f}" for name, rank in order.items())
        said.append(
            sentence(
                "datasets_order",
                datasets=len(wide),
                order=told,
                p=float(friedman["p_raw"]),
                concordance=float(friedman["effect"]),
            )
        )
        least = blocked.least_friedman_p(*wide.shape)
        if least >= block["alpha"]:
            numbers = {"datasets": len(wide), "methods": wide.shape[1]}
            said.append(sentence("datasets_reach", **numbers, p=least, alpha=block["alpha"]))
    for first, second in pairs_of_tracks(table):
        both = beside(table, first, second)
        best = [both.sort_values(side)["method"].iloc[0] for side in ("first", "second")]
        said.append(
            sentence(
                "tracks" if best[0] != best[1] else "tracks_same",
                random=first,
                temporal=second,
                first=best[0],
                second=best[1],
                higher=int((both["difference"] > 0).sum()),
                methods=len(both),
                mean=float(both["difference"].mean()),
            )
        )
    return said
