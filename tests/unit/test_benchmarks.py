"""Every benchmark starts: what it takes from the package is still there."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks import common, factorization
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


def test_factorization_benchmark_measures_what_is_ours(tmp_path, monkeypatch):
    def in_this_process(script, python, folder, system, options, threads):
        curve = factorization.SYSTEMS[system](*common.stored(folder), options)
        return {"curve": curve, "peak_mb": common.peak_megabytes()}

    monkeypatch.setattr(factorization, "apart", in_this_process)
    for name, settings in factorization.SETTINGS["ml-1m"].items():
        if name.startswith("cfmf"):
            monkeypatch.setitem(settings, "max_epochs", 3)
    folder = common.store(tmp_path / "ml-1m", factorization.draw(300, 200, 6000, 600))
    bench = factorization.Bench(1, peers=None)
    for compare, _ in factorization.PARTS.values():
        compare(bench, folder)
    measured = {row[1] for row in bench.rows}
    assert measured == {name for name in factorization.SYSTEMS if "cfmf" in name} | {
        "dense masked step"
    }
    assert all(np.isfinite(row[5]) for row in bench.rows)
    epochs = [row[5] for row in bench.rows if row[0] == "epoch"]
    assert epochs[0] == pytest.approx(epochs[1], rel=1e-4)
