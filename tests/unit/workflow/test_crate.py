"""The crate can be read back by the library, and lists what is there with its hash."""

import hashlib
import json

import pytest
from rocrate.rocrate import ROCrate

from cfmf.workflow import crate
from cfmf.workflow.layout import Results

FILES = {
    "raw/manifest.json": json.dumps({"files": {"u.data": {"sha256": "0" * 64}}}),
    "ratings/audit.json": "{}",
    "evaluation/metrics.tsv": "dataset\tfold\n",
    "statistics/tests.tsv": "family\n",
    "statistics/verdict.json": "[]",
    "provenance.json": json.dumps(
        {
            "command": "snakemake --cores 2",
            "versions": {"numpy": "2"},
            "run": {
                "started": "2026-01-01T00:00:00+00:00",
                "reported": "2026-01-01T00:10:00+00:00",
            },
        }
    ),
}


@pytest.fixture
def home(tmp_path):
    """The folder of one data set's results."""
    for name, text in FILES.items():
        path = tmp_path / "tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "tiny"


def test_crate_is_read_back_with_files_hashes_and_command(home):
    known = json.loads((home / "provenance.json").read_text())
    crate.write(Results(home.parent, home.name), known)
    read = ROCrate(home)
    metrics = read.dereference("evaluation/metrics.tsv")
    content = (home / "evaluation/metrics.tsv").read_bytes()
    assert metrics["sha256"] == hashlib.sha256(content).hexdigest()
    assert metrics["contentSize"] == str(len(content))
    assert read.version == "1.1"
    assert "MIT" in read.license["description"]
    run = read.dereference("#run")
    assert run["startTime"] == "2026-01-01T00:00:00+00:00"
    assert run["endTime"] == "2026-01-01T00:10:00+00:00"
    assert run["name"] == "snakemake --cores 2"
    assert metrics in run["result"]
    assert [one["name"] for one in run["instrument"]] == ["numpy"]
    listed = {entity.id for entity in read.data_entities}
    assert {"statistics/tests.tsv", "statistics/verdict.json", "ratings/audit.json"} <= listed
    assert "provenance.json" in listed


def test_results_that_another_config_left_are_not_listed(home):
    mine = [home / "evaluation/metrics.tsv", home / "provenance.json"]
    crate.write(Results.of_study(home, mine), {})
    assert sorted(ROCrate(home).dereference("#run")["result"], key=lambda one: one.id) == [
        ROCrate(home).dereference(name) for name in ("evaluation/metrics.tsv", "provenance.json")
    ]
    assert crate.results(Results.of_study(home, mine)) == mine


def test_raw_files_are_what_the_run_started_from(home):
    (home / "raw/u.data").write_text("generated")
    crate.write(Results(home.parent, home.name), {})
    read = ROCrate(home)
    (raw,) = [read.dereference("#run")["object"]]
    assert (raw if isinstance(raw, list) else [raw])[0]["sha256"] == "0" * 64


def test_every_package_has_an_address_of_its_own(home):
    versions = {"numpy": "2", "scipy": "1", "no such package": "0"}
    crate.write(Results(home.parent, home.name), {"versions": versions})
    tools = ROCrate(home).dereference("#run")["instrument"]
    assert [tool["name"] for tool in tools] == list(versions)
    assert len({tool.id for tool in tools}) == 3
    assert tools[0]["url"] == "https://numpy.org"
