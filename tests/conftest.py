"""What tests share: where real data lies, and how the workflow is run."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.checkout import Checkout

# Copies of the workflow take what numba compiled from the package's own __pycache__, where numba
# keeps it unless told otherwise; each would compile everything anew in a folder of its own.
os.environ.setdefault("NUMBA_CACHE_DIR", "")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real ratings; a test that needs it is skipped, saying so, where there is none."""
    folder = os.environ.get("CFMF_REAL_DATA")
    if not folder:
        pytest.skip("CFMF_REAL_DATA names no folder of real ratings")
    return Path(folder)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Checkout:
    """A checkout with the results of the tiny study, run without a disturbance; to look at only.

    Its home and its folder for temporary files were empty folders, `home` and `temporary`. Tests
    that run at once in several processes share it in the folder that CFMF_UNDISTURBED names: the
    first one makes it, the others wait.
    """
    shared = os.environ.get("CFMF_UNDISTURBED")
    folder = Path(shared) if shared else tmp_path_factory.mktemp("shared")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = (folder / "done").exists()
        places = [folder / name for name in ("undisturbed", "home", "tmp")]
        if not done:  # or what a run that failed has left
            for place in places:
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
        checkout = Checkout(places[0])
        checkout.home, checkout.temporary = places[1:]
        if not done:
            own = {"HOME": str(checkout.home), "TMPDIR": str(checkout.temporary)}
            kept = {name: at for name, at in os.environ.items() if name != "NUMBA_CACHE_DIR"}
            status, output = checkout.tiny("--resources", "gpu=0", env=kept | own)
            assert status == 0, output
            (folder / "done").touch()
    return checkout
