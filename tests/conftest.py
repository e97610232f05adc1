"""What tests share: where real data lies, and how the workflow is run."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real ratings; a test that needs it is skipped, saying so, where there is none."""
    folder = os.environ.get("CFMF_REAL_DATA")
    if not folder:
        pytest.skip("CFMF_REAL_DATA names no folder of real ratings")
    return Path(folder)
