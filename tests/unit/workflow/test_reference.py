"""The results in docs/results agree with each other, with README, and with what is found today."""

import gzip
import importlib
import json
import os
import re
import subprocess
from functools import cache
from hashlib import sha256
from importlib import metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats
from snakemake.utils import update_config

from cfmf import __version__
from cfmf.data.formats import parse
from cfmf.data.matrices import fold_matrices
from cfmf.data.sources import retrieve
from cfmf.data.splits import split
from cfmf.methods import registry
from cfmf.report.context import load
from cfmf.workflow import reference
from cfmf.workflow.config import completed
from cfmf.workflow.layout import Results

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = sorted(path.parent for path in (ROOT / "docs/results").glob("*/study.json"))
STUDIES = pd.read_csv(ROOT / "docs/results/studies.tsv", sep="\t").set_index("folder")
CHEAP = ["baseline", "user-knn", "item-knn", "item-linear"]
LONGEST = 10  # seconds that their fits may have taken
TOLERANCE = 2e-5
"""Of methods without random numbers: float32, whatever the order of the sums."""


def table(folder, name):
    return pd.read_csv(folder / f"{name}.tsv", sep="\t", keep_default_na=False)


def version(name):
    """The version of a package here; some studies need packages that the tests do without."""
    try:
        return __version__ if name == "cfmf" else metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def drifted(folder):
    """Which packages have another version than when the results were made."""
    made = json.loads((folder / "study.json").read_text("utf-8"))["versions"]
    return {name: (was, version(name)) for name, was in made.items() if version(name) != was}


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_means_are_those_of_the_folds(folder):
    errors = table(folder, "errors").groupby("method")["rmse"].agg(["mean", "std", "size"])
    summary = table(folder, "summary").set_index("method")
    assert set(errors.index) == set(summary.index)
    errors = errors.loc[summary.index]
    np.testing.assert_allclose(summary["rmse"], errors["mean"], rtol=6e-6)  # six digits
    deviations = pd.to_numeric(summary["sd"], errors="coerce")  # of one fold there is none
    np.testing.assert_allclose(deviations, errors["std"], rtol=1e-3)
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


@pytest.fixture
def pages(monkeypatch):
    """The module that writes what pages show of the published tables."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("published")


def test_every_study_has_its_page_and_its_config(pages):
    assert {path.name for path in PUBLISHED} <= set(STUDIES.index)
    assert set(pages.pages()) == set(STUDIES.index)
    for folder, study in STUDIES.iterrows():
        config = yaml.safe_load((ROOT / study["config"]).read_text("utf-8"))
        named = config["study"].get("datasets", ["ml-100k"])
        assert study["dataset"] in named, folder
        assert set(named) == set(STUDIES[STUDIES["study"] == study["study"]]["dataset"])


def test_a_study_that_is_not_published_is_listed(pages, monkeypatch, tmp_path):
    (tmp_path / "studies.tsv").write_bytes((ROOT / "docs/results/studies.tsv").read_bytes())
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    assert 'STUDIES="claims"' in pages.reference("ml-100k-claims")
    assert all(f"`{name}`" in pages.across() for name in STUDIES.index)


def cells(text):
    """The rows of a table in Markdown, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def ends(text):
    return [float(one.replace("−", "-")) for one in re.findall(r"[−+]\d+\.\d+", text)]


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_a_page_shows_the_published_table(folder, pages):
    rows = cells(pages.reference(folder.name))
    summary = table(folder, "summary")
    assert [row[0].strip("`") for row in rows] == summary["method"].tolist()
    for row, wanted in zip(rows, summary.to_dict("records"), strict=True):
        assert f"{wanted['rmse']:.4f}" in row[1:3]
        interval = next((ends(cell) for cell in row if " to " in cell), [])
        known = [float(wanted[end]) for end in ("low", "high") if wanted[end] != ""]
        assert interval == pytest.approx(known, abs=6e-5)


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_the_best_of_the_families_differ_as_published(folder, pages):
    """What is compared is what validation chose, and the difference is that of the errors."""
    known = json.loads((folder / "study.json").read_text("utf-8"))
    [counted] = [one["numbers"] for one in known["verdict"] if one["key"] == "best_per_family"]
    errors = table(folder, "errors").set_index(["fold", "method"])["rmse"]
    means = {}
    for family, taken in known["best_per_family"].items():
        folds = pd.Series(taken)
        assert folds.value_counts().to_dict() == dict(counted[family])
        means[family] = np.mean([errors[one] for one in folds.items()])
    difference = means["best_factorization"] - means["best_neighbours"]
    [row] = [row for row in cells(pages.across()) if row[0].startswith(f"[{folder.name}]")]
    users, items, ratings = (known["data"][name] for name in ("users", "items", "ratings"))
    assert row[1:5] == [
        f"{ratings:,}",
        f"{users:,}",
        f"{items:,}",
        f"{ratings / users / items:.2%}",
    ]
    assert row[9] == f"{means['best_neighbours']:.4f}"
    assert row[12] == f"{means['best_factorization']:.4f}"
    if row[14]:
        shown, low, high = ends(row[14])
        assert shown == pytest.approx(difference, abs=6e-5)
        assert low < shown < high
        better = "factorization" if difference < 0 else "neighbour"
        assert ("is better" in row[16]) <= (better in row[16] and low * high > 0)


