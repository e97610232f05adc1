"""The study with JAX in it: `mf-jax` through every stage, and the comparison of the backends."""

import pytest

from cfmf.published.keys import AS_PUBLISHED
from cfmf.tables import read_table
from tests.checkout import SMALL

pytest.importorskip("jax", reason="JAX is not installed; `make jax` does that")

WITH_JAX = """
study: {methods: [baseline, mf, mf-jax], seeds: [1]}
methods:
  mf: {k: [4], reg: [0.2], max_epochs: 60}
  mf-jax: {k: [4], reg: [0.2], max_epochs: 60}
published:
  backends: {enabled: true, epochs: 10, repeats: 2}
  search: {enabled: false}
tuning: {adaptive: {enabled: false}}
evaluation: {trimming: {rounds: 0}, scaling: {enabled: false}}
statistics: {bootstrap_repeats: 100}
"""


@pytest.mark.slow
def test_study_with_jax_and_the_comparison_of_backends(checkout):
    (checkout.folder / "jax.yaml").write_text(WITH_JAX)
    status, output = checkout.run(*SMALL, "jax.yaml")
    assert status == 0, output
    results = checkout.results()
    selected = read_table(results["evaluation/selected.tsv"], "metrics")
    selected = selected[(selected["split"] == "test") & (selected["metric"] == "rmse")]
    torch, jax = (
        selected[selected["method"] == name]["value"].to_numpy() for name in ("mf", "mf-jax")
    )
    # The same objective from other starts.
    assert len(jax) == 2
    assert abs(torch - jax).max() < 0.1
    backends = read_table(results["backends/backends.tsv"], "backends")
    assert backends["backend"].to_list() == ["torch", "jax"]
    assert (backends["loss_difference"] < 1e-4).all()
    generators = read_table(results["backends/generators.tsv"], "generators")
    assert set(generators["sample"]) == {"torch", "jax", AS_PUBLISHED}
    assert "mf-jax" in results["report.html"].read_text()
