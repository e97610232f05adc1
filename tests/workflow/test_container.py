"""The Containerfile, and jobs that run in its image.

No image is built here: that needs a registry for its base. What the file does is done step by step
instead, without the installation, which `make study` does on every fresh clone; and jobs are given
to a stand-in for Apptainer that runs them on this machine.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import PARTS, SMALL

ROOT = Path(__file__).resolve().parents[2]
FORMS = {"ARG", "FROM", "WORKDIR", "RUN", "COPY", "ENV", "ENTRYPOINT", "CMD"}
STAND_IN = """#!/bin/bash
[ "$1" = --version ] && echo "apptainer version 1.3.0" && exit
echo "$@" >> {log}
while [ "$1" != bash ]; do
  [ "$1" = --bind ] && PYTHONPATH="$PYTHONPATH:${{2%%:*}}"
  shift
done
export PYTHONPATH PATH="{bin}:$PATH"
exec "$@"
"""


def steps():
    """The instructions of the Containerfile: a word and the rest."""
    text = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
    return [tuple(re.split(r"\s+", line, maxsplit=1)) for line in lines]


def copy_step(rest, folder):
    *sources, target = rest.split()
    for name in sources:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / target, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / target)


def test_instructions_are_known_and_the_base_is_given_first():
    words = [word for word, _ in steps()]
    assert set(words) <= FORMS
    assert words[:2] == ["ARG", "FROM"]
    assert words[-2:] == ["ENTRYPOINT", "CMD"]


def test_nothing_copied_is_ignored():
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = [name for word, rest in steps() if word == "COPY" for name in rest.split()[:-1]]
    assert set(PARTS) <= set(copied)
    assert [name for name in copied for one in ignored if fnmatch.fnmatch(name, one)] == []


def test_the_steps_suffice_to_install_and_to_plan_the_study(tmp_path):
    ran = []
    for word, rest in steps():
        if word == "COPY":
            copy_step(rest, tmp_path)
        elif word == "RUN" and rest.startswith("make "):
            env = os.environ | {"TORCH": "cpu", "MAKEFLAGS": "-n"}
            done = subprocess.run(
                ["sh", "-euc", rest],
                cwd=tmp_path,
                env=env,
                capture_output=True,
                text=True,
                check=True,
            )
            assert "--torch-backend cpu" in done.stdout
            assert "--requirement requirements/study.txt" in done.stdout
            ran.append(rest)
    assert len(ran) == 1
    planned = subprocess.run(
        [Path(sys.executable).with_name("snakemake"), "--cores", "1", "-n", "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert planned.returncode == 0, planned.stderr


@pytest.mark.slow
def test_jobs_run_in_the_image_that_the_config_names(checkout, tmp_path):
    log, binaries = tmp_path / "calls", tmp_path / "bin"
    binaries.mkdir()
    command = binaries / "apptainer"
    command.write_text(STAND_IN.format(log=log, bin=Path(sys.executable).parent))
    command.chmod(0o755)
    image = checkout.folder / "cfmf.sif"
    image.touch()
    status, output = checkout.run(
        *(
            "--sdm",
            "apptainer",
            "--config",
            f"container={image}",
            "--until",
            "parse_ratings",
            *SMALL,
        ),
        env=os.environ | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
    )
    assert status == 0, output
    calls = log.read_text().splitlines()
    assert len(calls) >= 2
    assert all(f" {image} bash -c " in call for call in calls)
