"""A class is judged whatever its submissions do: a table of those that work, reasons for others."""

import re
import time

import numpy as np
import pandas as pd
import pytest

from cfmf import course
from cfmf.course import REFERENCE, Limits, judge, seal
from cfmf.imports import ROOT
from cfmf.submission import queried, read_fold

FRAMES = """
class Means:
    def fit(self, ratings):
        assert not set(ratings["part"]) & {"test"} and ratings["rating"].notna().all()
        self.mean = ratings["rating"].mean()
        self.items = ratings.groupby("item")["rating"].mean()
    def predict(self, pairs):
        return pairs["item"].map(self.items).fillna(self.mean) + SHIFT
"""
BROKEN = {
    "crash": ("raise RuntimeError('no\\x1b[31m such luck')", r"RuntimeError: no\x1b[31m such luck"),
    "endless": ("while True: pass", "took longer than"),
}


@pytest.fixture(scope="module")
def ratings():
    rng = np.random.default_rng(2)
    users, items = np.nonzero(rng.random((40, 30)) < 0.5)
    stars = 3 + rng.normal(0, 0.5, 40)[users] + rng.normal(0, 0.7, 30)[items]
    stars = np.clip(np.round(stars + rng.normal(0, 0.7, len(users))), 1, 5)
    return pd.DataFrame({"user": users + 100, "item": items, "rating": stars})