def test_the_table_of_costs_has_every_method_of_every_study(pages):
    shown = {row[0].strip("`"): row[1:] for row in cells(pages.costs())}
    folders = [name for name in STUDIES.index if (ROOT / "docs/results" / name) in PUBLISHED]
    for place, folder in enumerate(folders):
        seconds = table(ROOT / "docs/results" / folder, "summary").set_index("method")["seconds"]
        for name, row in shown.items():
            wanted = seconds.get(name, "")
            assert row[place] == (f"{float(wanted):.3g}" if wanted != "" else "")


@pytest.fixture
def cited(pages):
    """The module that writes README's tables and compares what pages cite."""
    return importlib.import_module("cited")


def test_pages_cite_what_the_tables_show(cited, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cited.py", "--check"])
    status = cited.main()
    printed = capsys.readouterr().out.splitlines()
    assert status == 0, printed
    counts = {line.split(": ")[0]: int(re.findall(r": (\d+) numbers", line)[0]) for line in printed}
    assert counts["README.md"] > 50
    assert counts["docs/results/cf-or-mf.md"] > 10


def test_a_coordinate_of_a_figure_is_no_result(cited, pages):
    drawn = re.findall(r"<svg.*?</svg>", pages.reference("ml-100k"), re.DOTALL)
    coordinates = re.findall(r"\d+\.\d{5,}", "".join(drawn))
    assert coordinates
    assert not cited.shown() & set(coordinates)


@pytest.mark.parametrize(
    ("page", "was", "becomes", "told"),
    [
        ("README.md", "lower by 0.0041", "lower by 9.0041", "1 differ 9.0041"),
        ("README.md", "| 0.8809 |", "| 0.8808 |", "its tables differ"),
        ("README.md", "| `mf-cubic` |", "| `mf-cube` |", "its tables differ"),
        ("docs/ship-the-winner.md", "\t0.88094\t", "\t0.88095\t", "its tables differ"),
    ],
)
def test_what_no_table_shows_is_found(
    cited, monkeypatch, capsys, tmp_path, page, was, becomes, told
):
    text = (ROOT / page).read_text("utf-8")
    assert was in text
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/results").symlink_to(ROOT / "docs/results")
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text("utf-8"), "utf-8")
    (tmp_path / page).write_text(text.replace(was, becomes), "utf-8")
    monkeypatch.setattr(cited, "ROOT", tmp_path)
    monkeypatch.setattr(cited, "README", tmp_path / "README.md")
    monkeypatch.setattr("sys.argv", ["cited.py", "--check"])
    assert cited.main() == 1
    assert f"{page}: " in (out := capsys.readouterr().out)
    assert told in out
    monkeypatch.setattr("sys.argv", ["cited.py"])
    cited.main()
    assert ((tmp_path / page).read_text("utf-8") == text) == (told == "its tables differ")


def test_readme_has_the_errors_of_the_most_accurate_methods():
    text = (ROOT / "README.md").read_text("utf-8")
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
        f"lower the RMSE of collaborative filtering by {care.mean():.4f}",
        f"the difference of {-published.mean():.4f} between the published methods",
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
    study = table(ROOT / "docs/results/ml-1m", "summary").set_index("method")["rmse"]
    assert f"has a test RMSE of {study['gibbs-implicit']:.4f} ([results]" in text
    assert f"test RMSE of {first}, {second} and {third} ({errors.mean():.4f} on average)" in text


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


def digest(path):
    """SHA-256 of a file, or of what is compressed in PATH.gz; None where there is neither."""
    if path.is_file():
        return sha256(path.read_bytes()).hexdigest()
    compressed = path.with_name(f"{path.name}.gz")
    if compressed.is_file():
        return sha256(gzip.decompress(compressed.read_bytes())).hexdigest()
    return None


