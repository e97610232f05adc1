"""Every method is fitted alike, at what validation chose, and predicts any pair."""

import numpy as np
import pandas as pd
import pytest

from cfmf.config import registry
from cfmf.evaluation.fitting import chosen_setting, fit, predictions_of
from cfmf.methods.registry import method as method_named
from cfmf.observed import pairs
from cfmf.prediction import predict_selected
from cfmf.selection import choose_trial
from cfmf.tables import COLUMNS
from cfmf.tuning import Setup, tune


def values_of(model, users, items):
    """Predictions of pairs as an array."""
    predicted = model.predict(users, items)
    return getattr(predicted, "values", predicted)


METHODS = [name for name in registry() if name not in ("mf-jax", "mf-sgd")]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_predicts_any_pair(ratings, setting_of, method):
    train, test = ratings
    found = fit(setting_of(method), train, test, scale=(1, 5))
    again = values_of(found.model, *pairs(test))
    assert found.asked.shape == again.shape == (test.nnz,)
    assert np.isfinite(again).all()
    if method.startswith("gibbs"):
        # a few draws against every counted sweep
        assert np.sqrt(np.mean((found.asked - again) ** 2)) < 0.2
        assert (found.deviations > 0).all()
    else:
        np.testing.assert_allclose(found.asked, again, rtol=1e-5)
        assert found.deviations is None
    everything = np.indices(train.shape).reshape(2, -1)
    assert np.isfinite(values_of(found.model, *everything)).all()


def test_neighbours_are_fitted_as_the_study_fitted_them(ratings):
    train, test = ratings
    rng = np.random.default_rng(1)
    held = rng.random(train.nnz) < 0.2
    rows, columns = pairs(train)
    parts = {"train": train, "test": test}
    for part, mask in (("fit", ~held), ("validation", held)):
        parts[part] = type(train)(
            (train.data[mask], (rows[mask], columns[mask])), shape=train.shape
        )
    block = {"similarity": ["cosine", "pearson"], "neighbours": [5, 20], "damping": [0.0, 0.1]}
    setup = Setup(method_named("user-knn"), block, {"f1": parts})
    trials, _ = tune(setup)
    settings = choose_trial(trials)
    outcome = predict_selected(setup, trials, settings)
    setting = chosen_setting("user-knn", "f1", outcome.metrics, settings, block)
    found = fit(setting, train, test)
    np.testing.assert_array_equal(found.asked, outcome.predictions["prediction"])


def metrics(rows, method="mf"):
    table = pd.DataFrame(rows, columns=["fold", "k", "reg", "seed", "split", "metric", "value"])
    return table.assign(dataset="d", method=method)[COLUMNS["metrics"]]


def test_factorization_is_fitted_where_validation_was_least():
    rows = []
    for fold, best in (("f1", "4"), ("f2", "16")):
        for k in ("4", "16"):
            for seed in ("2", "7"):
                value = 0.8 if k == best else 0.9
                rows.append([fold, k, "0.1", seed, "validation", "rmse", value])
                rows.append([fold, k, "0.1", seed, "test", "rmse", 2 - value])
                rows.append([fold, k, "0.1", seed, "fit", "epochs", 10 * int(k) + int(seed)])
                rows.append([fold, k, "0.1", seed, "fit", "out_of_time", 0])
    for fold, k in (("f1", "4"), ("f2", "16")):
        setting = chosen_setting("mf", fold, metrics(rows), None, {"k": [4, 16], "patience": 3})
        assert (setting.k, setting.reg, setting.seed) == (k, "0.1", "2")
        assert setting.epochs == 10 * int(k) + 2
        assert setting.options["patience"] == 3
    short = metrics([row for row in rows if row[5] != "epochs"])
    with pytest.raises(ValueError, match="do not tell its epochs"):
        chosen_setting("mf", "f1", short, None, {})


@pytest.mark.parametrize(("late", "epochs"), [(0, None), (1, 17)])
def test_sampling_is_cut_only_where_time_ran_out(late, epochs):
    rows = [
        ["f1", "4", "", "1", "validation", "rmse", 0.9],
        ["f1", "4", "", "1", "test", "rmse", 1],
    ]
    rows += [["f1", "4", "", "1", "fit", "epochs", 17]]
    rows += [["f1", "4", "", "1", "fit", "out_of_time", late]]
    setting = chosen_setting("gibbs", "f1", metrics(rows, "gibbs"), None, {})
    assert setting.epochs == epochs


def test_setting_that_was_not_chosen_is_refused():
    empty = pd.DataFrame(columns=COLUMNS["settings"])
    with pytest.raises(ValueError, match="no setting of user-knn was chosen on fold f1"):
        chosen_setting("user-knn", "f1", pd.DataFrame(), empty, {})


def test_predictions_are_those_of_the_chosen_setting(tmp_path, setting_of):
    setting = setting_of("mf")
    paths = {}
    for k in ("4", "16"):
        path = tmp_path / f"{k}.parquet"
        frame = pd.DataFrame(
            {
                "fold": ["f1", "f1", "f2", "f1"],
                "seed": ["1", "1", "1", "2"],
                "prediction": np.array([1, 2, 3, 4], "f4") * int(k),
            }
        )
        frame.to_parquet(path)
        paths["mf", k, "0.1"] = path
    assert predictions_of(setting, paths).tolist() == [4, 8]
