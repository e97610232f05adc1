"""What a profile specifies, and what the rules request."""

import re

import pytest
import yaml

from tests.checkout import ROOT, TINY, Checkout

# Snakemake derives them.
DERIVED = {"tmpdir", "mem", "mem_mib", "disk", "disk_mib"}
# Without a default: a rule that requests none does no training.
WITHOUT_DEFAULT = {"gpu"}
# What only the profile can know.
OWN = {"slurm": set(), "kubernetes": {"disk_mb", "gpu_manufacturer", "scale"}}


def profile(name):
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def requested(tmp_path_factory):
    """Names of the resources that the rules of the tiny study request."""
    status, output = Checkout(tmp_path_factory.mktemp("profiles")).planned(*TINY)
    assert status == 0, output
    lines = re.findall(r"^    resources: (.*)$", output, re.MULTILINE)
    return {name for line in lines for name in re.findall(r"(\w+)=", line)} - DERIVED


@pytest.mark.parametrize("name", OWN)
def test_a_profile_has_defaults_for_what_rules_request(requested, name):
    assert set(profile(name)["default-resources"]) == (requested - WITHOUT_DEFAULT) | OWN[name]


def test_the_table_has_every_key(requested):
    text = (ROOT / "profiles/README.md").read_text("utf-8")
    table = text.split("## What a profile specifies")[1].split("##")[0]
    pods = {"container-image", "default-storage-provider", "shared-fs-usage", "retries"}
    assert set(profile("kubernetes")) >= pods
    keys = requested | OWN["kubernetes"] | pods
    assert {key for key in keys if not re.search(rf"`{key}\b", table)} == set()
