"""Blends against general solvers, their invariances, and what they must not gain or see."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse

from cfmf.evaluation import blending
from cfmf.evaluation.blending import PENALTY, RULES, Sources, blend, choose_rule, learn
from cfmf.tables import COLUMNS, where

SCALE = (1.0, 5.0)


def drawn(seed, pairs, members, noise=0.5):
    """Predictions of members that err more and more, float64, and the ratings."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, 1, pairs)
    wrong = rng.normal(size=(pairs, members)) * np.linspace(0.3, 1, members)
    return truth[:, None] * 0.9 + wrong, truth + noise * rng.normal(size=pairs)


def minimized(predictions, ratings, rule):
    """The weights of a rule by a general solver on all rows, which knows only what is minimized."""
    members = predictions.shape[1]
    equal = np.full(members, 1 / members)
    penalty = PENALTY * ratings.var() if rule == "linear" else 0.0

    def objective(values):
        errors = predictions @ values[:-1] + values[-1] - ratings
        return np.square(errors).sum() + penalty * np.square(values[:-1] - equal).sum()

    free = (None, None)
    found = optimize.minimize(
        objective,
        np.append(equal, 0.0),
        method="SLSQP",
        bounds=[free if rule == "linear" else (0, None)] * members + [free],
        constraints=[{"type": "eq", "fun": lambda values: values[:-1].sum() - 1}]
        if rule == "convex"
        else [],
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    assert found.success, found.message
    return found.x


@pytest.mark.parametrize("rule", ["convex", "positive", "linear"])
@pytest.mark.parametrize("members", [1, 2, 5])
def test_weights_are_those_of_a_general_solver(rule, members):
    predictions, ratings = drawn(members, 200, members)
    found = learn(predictions, ratings, rule)
    expected = minimized(predictions, ratings, rule)
    np.testing.assert_allclose([*found.weights, found.intercept], expected, atol=2e-4)
    errors = [
        np.square(predictions @ one[:-1] + one[-1] - ratings).mean()
        for one in (np.append(found.weights, found.intercept), expected)
    ]
    assert errors[0] <= errors[1] + 1e-6 or rule == "linear"


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    members=st.integers(1, 6),
    a=st.floats(0.01, 100),
    b=st.floats(-100, 100),
)
def test_ratings_on_another_scale_have_the_same_weights(rule, seed, members, a, b):
    predictions, ratings = drawn(seed, 60, members)
    first, second = (
        learn(predictions, ratings, rule),
        learn(a * predictions + b, a * ratings + b, rule),
    )
    np.testing.assert_allclose(second.weights, first.weights, rtol=1e-5, atol=1e-6)
    expected = a * first.combined(predictions) + b
    np.testing.assert_allclose(
        second.combined(a * predictions + b), expected, rtol=1e-5, atol=1e-5 * (a + abs(b))
    )
    assert (
        choose_rule([a * predictions + b], a * ratings + b)[0]
        == choose_rule([predictions], ratings)[0]
        or members == 1
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", ["one pair", "constant", "twins", "perfect", "equal ratings"])
def test_degenerate_members_leave_finite_weights(rule, case):
    predictions, ratings = drawn(1, 1 if case == "one pair" else 30, 3)
    if case == "constant":
        predictions[:, 1] = 2.5
    elif case == "twins":
        predictions[:, 1] = predictions[:, 0]
    elif case == "perfect":
        predictions[:, :] = ratings[:, None]
    elif case == "equal ratings":
        ratings[:] = 4
    found = learn(predictions, ratings, rule)
    assert np.isfinite([*found.weights, found.intercept]).all()
    combined = found.combined(predictions)
    assert combined.mean() == pytest.approx(ratings.mean())
    if case == "perfect" or (case == "equal ratings" and rule in ("positive", "linear")):
        np.testing.assert_allclose(combined, ratings, atol=0.2 if rule == "linear" else 1e-9)
    if rule in ("equal", "convex"):
        assert found.weights.sum() == pytest.approx(1)
    if rule in ("equal", "convex", "positive"):
        assert (found.weights >= 0).all()


def test_with_few_ratings_weights_are_equal():
    predictions, ratings = drawn(2, 9, 3)
    rule, (first, second) = choose_rule([predictions, predictions], ratings)
    assert rule == "equal"
    np.testing.assert_array_equal(first, second)


def sources(seed=0, users=40, items=30, members=("good", "poor"), seeds=("1", "2"), noise=0.8):
    """Two folds whose first member is the better one; the members but the first have seeds."""
    rng = np.random.default_rng(seed)
    matrices, frames = {}, {"validation": {}, "test": {}}
    for fold in ("f1", "f2"):
        part = rng.choice(["validation", "test", "none"], (users, items), p=[0.3, 0.3, 0.4])
        truth = rng.normal(3, 1, (users, items))
        found = []
        for name in ("validation", "test"):
            rows, columns = np.nonzero(part == name)
            values = truth[rows, columns]
            ratings = (values + noise * rng.normal(size=len(rows))).astype("f4")
            found.append(sparse.csr_array((ratings, (rows, columns)), truth.shape))
            for place, member in enumerate(members):
                for one in seeds if place else ("",):
                    wrong = rng.normal(size=len(rows)) * (0.3 + place)
                    near = (values if member != "noise" else 0) + wrong
                    frame = pd.DataFrame({"fold": fold, "seed": one, "prediction": near})
                    frames[name].setdefault(member, []).append(frame.astype({"prediction": "f4"}))
        matrices[fold] = tuple(found)
    rows = [
        {"dataset": "d", "fold": fold, "method": member, "k": "4", "reg": "", "seed": ""}
        for fold in matrices
        for member in members
    ]
    chosen = pd.DataFrame(rows).reindex(columns=COLUMNS["selection"]).fillna({"reg": ""})
    spent = {"fit": 2.0, "refit": 3.0, "tune": 10.0}
    costs = [
        {**row, "stage": stage, "measure": "seconds", "value": value}
        for row in rows
        for stage, value in spent.items()
    ]
    known, queried = (
        {member: pd.concat(parts, ignore_index=True) for member, parts in frames[name].items()}
        for name in ("validation", "test")
    )
    return Sources(
        chosen,
        pd.DataFrame(costs),
        lambda method, k, reg: known[method],
        lambda method, k, reg: queried[method],
        matrices.__getitem__,
        SCALE,
    )


def test_tables_follow_from_the_predictions():
    given = sources()
    found = blend("blend-x", ["good", "poor"], given)
    for kind in ("metrics", "selection", "costs", "weights"):
        assert list(getattr(found, kind).columns) == COLUMNS[kind]
        assert set(getattr(found, kind)["method"]) == {"blend-x"}
    weights = found.weights.set_index(["fold", "seed", "member"])["weight"]
    value = found.metrics.set_index(["fold", "seed", "split", "metric"])["value"]
    for (fold, seed), rows in found.predictions.groupby(["fold", "seed"]):
        test = given.matrices(fold)[1]
        of_fold = [where(given.test(one, "", ""), fold=fold) for one in ("good", "poor")]
        good, poor = (one[one["seed"].isin([seed, ""])]["prediction"] for one in of_fold)
        own = weights[fold, seed]
        expected = own["good"] * good.to_numpy() + own["poor"] * poor.to_numpy() + own[""]
        np.testing.assert_allclose(rows["prediction"], expected, rtol=1e-5)
        error = np.sqrt(np.mean((rows["prediction"] - test.data) ** 2))
        assert value[fold, seed, "test", "rmse"] == pytest.approx(error)
        assert value[fold, seed, "validation", "rmse"] > 0
    assert set(found.predictions["seed"]) == {"1", "2"}
    assert found.costs.groupby("stage")["value"].sum().to_dict() == {"predict": 20, "tune": 40}


def test_a_blend_is_the_same_twice_whatever_the_test_ratings():
    given = sources()
    found = blend("blend-x", ["good", "poor"], given)
    again = blend("blend-x", ["good", "poor"], sources())
    for one, other in zip(found, again, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    for fold in ("f1", "f2"):
        given.matrices(fold)[1].data[:] = 1
    changed = blend("blend-x", ["good", "poor"], given)
    for kind in ("predictions", "weights", "selection"):
        pd.testing.assert_frame_equal(getattr(found, kind), getattr(changed, kind))


@pytest.mark.parametrize(("a", "b"), [(20, 0), (0.25, -3), (1, 1000)])
def test_a_blend_of_ratings_on_another_scale_is_the_same_there(a, b):
    def moved(frames):
        def moved_frame(*setting):
            frame = frames(*setting)
            return frame.assign(prediction=a * frame["prediction"].astype("f8") + b)

        return moved_frame

    given = sources()
    parts = {fold: given.matrices(fold) for fold in ("f1", "f2")}
    scaled = {
        fold: tuple(
            sparse.csr_array((a * one.data + b, one.indices, one.indptr), one.shape)
            for one in matrices
        )
        for fold, matrices in parts.items()
    }
    other = Sources(
        given.chosen,
        given.costs,
        moved(given.validation),
        moved(given.test),
        scaled.__getitem__,
        (a * SCALE[0] + b, a * SCALE[1] + b),
    )
    first, second = (blend("blend-x", ["good", "poor"], one) for one in (given, other))
    expected = a * first.predictions["prediction"] + b
    np.testing.assert_allclose(second.predictions["prediction"], expected, rtol=1e-4, atol=1e-3 * a)
    assert second.selection["setting"].tolist() == first.selection["setting"].tolist()
    errors = (one.metrics["value"].to_numpy() for one in (first, second))
    np.testing.assert_allclose(next(errors) * a, next(errors), rtol=2e-3)


def test_a_blend_of_noise_gains_nothing():
    """Of several that know nothing no blend knows more, and its own estimate of its error says so.

    The ratings have a standard deviation of 1.28, the lowest RMSE that is possible here.
    """
    members = ["noise", "noise-2", "noise-3", "noise-4"]
    claimed, true = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        ratings = rng.normal(3, 1.28, 400)
        predictions = rng.normal(3, 1, (400, len(members)))
        rule, held = choose_rule([predictions[:200]], ratings[:200])
        learned = learn(predictions[:200], ratings[:200], rule)
        claimed.append(np.sqrt(np.mean((held[0] - ratings[:200]) ** 2)))
        rest = learned.combined(predictions[200:]) - ratings[200:]
        true.append(np.sqrt(np.mean(rest**2)))
    assert np.mean(true) >= 1.28 * 0.99
    assert np.mean(claimed) == pytest.approx(np.mean(true), rel=0.02)


def test_noise_beside_a_good_member_takes_little_from_it():
    lost = []
    for seed in range(10):
        given = sources(seed, members=("good", "noise"), seeds=("",))
        alone, both = (
            blend("blend-x", names, given).metrics.query("split == 'test' and metric == 'rmse'")
            for names in (["good"], ["good", "noise"])
        )
        lost.append(both["value"].mean() - alone["value"].mean())
    assert -0.005 < np.mean(lost) < 0.005


def test_two_members_that_err_apart_are_better_together():
    given = sources(seeds=("",), members=("good", "poor"))
    known = {name: blend("blend-x", [name], given).metrics for name in ("good", "poor")}
    both = blend("blend-x", ["good", "poor"], given).metrics

    def error(metrics):
        return metrics.query("split == 'test' and metric == 'rmse'")["value"].mean()

    assert error(both) < min(error(one) for one in known.values())


def test_what_is_missing_is_named():
    given = sources()
    with pytest.raises(ValueError, match="other has no setting on fold f1"):
        blend("blend-x", ["good", "other"], given)
    lacking = given.validation("poor", "", "")
    for frame, said in (
        (lacking.iloc[:-1], "validation ratings|test ratings"),
        (lacking[lacking["fold"] == "f1"], "no predictions of poor in fold f2"),
    ):
        short = blending.Sources(**{**vars(given), "validation": lambda *_, one=frame: one})
        with pytest.raises(ValueError, match=said):
            blend("blend-x", ["poor"], short)
