"""Every number of the verdict on pairs of methods, from the predictions again in plain numpy."""

from functools import reduce

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from cfmf import selection, verdict
from cfmf.statistics import analysis, names
from cfmf.statistics.populations import TRAINING, Influence, of_fold
from tests.settings import BLOCK

USERS, ITEMS, FOLDS, RATIO = 40, 30, 5, 0.25
METHODS = {"user-knn": 1.0, "item-knn": 0.99, "mf": 0.9, "als": 0.94}
SETTINGS = {"control": "user-knn", "primary": "mf", "estimands": ["E3"]}
SETTINGS |= {"populations": list(names.POPULATIONS)}


def made():
    """Ratings of every fold and predictions of every method, with effects of users and items."""
    rng = np.random.default_rng(7)
    fold_of = rng.integers(0, FOLDS, (USERS, ITEMS))
    shared = rng.normal(0, 0.3, (USERS, 1)) + rng.normal(0, 0.3, (1, ITEMS))
    truth = 3.5 + shared + rng.normal(0, 0.9, (USERS, ITEMS))
    found = {}
    for method, scale in METHODS.items():
        own = rng.normal(0, 0.15, (USERS, 1)) + rng.normal(0, 0.1, (1, ITEMS))
        found[method] = truth + scale * (rng.normal(0, 0.9, truth.shape) + own)
    return fold_of, truth, found


@pytest.fixture(scope="module")
def study():
    fold_of, truth, predicted = made()
    rows, errors = [], {}
    validation = np.random.default_rng(1)
    for fold in range(FOLDS):
        users, items = np.nonzero(fold_of == fold)
        for method, values in predicted.items():
            e = (values - truth)[users, items]
            errors[method, f"u{fold + 1}"] = users, items, e
            rmse = {"test": np.sqrt(np.mean(e**2)), "validation": validation.normal(0.9, 0.01)}
            rows += [("made", f"u{fold + 1}", method, "", "", "", s, "rmse", rmse[s]) for s in rmse]
    metrics = pd.DataFrame(
        rows, columns=["dataset", "fold", "method", "k", "reg", "seed", "split", "metric", "value"]
    )

    def influence(levels):
        folds = []
        for fold, settings in levels.groupby("fold"):
            number = int(fold[1:]) - 1
            test = sparse.csr_array(np.where(fold_of == number, truth, 0))
            users, items = np.nonzero(fold_of == number)
            taken = zip(settings["level"], settings["method"], strict=True)
            folds.append(of_fold({a: predicted[m][users, items] for a, m in taken}, test))
        return reduce(Influence.__add__, folds)

    users = pd.DataFrame(columns=["fold", "method", "user", "n", "squared_error"])
    chosen = selection.choose(metrics)
    measured = analysis.Measured(metrics, chosen, users, None, RATIO, influence)
    block = BLOCK | SETTINGS
    found = analysis.analyse(measured, block)
    return metrics, errors, verdict.of_dataset(found, measured, block, verdict.Known())


def taken_by(metrics, name):
    """The method of each fold that a level stands for."""
    kinds = {"best_factorization": ["als", "mf"], "best_neighbours": ["item-knn", "user-knn"]}
    rows = metrics[metrics["split"] == "validation"].set_index(["fold", "method"])["value"]
    folds = [f"u{n + 1}" for n in range(FOLDS)]
    if name not in kinds:
        return dict.fromkeys(folds, name)
    return {fold: min(kinds[name], key=lambda method: rows[fold, method]) for fold in folds}


