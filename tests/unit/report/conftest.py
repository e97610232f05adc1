"""One generated study, read once for all tests of the report."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import generated_study

from cfmf.report.context import Study, load
from cfmf.workflow.layout import Results


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    generated_study.write(folder)
    return folder


@pytest.fixture(scope="session")
def study(results: Path) -> Study:
    return load(Results(results, generated_study.DATASET))
