"""Methods that try their whole grid in one job: tables, blocks, training errors, accuracy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from neighbour_references import ratings_of

from cfmf.files import save_matrix
from cfmf.methods import registry
from cfmf.prediction import join_parts, predict_part, predict_selected, predict_validation
from cfmf.selection import choose_trial
from cfmf.tables import read_table, write_table
from cfmf.tuning import Setup, tune

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = {
    "baseline": {"reg_user": [2, 20]},
    "user-cf-published": {},
    "user-knn": {"neighbours": [3, 9]},
    "item-knn": {"neighbours": [3, 9], "similarity": ["cosine", "pearson"]},
}


METHODS = list(SETTINGS)


def setup_of(name, folds, block=None, **given):
    block = SETTINGS[name] if block is None else block
    return Setup(registry.method(name), block, folds, **given)


def tuned(setup):
    """The choices that tuning writes."""
    return choose_trial(tune(setup, limit=60)[0])


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
    setup = setup_of(method, folds, dataset="tiny")
    trials, costs, lowest = tune(setup)
    write_table(tmp_path / "costs.tsv", costs, "costs")
    for kind, table in {"trials": trials, "selection": choose_trial(trials)}.items():
        write_table(tmp_path / f"{kind}.tsv", table, kind)
    outcome = predict_selected(setup, read_table(tmp_path / "selection.tsv", "selection"))
    for kind in ("metrics", "costs"):
        write_table(tmp_path / f"{kind}.tsv", getattr(outcome, kind), kind)
    assert outcome.predictions.columns.tolist() == ["fold", "seed", "prediction"]
    assert len(trials) == 2 * len(setup.method.candidates(setup.block))
    metrics = outcome.metrics.set_index(["fold", "split", "metric"])["value"]
    kept = predict_validation(setup, choose_trial(trials))
    assert kept.columns.tolist() == ["fold", "seed", "prediction"]
    pd.testing.assert_frame_equal(predict_validation(setup, choose_trial(trials), lowest), kept)
    for fold, parts in folds.items():
        predicted = outcome.predictions.query("fold == @fold")["prediction"].to_numpy()
        errors = predicted.astype(float) - parts["test"].data
        assert metrics[fold, "test", "rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)))
        assert metrics[fold, "test", "mae"] == pytest.approx(np.abs(errors).mean())
        lowest = trials.query("fold == @fold")["value"].min()
        assert metrics[fold, "validation", "rmse"] == pytest.approx(lowest, rel=1e-8)
        known = kept.query("fold == @fold")["prediction"].to_numpy(float)
        chosen = np.sqrt(np.mean((known - parts["validation"].data) ** 2))
        assert chosen == pytest.approx(metrics[fold, "validation", "rmse"], rel=1e-6)


def test_metrics_are_the_same_twice(folds):
    runs = []
    for threads in (1, 3):
        setup = setup_of("user-knn", folds, threads=threads)
        settings = tuned(setup)
        runs.append((settings, predict_selected(setup, settings)))
    pd.testing.assert_frame_equal(runs[0][0], runs[1][0], check_exact=True)
    pd.testing.assert_frame_equal(runs[0][1].metrics, runs[1][1].metrics, check_exact=True)


def test_clipped_rmse_uses_the_scale_that_is_given(folds):
    setup = setup_of("baseline", folds, scale=(3, 3))
    of_scale = predict_selected(setup, tuned(setup)).metrics
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
        setup = setup_of("item-knn", given)
        found.append(predict_selected(setup, tuned(setup)))
    pd.testing.assert_frame_equal(found[0].metrics, found[1].metrics)


@pytest.mark.parametrize("method", METHODS)
def test_blocks_in_any_order_give_the_same_results(folds, method):
    setup = setup_of(method, folds)
    settings = tuned(setup)
    whole = predict_selected(setup, settings)
    for blocks in (2, 3, 50):
        parts = [predict_part(setup, settings, block, blocks) for block in reversed(range(blocks))]
        found = join_parts(setup, settings, parts)
        for table in ("metrics", "predictions"):
            expected = getattr(whole, table)
            pd.testing.assert_frame_equal(getattr(found, table), expected, check_exact=True)
        assert len(found.costs) == len(folds)
    with pytest.raises(ValueError, match="delete the blocks and predict again"):
        join_parts(setup, settings, parts[1:])
    with pytest.raises(ValueError, match="block 3 of 3"):
        predict_part(setup, settings, 3, 3)


def test_published_user_cf_reports_both_training_figures(folds):
    setup = setup_of("user-cf-published", folds)
    metrics = predict_selected(setup, tuned(setup)).metrics
    training = metrics.query("split == 'train' and fold == 'u1'").set_index("metric")["value"]
    assert training["rmse_leaked"] < training["rmse"]
    train = folds["u1"]["train"]
    both = setup.method().fit(train).predict_training(train)
    assert list(both) == ["rmse", "rmse_leaked"]
    for name, predicted in both.items():
        errors = predicted.astype(float) - train.data
        assert training[name] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-12)


def test_importing_the_registry_loads_neither_numba_nor_torch():
    code = (
        "import sys; from cfmf.methods.registry import installed; installed();"
        " print({'numba', 'torch', 'jax'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert found.stdout.strip() == "set()", found.stderr


def test_schema_accepts_its_defaults_and_refuses_what_the_package_refuses():
    jsonschema = pytest.importorskip("jsonschema")
    for name in METHODS:
        validator = jsonschema.Draft202012Validator(registry.schema(registry.method(name)))
        assert validator.is_valid(registry.method(name).grids())
        assert not validator.is_valid({"k": [3]})
    for wrong in ({"similarity": ["euclid"]}, {"neighbours": [0]}, {"shrinkage": [-1]}):
        validator = jsonschema.Draft202012Validator(registry.schema(registry.method("user-knn")))
        assert not validator.is_valid(wrong)


def of_default_study(method):
    return yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["methods"][method]


@pytest.mark.parametrize("method", ["user-knn", "item-knn"])
def test_default_study_starts_from_few_similarities_neighbours_and_shrinkages(method):
    settings = of_default_study(method)
    assert len(registry.method(method).candidates(settings)) == 8
    for name in ("similarity", "neighbours", "shrinkage"):
        assert len(settings[name]) > 1


@pytest.mark.parametrize("lists", ["defaults", "default study"])
@pytest.mark.parametrize(("method", "goal"), [("user-knn", 0.925), ("item-knn", 0.918)])
def test_accuracy_on_movielens_is_at_least_that_of_the_peers(movielens, method, goal, lists):
    block = {} if lists == "defaults" else of_default_study(method)
    setup = setup_of(method, movielens, block)
    metrics = predict_selected(setup, tuned(setup)).metrics
    test = metrics.query("split == 'test' and metric == 'rmse'")
    assert len(test) == 5
    assert test["value"].mean() <= goal


def test_published_user_cf_on_movielens_is_worse_than_the_baseline(movielens):
    found = {}
    for method in ("baseline", "user-cf-published"):
        setup = setup_of(method, movielens, {})
        metrics = predict_selected(setup, tuned(setup)).metrics
        found[method] = metrics.groupby(["split", "metric"])["value"].mean()
    assert (
        found["baseline"]["test", "rmse"]
        < 0.945
        < 1.01
        < found["user-cf-published"]["test", "rmse"]
    )
    # The study's training figure is lower for predicting ratings with themselves.
    training = found["user-cf-published"]["train"]
    assert training["rmse_leaked"] < 0.95 < 1.01 < training["rmse"]
