"""Predictions of a tool that knows nothing of this package, from exported folds to the tests."""

import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.xdist_group("workflow")

STUDY = {
    "study": {"methods": ["baseline", "user-knn"], "seeds": [1]},
    "published": {"enabled": False},
    "tuning": {"adaptive": {"enabled": False}},
    "blends": {},
    "datasets": {"tiny": {"split": {"folds": 2}}},
    "predictions": {"means": {"files": "mine/{fold}.csv", "label": "Item means"}},
}


def test_predictions_of_another_tool_are_compared_with_methods(checkout):
    (checkout.folder / "judged.yaml").write_text(yaml.safe_dump(STUDY))
    config = ("--configfile", "config/tiny.yaml", "judged.yaml")
    status, output = checkout.run("folds", *config)
    assert status == 0, output
    truth = pd.read_parquet(checkout.results()["ratings/ratings.parquet"])
    (checkout.folder / "mine").mkdir()
    for name, path in checkout.results("folds/*.csv").items():
        fold = pd.read_csv(path)
        assert len(fold) == len(truth), name
        test = fold["part"] == "test"
        assert fold["rating"].isna().equals(test)
        means = fold.groupby("item")["rating"].mean()
        found = fold.loc[test, ["user", "item"]].assign(
            prediction=lambda rows, means=means: rows["item"].map(means).fillna(3.0)
        )
        found.iloc[::-1].to_csv(checkout.folder / "mine" / path.name, index=False)
    broken = checkout.folder / "mine/f2.csv"
    whole = broken.read_bytes()
    broken.write_bytes(whole.rsplit(b"\n", 2)[0] + b"\n")
    status, output = checkout.run("statistics", *config, "--keep-going")
    assert status == 1
    assert "score_predictions failed: mine/f2.csv lacks 1 of" in output
    broken.write_bytes(whole)
    status, output = checkout.run("statistics", *config)
    assert status == 0, output
    selected = pd.read_csv(checkout.results()["evaluation/selected.tsv"], sep="\t")
    rows = selected[(selected["metric"] == "rmse") & (selected["method"] == "means")]
    assert rows["fold"].tolist() == ["f1", "f2"]
    assert rows["value"].between(0.5, 1.5).all()
    tests = pd.read_csv(checkout.results()["statistics/tests.tsv"], sep="\t")
    assert (tests["group_a"] == "means").any()
