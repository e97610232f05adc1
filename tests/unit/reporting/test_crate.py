"""The crate can be read back by the library, and lists what is there with its hash."""

import hashlib
import json
import shutil

import generated_study
from rocrate.rocrate import ROCrate

from cfmf.reporting import crate


def test_crate_is_read_back_with_files_hashes_and_command(results, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(results / generated_study.DATASET, home)
    known = json.loads((home / "provenance.json").read_text())
    crate.write(home, known)
    read = ROCrate(home)
    metrics = read.dereference("evaluation/metrics.tsv")
    content = (home / "evaluation/metrics.tsv").read_bytes()
    assert metrics["sha256"] == hashlib.sha256(content).hexdigest()
    assert metrics["contentSize"] == str(len(content))
    run = read.dereference("#run")
    assert run["name"] == "snakemake --cores 2"
    assert metrics in run["result"]
    assert [one["name"] for one in run["instrument"]] == ["numpy"]
    listed = {entity.id for entity in read.data_entities}
    assert {"statistics/tests.tsv", "statistics/verdict.json", "ratings/audit.json"} <= listed
