"""The results in docs/results agree with each other, with README, and with what is found today."""

import json
import os
import re
from importlib import metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import sparse, stats

from cfmf import __version__
from cfmf.methods import registry
from cfmf.report.context import load
from cfmf.workflow import reference
from cfmf.workflow.layout import Results

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = sorted(path.parent for path in (ROOT / "docs/results").glob("*/study.json"))
CHEAP = ["baseline", "user-knn", "item-knn", "item-linear"]
TOLERANCE = 2e-5
"""Of methods without random numbers: float32, whatever the order of the sums."""


def table(folder, name):
    return pd.read_csv(folder / f"{name}.tsv", sep="\t", keep_default_na=False)


def drifted(folder):
    """Which packages have another version than when the results were made."""
    made = json.loads((folder / "study.json").read_text("utf-8"))["versions"]
    now = {name: metadata.version(name) for name in made if name != "cfmf"} | {"cfmf": __version__}
    return {name: (made[name], now[name]) for name in now if made[name] != now[name]}


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_means_are_those_of_the_folds(folder):
    errors = table(folder, "errors").groupby("method")["rmse"].agg(["mean", "std", "size"])
    summary = table(folder, "summary").set_index("method")
    assert set(errors.index) == set(summary.index)
    errors = errors.loc[summary.index]
    np.testing.assert_allclose(summary["rmse"], errors["mean"], rtol=6e-6)  # six digits
    np.testing.assert_allclose(summary["sd"], errors["std"], rtol=1e-3)
    assert (summary["folds"] == errors["size"]).all()
    assert summary["rmse"].is_monotonic_increasing


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_nothing_else_is_published(folder):
    """No rating, no prediction, no path of a machine; a clean commit; a page that shows it."""
    assert {path.name for path in folder.iterdir()} == {
        "errors.tsv", "summary.tsv", "settings.tsv", "study.json",
    }  # fmt: skip
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000
    known = json.loads((folder / "study.json").read_text("utf-8"))
    assert not known["git"]["dirty"]
    assert " /" not in known["command"]
    pages = "".join(path.read_text("utf-8") for path in folder.parent.glob("*.md"))
    assert f"```{{generated}} reference {folder.name}\n" in pages


def test_readme_has_the_published_numbers():
    text = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    summary = table(ROOT / "docs/results/ml-100k", "summary")
    wanted = [
        (row["method"], f"{row['rmse']:.4f}", f"{row['sd']:.4f}")
        for row in summary.to_dict("records")
    ]
    assert rows == wanted
    best = table(ROOT / "docs/results/ml-100k-frontier", "summary").set_index("method")["rmse"]
    cited = [f"{best[name]:.4f}" for name in ("blend-informed", "blend-both")]
    assert re.findall(r"`config/frontier.yaml`: ([\d.]+) with .* ([\d.]+) without", text) == [
        tuple(cited)
    ]


def test_the_lesson_has_the_published_numbers():
    text = (ROOT / "docs/lesson.md").read_text("utf-8")
    errors = table(ROOT / "docs/results/ml-100k", "errors")
    wide = errors.pivot(index="fold", columns="method", values="rmse")

    def gap(first, second):
        return wide[first] - wide[second]

    published, tuned = gap("mf-published", "user-cf-published"), gap("mf", "user-knn")
    care = gap("user-cf-published", "user-knn")
    reach = stats.t.ppf(0.975, 4) * tuned.std() * (1 / 5 + 1 / 4) ** 0.5
    for said in (
        f"It prints −{-published.mean():.4f}",
        f"changes the error of collaborative filtering by {care.mean():.4f}",
        f"the published difference of {-published.mean():.4f}",
        f"than the published factorization by {gap('mf-published', 'user-knn').mean():.4f}",
        f"better than `user-knn` by {-tuned.mean():.4f}, and the corrected",
        f"interval (± {reach:.4f})",
    ):
        assert said in text
    assert -tuned.mean() < 0.01 < -tuned.mean() + reach


def test_the_frontier_on_movielens_1m_is_the_measured_one():
    text = (ROOT / "docs/explanation/literature.md").read_text("utf-8")
    measured = pd.read_csv(ROOT / "benchmarks/results/frontier.tsv", sep="\t")
    errors = measured.query("part == 'test'")["rmse"]
    first, second, third = (f"{value:.4f}" for value in errors)
    assert f"test RMSE of {first}, {second} and {third}, {errors.mean():.4f} on average" in text


