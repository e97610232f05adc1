"""A search grows by rounds of jobs until the optimum is inside, and can be resumed."""

import os

import pandas as pd
import pytest
import yaml

from tests.checkout import SMALL

pytestmark = pytest.mark.slow

# The optimum of at least one fold is beyond the one point that is listed.
STUDY = {
    "study": {"methods": ["baseline", "als", "gibbs"]},
    "methods": {
        "als": {"k": [16], "reg": [0.1], "max_epochs": 5},
        "gibbs": {"k": [8], "sweeps": 20, "burn_in": 5},
    },
    "published": {"enabled": False},
    "evaluation": {"trimming": {"rounds": 0}, "scaling": {"enabled": False}},
    "tuning": {"trials": 30, "adaptive": {"enabled": False}},
}
SELECTION = "results/tiny/evaluation/selection.tsv"


def points(checkout, method):
    """The points of a method that have metrics, and those that the rounds of its search added."""
    trained = {
        path.split("/")[2] for path in checkout.results("metrics.tsv") if f"/{method}/k" in path
    }
    rounds = [
        pd.read_csv(path, sep="\t", dtype=str)
        for name, path in checkout.results("rounds/*/points.tsv").items()
        if name.startswith(f"factorization/{method}/")
    ]
    added = pd.concat(rounds).fillna("inferred")
    return trained, {f"k~{k}_reg~{reg}" for k, reg in added.itertuples(index=False)}, len(rounds)


def test_an_optimum_beyond_the_list_is_found(checkout):
    (checkout.folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    config = (*SMALL, "study.yaml")
    status, output = checkout.planned(*config)
    assert status == 0, output
    assert "extend_search" in output
    status, output = checkout.run(*config)
    assert status == 0, output
    chosen = pd.read_csv(checkout.folder / SELECTION, sep="\t", dtype=str, keep_default_na=False)
    for method, listed in (("als", "k~16_reg~0.1"), ("gibbs", "k~8_reg~inferred")):
        trained, added, rounds = points(checkout, method)
        assert trained == {listed} | added
        assert listed not in added
        assert 2 <= rounds < 30
        rows = chosen[chosen["method"] == method]
        assert not rows["edge"].str.contains("budget").any()
        regs = rows["reg"].replace("", "inferred")
        found = {f"k~{k}_reg~{reg}" for k, reg in zip(rows["k"], regs, strict=True)}
        assert found <= trained
        assert found & added
    assert "report.html" in checkout.results()
    status, output = checkout.run(*config)
    assert (status, "Nothing to be done" in output) == (0, True), output

    # A lost round is run again: it adds the same points, and nothing is trained twice.
    before = checkout.digests()
    os.remove(checkout.results()["factorization/als/rounds/1/points.tsv"])
    status, output = checkout.run(*config)
    assert status == 0, output
    assert "rule train_factorization" not in output
    assert checkout.digests() == before

    # A grid that stays as listed needs no round.
    fixed = {"tuning": {"grow": False}}
    (checkout.folder / "fixed.yaml").write_text(yaml.safe_dump(fixed))
    status, output = checkout.planned(*config, "fixed.yaml")
    assert status == 0, output
    assert "extend_search" not in output
