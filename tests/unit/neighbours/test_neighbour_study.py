"""The two rules of the neighbour methods, as functions: tables, blocks, honesty, accuracy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from neighbour_references import ratings_of

from cfmf.files import save_matrix
from cfmf.neighbours import METHODS, method_class, study
from cfmf.neighbours.tuning import grid
from cfmf.tables import read_table, write_table

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = yaml.safe_load((ROOT / "schemas" / "neighbours.schema.yaml").read_text())
SETTINGS = {
    "baseline": {"reg_user": [2, 20]},
    "user-cf-published": {},
    "user-knn": {"neighbours": [3, 9]},
    "item-knn": {"neighbours": [3, 9], "similarity": ["cosine", "pearson"]},
}


def defaults(name):
    return {key: value["default"] for key, value in SCHEMA["$defs"][name]["properties"].items()}


@pytest.fixture(scope="module")
def folds():
    return {
        fold: {
            part: ratings_of(seed + place, users=40, items=30, density=density)
            for place, (part, density) in enumerate(
                [("fit", 0.3), ("validation", 0.05), ("train", 0.4), ("test", 0.1)]
            )
        }
        for fold, seed in (("u1", 100), ("u2", 200))
    }


@pytest.mark.parametrize("method", METHODS)
def test_tables_have_their_columns_and_survive_their_files(tmp_path, folds, method):
    trials, costs = study.tune(method, folds, SETTINGS[method], "tiny")
    write_table(tmp_path / "trials.tsv", trials, "trials")
    write_table(tmp_path / "costs.tsv", costs, "costs")
    trials = read_table(tmp_path / "trials.tsv", "trials")
    outcome = study.predict_selected(method, folds, trials, SETTINGS[method], "tiny")
    for kind in ("metrics", "settings", "costs"):
        write_table(tmp_path / f"{kind}.tsv", getattr(outcome, kind), kind)
    assert outcome.predictions.columns.tolist() == ["fold", "seed", "prediction"]
    assert len(trials) == 2 * len(grid(method, SETTINGS[method]))
    metrics = outcome.metrics.set_index(["fold", "split", "metric"])["value"]
    for fold, parts in folds.items():
        predicted = outcome.predictions.query("fold == @fold")["prediction"].to_numpy()
        errors = predicted.astype(float) - parts["test"].data
        assert metrics[fold, "test", "rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)))
        assert metrics[fold, "test", "mae"] == pytest.approx(np.abs(errors).mean())
        least = trials.query("fold == @fold")["value"].min()
        assert metrics[fold, "validation", "rmse"] == least


def test_metrics_are_the_same_twice(folds):
    runs = []
    for threads in (1, 3):
        trials, _ = study.tune("user-knn", folds, SETTINGS["user-knn"], threads=threads)
        runs.append(
            (trials, study.predict_selected("user-knn", folds, trials, SETTINGS["user-knn"]))
        )
    pd.testing.assert_frame_equal(runs[0][0], runs[1][0], check_exact=True)
    pd.testing.assert_frame_equal(runs[0][1].metrics, runs[1][1].metrics, check_exact=True)


def test_clipped_rmse_uses_the_scale_that_is_given(folds):
    trials, _ = study.tune("baseline", folds, {})
    of_scale = study.predict_selected("baseline", folds, trials, {}, scale=(3, 3)).metrics
    value = of_scale.query("fold == 'u1' and metric == 'rmse_clipped'")["value"].item()
    assert value == pytest.approx(np.sqrt(np.mean((folds["u1"]["test"].data - 3.0) ** 2)))


def test_files_do_as_well_as_matrices(tmp_path, folds):
    paths = {}
    for fold, parts in folds.items():
        paths[fold] = {part: tmp_path / f"{fold}-{part}.npz" for part in parts}
        for part, matrix in parts.items():
            save_matrix(paths[fold][part], matrix)
    found = []
    for given in (folds, paths):
        trials, _ = study.tune("item-knn", given, SETTINGS["item-knn"])
        found.append(study.predict_selected("item-knn", given, trials, SETTINGS["item-knn"]))
    pd.testing.assert_frame_equal(found[0].metrics, found[1].metrics)


@pytest.mark.parametrize("method", METHODS)
def test_blocks_in_any_order_give_the_same_results(folds, method):
    trials, _ = study.tune(method, folds, SETTINGS[method])
    given = (method, folds, trials, SETTINGS[method])
    whole = study.predict_selected(*given)
    for blocks in (2, 3, 50):
        parts = [study.predict_part(*given, block, blocks) for block in reversed(range(blocks))]
        found = study.join_parts(*given, parts)
        for table in ("metrics", "settings", "predictions"):
            expected = getattr(whole, table)
            pd.testing.assert_frame_equal(getattr(found, table), expected, check_exact=True)
        assert len(found.costs) == len(folds)
    with pytest.raises(ValueError, match="delete the blocks and predict again"):
        study.join_parts(*given, parts[1:])
    with pytest.raises(ValueError, match="block 3 of 3"):
        study.predict_part(*given, 3, 3)


def test_published_user_cf_reports_both_training_figures(folds):
    trials, _ = study.tune("user-cf-published", folds, {})
    metrics = study.predict_selected("user-cf-published", folds, trials, {}).metrics
    training = metrics.query("split == 'train' and fold == 'u1'").set_index("metric")["value"]
    assert training["rmse_contaminated"] < training["rmse"]
    train = folds["u1"]["train"]
    both = method_class("user-cf-published")().fit(train).predict_training(train)
    assert list(both) == ["rmse", "rmse_contaminated"]
    for name, predicted in both.items():
        errors = predicted.astype(float) - train.data
        assert training[name] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-12)


def test_importing_the_registry_loads_neither_numba_nor_torch():
    code = "import sys, cfmf.neighbours; print({'numba', 'torch', 'scipy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert found.stdout.strip() == "set()", found.stderr


def test_schema_defaults_are_grids_of_the_same_size_for_both_sides():
    assert len(grid("user-knn", defaults("knn"))) == len(grid("item-knn", defaults("knn"))) == 48
    assert grid("baseline", defaults("baseline"))


def test_schema_accepts_its_defaults_and_refuses_what_the_package_refuses():
    jsonschema = pytest.importorskip("jsonschema")
    for name in ("baseline", "user-cf-published", "knn"):
        schema = {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}
        validator = jsonschema.Draft202012Validator(schema)
        validator.check_schema(SCHEMA)
        assert validator.is_valid(defaults(name))
        assert not validator.is_valid({"k": [3]})
    for wrong in ({"similarity": ["euclid"]}, {"neighbours": [0]}, {"shrinkage": [-1]}):
        assert not validator.is_valid(wrong)


def of_default_study(method):
    return yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["methods"][method]


@pytest.mark.parametrize("method", ["user-knn", "item-knn"])
def test_default_study_searches_similarity_neighbours_and_shrinkage_by_20_trials(method):
    settings = of_default_study(method)
    assert len(grid(method, settings)) == 20
    for name in ("similarity", "neighbours", "shrinkage"):
        assert len(settings[name]) > 1


@pytest.mark.parametrize("lists", ["defaults", "default study"])
@pytest.mark.parametrize(("method", "goal"), [("user-knn", 0.925), ("item-knn", 0.918)])
def test_accuracy_on_movielens_is_at_least_that_of_the_peers(movielens, method, goal, lists):
    settings = defaults("knn") if lists == "defaults" else of_default_study(method)
    trials, _ = study.tune(method, movielens, settings)
    metrics = study.predict_selected(method, movielens, trials, settings).metrics
    test = metrics.query("split == 'test' and metric == 'rmse'")
    assert len(test) == 5
    assert test["value"].mean() <= goal


def test_published_user_cf_on_movielens_is_worse_than_the_baseline(movielens):
    found = {}
    for method in ("baseline", "user-cf-published"):
        trials, _ = study.tune(method, movielens, {})
        metrics = study.predict_selected(method, movielens, trials, {}).metrics
        found[method] = metrics.groupby(["split", "metric"])["value"].mean()
    assert (
        found["baseline"]["test", "rmse"]
        < 0.945
        < 1.01
        < found["user-cf-published"]["test", "rmse"]
    )
    # The study's training figure profits from predicting ratings with themselves.
    training = found["user-cf-published"]["train"]
    assert training["rmse_contaminated"] < 0.95 < 1.01 < training["rmse"]
