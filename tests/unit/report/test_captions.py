"""Captions of Snakemake's report render, with the wildcards that their rules have."""

import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

RULES = Path(__file__).parents[3] / "rules"
REPORT = Path(__file__).parents[3] / "report"


@pytest.mark.parametrize("path", sorted(REPORT.glob("captions/*.rst")), ids=lambda path: path.stem)
def test_caption_names_its_data_set(path):
    template = jinja2.Template(path.read_text(encoding="utf-8"))
    wildcards = SimpleNamespace(dataset="ml-100k")
    text = template.render(snakemake=SimpleNamespace(wildcards=wildcards))
    assert "ml-100k" in text
    assert "{{" not in text


def test_every_caption_that_a_rule_names_is_there_and_the_other_way_round():
    texts = [path.read_text(encoding="utf-8") for path in RULES.glob("*.smk")]
    named = {name for text in texts for name in re.findall(r"captions/(\w+)\.rst", text)}
    assert {path.stem for path in REPORT.glob("captions/*.rst")} == named


def test_description_of_the_workflow_names_what_is_studied():
    config = {"study": {"datasets": ["ml-100k"], "methods": ["user-knn", "mf"]}}
    template = jinja2.Template((REPORT / "workflow.rst").read_text(encoding="utf-8"))
    text = template.render(snakemake=SimpleNamespace(config=config))
    assert "ml-100k" in text
    assert "user-knn, mf" in text
