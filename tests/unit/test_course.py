"""A class is judged whatever its submissions do: a table of those that work, reasons for others."""

import re
import shutil
import time

import numpy as np
import pandas as pd
import pytest

from cfmf import course
from cfmf.course import OPEN, REFERENCE, SEALED, Limits, judge, seal
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
SPY = """
from pathlib import Path
import pandas as pd
class Spy:
    def fit(self, ratings):
        pass
    def predict(self, pairs):
        seen = [pd.read_csv(path) for path in Path.cwd().rglob("*.csv")]
        rated = pd.concat(seen).dropna(subset="rating")
        raise RuntimeError(f"{len(pairs.merge(rated))} of {len(pairs)} in {len(seen)} file")
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
    assert seal(folder / "ratings.csv", folder / "class") == folder / "class" / OPEN
    return folder / "class"


def submit_file(sealed, path, noise, seed):
    """Predictions that are the item means of the open part, and random numbers."""
    rng = np.random.default_rng(seed)
    fold = read_fold(sealed / OPEN)
    means = fold.groupby("item")["rating"].mean()
    made = queried(fold)
    made = made.assign(prediction=made["item"].map(means).fillna(3))
    made["prediction"] += rng.normal(0, noise, len(made))
    made.sample(frac=1, random_state=1).to_csv(path, index=False)


def test_the_open_file_has_every_pair_and_no_sealed_rating(ratings, sealed):
    assert {path.name for path in sealed.rglob("*")} == {OPEN, SEALED}
    public, truth = read_fold(sealed / OPEN), read_fold(sealed / SEALED)
    pair = ["user", "item"]
    assert list(public) == ["part", *pair, "rating"]
    assert set(public["part"]) == {"fit", "validation", "test"}
    assert public[pair].sort_values(pair, ignore_index=True).equals(ratings[pair])
    assert public["rating"].isna().equals(public["part"] == "test")
    assert truth.merge(public.dropna(subset="rating"), on=pair).empty
    both = pd.concat([public.dropna(subset="rating"), truth])[[*ratings]]
    assert both.sort_values(pair, ignore_index=True).equals(ratings)
    assert queried(public).equals(queried(truth))
    with pytest.raises(ValueError, match="is not empty; choose another folder"):
        seal(sealed.parent / "ratings.csv", sealed)


def test_a_submission_can_read_no_rating_that_it_is_to_predict(sealed, tmp_path):
    (tmp_path / "spy.py").write_text(SPY)
    found = judge(sealed, tmp_path).set_index("submission").loc["spy", "reason"]
    assert found == f"RuntimeError: 0 of {len(read_fold(sealed / SEALED))} in 1 file"


@pytest.mark.parametrize(("share", "parts"), [(0.5, 2), (0.3, 3), (0.2, 5), (0.01, 100)])
def test_the_share_is_one_of_equal_parts(ratings, sealed, tmp_path, share, parts):
    seal(sealed.parent / "ratings.csv", tmp_path, test=share)
    assert len(read_fold(tmp_path / SEALED)) == -(-len(ratings) // parts)


def test_another_seed_seals_other_ratings_and_the_same_the_same(sealed, tmp_path):
    for seed in (1, 2):
        seal(sealed.parent / "ratings.csv", tmp_path / str(seed), seed=seed)
    for name in (OPEN, SEALED):
        first, second = ((tmp_path / seed / name).read_bytes() for seed in "12")
        assert first == (sealed / name).read_bytes() != second


@pytest.mark.parametrize("share", ["0.009", "0.51", "0", "-1", "nan", "inf"])
def test_a_share_out_of_bounds_is_refused(sealed, tmp_path, capsys, share):
    ratings = str(sealed.parent / "ratings.csv")
    assert course.main(["seal", ratings, str(tmp_path / "class"), f"--test={share}"]) == 2
    assert "choose one from 0.01 to 0.5" in capsys.readouterr().err
    assert not (tmp_path / "class").exists()


@pytest.mark.parametrize("share", [0.5, 0.2, 0.01])
def test_the_fewest_ratings_can_be_sealed_and_one_less_is_refused(tmp_path, share):
    def sealed_of(count):
        path = tmp_path / f"{count}.csv"
        stars = np.arange(count) % 5 + 1
        pd.DataFrame({"user": 1, "item": range(count), "rating": stars}).to_csv(path, index=False)
        return seal(path, tmp_path / f"class-{count}", test=share)

    with pytest.raises(ValueError, match=r"3.csv has 3 ratings, and \d+ are needed") as refused:
        sealed_of(3)
    fewest = int(re.search(r"and (\d+) are needed", str(refused.value))[1])
    with pytest.raises(ValueError, match=f"{fewest - 1} ratings, and {fewest} are needed"):
        sealed_of(fewest - 1)
    assert len(read_fold(sealed_of(fewest))) == fewest


def in_a_fit_row(public, truth):
    return pd.concat([public, truth.head(1).assign(part="fit")])


def in_its_own_row(public, truth):
    return public.assign(rating=public["rating"].where(public["part"] != "test", 3))


@pytest.mark.parametrize(
    ("leak", "count"), [(in_a_fit_row, lambda truth: 1), (in_its_own_row, len)]
)
def test_sealed_ratings_among_the_open_ones_are_refused(sealed, tmp_path, leak, count):
    shutil.copytree(sealed, tmp_path / "class")
    public, truth = (read_fold(sealed / name) for name in (OPEN, SEALED))
    leak(public, truth).to_csv(tmp_path / "class" / OPEN, index=False)
    (tmp_path / "named.txt").write_text("cfmf.methods.baseline:Baseline\n")
    user, item = truth.loc[0, ["user", "item"]]
    what = (
        f"{OPEN} has ratings of {count(truth)} sealed pairs, the first user {user} and item {item};"
    )
    with pytest.raises(ValueError, match=re.escape(what)):
        judge(tmp_path / "class", tmp_path)


def test_an_open_file_that_queries_other_pairs_is_refused(sealed, tmp_path):
    shutil.copytree(sealed, tmp_path / "class")
    read_fold(sealed / OPEN).iloc[:-1].to_csv(tmp_path / "class" / OPEN, index=False)
    with pytest.raises(ValueError, match=f"{OPEN} does not query the pairs of {SEALED}"):
        judge(tmp_path / "class", tmp_path)


def test_ids_may_be_numbers_in_the_sealed_ratings_only(ratings, tmp_path):
    named = pd.concat([ratings, pd.DataFrame({"user": ["one"], "item": [0], "rating": [3]})])
    named.to_csv(tmp_path / "ratings.csv", index=False)
    seal(tmp_path / "ratings.csv", tmp_path / "class", seed=2)
    assert "one" not in set(read_fold(tmp_path / "class" / SEALED)["user"])
    (tmp_path / "in").mkdir()
    submit_file(tmp_path / "class", tmp_path / "in/a.csv", 0, 1)
    assert judge(tmp_path / "class", tmp_path / "in")["reason"].tolist() == ["", ""]


def broken(sealed, folder):
    for name, (code, _) in BROKEN.items():
        (folder / f"{name}.py").write_text(code)
    path = folder / "wrong-pairs.csv"
    submit_file(sealed, path, 0, 1)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], lines[5], *lines[5:]]) + "\n")


def test_each_kind_of_submission_is_judged_and_each_fault_has_its_reason(sealed, tmp_path):
    broken(sealed, tmp_path)
    submit_file(sealed, tmp_path / "file.csv", 0, 1)
    pd.read_csv(tmp_path / "file.csv").to_parquet(tmp_path / "li.wei.parquet", index=False)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/submission.py").write_text(FRAMES.replace("SHIFT", "0"))
    (tmp_path / "no-code").mkdir()
    (tmp_path / "frames.py").write_text(FRAMES.replace("SHIFT", "0"))
    (tmp_path / "named.txt").write_text("cfmf.methods.baseline:Baseline\n")
    hungry = "import numpy as np\nnp.ones(10**10)\n"
    (tmp_path / "hungry.py").write_text(hungry)
    leaves = "import os\nclass A:\n fit = lambda *_: 0\n predict = lambda *_: os._exit(0)\n"
    (tmp_path / "leaves.py").write_text(leaves)
    archive = "import numpy as np\nnp.savez(open('predictions.npy', 'wb'), a=1)\n"
    (tmp_path / "leaves-archive.py").write_text(archive + leaves)
    (tmp_path / "none.py").write_text("x = 1\n")
    short = FRAMES.replace(" + SHIFT", "[1:]").replace("return pairs", "return (pairs")
    (tmp_path / "short.py").write_text(short.replace("mean)[", "mean))["))
    began = time.monotonic()
    found = judge(sealed, tmp_path, Limits(seconds=20, megabytes=3000, jobs=2))
    assert time.monotonic() - began < 200
    table = found.set_index("submission")
    judged = ["file", "li.wei", "frames", "folder", "named"]
    assert set(table.index[table["reason"] == ""]) == {REFERENCE, *judged}
    for name in ("li.wei", "frames", "folder"):
        assert table.loc[name, "rmse"] == pytest.approx(table.loc["file", "rmse"], abs=1e-6)
    assert table.loc["named", "over_reference"] == 0
    assert table.loc["frames", "rmse_low"] < table.loc["frames", "rmse"]
    assert sorted(table["rank"].dropna()) == [1, 2, 3, 4, 5]
    assert "wrong-pairs.csv, row 5: " in table.loc["wrong-pairs", "reason"]
    assert "occurs twice" in table.loc["wrong-pairs", "reason"]
    for name, (_, reason) in BROKEN.items():
        assert reason in table.loc[name, "reason"]
    assert "memory" in table.loc["hungry", "reason"]
    for name in ("leaves", "leaves-archive"):
        assert "left no finite prediction" in table.loc[name, "reason"]
    assert "has no submission.py" in table.loc["no-code", "reason"]
    assert "values of shape" in table.loc["short", "reason"]
    assert "0 classes with fit and predict" in table.loc["none", "reason"]


def test_errors_and_intervals_are_those_of_the_ratings(sealed, tmp_path):
    submit_file(sealed, tmp_path / "a.csv", 0.3, 4)
    found = judge(sealed, tmp_path).set_index("submission").loc["a"]
    both = pd.read_csv(sealed / SEALED).merge(pd.read_csv(tmp_path / "a.csv"), on=["user", "item"])
    errors = both["prediction"] - both["rating"]
    assert found["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-6)
    assert found["mae"] == pytest.approx(errors.abs().mean(), rel=1e-6)
    assert found["rmse_low"] < found["rmse"] < found["rmse_high"]


@pytest.mark.slow
def test_a_class_of_thirty_has_a_table_of_27_and_three_reasons(sealed, tmp_path, capsys):
    broken(sealed, tmp_path)
    for number in range(20):
        submit_file(sealed, tmp_path / f"file-{number:02}.csv", number / 20, number)
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
    assert f"{SEALED} does not exist; make it by `seal` first" in capsys.readouterr().err
    for name in ("li.py", "li.csv"):
        (tmp_path / "empty" / name).touch()
    assert course.main(["judge", str(sealed), str(tmp_path / "empty")]) == 2
    assert "two submissions named li, li.csv and li.py" in capsys.readouterr().err
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
