"""What tests share: where real data lies, and how the workflow is run."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.checkout import Checkout

# Copies of the workflow take what numba compiled from the package's own __pycache__, where numba
# keeps it unless told otherwise; each would compile everything anew in a folder of its own.
os.environ.setdefault("NUMBA_CACHE_DIR", "")
# Two workers' studies share the processors: threads that wait must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The same examples in every run; `--hypothesis-profile default` looks for others.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent
TOLD = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests that share a fixture of their file or folder share a worker, which makes it once."""
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        fixtures = [definitions[-1] for definitions in item._fixtureinfo.name2fixturedefs.values()]
        shared = {one.baseid for one in fixtures if one.scope in ("module", "session")}
        if places := shared - {"", "tests"}:
            item.add_marker(pytest.mark.xdist_group(min(places, key=len)))


@pytest.fixture(scope="session")
def tell(request):
    """Takes lines that are printed after all tests, whichever worker told them."""
    return request.config.stash.setdefault(TOLD, []).append


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["told"] = session.config.stash.get(TOLD, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    told = getattr(node, "workeroutput", {}).get("told", [])
    node.config.stash.setdefault(TOLD, []).extend(told)


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(TOLD, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real ratings; a test that needs it is skipped, saying so, where there is none."""
    folder = os.environ.get("CFMF_REAL_DATA")
    if not folder:
        pytest.skip("CFMF_REAL_DATA names no folder of real ratings")
    return Path(folder)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Checkout:
    """A checkout with the results of the small study, run without a disturbance; to look at only.

    Its home and its folder for temporary files were empty folders, `home` and `temporary`.
    """
    checkout = Checkout(tmp_path_factory.mktemp("undisturbed"))
    checkout.home, checkout.temporary = (tmp_path_factory.mktemp(name) for name in ("home", "tmp"))
    own = {"HOME": str(checkout.home), "TMPDIR": str(checkout.temporary)}
    # What keeps caches elsewhere on this machine must not hide what the study writes.
    hidden = ("NUMBA_CACHE_DIR", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    status, output = checkout.small("--resources", "gpu=0", env=kept | own)
    assert status == 0, output
    return checkout


def pytest_make_parametrize_id(val):
    """Long content has no place in a test's name, and archives contain the time of their making.

    Names that differ between two processes of pytest-xdist would stop the whole run.
    """
    long = isinstance(val, str) and len(val) > 60
    return "content" if long or isinstance(val, bytes) else None
