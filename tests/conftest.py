"""What tests share: where real data lies, and how the workflow is run."""

import os
from collections import Counter
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.checkout import BRIEF, FAULT_SEED, Checkout

# Copies of the workflow share what numba compiled with the package itself (tests/checkout.py): in
# its __pycache__, where numba keeps it unless told otherwise.
os.environ.setdefault("NUMBA_CACHE_DIR", "")
# Two workers' studies share the processors: threads that wait must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The same examples in every run; `--hypothesis-profile default` looks for others.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent
SNAKEMAKE = ("cluster", "environments", "workflow", "faults")
TOLD = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests that share a fixture of their file or folder share a worker, which makes it once.

    In the order of `begun`, all workers end at nearly the same time.
    """
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        fixtures = [definitions[-1] for definitions in item._fixtureinfo.name2fixturedefs.values()]
        shared = {one.baseid for one in fixtures if one.scope in ("module", "session")}
        if places := shared - {"", "tests"}:
            item.add_marker(pytest.mark.xdist_group(min(places, key=len)))
    items.sort(key=begun)


def begun(item):
    """What a test is sorted by: those that run Snakemake come first, single short ones last.

    Slurm's tests mostly wait; those of faults need the study that these and conda's make.
    """
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    place = SNAKEMAKE.index(folder) if folder in SNAKEMAKE else len(SNAKEMAKE)
    return place, *(not item.get_closest_marker(name) for name in ("slow", "xdist_group"))


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
def faults(tell):
    """How many faults of each kind a worker's tests survived; printed at the end."""
    survived = Counter()
    yield survived
    told = "\n".join(f"  {count:4d}  {kind}" for kind, count in sorted(survived.items()))
    tell(f"faults survived (seed {FAULT_SEED}):\n{told}")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real ratings; a test that needs it is skipped, saying so, where there is none."""
    folder = os.environ.get("CFMF_REAL_DATA")
    if not folder:
        pytest.skip("CFMF_REAL_DATA names no folder of real ratings")
    return Path(folder)


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder for what is made once for all workers, under a lock."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def undisturbed(shared) -> Checkout:
    """A checkout with the results of the small study, run without a disturbance; to look at only.

    Its home and its folder for temporary files were empty folders, `home` and `temporary`.
    """
    with FileLock(shared / "undisturbed.lock"):
        checkout = Checkout(shared / "undisturbed/checkout")
        checkout.home, checkout.temporary = places = [
            shared / "undisturbed" / name for name in ("home", "temporary")
        ]
        for place in places:
            place.mkdir(exist_ok=True)
        own = dict(zip(("HOME", "TMPDIR"), map(str, places), strict=True))
        # What keeps caches elsewhere on this machine must not hide what the study writes.
        hidden = ("NUMBA_CACHE_DIR", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        if "report.html" not in checkout.results():
            status, output = checkout.small("--resources", "gpu=0", env=kept | own)
            assert status == 0, output
    return checkout


@pytest.fixture(scope="session")
def elsewhere(shared) -> Path:
    """A folder where the brief study was run with `--directory`; to look at only.

    The checkout is beside it, in `the checkout`; its own folder is only read.
    """
    with FileLock(shared / "elsewhere.lock"):
        checkout = Checkout(shared / "elsewhere/the checkout")
        folder = shared / "elsewhere/folder"
        if not (folder / "results/tiny/report.html").exists():
            folder.mkdir(exist_ok=True)
            where = ("--directory", str(folder))
            status, output = checkout.run(*where, "--resources", "gpu=0", *BRIEF)
            assert status == 0, output
    return folder


def pytest_make_parametrize_id(val):
    """Long content has no place in a test's name, and archives contain the time of their making.

    Names that differ between two processes of pytest-xdist would stop the whole run.
    """
    long = isinstance(val, str) and len(val) > 60
    return "content" if long or isinstance(val, bytes) else None
