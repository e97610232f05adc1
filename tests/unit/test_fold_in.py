"""New users without a new fit: against dense solutions, simulations and converged fits."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from cfmf.factorization import gibbs_new
from cfmf.factorization.model import Factorization
from cfmf.factorization.new_rows import RowPenalty, solved_row, squashed
from cfmf.methods import registry
from cfmf.neighbours.kept import Where
from cfmf.neighbours.knn import predict_settings
from cfmf.neighbours.newcomers import stacked
from cfmf.testing import example

FITTED = [name for name, one in registry.installed().items() if not one.environment]


def pairs_of(users, items):
    return [part.ravel() for part in np.meshgrid(users, np.arange(items), indexing="ij")]


@pytest.mark.parametrize("power", [2.0, 3.0])
@pytest.mark.parametrize("bounds", [None, (1.0, 5.0)])
@pytest.mark.parametrize("count", [1, 4, 30])
def test_a_row_is_the_minimum_of_its_objective(power, bounds, count):
    rng = np.random.default_rng(count)
    design = np.column_stack([rng.normal(size=(count, 3)), np.ones(count)])
    ratings, offsets = rng.uniform(1, 5, count), rng.normal(0.3, 0.2, count)
    penalty = RowPenalty(0.7, 0.5, 1.3, power)

    def objective(row):
        errors = squashed(offsets + design @ row, bounds)[0] - ratings
        size = np.linalg.norm(row[:-1])
        of_factors = penalty.strength * count**penalty.exponent * size**power / power
        return 0.5 * errors @ errors + of_factors + 0.5 * penalty.bias * row[-1] ** 2

    found = solved_row(design, ratings, offsets, penalty, bounds)
    tight = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 20_000, "maxfev": 20_000}
    best = minimize(objective, found, method="Nelder-Mead", options=tight)
    assert objective(found) <= best.fun + 1e-8
    np.testing.assert_allclose(found, best.x, atol=1e-4)


@pytest.mark.parametrize("power", [2.0, 3.0])
@pytest.mark.parametrize("bounded", [False, True])
def test_a_penalty_has_the_unit_of_the_ratings(power, bounded):
    """Ratings four times as wide have predictions four times as far from the mean."""
    rng = np.random.default_rng(3)
    bounds = (-2.0, 2.0) if bounded else None
    factors, bias = rng.normal(size=(9, 2)).astype("f4"), rng.normal(0, 0.3, 9).astype("f4")
    penalty = RowPenalty(0.5, 0.5, 2.0, power)
    one = np.zeros((1, 2), "f4"), factors, np.zeros(1, "f4"), bias
    model = Factorization(*one, bounds=bounds, penalty=penalty)
    ratings = sparse.csr_array(rng.uniform(-2, 2, (1, 9)).astype("f4"))
    users, items = pairs_of([1], 9)
    plain = model.fold_in(ratings).predict(users, items).values
    wide = model.rescaled(4, 3).fold_in(ratings * 4 + sparse.csr_array(np.full((1, 9), 3, "f4")))
    np.testing.assert_allclose(wide.predict(users, items).values, 4 * plain + 3, atol=2e-3)


@pytest.mark.parametrize("name", ["mf", "mf-cubic", "mf-bounded", "mf-sgd"])
def test_known_users_are_folded_in_as_trained_to_convergence(name):
    ratings = example()
    passes = {} if name == "mf-sgd" else {"learning_rate": 0.02}
    model = registry.method(name)(k=2, max_epochs=2500, reg=0.5, **passes).fit(ratings.train)
    (m, n), rated = ratings.train.shape, np.diff(ratings.train.indptr) > 0
    users, items = pairs_of(np.flatnonzero(rated), n)
    known = model.predict(users, items).values
    again = model.fold_in(ratings.train).predict(users + m, items).values
    np.testing.assert_allclose(again, known, atol=0.02)
    assert np.ptp(known) > 1


@pytest.mark.parametrize("by", ["user-knn", "item-knn"])
@pytest.mark.parametrize("similarity", ["cosine", "adjusted-cosine", "pearson", "pearson-baseline"])
@pytest.mark.parametrize("prediction", ["raw", "centred", "baseline"])
def test_a_new_user_has_the_neighbours_of_a_user_in_the_matrix(by, similarity, prediction):
    """As users below the training matrix would; of item neighbours, with unchanged items."""
    train = example(60, 40).train
    few, new = train[:50], train[50:]
    method = registry.method(by)(similarity=similarity, prediction=prediction, neighbours=5)
    model = method.fit(few)
    wide = model.fold_in(new)
    for number in range(3):
        users, items = pairs_of([50 + number], 40)
        found = wide.predict(users, items)
        if by == "user-knn":
            alone = few.shape[0]
            biases = model.fold_in(new[[number]]).biases
            both = stacked(few, new[[number]])
            given = [model.averaging], Where(), {}
            regs = model.averaging.reg_user, model.averaging.reg_item
            given[2][regs] = biases
            [wanted] = predict_settings("users", both, np.full(40, alone), items, *given)
            np.testing.assert_allclose(found.values, wanted.values, atol=1e-5)
            continue
        own = new[[number]].toarray()[0]
        rated = np.flatnonzero(own)
        averaging = model.averaging
        means = np.array(
            [few[:, [i]].data.mean() if few[:, [i]].nnz else few.data.mean() for i in range(40)]
        )
        offsets = {
            "raw": np.zeros(40),
            "centred": means,
            "baseline": wide.biases.predict(np.full(40, 50 + number), np.arange(40)),
        }[prediction]
        for item in range(40):
            alike = model.similar_items(item)[rated]
            best = np.argsort(-alike, kind="stable")[: averaging.neighbours]
            best = best[(alike[best] > 1e-6) & (rated[best] != item)]
            if not len(best):
                assert found.is_fallback[item]
                continue
            moved = (
                alike[best] @ (own - offsets)[rated[best]] / (alike[best].sum() + averaging.damping)
            )
            assert found.values[item] == pytest.approx(offsets[item] + moved, abs=1e-4)


def test_a_new_user_solves_the_equations_of_the_item_regression():
    train = example(60, 40).train
    few, new = train[:50], train[50:]
    model = registry.method("item-linear")(reg=0.8).fit(few)
    wide = model.fold_in(new)
    relations, implicit = model.relations, model.declared[2]
    rows = sparse.csr_array(relations.items.rows)
    dense = np.zeros((2, *rows.shape))
    items, users = np.repeat(np.arange(40), np.diff(rows.indptr)), rows.indices
    dense[0, items, users] = relations.items.scales[items]
    dense[1, items, users] = relations.items.values
    alike = (dense @ dense.transpose(0, 2, 1)).sum(0)
    weights = np.zeros(few.shape)
    weights[np.nonzero(few.toarray())] = model.weights
    for number in range(10):
        own = new[[number]].toarray()[0]
        rated, user = np.flatnonzero(own), 50 + number
        if not len(rated):
            continue
        counts = np.maximum(np.diff(few.indptr), 1)
        both = few.toarray() > 0
        of_users = np.zeros(40)
        for item in range(40):
            others = (both[:, rated] & (rated != item)).sum(1)
            shared = implicit * others / np.sqrt(counts * len(rated))
            of_users[item] = (weights[:, item] * shared)[both[:, item]].sum()
        expected = wide.biases.predict(np.full(40, user), np.arange(40))
        left = (own - expected)[rated] / model.unit - of_users[rated]
        diagonal = model.reg + implicit * (len(rated) - 1) / len(rated)
        solved = np.linalg.solve(alike[np.ix_(rated, rated)] + diagonal * np.eye(len(rated)), left)
        unrated = np.setdiff1d(np.arange(40), rated)
        wanted = expected + model.unit * (alike[:, rated] @ solved + of_users)
        found = wide.predict(np.full(len(unrated), user), unrated).values
        np.testing.assert_allclose(found, wanted[unrated], atol=1e-3)


def given_draw(rng, items, k, spread, links=False, cutpoints=None):
    model = Factorization(
        np.zeros((1, k), "f4"),
        rng.normal(0, 0.7, (items, k)).astype("f4"),
        np.zeros(1, "f4"),
        rng.normal(0, 0.5, items).astype("f4"),
        mean=0.2,
    )
    return gibbs_new.Given(
        model,
        2.0,
        rng.uniform(0.5, 2, items).astype("f4"),
        rng.normal(0, 0.4, k + 1).astype("f4"),
        rng.uniform(1, 4, k + 1).astype("f4"),
        spread,
        rng.normal(0, 0.5, (items if links else 0, k + 1)).astype("f4"),
        cutpoints,
    )


@pytest.mark.parametrize("share", [0.5, 0])  # of the items rated: without any, it is the prior
@pytest.mark.parametrize("links", [False, True])
def test_a_user_of_known_noise_is_drawn_from_the_exact_normal_distribution(links, share):
    rng = np.random.default_rng(7)
    given = given_draw(rng, 12, 2, np.inf, links)
    dense = np.where(rng.random((1, 12)) < share, rng.normal(3, 1, (1, 12)), 0).astype("f4")
    ratings = sparse.csr_array(dense)
    rated = ratings.indices
    design = np.column_stack([given.model.item_factors, np.ones(12)])[rated].astype("f8")
    weights = np.diag(given.precision * given.item_precision[rated].astype("f8"))
    pulled = given.links[rated].sum(0) / np.sqrt(max(len(rated), 1)) if links else 0
    mean = given.mean + pulled
    inverse = np.linalg.inv(design.T @ weights @ design + np.diag(given.prior_precision))
    left = ratings.data - given.model.mean - given.model.item_bias[rated]
    centre = inverse @ (design.T @ weights @ left + given.prior_precision * mean)
    vector, _ = gibbs_new.draw_users(ratings, given, np.zeros(3), rng)
    np.testing.assert_allclose(vector[0], centre, atol=1e-5)
    drawn = np.array(
        [
            gibbs_new.draw_users(ratings, given, one, rng)[0][0] - centre
            for one in np.random.default_rng(1).standard_normal((800, 3))
        ]
    )
    np.testing.assert_allclose(np.cov(drawn.T), inverse, atol=0.15 * inverse.max())


def test_users_with_noise_of_their_own_are_drawn_as_they_were_simulated():
    """Drawn from the model and then given their ratings, users have the distribution they had."""
    rng = np.random.default_rng(11)
    given = given_draw(rng, 15, 1, 4.0)
    true, drawn = [], []
    for _ in range(1500):
        vector = given.mean + rng.standard_normal(2) / np.sqrt(given.prior_precision)
        own = rng.gamma(given.spread / 2, 2 / given.spread)
        rated = np.flatnonzero(rng.random(15) < 0.4)
        if not len(rated):
            continue
        sd = 1 / np.sqrt(given.precision * own * given.item_precision[rated])
        middle = given.model.mean + given.model.item_bias[rated]
        middle = middle + given.model.item_factors[rated, 0] * vector[0] + vector[1]
        values = (middle + rng.normal(0, sd)).astype("f4")
        ratings = sparse.csr_array((values, rated, [0, len(rated)]), shape=(1, 15))
        found, again = gibbs_new.draw_users(ratings, given, rng.standard_normal(2), rng)
        mean = values.mean()
        for rows, one, w in ((true, vector, own), (drawn, found[0], again[0])):
            rows.append([*one, *np.square(one), one[1] * mean, np.log(w), np.log(w) * values.var()])
    difference = np.array(true) - np.array(drawn)
    z = difference.mean(0) / (difference.std(0) / np.sqrt(len(difference)))
    assert np.abs(z).max() < 4


@pytest.mark.parametrize("name", ["gibbs", "gibbs-implicit"])
def test_a_new_user_without_ratings_is_predicted_as_one_of_the_matrix(name):
    """Users of the matrix without ratings are drawn from the prior in every sweep."""
    rng = np.random.default_rng(3)
    dense = np.clip(np.round(rng.normal(3.5, 1, (120, 1)) + rng.normal(0, 0.7, (120, 40))), 1, 5)
    dense[(rng.random(dense.shape) < 0.6) | (np.arange(120) >= 80)[:, None]] = 0
    model = registry.method(name)(k=2, sweeps=120, draws=40).fit(
        sparse.csr_array(dense.astype("f4"))
    )
    users, items = np.divmod(np.arange(40 * 40), 40)
    known = model.predict(80 + users, items).values.reshape(40, 40).mean(0)
    wide = model.fold_in(sparse.csr_array((1, 40), dtype="f4"))
    new = wide.predict(np.full(40, 120), np.arange(40)).values
    np.testing.assert_allclose(new, known, atol=0.08)


def test_noise_of_the_draws_cancels():
    noise = gibbs_new.last_noise(20, 5, np.random.default_rng(0))
    np.testing.assert_allclose(noise.mean(0), 0, atol=1e-12)
    assert noise.std() == pytest.approx(1, abs=0.2)
    assert gibbs_new.last_noise(1, 3, np.random.default_rng(0)).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("method", FITTED)
def test_new_ratings_are_explained_and_ratings_of_other_items_refused(method):
    found = registry.method(method)
    if "fold_in" not in found.can:
        return
    passes = {"sweeps": {"sweeps": 8, "burn_in": 2, "draws": 3}, "epochs": {"max_epochs": 8}}
    ratings = example()
    (m, n), new = ratings.train.shape, ratings.train[:3]
    model = found(**passes.get(found.iterates, {})).fit(ratings.train, ratings.validation)
    wide = model.fold_in(new)
    for item in range(0, n, 5):
        why = wide.explain(m, item)
        value = wide.predict([m], [item]).values[0]
        assert why.prediction == pytest.approx(value, abs=1e-4)
        if why.adds_up:
            total = why.expected + sum(part.contribution for part in why.parts)
            assert total == pytest.approx(value, abs=1e-4)
    with pytest.raises(ValueError, match="number items as in training"):
        model.fold_in(new[:, :-1])
