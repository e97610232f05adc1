"""The winner of a study, fitted, asked, and the same in a process of its own."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from cfmf.saved import load

pytestmark = pytest.mark.xdist_group("workflow")

STUDY = {
    "study": {"methods": ["baseline", "item-knn", "als"], "seeds": [1]},
    "published": {"enabled": False},
    "tuning": {"adaptive": {"enabled": False}},
    "blends": {},
    "datasets": {"tiny": {"split": {"folds": 2}}},
    "models": {"pairs": "pairs.csv", "top": 3, "explained": 1},
}


def test_the_winner_is_fitted_and_asked(checkout):
    (checkout.folder / "use.yaml").write_text(yaml.safe_dump(STUDY))
    pairs = "user,item\n20590,3\nnobody,3\n"
    (checkout.folder / "pairs.csv").write_text(pairs)
    config = ("--configfile", "config/tiny.yaml", "use.yaml")
    targets = ("winner", "predictions", "recommendations")
    status, output = checkout.run(*targets, *config)
    assert status == 0, output
    results = checkout.results("models/**/*")
    winner = json.loads(results["models/winner.json"].read_text())
    errors = {one["method"]: one["validation_rmse"] for one in winner["methods"]}
    assert set(errors) == {"baseline", "item-knn", "als"}
    assert errors[winner["method"]] == min(errors.values())
    home = f"models/{winner['method']}"
    model = load(results[f"{home}/model.cfmf"])
    assert model.method.chosen_text() == winner["setting"]
    assert model.about.provenance["files"]
    told = pd.read_parquet(results[f"{home}/predictions.parquet"])
    assert told.equals(model.predict(["20590", "nobody"], ["3", "3"], 0.9))
    assert told["is_fallback"].tolist() == [False, True]
    listed = pd.read_parquet(results[f"{home}/recommendations.parquet"])
    unrated = model.seen.shape[1] - np.diff(model.seen.indptr)
    counts = listed.groupby("user").size().reindex(model.names.users, fill_value=0)
    assert counts.tolist() == np.minimum(3, unrated).tolist()
    assert list(pd.read_csv(results[f"{home}/recommendations.csv"])) == list(listed)
    command = [sys.executable, "-m", "cfmf", "predict", results[f"{home}/model.cfmf"], "pairs.csv"]
    done = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True, check=True)
    assert done.stdout == results[f"{home}/predictions.csv"].read_text()


def test_predictions_without_pairs_say_what_is_missing(checkout):
    block = {**STUDY, "models": {}}
    (checkout.folder / "use.yaml").write_text(yaml.safe_dump(block))
    config = ("--configfile", "config/tiny.yaml", "use.yaml")
    status, output = checkout.run("results/tiny/models/als/predictions.csv", *config)
    assert status == 1
    assert "set models.pairs to a file" in output
