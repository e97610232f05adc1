"""Captions of Snakemake's report render, with the wildcards that their rules have."""

from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

REPORT = Path(__file__).parents[3] / "report"
WILDCARDS = {"dataset": "ml-100k", "method": "user-knn", "fold": "u1"}


@pytest.mark.parametrize("path", sorted(REPORT.glob("captions/*.rst")), ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "names", [["dataset"], ["dataset", "method"], ["dataset", "method", "fold"]]
)
def test_caption_names_its_data_set(path, names):
    wildcards = SimpleNamespace(**{name: WILDCARDS[name] for name in names})
    template = jinja2.Template(path.read_text(encoding="utf-8"))
    text = template.render(snakemake=SimpleNamespace(wildcards=wildcards))
    assert "ml-100k" in text
    assert "{{" not in text
    if path.stem == "trials":
        assert ("user-knn" in text) == ("method" in names)
        assert ("fold\nu1" in text) == ("fold" in names)


def test_description_of_the_workflow_names_what_is_studied():
    config = {"study": {"datasets": ["ml-100k"], "methods": ["user-knn", "mf"]}}
    template = jinja2.Template((REPORT / "workflow.rst").read_text(encoding="utf-8"))
    text = template.render(snakemake=SimpleNamespace(config=config))
    assert "ml-100k" in text
    assert "user-knn, mf" in text
