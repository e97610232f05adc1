"""The shipped profile for Kubernetes, against a stand-in for its API whose pods are real jobs.

Results are in a folder that stands for the bucket; a pod has no other file of this run than what
Snakemake brings it from there.
"""

import json
import os
import re
import shutil
import subprocess
from importlib.util import find_spec

import pytest
import yaml

from tests.checkout import BRIEF, ROOT, SMALL, TINY, Checkout, digests
from tests.cluster.kubernetes_api import Cluster

if not all(map(find_spec, ("kubernetes", "snakemake_storage_plugin_fs"))) or not (
    shutil.which("rsync") and shutil.which("git")
):
    pytest.skip("needs requirements/kubernetes.txt, rsync and git", allow_module_level=True)

PROFILE = ROOT / "profiles/kubernetes/config.yaml"


@pytest.fixture
def kubernetes(tmp_path):
    """A checkout, as git lists it, the stand-in, and a command's options for both."""
    checkout = Checkout(tmp_path / "checkout")
    shutil.copy(BRIEF[-1], checkout.folder / "brief.yaml")  # a pod has what is in the checkout
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *command], cwd=checkout.folder, check=True)
    checkout.bucket = tmp_path / "bucket"
    checkout.cluster = Cluster(tmp_path / "cluster")
    checkout.options = {"env": os.environ | {"KUBECONFIG": str(checkout.cluster.config())}}
    checkout.profile = (
        *("--workflow-profile", "profiles/kubernetes", "--latency-wait", "10"),
        *("--default-storage-provider", "fs", "--default-storage-prefix", str(checkout.bucket)),
        *("--seconds-between-status-checks", "1", "--retries", "0"),
    )
    yield checkout
    checkout.cluster.close()


def jobs(output):
    """How many jobs of each rule a dry run plans."""
    table = output.split("Job stats:")[1].split("\n\n")[0]
    return dict(re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE))


@pytest.mark.parametrize("config", [(), TINY], ids=["default", "tiny"])
def test_the_plan_is_that_of_a_workstation_and_asks_no_cluster(kubernetes, config):
    status, output = kubernetes.run("-n", *kubernetes.profile, *config, cores=None)
    assert status == 0, output
    status, local = kubernetes.planned(*config)
    assert status == 0, local
    assert jobs(output) == jobs(local)
    assert len(jobs(output)) > 20
    assert kubernetes.cluster.secrets == {}


def test_a_study_of_pods_gives_the_results_of_one_machine(kubernetes, elsewhere):
    brief = (*TINY, "brief.yaml")
    status, output = kubernetes.run(*kubernetes.profile, *brief, cores=None, **kubernetes.options)
    assert status == 0, output
    printed = output
    found, expected = kubernetes.bucket / "results/tiny", elsewhere / "results/tiny"
    usual = digests(expected)
    assert len(usual) > 40
    assert usual.items() <= digests(found).items()
    assert "RMSE" in (found / "report.html").read_text("utf-8")
    assert (expected / "hashes").is_dir()
    assert not (found / "hashes").exists()
    assert not (kubernetes.folder / "results").exists()
    (kubernetes.folder / "later.yaml").write_text("statistics: {alpha: 0.01}")
    again = (*brief, "later.yaml", "--", "results/tiny/plan.json")
    status, output = kubernetes.run(*kubernetes.profile, *again, cores=None, **kubernetes.options)
    assert status == 0, output
    [change] = json.loads((found / "plan.json").read_text("utf-8"))["changes"]
    assert change["changed"]["statistics.alpha"] == [0.05, 0.01]
    # none ran where Snakemake does
    assert sorted(re.findall(r"^localrule (\w+)", printed, re.MULTILINE)) == ["all"]
    containers = [
        job["spec"]["template"]["spec"]["containers"][0] for job in kubernetes.cluster.jobs.values()
    ]
    for one in containers:
        assert one["resources"]["limits"] == one["resources"]["requests"] | {
            "cpu": one["resources"]["limits"]["cpu"]
        }
        assert one["image"] == yaml.safe_load(PROFILE.read_text())["container-image"]


def test_a_training_on_a_gpu_requests_one_of_nvidia(kubernetes):
    target = "results/tiny/neighbours/user-knn/trials.tsv"
    status, output = kubernetes.run(
        *(*kubernetes.profile, "--config", "device=cuda", "-n"),
        *(*SMALL, "--", target),
        cores=None,
    )
    assert status == 0, output
    [line] = re.findall(r"^rule tune_neighbours:(?:\n    .*)+", output, re.MULTILINE)
    assert "gpu=1" in line
    assert "gpu_manufacturer=nvidia" in line


def test_opened_sealed_folds_are_refused_at_once(kubernetes):
    sealed = kubernetes.folder / "sealed.yaml"
    block = {"folds": ["f1"], "open": True}
    sealed.write_text(json.dumps({"datasets": {"tiny": {"sealed": block}}}))
    config = (*TINY, "brief.yaml", "sealed.yaml")
    status, output = kubernetes.run("-n", *kubernetes.profile, *config, cores=None)
    assert status != 0
    assert "Run this study where all jobs share a file system" in output
