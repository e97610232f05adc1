"""The workflow runs from elsewhere: `--directory`, `-s`, and as a module of another workflow."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.checkout import ROOT, Checkout

pytestmark = pytest.mark.slow

# Every stage in few jobs.
BRIEF = {
    "study": {"datasets": ["tiny"], "methods": ["baseline", "mf"], "seeds": [1]},
    "datasets": {"tiny": {"split": {"folds": 2}}},
    "methods": {"mf": {"k": [4], "reg": [0.2]}},
    "published": {"search": {"enabled": False}},
    "tuning": {"adaptive": {"enabled": False}},
    "evaluation": {"trimming": {"rounds": 0}, "scaling": {"enabled": False}},
    "statistics": {"bootstrap_repeats": 100},
}
PARENT = """
configfile: "parent.yaml"


module cfmf:
    snakefile:
        {!r}
    config:
        config["ratings study"]
    prefix:
        "studies/results"


use rule * from cfmf as cfmf_*


rule cited:
    default_target: True
    input:
        rules.cfmf_all.input,
    output:
        "cited.txt",
    shell:
        "touch {{output}}"
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout whose own folder is only read, with a blank in its path."""
    return Checkout(tmp_path_factory.mktemp("the checkout"))


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "brief.yaml").write_text(yaml.safe_dump(BRIEF))
    return folder


def snakemake(checkout, folder, *arguments):
    """Run Snakemake in a folder and return what it printed."""
    command = checkout.command(*arguments, "--resources", "gpu=0")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def check(checkout, results):
    """A whole report is there, of the checkout's own code, and nothing in the checkout."""
    assert "RMSE" in (results / "tiny/report.html").read_text("utf-8")
    known = json.loads((results / "tiny/provenance.json").read_text("utf-8"))
    assert str(checkout.folder / "report/strings/en.yaml") in known["inputs"]
    assert {Path(path).name for path in known["outputs"]} >= {"selected.tsv", "report.html"}
    crate = json.loads((results / "tiny/ro-crate-metadata.json").read_text("utf-8"))
    assert "evaluation/selected.tsv" in {one["@id"] for one in crate["@graph"]}
    assert list((results / "tiny/hashes").rglob("*.sha256"))
    assert not (checkout.folder / "results").exists()
    assert not (checkout.folder / ".snakemake").exists()


def configs(checkout, *more):
    return ("--configfile", str(checkout.folder / "config/tiny.yaml"), *more)


def test_another_directory(checkout, elsewhere):
    snakemake(
        checkout,
        checkout.folder,
        *("--directory", str(elsewhere)),
        *("--configfile", "config/tiny.yaml", str(elsewhere / "brief.yaml")),
    )
    check(checkout, elsewhere / "results")


def test_a_snakefile_by_its_path_and_named_runs_side_by_side(checkout, elsewhere):
    """Two settings of one data set have a folder each, and the command tells what differs.

    The path of the Snakefile is relative for one and absolute for the other.
    """
    relative = os.path.relpath(checkout.folder / "Snakefile", elsewhere)
    plain = ("-s", relative, *configs(checkout, "brief.yaml"))
    snakemake(checkout, elsewhere, *plain)
    check(checkout, elsewhere / "results")
    assert "Nothing to be done" in snakemake(checkout, elsewhere, *plain)
    own = {"run": {"name": "fine"}, "methods": {"mf": {"k": [2]}}}
    (elsewhere / "fine.yaml").write_text(yaml.safe_dump(own))
    path = str(checkout.folder / "Snakefile")
    named = ("-s", path, *configs(checkout, "brief.yaml"), "fine.yaml")
    before = sorted((elsewhere / "results").rglob("*"))
    snakemake(checkout, elsewhere, *named)
    check(checkout, elsewhere / "runs/fine/results")
    assert sorted((elsewhere / "results").rglob("*")) == before
    assert "Nothing to be done" in snakemake(checkout, elsewhere, *named)
    told = subprocess.run(
        [sys.executable, "-m", "cfmf", "compare", elsewhere / "results/tiny", "runs/fine"],
        cwd=elsewhere, env={**os.environ, "PYTHONPATH": str(checkout.folder)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = pd.read_csv(io.StringIO(told.stdout))
    assert list(rows.loc[rows["what"] == "config", "name"]) == ["methods.mf.k"]
    assert set(rows.loc[rows["what"] == "choice", "name"]) == {"mf"}
    errors = rows[rows["what"] == "rmse"].set_index("name")
    assert errors.loc["baseline", "difference"] == 0
    assert errors.loc["mf", "ci_low"] < errors.loc["mf", "difference"] < errors.loc["mf", "ci_high"]


def test_a_module_of_another_workflow(checkout, elsewhere):
    merged = {}
    for path in (ROOT / "config.yaml", ROOT / "config/tiny.yaml"):
        merged = overlaid(merged, yaml.safe_load(path.read_text("utf-8")))
    known = {"ratings study": overlaid(merged, BRIEF), "own": 1}
    (elsewhere / "parent.yaml").write_text(yaml.safe_dump(known))
    (elsewhere / "Snakefile").write_text(PARENT.format(str(checkout.folder / "Snakefile")))
    snakemake(checkout, elsewhere)
    assert (elsewhere / "cited.txt").exists()
    check(checkout, elsewhere / "studies/results/results")
    assert "Nothing to be done" in snakemake(checkout, elsewhere)


def test_a_module_with_the_config_of_its_own(checkout, elsewhere):
    text = f"module cfmf:\n    snakefile: {str(checkout.folder / 'Snakefile')!r}\n"
    (elsewhere / "Snakefile").write_text(text + "\n\nuse rule * from cfmf\n")
    printed = snakemake(checkout, elsewhere, "--dry-run", *configs(checkout, "brief.yaml"))
    assert "results/tiny/report.html" in printed
    assert "compare_generators" in printed


def test_braces_are_refused_at_once_with_the_reason(checkout, elsewhere, tmp_path):
    """Snakemake takes them for wildcards; in the name of a config file they do no harm."""
    (elsewhere / "{brief}.yaml").write_text(yaml.safe_dump(BRIEF))
    copied = Checkout(tmp_path / "a {checkout}")
    table = {"ratings": "ratings.csv", "columns": {"user": "u", "item": "i", "rating": "r"}}
    mine = {"source": "table", "folder": "my {data}", "table": table}
    (elsewhere / "my {data}").mkdir()
    (elsewhere / "my {data}/ratings.csv").write_text("u,i,r\n1,1,1\n")
    own = {"study": {"datasets": ["mine"]}, "datasets": {"mine": mine}}
    (elsewhere / "mine.yaml").write_text(yaml.safe_dump(own))
    place = ("-s", str(checkout.folder / "Snakefile"), *configs(checkout, "{brief}.yaml"))
    assert "render_report" in snakemake(checkout, elsewhere, "--dry-run", *place)
    for of, config in ((copied, "{brief}.yaml"), (checkout, "mine.yaml")):
        command = of.command("--dry-run", "-s", str(of.folder / "Snakefile"), *configs(of, config))
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "has a brace, which Snakemake takes for" in done.stdout + done.stderr


def overlaid(below, above):
    """A config over another: maps are merged key by key."""
    both = {key: overlaid(below[key], above[key]) for key in below.keys() & above.keys()
            if isinstance(below[key], dict) and isinstance(above[key], dict)}  # fmt: skip
    return {**below, **above, **both}