def at_hand(folder):
    """The folder with the raw files of a published study, byte for byte; else the test skips."""
    files = json.loads((folder / "study.json").read_text("utf-8"))["files"]
    for place in sorted(Path(os.environ["CFMF_REAL_DATA"]).iterdir()):
        if {name: digest(place / name) for name in files} == files:
            return place
    pytest.skip(f"CFMF_REAL_DATA does not have {', '.join(files)} as the study read them")


@cache
def first_fold(folder):
    """Train, test and scale of the first fold of a published study, and its blocks of methods."""
    study = STUDIES.loc[folder.name]
    config = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
    update_config(config, yaml.safe_load((ROOT / study["config"]).read_text("utf-8")))
    block = {**config["datasets"][study["dataset"]], "folder": str(at_hand(folder))}
    known = json.loads((folder / "study.json").read_text("utf-8"))["data"]
    block |= {**known.get("read", {}), "scale": known["scale"]}  # files of another layout, perhaps
    described = completed(block)
    with TemporaryDirectory() as scratch:
        raw, parsed = Path(scratch, "raw"), Path(scratch, "parsed")
        retrieve(described, raw)
        audit = parse(raw, described, parsed)
        ratings = pd.read_parquet(parsed / "ratings.parquet")
    fold = next(iter(split(ratings, described["split"]).values()))
    parts = dict(fold_matrices(ratings, fold, audit["users"], audit["items"]))
    scale = described["scale"]["minimum"], described["scale"]["maximum"]
    return parts["train"], parts["test"], scale, config["methods"]


def cheap():
    """The cheap methods of each study, where a fold took no longer than `LONGEST`."""
    for folder in PUBLISHED:
        seconds = table(folder, "summary").set_index("method")["seconds"]
        for name in seconds.index.intersection(CHEAP):
            if float(seconds[name]) <= LONGEST:
                yield pytest.param(folder, name, id=f"{folder.name}-{name}")


@pytest.mark.skipif("CFMF_REAL_DATA" not in os.environ, reason="needs real ratings")
@pytest.mark.parametrize(("folder", "name"), list(cheap()))
def test_todays_error_is_the_published_one(folder, name):
    errors = table(folder, "errors").set_index(["method", "fold"])["rmse"]
    train, test, scale, methods = first_fold(folder)
    fold = errors[name].index[0]
    chosen = table(folder, "settings").set_index(["method", "fold"])["setting"]
    method = registry.method(name).named(methods.get(name, {}), chosen[name, fold], scale)
    users = np.repeat(np.arange(test.shape[0]), np.diff(test.indptr))
    found = method.fit(train).predict(users, test.indices).values
    rmse = np.sqrt(np.mean((found.astype(float) - test.data) ** 2))
    told = f"{name} differs; packages that changed since: {drifted(folder)}"
    assert rmse == pytest.approx(errors[name, fold], abs=TOLERANCE), told


@pytest.fixture
def make(tmp_path):
    """`make reference` with programs that only print what they are called with."""
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    for name in ("python", "snakemake"):
        program = environment / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} "$@"\ncase "$*" in *"$FAILS"*) exit 3; esac\n')
        program.chmod(0o755)
    for made in ("torch-default", "study"):
        (environment / made).touch()

    def reference(*studies, fails="none of them"):
        given = [f"STUDIES={' '.join(studies)}"] if studies else []
        command = ["make", "--silent", "reference", f"VENV={environment}", "CORES=2", *given]
        env = os.environ | {"FAILS": fails}
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout.splitlines()

    return reference


def test_make_runs_and_publishes_the_named_studies(make):
    def ran(study, config):
        return (
            f"snakemake --cores 2 --resources gpu=1 --configfile {config} --config run={{name:"
            f" {study}}}"
        )

    def published(study, dataset, folder):
        results = f"runs/{study}/results/{dataset}"
        return f"python -m cfmf.workflow.reference {results} docs/results/{folder}"

    assert make("claims", "quick") == (
        0,
        [
            ran("claims", "config/claims.yaml"),
            published("claims", "ml-100k-repeated", "ml-100k-claims"),
            published("claims", "ml-100k-official", "ml-100k-claims-official"),
            ran("quick", "config.yaml"),
            published("quick", "ml-100k", "ml-100k"),
            "python docs/cited.py",
        ],
    )


def test_make_stops_at_a_study_that_fails_or_is_unknown(make):
    status, printed = make("ml-1m", "quick", fails="ml-1m")
    assert status > 0
    assert len(printed) == 1
    status, printed = make("nothing")
    assert status > 0
    assert printed == ["docs/results/studies.tsv has no study 'nothing'"]


def test_make_repeats_what_is_published_unless_told(make):
    status, printed = make()
    assert status == 0
    folders = {line.rpartition("/")[2] for line in printed if line.startswith("python -m")}
    assert folders == {path.name for path in PUBLISHED}


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
