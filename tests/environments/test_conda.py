"""envs/*.yaml created for real by conda, and the whole small study run in them.

Where there is no `conda` command, a stand-in (conda.py) creates them from a channel of this
machine's Python (channel.py): the same Python packages, but not conda-forge's builds.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from cfmf.tables import read_table
from tests.checkout import ROOT, SMALL, Checkout
from tests.unit.test_environments import STAGES, files_of, scripts

HERE = Path(__file__).parent
BUILDERS = ["py-rattler==0.28.0", "pyyaml==6.0.3", "zstandard==0.25.0", "packaging==25.0"]

# What the tiny study leaves out and needs an environment of its own.
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
# That of the peers compiles libraries of others: its packages are compared with its lock file only.
MADE = [stage for stage in STAGES if stage != "peers"]
RUN = [(stage, script) for stage, script in scripts() if stage in MADE]
EVERYTHING = {
    "published": {"backends": {"enabled": True, "epochs": 3, "repeats": 1}},
    "study": {"methods": [*DEFAULT["study"]["methods"], "mf-jax"]},
    "methods": {"mf-jax": {"k": [4], "reg": [0.2], "max_epochs": 50}},
}


def checked(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, text=True, **options)


def stand_in(shared):
    """Make `conda/bin/conda` and its channel, once; what conda's users set in the environment."""
    if (sys.version_info[:2], platform.machine()) != ((3, 11), "x86_64"):
        pytest.skip("no conda here, and its stand-in serves Python 3.11 on Linux x86-64 only")
    root = shared / "conda"
    with FileLock(shared / "conda.lock"):
        if not (root / "bin/activate").exists():
            make_stand_in(root)
    path = f"{root}/bin{os.pathsep}{os.environ['PATH']}"
    return {"CONDA_CHANNEL_ALIAS": f"file://{root}/channels", "PATH": path}


def make_stand_in(root):
    venv.create(root / "venv", with_pip=True)
    python = root / "venv/bin/python"
    checked(python, "-m", "pip", "install", "--quiet", *BUILDERS)
    checked(
        *(python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
        *("--dest", root / "wheels", "pip"),
    )
    checked(python, HERE / "channel.py", root / "channels/conda-forge", *root.glob("wheels/pip-*"))
    (root / "bin").mkdir(exist_ok=True)
    shutil.copy(HERE / "conda.py", root / "bin/conda.py")
    (root / "bin/conda").write_text(f'#!/bin/sh\nexec {python} {root}/bin/conda.py "$@"\n')
    (root / "bin/conda").chmod(0o755)
    (root / "bin/activate").write_text('export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n')


def of_everything(checkout, *arguments, timeout=600):
    configs = (*SMALL, "everything.yaml")
    # What to make comes first: --sdm takes every word that follows.
    env = checkout.variables
    return checkout.run(*arguments, "--sdm", "conda", *configs, timeout=timeout, env=env)


@pytest.fixture(scope="session")
def created(tmp_path_factory, shared, tell):
    """A checkout whose environments were created, and the variables that it is run with."""
    variables = {} if shutil.which("conda") else stand_in(shared)
    tell(f"environments by {'the stand-in for conda' if variables else shutil.which('conda')}")
    checkout = Checkout(tmp_path_factory.mktemp("study"))
    # pip would take longer to compile torch four times than the study takes; its 0 means not to.
    checkout.variables = os.environ | variables | {"PIP_NO_COMPILE": "0"}
    (checkout.folder / "everything.yaml").write_text(yaml.safe_dump(EVERYTHING))
    status, output = of_everything(checkout, "--conda-create-envs-only", timeout=1800)
    assert status == 0, output
    yield checkout
    shutil.rmtree(checkout.folder / ".snakemake")


@pytest.fixture(scope="session")
def environments(created):
    """Prefix of each stage's environment."""
    status, output = of_everything(created, "--list-conda-envs")
    assert status == 0, output
    lines = re.findall(r"^envs/(\w+)\.yaml\s+(\S+)$", output, re.MULTILINE)
    found = {stage: created.folder / prefix for stage, prefix in lines}
    assert set(found) == set(MADE)
    return found


@pytest.mark.parametrize("stage", MADE)
def test_environment_holds_exactly_what_its_file_pins(environments, created, stage):
    python = environments[stage] / "bin/python"
    listing = checked(python, "-I", "-m", "pip", "list", "--format", "json", capture_output=True)
    found = {
        re.sub(r"[-_.]+", "-", package["name"]).lower(): package["version"].split("+")[0]
        for package in json.loads(listing.stdout)
    }
    env = yaml.safe_load((created.folder / f"envs/{stage}.yaml").read_text())
    pinned = dict(line.split(" ")[0].split("==") for line in env["dependencies"][-1]["pip"])
    assert pinned.items() <= found.items()
    # Beside these: what conda brings pip with, and the parts of torch's CUDA build.
    more = set(found) - set(pinned) - {"pip", "setuptools", "wheel", "packaging"}
    assert all(name.startswith(("nvidia-", "cuda-", "triton")) for name in more), more


@pytest.mark.parametrize("stage", MADE)
def test_environment_imports_what_its_scripts_need(environments, created, stage):
    files = {path for one, script in RUN if one == stage for path in files_of(stage, script)[1:]}
    modules = sorted(
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in files
    )
    assert modules
    # Isolated: neither this folder nor Snakemake's own packages can help.
    code = f"import sys; sys.path.append({str(created.folder)!r}); import {', '.join(modules)}"
    checked(environments[stage] / "bin/python", "-I", "-c", code, cwd="/")


def test_study_runs_in_them_and_equals_the_plain_run(created, environments, undisturbed):
    status, output = created.small("--sdm", "conda", env=created.variables)
    assert status == 0, output
    stages = {script: stage for stage, script in RUN if stage != "jax"}
    logs = created.results("logs/**/*.log")
    assert len(logs) > 10
    for name, path in logs.items():
        rule = name.split("/")[1].removesuffix(".log")
        [interpreter] = re.findall(r"run by (\S+)", path.read_text())
        assert Path(interpreter).is_relative_to(environments[stages[rule]]), name

    assert created.digests() == undisturbed.digests()


def test_jax_trains_and_is_compared_in_its_own_environment(created, environments):
    made = ("backends/backends.tsv", "factorization/mf-jax/k~4_reg~0.2/metrics.tsv")
    status, output = of_everything(created, *(f"results/tiny/{name}" for name in made))
    assert status == 0, output
    for log in ("compare_backends.log", "train_factorization/mf-jax/k~4_reg~0.2.log"):
        [interpreter] = re.findall(
            r"run by (\S+)", (created.folder / "results/tiny/logs" / log).read_text()
        )
        assert Path(interpreter).is_relative_to(environments["jax"]), log
    backends = read_table(created.folder / "results/tiny" / made[0], "backends")
    assert backends["backend"].to_list() == ["torch", "jax"]
