"""One generated study, read once for all tests of the report."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import generated_study
from reading import Reader, read

from cfmf.published.reporting.extension import EXTENSION
from cfmf.report.context import Study
from cfmf.report.extension import load_extended
from cfmf.report.render import render_pages
from cfmf.workflow.layout import Results


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    generated_study.write(folder)
    return folder


@pytest.fixture(scope="session")
def study(results: Path) -> Study:
    return load_extended(Results(results, generated_study.DATASET), [EXTENSION])


@pytest.fixture(scope="session")
def pages(study: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for language, kinds in {"en": ["embedded", "svg"], "zh": ["embedded"]}.items():
        paths = {folder / f"{language}-{kind}.html": kind for kind in kinds}
        render_pages(study, paths, language, [EXTENSION])
        for path, kind in paths.items():
            made[language, kind] = path.read_text(encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def page(pages: dict[tuple[str, str], str]) -> Reader:
    return read(pages["en", "embedded"])