def intervals(metrics, errors, first, second, comparisons):
    """For each population the difference and the ends of both its intervals."""
    sides = [taken_by(metrics, name) for name in (first, second)]
    d, influence = [], np.zeros((USERS, ITEMS))
    for fold in sides[0]:
        of_side = []
        for side in sides:
            users, items, e = errors[side[fold], fold]
            rmse = np.sqrt(np.mean(e**2))
            of_side.append((rmse, (e**2 - rmse**2) / (2 * rmse) / e.size))
        d.append(of_side[0][0] - of_side[1][0])
        influence[users, items] += (of_side[0][1] - of_side[1][1]) / FOLDS
    value, s2 = np.mean(d), np.var(d, ddof=1)

    def clustered(sums):
        n, squares = sums.size, sums**2
        total = squares.sum()
        return total * n / (n - 1), (squares**2).sum() - total**2 / n

    users, items = clustered(influence.sum(axis=1)), clustered(influence.sum(axis=0))
    both = max(users[0] + items[0] - (influence**2).sum(), users[0], items[0])
    ratings = s2 * (1 / FOLDS + RATIO)
    parts = {
        names.NEW_RATINGS: (ratings, 2 * ratings**2 / (FOLDS - 1), 1),
        names.NEW_USERS: (*users, 1 + TRAINING),
        names.NEW_USERS_AND_ITEMS: (both, users[1] + items[1], 1 + TRAINING),
    }
    found = {}
    for population, (variance, uncertainty, factor) in parts.items():
        df = 2 * variance**2 / uncertainty
        variance = variance * factor
        tails = [side * 0.05 / comparisons for side in (0.5, 1)]
        halves = [np.sqrt(variance) * stats.t.isf(tail, df) for tail in tails]
        found[population] = value, halves, 2 * stats.t.sf(abs(value) / np.sqrt(variance), df)
    return found


CONTRASTS = {"better", "better_small", "equivalent", "undecided", "undecided_size"}


def test_every_number_of_the_verdict_on_pairs_follows_from_the_predictions(study):
    metrics, errors, said = study
    messages = [one for one in said if one["key"] in CONTRASTS]
    assert len(messages) == 4
    for one in messages:
        numbers = one["numbers"]
        known = intervals(
            metrics, errors, numbers["first"], numbers["second"], numbers["comparisons"]
        )
        population = max(known, key=lambda name: known[name][1][0])
        value, (half, inner), p = known[population]
        assert numbers["population"] == population
        assert value <= 0
        expected = {
            "size": -value, "low": -value - half, "high": -value + half, "level": 0.95,
            "inner_low": -value - inner, "inner_high": -value + inner, "inner_level": 0.9,
            "p": min(p * numbers["comparisons"], 1), "margin": 0.01, "comparisons": 2,
        }  # fmt: skip
        for name, number in expected.items():
            assert numbers[name] == pytest.approx(number, rel=1e-9, abs=1e-12), name


def test_the_other_populations_and_the_choices_of_each_fold_follow_too(study):
    metrics, errors, said = study
    [best] = [one["numbers"] for one in said if one["key"] == "best_per_family"]
    for name, taken in best.items():
        methods = list(taken_by(metrics, name).values())
        assert dict(map(tuple, taken)) == {m: methods.count(m) for m in set(methods)}
    others = [one["numbers"] for one in said if one["key"] == "other_populations"]
    assert len(others) == 2
    for numbers in others:
        known = intervals(metrics, errors, numbers["first"], numbers["second"], 2)
        assert len(numbers["others"]) == 2
        for population, low, high, _ in numbers["others"]:
            value, (half, _), _ = known[population]
            assert (low, high) == pytest.approx((value - half, value + half), rel=1e-9)
    [order] = [one["numbers"]["order"] for one in said if one["key"] == "order_methods"]
    test = metrics[metrics["split"] == "test"].groupby("method")["value"].mean().sort_values()
    assert [name for name, _ in order] == test.index.tolist()
    assert [value for _, value in order] == pytest.approx(test.tolist())


def omnibus(table):
    """F of folds × levels over 1 + J·ratio, with Greenhouse and Geisser's ε̂; p by its own df."""
    folds, levels = table.shape
    means, rows = table.mean(0), table.mean(1, keepdims=True)
    between = folds * ((means - table.mean()) ** 2).sum() / (levels - 1)
    df2 = (levels - 1) * (folds - 1)
    error = ((table - rows - means + table.mean()) ** 2).sum() / df2
    covariance = np.cov(table.T)
    centred = covariance - covariance.mean(0) - covariance.mean(1)[:, None] + covariance.mean()
    epsilon = np.trace(centred) ** 2 / ((levels - 1) * (centred**2).sum())
    f = between / error / (1 + folds * RATIO)
    return stats.f.sf(f, epsilon * (levels - 1), epsilon * df2), epsilon