@pytest.fixture(scope="module")
def sealed(ratings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    ratings.to_csv(folder / "ratings.csv", index=False)
    assert len(seal(folder / "ratings.csv", folder / "class", folds=2)) == 2
    return folder / "class"


def submit_files(sealed, folder, noise, seed):
    """Predictions that are the item means of the open part, and random numbers."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for path in (sealed / "folds").glob("*.csv"):
        fold = read_fold(path)
        means = fold.groupby("item")["rating"].mean()
        made = queried(fold)
        made = made.assign(prediction=made["item"].map(means).fillna(3))
        made["prediction"] += rng.normal(0, noise, len(made))
        made.sample(frac=1, random_state=1).to_csv(folder / path.name, index=False)


def test_folds_are_sealed(ratings, sealed):
    for name in ("f1", "f2"):
        public, truth = (read_fold(sealed / part / f"{name}.csv") for part in ("folds", "sealed"))
        assert len(public) == len(ratings)
        assert public["rating"].isna().equals(public["part"] == "test")
        assert queried(public).equals(queried(truth))
        found = truth.merge(ratings, on=["user", "item"], suffixes=("", "_given"))
        assert len(found) == len(truth)
        assert found["rating"].equals(found["rating_given"])
    with pytest.raises(ValueError, match="has sealed folds already"):
        seal(sealed.parent / "ratings.csv", sealed)


def broken(sealed, folder):
    for name, (code, _) in BROKEN.items():
        (folder / f"{name}.py").write_text(code)
    submit_files(sealed, folder / "wrong-pairs", 0, 1)
    path = folder / "wrong-pairs/f2.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], lines[5], *lines[5:]]) + "\n")


def test_each_kind_of_submission_is_judged_and_each_fault_has_its_reason(sealed, tmp_path):
    broken(sealed, tmp_path)
    submit_files(sealed, tmp_path / "files", 0, 1)
    (tmp_path / "frames.py").write_text(FRAMES.replace("SHIFT", "0"))
    (tmp_path / "named.txt").write_text("cfmf.methods.baseline:Baseline\n")
    hungry = "import numpy as np\nnp.ones(10**10)\n"
    (tmp_path / "hungry.py").write_text(hungry)
    leaves = "import os\nclass A:\n fit = lambda *_: 0\n predict = lambda *_: os._exit(0)\n"
    (tmp_path / "leaves.py").write_text(leaves)
    (tmp_path / "none.py").write_text("x = 1\n")
    short = FRAMES.replace(" + SHIFT", "[1:]").replace("return pairs", "return (pairs")
    (tmp_path / "short.py").write_text(short.replace("mean)[", "mean))["))
    began = time.monotonic()
    found = judge(sealed, tmp_path, Limits(seconds=20, megabytes=3000, jobs=2))
    assert time.monotonic() - began < 200
    table = found.set_index("submission")
    assert set(table.index[table["reason"] == ""]) == {REFERENCE, "files", "frames", "named"}
    assert table.loc["frames", "rmse"] == pytest.approx(table.loc["files", "rmse"], abs=1e-6)
    assert table.loc["named", "over_reference"] == 0
    assert table.loc["frames", "rmse_low"] < table.loc["frames", "rmse"]
    assert sorted(table["rank"].dropna()) == [1, 2, 3]
    assert "row 5: " in table.loc["wrong-pairs", "reason"]
    assert "occurs twice" in table.loc["wrong-pairs", "reason"]
    for name, (_, reason) in BROKEN.items():
        assert reason in table.loc[name, "reason"]
    assert "memory" in table.loc["hungry", "reason"]
    assert "left no finite prediction" in table.loc["leaves", "reason"]
    assert "values of shape" in table.loc["short", "reason"]
    assert "0 classes with fit and predict" in table.loc["none", "reason"]


def test_errors_and_intervals_are_those_of_the_ratings(sealed, tmp_path):
    submit_files(sealed, tmp_path / "a", 0.3, 4)
    found = judge(sealed, tmp_path).set_index("submission").loc["a"]
    errors = []
    for path in (sealed / "sealed").glob("*.csv"):
        truth = pd.read_csv(path)
        made = pd.read_csv(tmp_path / "a" / path.name)
        both = truth.merge(made, on=["user", "item"])
        errors.append(both["prediction"] - both["rating"])
    errors = pd.concat(errors)
    assert found["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-6)
    assert found["mae"] == pytest.approx(errors.abs().mean(), rel=1e-6)
    assert found["rmse_low"] < found["rmse"] < found["rmse_high"]


@pytest.mark.slow
def test_a_class_of_thirty_has_a_table_of_27_and_three_reasons(sealed, tmp_path, capsys):
    broken(sealed, tmp_path)
    for number in range(20):
        submit_files(sealed, tmp_path / f"files-{number:02}", number / 20, number)
    for number in range(7):
        code = FRAMES.replace("SHIFT", str(number / 10))
        (tmp_path / f"code-{number}.py").write_text(code)
    assert len(course.found_in(tmp_path)) == 30
    output = tmp_path / "table.csv"
    limits = ("--seconds", "30", "--jobs", "2")
    assert course.main(["judge", str(sealed), str(tmp_path), "-o", str(output), *limits]) == 0
    table = pd.read_csv(output)
    assert table["rank"].dropna().tolist() == [*range(1, 28)]
    assert table["reason"].notna().sum() == 3
    ranked = table.dropna(subset="rank")
    assert ranked["rmse"].is_monotonic_increasing
    assert (ranked["rmse_low"] < ranked["rmse"]).all()
    assert (ranked["rmse"] < ranked["rmse_high"]).all()
    printed = capsys.readouterr().out
    assert "27 judged, 3 failed" in printed
    for name in ("wrong-pairs: ", "crash: ", "endless: "):
        assert f"\n{name}" in f"\n{printed}"


def test_what_cannot_be_judged_is_refused(sealed, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert course.main(["judge", str(sealed), str(tmp_path / "empty")]) == 2
    assert "has no submission" in capsys.readouterr().err
    assert course.main(["judge", str(tmp_path), str(sealed)]) == 2
    assert "make them by `seal` first" in capsys.readouterr().err
    assert course.main(["seal", str(tmp_path / "absent.csv"), str(tmp_path / "class")]) == 2
    assert "absent.csv" in capsys.readouterr().err


def cells(name):
    text = (ROOT / f"docs/course/{name}.md").read_text("utf-8")
    return re.findall(r"^```{code-cell} ipython3\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_both_notebooks_have_the_same_code_and_it_runs():
    assert cells("notebook") == cells("notebook-zh")
    held = {}
    *before, last = cells("notebook")
    for cell in before:
        exec(compile(cell, "notebook", "exec"), held)  # noqa: S102
    call, _, _ = last.rpartition("[columns]")
    exec(compile(call.replace("judge(", "found = judge("), "notebook", "exec"), held)  # noqa: S102
    table = held["found"].set_index("submission")
    assert table.loc["tastes", "rank"] == 1
    assert table.loc["tastes", "over_reference_high"] < 0
    assert "no_such_module" in table.loc["crash", "reason"]
