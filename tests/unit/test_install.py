"""cfmf built as a source distribution and a wheel, and installed where there is nothing else.

Everything comes from the package index, so this is skipped where that cannot be reached.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
import venv
import zipfile
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfmf.extras import EXTRAS

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
BUILT_FROM = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "cfmf", "report")


def done(command, **options):
    """What a command prints; its messages where it fails."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the source distribution of the checkout, and the wheel that it gives."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    source.mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=leave)
        else:
            shutil.copy(ROOT / name, source)
    make = "from setuptools import build_meta; print(build_meta.build_sdist({!r}))"
    done([sys.executable, "-c", make.format(str(folder))], cwd=source)
    [packed] = folder.glob("cfmf-*.tar.gz")
    shutil.rmtree(source)
    wheel = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done([sys.executable, *wheel, "--wheel-dir", folder, packed])
    return folder


@pytest.fixture(scope="module")
def light(built, tmp_path_factory, tell):
    """Python of an environment in which just the wheel was installed, with the core."""
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    [wheel] = built.glob("cfmf-*.whl")
    [packed] = built.glob("cfmf-*.tar.gz")
    begun = time.monotonic()
    ended = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", wheel],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PIP_NO_COMPILE": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    if "Failed to establish a new connection" in ended.stderr:
        pytest.skip("the package index cannot be reached")
    assert ended.returncode == 0, ended.stderr
    seconds = time.monotonic() - begun
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    tell(
        f"light install: wheel {wheel.stat().st_size / 1e6:.2f} MB, source distribution"
        f" {packed.stat().st_size / 1e6:.2f} MB, environment {held / 1e6:.0f} MB in {seconds:.0f} s"
    )
    return python


def ran(python, code, folder):
    """What some code prints in the environment, away from the checkout."""
    return done([python, "-I", "-c", textwrap.dedent(code)], cwd=folder)


def test_the_wheel_has_every_module_and_text(built):
    [wheel] = built.glob("cfmf-*.whl")
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if ".dist-info/" not in name}
    texts = [
        path for name in ("strings", "templates") for path in (ROOT / "report" / name).iterdir()
    ]
    wanted = {str(path.relative_to(ROOT)) for path in ROOT.glob("cfmf/**/*.py")}
    wanted |= {f"cfmf/report/assets/{path.relative_to(ROOT / 'report')}" for path in texts}
    assert wanted - packed == set()
    assert {name.split("/")[0] for name in packed} == {"cfmf"}


def test_the_core_brings_nothing_of_an_extra(light):
    listed = json.loads(done([light, "-m", "pip", "list", "--format", "json"]))
    names = {one["name"].lower().replace("-", "_") for one in listed}
    assert "cfmf" in names
    assert names & {*chain(*EXTRAS.values()), "pyyaml"} == set()


def test_the_command_imports_within_a_second(light, tmp_path, tell):
    """On an idle core. Here cores may be shared, so it is compared with pandas, a third of it."""
    code = "import time, {}; print(time.process_time())"
    pandas, seconds = (
        min(float(ran(light, code.format(module), tmp_path)) for _ in range(4))
        for module in ("pandas", "cfmf.cli")
    )
    tell(
        f"light install: the command is imported in {seconds:.2f} s of one core, of which pandas"
        f" takes {pandas:.2f} s"
    )
    assert seconds < 3 * pandas
    loaded = ran(light, "import cfmf.cli, sys; print(*sys.modules)", tmp_path).split()
    assert not {"numba", "scipy.stats", "scipy.optimize"} & set(loaded)


def test_the_command_recommends_from_a_table_and_from_a_model(light, tmp_path):
    drawn = np.random.default_rng(1)
    users, items = np.nonzero(drawn.random((60, 40)) < 0.4)
    ratings = drawn.integers(1, 6, len(users))
    table = pd.DataFrame({"user": users, "item": items, "rating": ratings})
    table.to_csv(tmp_path / "ratings.csv", index=False)
    command = light.with_name("cfmf")
    done([command, "recommend", "ratings.csv", "--users", "7", "-o", "direct.csv"], cwd=tmp_path)
    done([command, "fit", "ratings.csv", "-o", "model.cfmf"], cwd=tmp_path)
    (tmp_path / "ratings.csv").unlink()
    done([command, "recommend", "model.cfmf", "--users", "7", "-o", "kept.csv"], cwd=tmp_path)
    direct, kept = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("direct", "kept"))
    assert len(direct) == 10
    assert not set(direct["item"]) & set(items[users == 7])
    pd.testing.assert_frame_equal(direct, kept, rtol=1e-6)


def test_what_needs_an_extra_names_it(light, tmp_path):
    code = """
        import numpy as np
        from scipy import sparse
        from cfmf.methods.registry import method
        try:
            method("autorec")().fit(sparse.csr_array(np.ones((9, 9), np.float32)))
        except ImportError as error:
            print(error)
    """
    assert "pip install 'cfmf[torch]'" in ran(light, code, tmp_path)
