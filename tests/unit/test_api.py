"""Ratings of one's own: fitted, asked, judged and compared."""

import numpy as np
import pandas as pd
import pytest

from cfmf import api
from cfmf.evaluation.conformal import Radii
from cfmf.observed import rmse


@pytest.fixture(scope="module")
def frame():
    """Ratings of 60 users and 40 items, of which users and items explain most."""
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((60, 40)) < 0.5)
    score = 3 + rng.normal(0, 0.6, 60)[user] + rng.normal(0, 0.6, 40)[item]
    score += rng.normal(0, 0.3, len(user))
    rating = np.clip(np.round(score * 2) / 2, 1, 5)
    return pd.DataFrame({"user": [f"u{one}" for one in user], "item": item, "rating": rating})


@pytest.fixture(scope="module")
def model(frame):
    return api.fit(frame, "baseline")


def test_five_lines_fit_ask_save_and_load(frame, model, tmp_path):
    api.save(tmp_path / "model.cfmf", model)
    again = api.load(tmp_path / "model.cfmf")
    table = again.recommend(["u1", "u2"], top=4, coverage=0.9, explained=1)
    assert list(table["rank"]) == [1, 2, 3, 4] * 2
    rated = set(frame.loc[frame["user"] == "u1", "item"])
    assert not rated & set(table.loc[table["user"] == "u1", "item"])
    assert (table["low"] <= table["high"]).all()


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("baseline", {"reg_user": 2, "reg_item": [1, 5]}),
        ("item-knn", {"neighbours": [5, 10], "similarity": "adjusted-cosine"}),
        ("als", {"k": [1, 2], "reg": 0.2}),
        ("gibbs", {"k": 2, "sweeps": 10, "burn_in": 2, "draws": 3}),
    ],
)
def test_any_method_is_fitted_with_the_settings_that_are_given(frame, method, settings):
    found = api.fit(frame, method, settings)
    again = api.fit(frame, method, settings)
    used = found.method.model_dump()
    for name, value in settings.items():
        assert used[name] in (value if isinstance(value, list) else [value])
    values = [one.predict(frame["user"], frame["item"])["prediction"] for one in (found, again)]
    assert values[0].equals(values[1])
    assert rmse(values[0], frame["rating"]) < 0.8


def test_the_lowest_validation_error_is_chosen(frame, caplog):
    caplog.set_level("INFO")
    found = api.fit(frame, "baseline", {"reg_user": 1, "reg_item": [1, 10_000]})
    assert found.method.model_dump()["reg_item"] == 1
    assert found.about.provenance["validation_rmse"] < 0.6


def test_intervals_have_their_coverage_on_ratings_that_are_new(frame, model):
    rng = np.random.default_rng(1)
    new = rng.random(len(frame)) < 0.3
    found = api.evaluate(api.fit(frame[~new], "baseline"), frame[new])
    rows = found.set_index("metric")
    assert rows.loc["coverage_0.9", "value"] == pytest.approx(0.9, abs=0.06)
    assert rows.loc["rmse", "ci_low"] < rows.loc["rmse", "value"] < rows.loc["rmse", "ci_high"]
    assert all(isinstance(model.radii(one), Radii) for one in api.COVERAGES)


def test_ratings_that_the_model_has_learned_from_give_a_warning(frame, caplog):
    strange = pd.DataFrame({"user": ["nobody"], "item": frame["item"][:1], "rating": [3]})
    model = api.fit(frame[5:], "baseline")
    judged = pd.concat([frame[:5], strange])
    api.evaluate(model, judged)
    assert "was fitted to" not in caplog.text
    api.evaluate(model, pd.concat([judged, frame[-2:]]))
    assert "was fitted to 2 of these 8 pairs" in caplog.text


def test_predictions_of_any_tool_are_judged_alike(frame, model, tmp_path):
    found = model.predict(frame["user"], frame["item"])
    found.sample(frac=1, random_state=1).to_csv(tmp_path / "foreign.csv", index=False)
    ours = api.evaluate(model, frame).set_index("metric")
    theirs = api.evaluate_predictions(tmp_path / "foreign.csv", frame).set_index("metric")
    assert theirs.loc[["rmse", "mae"], "value"].to_numpy() == pytest.approx(
        ours.loc[["rmse", "mae"], "value"].to_numpy(), abs=1e-6
    )
    found.iloc[1:].to_csv(tmp_path / "foreign.csv", index=False)
    with pytest.raises(ValueError, match="lacks 1 of"):
        api.evaluate_predictions(tmp_path / "foreign.csv", frame)


def test_methods_are_compared_on_the_same_folds(frame):
    table = api.compare(frame, ["user-cf-published", "baseline"], folds=3)
    assert list(table["method"]) == ["baseline", "user-cf-published"]
    assert table["rmse"].is_monotonic_increasing
    assert table["difference"][0] == 0
    assert table["difference_low"][1] > 0
    again = api.compare(frame, ["baseline", "user-cf-published"], folds=3)
    assert again.equals(table)


def test_a_new_user_is_learned_without_fitting_again(frame, model):
    rated = [3, 4, 5, 6]
    found = model.with_ratings(["new"] * 4 + ["u1"], [*rated, 7], [5, 5, 5, 5, 1])
    before = model.predict(["u2", "new"], [0, 0])
    after = found.predict(["u2", "new"], [0, 0])
    assert before["prediction"][0] == after["prediction"][0]
    assert list(before["is_fallback"]) == [False, True]
    assert list(after["is_fallback"]) == [False, False]
    assert after["prediction"][1] > before["prediction"][1]
    assert not set(rated) & set(found.recommend(["new"], top=40)["item"])
    # A known user is a new one from then on.
    assert (
        found.predict(["u1"], [0])["prediction"][0] != model.predict(["u1"], [0])["prediction"][0]
    )


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda frame: api.fit(frame, "nothing"), "no method is named 'nothing'"),
        (lambda frame: api.fit(frame, "baseline", {"width": 3}), "has no setting width"),
        (lambda frame: api.fit(frame.head(10), "baseline"), "at least 20"),
        (lambda frame: api.compare(frame, ["baseline"], folds=1), "do not allow 1 folds"),
        (lambda frame: api.fit(frame, "gibbs-dated"), "no dates"),
    ],
)
def test_what_cannot_be_done_is_said(frame, call, why):
    with pytest.raises(ValueError, match=why):
        call(frame)
