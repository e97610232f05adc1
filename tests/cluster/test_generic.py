"""A batch system of two commands, whose node shows GPUs that the machine of Snakemake has not."""

import os

import pytest

from tests.checkout import SMALL, Checkout

PROGRAMS = {
    "nvidia-smi": "echo 'GPU 0: made up'; echo 'GPU 1: made up'",
    "submit": 'PATH="$(dirname "$0"):$PATH" sh "$1" >&2; echo 1',
    "status": "echo success",
}


@pytest.fixture(scope="module")
def matrices(tmp_path_factory):
    """A checkout with the matrices of the small study."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    status, output = checkout.small("matrices")
    assert status == 0, output
    return checkout


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """The folder of the programs that a submitted job finds."""
    folder = tmp_path_factory.mktemp("node")
    for name, does in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    "options", [(), ("--config", "device=cuda", "--resources", "gpu=0")], ids=["no GPU", "gpu=0"]
)
def test_job_asks_for_no_gpu_where_the_plan_asks_for_none(matrices, node, options, monkeypatch):
    monkeypatch.setenv("CFMF_GPU", "1")  # what another run told its jobs
    batch = (
        *("--workflow-profile", "none", "--executor", "cluster-generic", "--jobs", "1"),
        *("--cluster-generic-submit-cmd", node / "submit"),
        *("--cluster-generic-status-cmd", node / "status"),
        *("--seconds-between-status-checks", "1"),
    )
    target = ("results/tiny/neighbours/user-knn/trials.tsv", "--forcerun", "tune_neighbours")
    status, output = matrices.run(*target, *map(os.fspath, batch), *SMALL, *options, cores=None)
    assert status == 0, output
    log = matrices.results()["logs/tune_neighbours/user-knn.log"].read_text()
    told = [line for line in log.splitlines() if "cfmf.workflow.devices" in line]
    assert "GPU" not in "".join(told)  # the line of the machine tells of the GPUs that it shows
    assert "computing on the CPU" in log