@pytest.mark.parametrize("method", ["sparse-fc", "autorec"])
def test_the_price_of_peeking_is_the_published_one(method):
    text = (ROOT / "docs/explanation/methods.md").read_text("utf-8")
    errors = table(ROOT / "docs/results/ml-100k-frontier", "errors").query("method == @method")
    lowest = errors["rmse_lowest_epoch"].astype(float)
    prices = errors["rmse"] - lowest
    reach = stats.t.ppf(0.975, 4) * prices.std() * (1 / 5 + 1 / 4) ** 0.5
    ends = [f"{end:.4f}".replace("-", "−") for end in prices.mean() + reach * np.array([-1, 1])]
    means = [f"{value:.4f}" for value in (errors["rmse"].mean(), lowest.mean(), prices.mean())]
    assert f"| `{method}` | {' | '.join(means)} [{', '.join(ends)}] |" in text


def part(name):
    """One of the files of the official folds, users × items."""
    path = Path(os.environ["CFMF_REAL_DATA"]) / "ml-100k" / name
    user, item, rating, _ = np.loadtxt(path, dtype=np.int64).T
    found = sparse.coo_array((rating.astype("f4"), (user - 1, item - 1)), shape=(943, 1682)).tocsr()
    found.sort_indices()
    return found


@pytest.mark.skipif("CFMF_REAL_DATA" not in os.environ, reason="needs MovieLens 100K")
@pytest.mark.parametrize("name", CHEAP)
@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_todays_error_is_the_published_one(folder, name):
    errors = table(folder, "errors").set_index(["method", "fold"])["rmse"]
    chosen = table(folder, "settings").set_index(["method", "fold"])["setting"]
    block = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["methods"].get(name, {})
    method = registry.method(name).named(block, chosen[name, "u1"], (1, 5))
    train, test = part("u1.base"), part("u1.test")
    users = np.repeat(np.arange(943), np.diff(test.indptr))
    found = method.fit(train).predict(users, test.indices).values
    rmse = np.sqrt(np.mean((found.astype(float) - test.data) ** 2))
    told = f"{name} differs; packages that changed since: {drifted(folder)}"
    assert rmse == pytest.approx(errors[name, "u1"], abs=TOLERANCE), told


@pytest.fixture
def generated():
    """The module that writes the results of a small study."""
    spec = spec_from_file_location("generated_study", ROOT / "tests/unit/report/generated_study.py")
    generated = module_from_spec(spec)
    spec.loader.exec_module(generated)
    return generated


def test_a_method_of_ones_own_is_published(generated, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_of_config", {})
    generated.write(tmp_path)
    home = tmp_path / generated.DATASET
    for path in home.rglob("*.tsv"):
        path.write_text(path.read_text("utf-8").replace("\titem-knn\t", "\town\t"), "utf-8")
    known = json.loads((home / "provenance.json").read_text("utf-8"))
    known["config"]["methods"] = {"own": {"class": "cfmf.methods.baseline:Baseline"}}
    (home / "provenance.json").write_text(json.dumps(known), "utf-8")
    reference.main([str(home), str(tmp_path / "out")])
    assert table(tmp_path / "out", "summary").set_index("method").loc["own", "family"] == "baseline"


def test_a_study_is_published(generated, tmp_path, capsys):
    generated.write(tmp_path)
    reference.main([str(tmp_path / generated.DATASET), str(tmp_path / "out")])
    study = load(Results(tmp_path, generated.DATASET))
    summary = table(tmp_path / "out", "summary").set_index("method")
    selected = study.tables["selected"].query("split == 'test' and metric == 'rmse'")
    means = selected.groupby("method")["value"].mean()
    np.testing.assert_allclose(summary["rmse"], means[summary.index], rtol=1e-5)
    compared = summary[summary["low"] != ""]
    assert (compared["low"].astype(float) < compared["high"].astype(float)).all()
    [said] = [one["numbers"] for one in study.verdict if one["key"] == "better"]
    wanted = f"interval {said['low']:.4f} to {said['high']:.4f}, beyond the margin"
    assert wanted in capsys.readouterr().out
