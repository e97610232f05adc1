"""Every benchmark starts: what it takes from the package is still there."""

import subprocess
import sys

import pytest

from cfmf.imports import ROOT

SCRIPTS = [
    path for path in sorted(ROOT.glob("benchmarks/*.py")) if "__main__" in path.read_text("utf-8")
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_benchmark_tells_its_options(path):
    command = [sys.executable, path, "--help"]
    if path.stem == "check_gpu":
        command[1:2] = ["-m", "benchmarks.check_gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
