"""The workflow runs from elsewhere: `--directory`, `-s`, and as a module of another workflow."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.checkout import BRIEF, ROOT, Checkout

pytestmark = pytest.mark.slow

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
def folder(tmp_path):
    """Where the workflow is run, with the config of the brief study."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(BRIEF[-1], folder / "brief.yaml")
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


def test_another_directory(elsewhere):
    check(Checkout(elsewhere.parent / "the checkout"), elsewhere / "results")


def test_a_snakefile_by_its_path_and_named_runs_side_by_side(checkout, folder):
    """Two settings of one data set have a folder each, and the command tells what differs.

    The path of the Snakefile is relative for one and absolute for the other.
    """
    relative = os.path.relpath(checkout.folder / "Snakefile", folder)
    plain = ("-s", relative, *configs(checkout, "brief.yaml"))
    snakemake(checkout, folder, *plain)
    check(checkout, folder / "results")
    assert "Nothing to be done" in snakemake(checkout, folder, *plain)
    own = {"run": {"name": "fine"}, "methods": {"mf": {"k": [2]}}}
    (folder / "fine.yaml").write_text(yaml.safe_dump(own))
    path = str(checkout.folder / "Snakefile")
    named = ("-s", path, *configs(checkout, "brief.yaml"), "fine.yaml")
    before = sorted((folder / "results").rglob("*"))
    snakemake(checkout, folder, *named)
    check(checkout, folder / "runs/fine/results")
    assert sorted((folder / "results").rglob("*")) == before
    assert "Nothing to be done" in snakemake(checkout, folder, *named)
    told = subprocess.run(
        [sys.executable, "-m", "cfmf", "compare", folder / "results/tiny", "runs/fine"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(checkout.folder)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = pd.read_csv(io.StringIO(told.stdout))
    assert list(rows.loc[rows["what"] == "config", "name"]) == ["methods.mf.k"]
    assert set(rows.loc[rows["what"] == "choice", "name"]) == {"mf"}
    errors = rows[rows["what"] == "rmse"].set_index("name")
    assert errors.loc["baseline", "difference"] == 0
    assert errors.loc["mf", "ci_low"] < errors.loc["mf", "difference"] < errors.loc["mf", "ci_high"]


def test_a_module_of_another_workflow(checkout, folder):
    merged = {}
    for path in (ROOT / "config.yaml", ROOT / BRIEF[1], Path(BRIEF[2])):
        merged = overlaid(merged, yaml.safe_load(path.read_text("utf-8")))
    # With the published study too, whose files have paths of their own.
    published = {"enabled": True, "search": {"enabled": False}}
    known = {"ratings study": overlaid(merged, {"published": published}), "own": 1}
    (folder / "parent.yaml").write_text(yaml.safe_dump(known))
    (folder / "Snakefile").write_text(PARENT.format(str(checkout.folder / "Snakefile")))
    snakemake(checkout, folder)
    assert (folder / "cited.txt").exists()
    check(checkout, folder / "studies/results/results")
    assert (folder / "studies/results/results/tiny/published/first_user.tsv").exists()
    assert "Nothing to be done" in snakemake(checkout, folder)


def test_a_module_with_the_config_of_its_own(checkout, folder):
    text = f"module cfmf:\n    snakefile: {str(checkout.folder / 'Snakefile')!r}\n"
    (folder / "Snakefile").write_text(text + "\n\nuse rule * from cfmf\n")
    printed = snakemake(checkout, folder, "--dry-run", *configs(checkout, "brief.yaml"))
    assert "results/tiny/report.html" in printed
    assert "measure_intervals" in printed


def test_braces_are_refused_at_once_with_the_reason(checkout, folder, tmp_path):
    """Snakemake takes them for wildcards; in the name of a config file they do no harm."""
    shutil.copy(BRIEF[-1], folder / "{brief}.yaml")
    copied = Checkout(tmp_path / "a {checkout}")
    table = {"ratings": "ratings.csv", "columns": {"user": "u", "item": "i", "rating": "r"}}
    mine = {"source": "table", "folder": "my {data}", "table": table}
    (folder / "my {data}").mkdir()
    (folder / "my {data}/ratings.csv").write_text("u,i,r\n1,1,1\n")
    own = {"study": {"datasets": ["mine"]}, "datasets": {"mine": mine}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(own))
    place = ("-s", str(checkout.folder / "Snakefile"), *configs(checkout, "{brief}.yaml"))
    assert "render_report" in snakemake(checkout, folder, "--dry-run", *place)
    for of, config in ((copied, "{brief}.yaml"), (checkout, "mine.yaml")):
        command = of.command("--dry-run", "-s", str(of.folder / "Snakefile"), *configs(of, config))
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "has a brace, which Snakemake takes for" in done.stdout + done.stderr


def overlaid(below, above):
    """A config over another: maps are merged key by key."""
    both = {key: overlaid(below[key], above[key]) for key in below.keys() & above.keys()
            if isinstance(below[key], dict) and isinstance(above[key], dict)}  # fmt: skip
    return {**below, **above, **both}
