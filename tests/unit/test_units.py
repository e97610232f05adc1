"""No method depends on the unit of the ratings, and none loses to the baseline that it contains."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cfmf.methods import registry
from cfmf.observed import pairs, rmse

UNITS = [(0.2, 0), (2, 0), (20, 0), (2e-4, 0), (4, -10), (1e6, 0)]
NEIGHBOURS = {"shrinkage": [50], "neighbours": [20], "damping": [0.1, 1]}
GRIDS = {
    "baseline": {"reg_user": [2, 20], "reg_item": [2, 20]},
    "user-knn": {"similarity": ["adjusted-cosine", "pearson", "pearson-baseline"], **NEIGHBOURS},
    "item-knn": {"similarity": ["adjusted-cosine", "pearson", "pearson-baseline"], **NEIGHBOURS},
    "item-linear": {"reg": [0.5, 2, 8]},
    "als": {"k": [1, 3], "reg": [0.1, 0.4]},
    "mf": {"k": [1, 3], "reg": [0.1, 0.4], "max_epochs": 60},
    "mf-bounded": {"k": [1, 3], "reg": [0.1, 0.4], "max_epochs": 60},
    "mf-cubic": {"k": [1, 3], "reg": [0.1, 0.4], "max_epochs": 60},
    "mf-sgd": {"k": [1, 3], "reg": [0.1, 0.4], "max_epochs": 30},
    "gibbs": {"k": [1, 3], "sweeps": 20, "burn_in": 5},
    "gibbs-implicit": {"k": [1, 3], "sweeps": 20, "burn_in": 5},
}


def parts_of(scores, shares, rng, open_=True):
    """Train, validation and test matrices of a random part of the open scores."""
    part = rng.choice(len(shares) + 1, scores.shape, p=[1 - sum(shares), *shares]) * open_
    found = []
    for number in range(1, len(shares) + 1):
        users, items = np.nonzero(part == number)
        values = scores[users, items].astype("f4")
        places = users.astype("i4"), items.astype("i4")
        found.append(sparse.csr_array((values, places), shape=scores.shape))
    return found


def drawn(m, n, rank, rng, strength=0.6):
    """Ratings of whole stars with biases, `rank` factors and noise."""
    scores = 3.3 + rng.normal(0, 0.4, (m, 1)) + rng.normal(0, 0.5, (1, n))
    factors = rng.normal(size=(m, rank)), rng.normal(size=(rank, n))
    scores = scores + strength * factors[0] @ factors[1] / max(rank, 1) ** 0.5
    return np.clip(np.round(scores + rng.normal(0, 0.8, (m, n))), 1, 5)


def changed(part, a, b):
    values = (a * part.data.astype("f8") + b).astype("f4")
    return sparse.csr_array((values, part.indices, part.indptr), shape=part.shape)


def chosen(name, block, train, validation):
    """The candidate with the lowest validation RMSE, its number and its error."""
    candidates = registry.method(name).candidates(block)
    models = [one.fit(train, validation) for one in candidates]
    errors = [rmse(one.predict(*pairs(validation)).values, validation.data) for one in models]
    best = int(np.argmin(errors))
    return models[best], best, errors[best]


@pytest.mark.parametrize("name", GRIDS)
def test_one_data_set_in_six_units_gives_one_choice_and_one_error(name):
    rng = np.random.default_rng(3)
    parts = parts_of(drawn(120, 90, 3, rng), [0.25, 0.05, 0.1], rng)
    found = []
    for a, b in [(1, 0), *UNITS]:
        train, validation, test = (changed(part, a, b) for part in parts)
        model, best, error = chosen(name, GRIDS[name], train, validation)
        tested = rmse(model.predict(*pairs(test)).values, test.data)
        found.append((best, error / a, tested / a))
    for one in found[1:]:
        assert one[0] == found[0][0]
        assert one[1:] == pytest.approx(found[0][1:], rel=1e-4)


def shapes(kind):
    """Parts of ratings that are hard for a method with more freedom than the baseline."""
    rng = np.random.default_rng(11)
    if kind == "sparse":  # about 3 ratings a user
        return parts_of(drawn(3000, 120, 2, rng), [0.025, 0.01, 0.02], rng)
    if kind == "dense":
        return parts_of(drawn(150, 100, 2, rng), [0.6, 0.08, 0.1], rng)
    if kind == "rank 0":
        return parts_of(drawn(300, 120, 0, rng), [0.12, 0.02, 0.05], rng)
    scores = drawn(800, 300, 2, rng)  # skewed: few users and items have most of the ratings
    popular = 300 * rng.random((800, 300)) ** 3 > rng.permutation(300)[:, None].T
    active = rng.permutation(800)[:, None] < 800 * rng.random((800, 300)) ** 3
    return parts_of(scores, [0.65, 0.1, 0.2], rng, popular & active)


def loses(model, baseline, test):
    """Whether its error is higher by 0.1 % and twice the noise of the paired difference on test."""
    errors = [one.predict(*pairs(test)).values - test.data for one in (model, baseline)]
    squares = np.square(errors, dtype="f8")
    difference = squares[0] - squares[1]
    noise = difference.std() / len(difference) ** 0.5
    return difference.mean() > 2 * noise + 0.002 * squares[1].mean()


REGS = [0.1, 0.4, 1.6, 6.4]
WIDE = {
    "item-linear": {"reg": [0.5, 1, 2, 8, 32]},
    "als": {"k": [1, 4], "reg": REGS},
    "mf": {"k": [1], "reg": REGS},
    "mf-cubic": {"k": [1], "reg": REGS},
    "mf-sgd": {"k": [1], "reg": REGS},
    # A study's predictions are means over all counted sweeps; of other pairs, over the kept draws.
    "gibbs": {"k": [1], "sweeps": 200, "burn_in": 30, "draws": 170},
    "user-knn": {"shrinkage": [10, 100], "neighbours": [40], "damping": [0.1, 1, 10, 100]},
    "item-knn": {"shrinkage": [10, 100], "neighbours": [40], "damping": [0.1, 1, 10, 100]},
}


@cache
def baseline_of(kind):
    train, validation, _ = shapes(kind)
    block = {"reg_user": [2, 5, 10, 20, 40], "reg_item": [1, 2, 5, 10, 20]}
    return chosen("baseline", block, train, validation)[0]


@pytest.mark.parametrize("kind", ["sparse", "skewed", "dense", "rank 0"])
@pytest.mark.parametrize("name", WIDE)
def test_no_method_loses_to_the_baseline_that_it_contains(kind, name):
    """Both tuned on validation; by more than the noise of their paired difference on test."""
    train, validation, test = shapes(kind)
    model, _, _ = chosen(name, WIDE[name], train, validation)
    assert not loses(model, baseline_of(kind), test)


@pytest.mark.parametrize("name", ["item-linear", "als", "mf", "mf-sgd"])
def test_no_method_loses_to_the_baseline_on_sparse_real_ratings(name):
    """MovieTweetings, one random fold: six ratings a user on average."""
    if "CFMF_REAL_DATA" not in os.environ:
        pytest.skip("CFMF_REAL_DATA is not set: the real MovieTweetings is not here")
    path = Path(os.environ["CFMF_REAL_DATA"]) / "movietweetings" / "ratings.dat"
    table = pd.read_csv(path, sep=":", header=None, usecols=[0, 2, 4])
    users, items = (np.unique(table[column], return_inverse=True)[1] for column in (0, 2))
    shape = (users.max() + 1, items.max() + 1)
    part = np.random.default_rng(1).choice(3, len(table), p=[0.72, 0.08, 0.2])
    train, validation, test = (
        sparse.csr_array((table[4].to_numpy("f4")[own], (users[own], items[own])), shape=shape)
        for own in (part == number for number in range(3))
    )
    one_factor = {"k": [1]} if "k" in registry.method(name).grids() else {}
    regs = {"reg_user": [1, 2, 5, 10], "reg_item": [1, 2, 5, 10]}
    models = [
        chosen(tried, block, train, validation)[0]
        for tried, block in ((name, {"reg": [0.5, 1, 2], **one_factor}), ("baseline", regs))
    ]
    assert not loses(*models, test)
