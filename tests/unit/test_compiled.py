"""The cache of compiled kernels is done without where it is damaged, full or not to be had."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial

import pytest

from cfmf.imports import ROOT

KERNEL = """
from cfmf.kernels.compiled import compiled

@compiled(nogil=True)
def inner(x):
    return x * 2

@compiled(nogil=True)
def outer(x):
    return inner(x) + 1
"""
ASK = """
import json, logging
logging.basicConfig()
import kernel
found = [kernel.outer(20), kernel.outer(2.5)]
print(json.dumps([found, sum(kernel.outer.stats.cache_hits.values())]))
"""
RIGHT = [41, 6.0]


def run(folder, kept, before="", **variables):
    """Call the kernel with a whole and another number in a process: results, hits, stderr."""
    paths = {"PYTHONPATH": f"{ROOT}:{folder}", "NUMBA_CACHE_DIR": str(kept)}
    done = subprocess.run(
        [sys.executable, "-c", before + ASK],
        env={**os.environ, **paths, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return *json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "kernel.py").write_text(KERNEL)
    assert run(folder, folder / "kept") == (RIGHT, 0, "")
    assert run(folder, folder / "kept") == (RIGHT, 2, "")
    return folder


@pytest.fixture
def ask(compiled_once, tmp_path):
    """`run` with a cache, in `tmp_path / "kept"`, that a process before it has filled."""
    shutil.copytree(compiled_once / "kept", tmp_path / "kept")
    return partial(run, compiled_once, tmp_path / "kept")


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a bit flipped": flipped,
    "other": lambda content: b"\x80\x05not a pickle",
    "two ends": lambda content: content + content,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_damaged_entry_is_compiled_anew_and_named(ask, tmp_path, kind, damage):
    files = list((tmp_path / "kept").rglob(f"*outer*.{kind}"))
    assert files
    for file in files:
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    found, hits, told = ask()
    assert found == RIGHT
    if (kind, damage) == ("nbi", "two ends"):
        assert hits == 2  # what was added is not read
    elif (kind, damage) == ("nbi", "a bit flipped"):
        assert hits < 2  # it may be whole, but of other sources or of another call
    else:
        assert hits == 0
        assert "outer" in told
    assert ask() == (RIGHT, 2, "")


def test_exchanged_code_is_not_run(ask, tmp_path):
    """Code for whole numbers in the place of that for others passes its own checksum."""
    one, other = sorted((tmp_path / "kept").rglob("*outer*.nbc"))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    found, hits, told = ask()
    assert found == RIGHT
    assert hits == 0
    assert "code of another call" in told


FULL = """
import os
def full(*_):
    raise OSError(28, "No space left on device")
os.replace = full
"""


def test_full_disk_is_done_without(ask, tmp_path):
    shutil.rmtree(tmp_path / "kept")
    found, hits, told = ask(FULL)
    assert (found, hits) == (RIGHT, 0)
    assert "No space left on device" in told


NOWHERE = """
from numba.core import caching
caching.FunctionCache._impl_class._locator_classes = []
"""


def test_no_folder_for_a_cache_is_done_without(ask):
    found, hits, told = ask(NOWHERE)
    assert (found, hits) == (RIGHT, 0)
    assert "outer is compiled in every process" in told


def test_other_code_of_a_kernel_that_is_called_makes_the_entry_stale(ask):
    """numba looks at the file of the calling kernel only."""
    edit = "from cfmf.kernels import compiled\ncompiled.sources = lambda: 'edited'\n"
    assert ask(edit)[1] == 0
    assert ask(edit)[1] == 2
