"""Variances for three populations, against resampling, statsmodels and the corrected t."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats
from statsmodels.regression.linear_model import OLS

from cfmf.statistics import intervals, names, populations

RATIO = 0.25


def drawn(seed, users=60, items=40, folds=4, taste=0.5):
    """Folds of test ratings and predictions of three levels; users and items share errors."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(users * items)[: folds * 150].reshape(folds, -1)
    by_user, by_item = (rng.normal(0, taste, (3, size)) for size in (users, items))
    found = []
    for part in cells:
        rows, columns = np.divmod(np.sort(part), items)
        shape = (users, items)
        test = sparse.csr_array(
            (rng.integers(1, 6, part.size).astype("f4"), (rows, columns)), shape
        )
        noise = rng.normal(0, 0.6, (3, part.size))
        wrong = noise + by_user[:, rows] + by_item[:, columns]
        found.append((dict(zip("abc", (test.data + wrong).astype("f4"), strict=True)), test))
    return found


def influences(folds, first, second):
    """Users, items and influence on the mean difference of every test rating, one by one."""
    rows = []
    for predictions, test in folds:
        users, items = test.tocoo().coords
        sides = []
        for values in (predictions[first], predictions[second]):
            squared = (values.astype("f8") - test.data) ** 2
            sides.append((squared - squared.mean()) / (2 * np.sqrt(squared.mean())) / test.nnz)
        both = (sides[0] - sides[1]) / len(folds)
        rows.append(pd.DataFrame({"user": users, "item": items, "influence": both}))
    return pd.concat(rows)


def of_weights(folds, weight):
    """Difference of the first two levels' mean RMSE, with a weight of every test rating."""
    values = []
    for predictions, test in folds:
        w = weight(*test.tocoo().coords)
        sides = [
            np.sqrt(np.average((values.astype("f8") - test.data) ** 2, weights=w))
            for values in (predictions["a"], predictions["b"])
        ]
        values.append(sides[0] - sides[1])
    return np.mean(values)


def with_fixed_models(difference):
    """Its standard error without what other training ratings add."""
    return difference.error / np.sqrt(1 + populations.TRAINING)


def test_new_ratings_have_the_corrected_t():
    folds = drawn(1)
    found = populations.differences(populations.of_folds(folds), "a", "b", RATIO)["new_ratings"]
    d = [
        np.sqrt(np.mean((p["a"].astype("f8") - t.data) ** 2))
        - np.sqrt(np.mean((p["b"].astype("f8") - t.data) ** 2))
        for p, t in folds
    ]
    known = stats.ttest_1samp(intervals.widened(d, RATIO), 0.0)
    ends = known.confidence_interval(0.9)
    interval = found.interval(0.9)
    assert (interval.low, interval.high) == pytest.approx((ends.low, ends.high), rel=1e-9)
    assert found.p_value() == pytest.approx(known.pvalue, rel=1e-9)
    assert found.df == pytest.approx(len(folds) - 1)
    assert interval.method == "new_ratings"


@pytest.mark.parametrize("seed", range(4))
def test_sums_have_the_variance_of_clustered_regression(seed):
    """statsmodels' sandwich of a mean, clustered by user, and by user and item."""
    folds = drawn(seed)
    rows = influences(folds, "a", "c")
    fit = OLS(rows["influence"], np.ones(len(rows)))
    groups = {"new_users": rows["user"], "new_users_and_items": rows[["user", "item"]].to_numpy()}
    found = populations.differences(populations.of_folds(folds), "a", "c", 0.0)
    for name, group in groups.items():
        known = fit.fit(cov_type="cluster", cov_kwds={"groups": group, "use_correction": False})
        error = known.bse.iloc[0] * len(rows)
        # n/(n - 1) of 60 users and 40 items
        assert with_fixed_models(found[name]) == pytest.approx(error, rel=0.02)
        assert with_fixed_models(found[name]) >= error


def test_resampled_users_vary_as_much():
    folds = drawn(5, users=200, items=60)
    rng = np.random.default_rng(1)
    values = []
    for _ in range(600):
        weights = rng.multinomial(200, np.full(200, 1 / 200))
        values.append(of_weights(folds, lambda users, items, w=weights: w[users]))
    found = populations.differences(populations.of_folds(folds), "a", "b", 0.0)["new_users"]
    assert with_fixed_models(found) == pytest.approx(np.std(values), rel=0.12)
    assert found.value == pytest.approx(of_weights(folds, lambda users, items: np.ones(len(users))))


def test_product_weights_vary_more_by_twice_the_single_ratings():
    """Owen (2007): the bootstrap over users × items counts the variance of a rating three times."""
    folds = drawn(6, users=150, items=150, folds=2)
    rng = np.random.default_rng(2)
    values = []
    for _ in range(1500):
        w, v = rng.exponential(1, 150), rng.exponential(1, 150)
        values.append(of_weights(folds, lambda users, items, w=w, v=v: w[users] * v[items]))
    found = populations.differences(populations.of_folds(folds), "a", "b", 0.0)
    single = np.square(influences(folds, "a", "b")["influence"]).sum()
    both = with_fixed_models(found["new_users_and_items"]) ** 2
    assert both + 2 * single == pytest.approx(np.var(values), rel=0.2)
    assert single > 0.2 * both