def test_the_test_of_all_methods_and_what_folds_can_detect(study):
    metrics, _, said = study
    test = metrics[metrics["split"] == "test"].pivot(index="fold", columns="method", values="value")
    [numbers] = [one["numbers"] for one in said if one["key"] == "omnibus_methods"]
    assert (numbers["p"], numbers["epsilon"]) == pytest.approx(omnibus(test.to_numpy()), rel=1e-9)
    powers = [one["numbers"] for one in said if one["key"] == "power"]
    assert len(powers) == 2
    for numbers in powers:
        sides = [taken_by(metrics, numbers[name]) for name in ("first", "second")]
        d = [test.loc[fold, sides[0][fold]] - test.loc[fold, sides[1][fold]] for fold in sides[0]]
        error = np.std(d, ddof=1) * np.sqrt(1 / FOLDS + RATIO)
        far = numbers["detectable"] / error
        critical = stats.t.isf(0.05 / numbers["comparisons"] / 2, FOLDS - 1)
        # The power by simulation of what it is: t of normal differences about that far a mean.
        rng = np.random.default_rng(3)
        normal = rng.standard_normal(400_000) + far
        t = normal / np.sqrt(rng.chisquare(FOLDS - 1, 400_000) / (FOLDS - 1))
        assert np.mean(np.abs(t) > critical) == pytest.approx(numbers["power"], abs=0.004)


KS, REGS = ["1", "4", "16", "64"], ["0.1", "0.2"]


def test_the_numbers_about_k_follow_from_the_metrics():
    rng = np.random.default_rng(11)
    means = dict(zip(KS, (0.95, 0.92, 0.9, 0.9005), strict=True))
    of_fold, rows = rng.normal(0, 0.01, FOLDS), []
    for fold in range(FOLDS):
        for k in KS:
            for reg in REGS:
                for split in ("validation", "test"):
                    value = means[k] + of_fold[fold] + rng.normal(0, 0.004)
                    rows.append(("made", f"u{fold}", "mf", k, reg, "1", split, "rmse", value))
    columns = ["dataset", "fold", "method", "k", "reg", "seed", "split", "metric", "value"]
    metrics = pd.DataFrame(rows, columns=columns)
    users = pd.DataFrame(columns=["fold", "method", "user", "n", "squared_error"])
    measured = analysis.Measured(metrics, selection.choose(metrics), users, None, RATIO)
    block = BLOCK | SETTINGS | {"estimands": ["E1"], "populations": [names.NEW_RATINGS]}
    found = analysis.analyse(measured, block)
    said = {
        one["key"]: one["numbers"]
        for one in verdict.of_dataset(found, measured, block, verdict.Known())
    }
    wide = metrics.pivot(index=["fold", "k"], columns=["split", "reg"], values="value")
    chosen = wide["validation"].to_numpy().argmin(axis=1)
    taken = wide["test"].to_numpy()[np.arange(len(wide)), chosen]
    table = pd.Series(taken, wide.index).unstack("k")[KS].to_numpy()
    numbers = said["order_corrected"]
    assert numbers["values"] == pytest.approx(np.sort(table.mean(0)), rel=1e-12)
    assert numbers["order"] == [KS[place] for place in np.argsort(table.mean(0))]
    numbers = said["omnibus_k"]
    assert (numbers["p"], numbers["epsilon"]) == pytest.approx(omnibus(table), rel=1e-9)
    counts = dict.fromkeys(names.VERDICTS, 0)
    for first in range(len(KS)):
        for second in range(first):
            d = table[:, first] - table[:, second]
            error, margin = np.std(d, ddof=1) * np.sqrt(1 / FOLDS + RATIO), block["margin"]
            halves = [error * stats.t.isf(side * 0.05 / 6, FOLDS - 1) for side in (0.5, 1)]
            size = abs(d.mean())
            if size - halves[0] > margin:
                counts[names.MATTERS] += 1
            elif size + halves[1] < margin:
                counts[names.SMALL if size > halves[0] else names.EQUIVALENT] += 1
            else:
                counts[names.INCONCLUSIVE] += 1
    assert {name: said["pairs_of_k"][name] for name in names.VERDICTS} == counts
    assert said["pairs_of_k"]["pairs"] == 6
    assert len([one for one in counts.values() if one]) > 1
