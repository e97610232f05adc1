"""The search that validation decides: what it chooses, and that it never sees the test part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from scipy import sparse

from cfmf import adaptive_search
from cfmf.methods import registry
from cfmf.tables import COLUMNS
from cfmf.training import Run, train_point

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "statistics.schema.yaml"
PROPERTIES = yaml.safe_load(SCHEMA.read_text("utf-8"))["$defs"]["adaptive"]["properties"]
BLOCK = {name: entry["default"] for name, entry in PROPERTIES.items()}
FEW = BLOCK | {"trials": 8, "k": [1, 6], "neighbours": [2, 30], "min_resource": 3}
SETTINGS = {"user-knn": {}, "mf": {"max_epochs": 40}}
optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def place():
    rng = np.random.default_rng(5)
    truth = 3 + rng.normal(size=(40, 2)) @ rng.normal(size=(2, 30)) + rng.normal(0, 0.4, (40, 1))
    values = np.clip(np.round(truth), 1, 5).astype(np.float32)
    part = rng.choice(4, values.shape, p=[0.35, 0.45, 0.1, 0.1])
    of = {name: part == number for number, name in enumerate(("none", "fit", "validation", "test"))}
    of["train"] = of["fit"] | of["validation"]
    parts = {
        name: sparse.csr_array(np.where(kept, values, 0))
        for name, kept in of.items()
        if name != "none"
    }
    return adaptive_search.Place("made", Run("f1", 1, **parts), (1.0, 5.0))


@pytest.fixture(scope="module", params=sorted(SETTINGS))
def found(request, place):
    method = request.param
    return method, adaptive_search.search(method, place, SETTINGS[method], FEW, seconds=600)


def test_tables_have_their_columns_and_every_trial(found):
    method, tables = found
    for kind in adaptive_search.Tables._fields:
        assert list(getattr(tables, kind).columns) == COLUMNS[kind]
    assert tables.trials["trial"].tolist() == list(range(FEW["trials"]))
    assert set(tables.trials["state"]) <= {"COMPLETE", "PRUNED"}
    assert ("PRUNED" in set(tables.trials["state"])) == (method == "mf")


def test_choice_is_the_complete_trial_of_least_validation_error(found, place):
    """Recomputed without the search: the setting's own validation and test RMSE."""
    method, tables = found
    complete = tables.trials[tables.trials["state"] == "COMPLETE"]
    best = complete.loc[complete["value"].idxmin()]
    setting = dict(part.split("=") for part in best["setting"].split())
    value = tables.metrics.set_index(["split", "metric"])["value"]
    run = place.run
    if method == "mf":
        k, reg = int(setting["k"]), float(setting["reg"])
        chosen = registry.method(method)(k=k, reg=reg, scale=place.scale, **SETTINGS[method])
        alone = train_point(chosen, [run]).metrics
        expected = alone[alone["metric"] == "rmse"].set_index("split")["value"]
    else:
        knn = registry.method(method).candidates({})[0]
        names = ("similarity", "neighbours", "shrinkage")
        knn = type(knn)(**knn.model_dump() | {name: setting[name] for name in names})
        expected = {}
        for split, train, asked in (
            ("validation", run.fit, run.validation),
            ("test", run.train, run.test),
        ):
            predicted = knn.fit(train).predict(*asked.nonzero()).values
            expected[split] = np.sqrt(np.mean((predicted - asked.data) ** 2))
    for split in ("validation", "test"):
        assert value[split, "rmse"] == pytest.approx(expected[split], rel=1e-5)
    assert best["value"] == pytest.approx(expected["validation"], abs=2e-5)


def test_two_searches_are_the_same_and_the_test_part_has_no_say(found, place):
    method, tables = found
    test = place.run.test.copy()
    test.data = 6 - test.data
    other = replace(place, run=replace(place.run, test=test))
    again = adaptive_search.search(method, other, SETTINGS[method], FEW, seconds=600)
    pd.testing.assert_frame_equal(tables.trials, again.trials)
    rows = tables.metrics["split"] == "validation"
    pd.testing.assert_frame_equal(tables.metrics[rows], again.metrics[rows])
    assert not tables.metrics[~rows].equals(again.metrics[~rows])


def test_study_is_kept_under_its_name(place, tmp_path):
    path = tmp_path / "study.db"
    few = FEW | {"trials": 2}
    found = adaptive_search.search("user-knn", place, {}, few, seconds=600, storage=path)
    name = "user-knn on fold f1 of made"
    kept = optuna.load_study(study_name=name, storage=f"sqlite:///{path}")
    assert [trial.value for trial in kept.trials] == found.trials["value"].tolist()


def test_what_the_time_ends_is_not_chosen(place):
    late = FEW | {"min_resource": 40}
    with pytest.raises(ValueError, match=r"mf on fold f1.*none of \d+ trials was completed"):
        adaptive_search.search("mf", place, SETTINGS["mf"], late, seconds=1e-9)


def test_methods_without_a_penalty_to_choose_are_refused(place):
    with pytest.raises(ValueError, match="gibbs has no reg"):
        adaptive_search.search("gibbs", place, {}, FEW, seconds=600)
