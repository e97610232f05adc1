"""A browser, and a report to open in it."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import chromium  # noqa: E402

from cfmf.published.reporting.extension import EXTENSION  # noqa: E402
from cfmf.report.extension import load_extended  # noqa: E402
from cfmf.report.render import render_pages  # noqa: E402
from cfmf.workflow.layout import Results  # noqa: E402


def generated():
    path = HERE.parent / "unit" / "report" / "generated_study.py"
    spec = importlib.util.spec_from_file_location("generated_study", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REAL = os.environ.get("CFMF_REPORT")
"""A folder results/<data set> of a finished study, whose report is tested instead."""


def loaded(folder):
    """The study to report: that of `REAL`, or one with generated numbers written to a folder."""
    if REAL:
        return load_extended(Results(Path(REAL).parent, Path(REAL).name), [EXTENSION])
    module = generated()
    module.write(folder / "results")
    return load_extended(Results(folder / "results", module.DATASET), [EXTENSION])


@pytest.fixture(scope="session")
def reports(tmp_path_factory):
    """Both renderings, in English and in Chinese first."""
    if chromium.executable() is None:
        pytest.skip(f"no Chromium on PATH (looked for {', '.join(chromium.NAMES)})")
    folder = tmp_path_factory.mktemp("reports")
    study = loaded(folder)
    made = {}
    for language, names in (("en", ("report", "static")), ("zh", ("chinese", "static-chinese"))):
        paths = [folder / f"{name}.html" for name in names]
        kinds = dict(zip(paths, ("embedded", "svg"), strict=True))
        render_pages(study, kinds, language, [EXTENSION])
        made |= dict(zip(names, paths, strict=True))
    return made
