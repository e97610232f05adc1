"""What differs between two runs, and by how much their errors do."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cfmf.tables import COLUMNS as TABLES
from cfmf.workflow.runs import COLUMNS, compare_runs, read_run

FOLDS = ["f1", "f2", "f3", "f4"]
ERRORS = {"als": [0.91, 0.93, 0.90, 0.92], "baseline": [0.95, 0.94, 0.96, 0.95]}


def written(folder, errors=ERRORS, setting="k=4", k=(4,), folds="same", name="tiny"):
    """The results of a run, as far as another is compared with it."""
    home = folder / "results" / name
    for below in ("folds", "evaluation"):
        (home / below).mkdir(parents=True)
    sizes = {fold: {"fit": 60, "validation": 15, "test": 25} for fold in FOLDS}
    known = {"sha256": folds, "ratings": {"rows": 100, "sha256": "ratings"}, "folds": sizes}
    (home / "folds/folds.json").write_text(json.dumps(known))
    config = {"methods": {"als": {"k": list(k)}}, "run": {"name": folder.name}, "blends": {}}
    found = {"config": config, "versions": {"numpy": "2"}, "git": {"commit": "abc"}}
    (home / "provenance.json").write_text(json.dumps(found))
    keys = [(method, fold) for method in errors for fold in FOLDS]
    rows = pd.DataFrame(keys, columns=["method", "fold"]).assign(dataset=name, k="", reg="")
    values = np.concatenate([*errors.values()])
    scores = [rows.assign(seed=seed, split="test", metric="rmse", value=values + shift)
              for seed, shift in (("1", -0.01), ("2", 0.01))]  # fmt: skip
    chosen = rows.assign(setting=np.where(rows["method"] == "als", setting, ""), seed="1")
    for table, content in (("selected", pd.concat(scores)), ("selection", chosen)):
        kind = TABLES["metrics" if table == "selected" else table]
        path = home / f"evaluation/{table}.tsv"
        content.reindex(columns=kind).to_csv(path, sep="\t", index=False)
    return folder


def test_a_run_does_not_differ_from_itself(tmp_path):
    one, other = (read_run(written(tmp_path / name)) for name in ("a", "b"))
    table = compare_runs(one, other)
    assert list(table.columns) == COLUMNS
    assert list(table["what"]) == ["rmse", "rmse"]
    assert (table["difference"] == 0).all()
    assert table["ci_low"].isna().all()


def test_differences_have_the_corrected_interval(tmp_path):
    moved = np.array([0.004, 0.001, 0.003, 0.002])
    better = {**ERRORS, "als": ERRORS["als"] - moved}
    one = read_run(written(tmp_path / "a"))
    other = read_run(written(tmp_path / "b", better, "k=8", (4, 8)) / "results/tiny")
    table = compare_runs(one, other).set_index(["what", "name"])
    assert table.loc[("config", "methods.als.k"), ["first", "second"]].tolist() == ["[4]", "[4, 8]"]
    choice = table.loc[("choice", "als")]
    assert [*choice[["folds", "first", "second"]]] == ["f1 1, f2 1, f3 1, f4 1", "k=4", "k=8"]
    row = table.loc[("rmse", "als")]
    # Nadeau & Bengio (2003): the variance of the mean is s² (1/J + n_test / n_train).
    half = stats.t.ppf(0.975, 3) * moved.std(ddof=1) * np.sqrt(1 / 4 + 25 / 75)
    expected = [-moved.mean(), -moved.mean() - half, -moved.mean() + half]
    assert [*row[["difference", "ci_low", "ci_high"]]] == pytest.approx(expected)
    assert row["first"] == pytest.approx(0.915)


def test_other_folds_have_no_interval(tmp_path):
    worse = {**ERRORS, "als": [0.92, 0.97, 0.91, 0.93]}
    other = written(tmp_path / "b", worse, folds="others")
    table = compare_runs(read_run(written(tmp_path / "a")), read_run(other))
    assert list(table.loc[table["what"] == "data", "name"]) == ["folds"]
    assert table["ci_low"].isna().all()


def test_what_is_no_finished_study_is_named(tmp_path):
    with pytest.raises(ValueError, match="has no finished study: give results/NAME"):
        read_run(tmp_path)
    written(tmp_path)
    written(tmp_path, name="more")
    with pytest.raises(ValueError, match=r"several data sets; choose one of .*more"):
        read_run(tmp_path)