def test_seeds_are_averaged():
    folds = drawn(7, folds=3)
    seeds = [
        ({"a": np.stack([p["a"], p["b"]]), "b": np.stack([p["c"], p["c"]]), "c": p["c"]}, test)
        for p, test in folds
    ]
    one, two = populations.of_folds(folds), populations.of_folds(seeds)
    np.testing.assert_allclose(two.rmse[:, 0], one.rmse[:, :2].mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(two.users[:, 0], one.users[:, :2].mean(axis=1), atol=1e-15)
    np.testing.assert_allclose(two.items[:, 1], one.items[:, 2], atol=1e-15)
    same = populations.differences(two, "b", "c", RATIO)
    assert {(found.value, found.error) for found in same.values()} == {(0.0, 0.0)}
    assert all(found.p_value() == 1 for found in same.values())


def test_batches_do_not_matter(monkeypatch):
    folds = drawn(8)
    whole = populations.of_folds(folds)
    monkeypatch.setattr(populations, "BATCH", 7)
    np.testing.assert_allclose(populations.of_folds(folds).products, whole.products, rtol=1e-10)


def test_a_perfect_predictor_has_no_influence():
    folds = [({"a": test.data, "b": p["b"]}, test) for p, test in drawn(9)]
    found = populations.of_folds(folds)
    assert not found.users[:, 0].any()
    assert not found.rmse[:, 0].any()
    assert populations.differences(found, "a", "b", RATIO)["new_users"].value < 0


def test_repeats_of_the_same_test_ratings_add_no_users():
    once = populations.of_folds(drawn(10))
    each = ((once, 1), (once + once + once, 3))
    found = [populations.differences(one, "a", "b", 1 / 3, repeats) for one, repeats in each]
    for name in ("new_users", "new_users_and_items"):
        assert found[1][name].error == pytest.approx(found[0][name].error, rel=1e-9)


def test_degrees_of_freedom_are_those_of_normal_sums():
    rng = np.random.default_rng(3)
    variance, uncertainty = populations._clustered(rng.normal(0, 1, 4000))
    assert 2 * variance**2 / uncertainty == pytest.approx(4000, rel=0.1)
    assert populations._clustered(np.array([1.0, -1.0, 0.0]))[0] == pytest.approx(4.0)


def test_one_fold_has_no_interval_and_the_widest_is_chosen():
    folds = drawn(11)
    influence = populations.of_folds(folds)
    assert populations.differences(populations.of_fold(*folds[0]), "a", "b", RATIO) == {}
    found = populations.differences(influence, "a", "b", RATIO)
    assert tuple(found) == names.POPULATIONS
    wide = populations.widest(found.values(), 0.95)
    length = {name: one.interval(0.95).high for name, one in found.items()}
    assert wide.population == max(length, key=length.get)


def test_predictions_of_other_ratings_are_refused():
    predictions, test = drawn(12)[0]
    with pytest.raises(ValueError, match="one prediction for each stored entry"):
        populations.of_fold({"a": predictions["a"][:-1]}, test)


def levels_of(folds):
    """A table of levels, the predictions of their settings and the test matrices."""
    frames, rows = {}, []
    for number, (predictions, _) in enumerate(folds):
        for k, values in predictions.items():
            two = [
                pd.DataFrame({"fold": f"f{number}", "seed": s, "prediction": values}) for s in "12"
            ]
            frames.setdefault(k, []).extend(two)
            rows.append({"level": f"k {k}", "fold": f"f{number}", "method": "m", "k": k, "reg": ""})
    kept = {k: pd.concat(found) for k, found in frames.items()}
    tests = {f"f{number}": test for number, (_, test) in enumerate(folds)}
    return pd.DataFrame(rows), lambda method, k, reg: kept[k], tests.__getitem__


def test_levels_may_change_their_setting_from_fold_to_fold():
    folds = drawn(13)
    levels, *files = levels_of(folds)
    composite = levels.groupby("fold", sort=False).first().reset_index().assign(level="best")
    composite["k"] = ["a", "c", "b", "a"]
    found = populations.of_levels(pd.concat([levels, composite]), *files)
    assert found.levels == ("k a", "k b", "k c", "best")
    known = populations.of_folds(
        (p | {"best": p[k]}, test) for (p, test), k in zip(folds, composite["k"], strict=True)
    )
    for name in ("rmse", "users", "items", "products"):
        np.testing.assert_allclose(getattr(found, name), getattr(known, name), atol=1e-15)


def test_levels_of_other_folds_are_refused():
    levels, *files = levels_of(drawn(14))
    with pytest.raises(ValueError, match="k b has no setting for fold f2"):
        populations.of_levels(levels[(levels["level"] != "k b") | (levels["fold"] != "f2")], *files)
