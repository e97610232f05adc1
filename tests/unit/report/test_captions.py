"""Captions of Snakemake's report render, with the wildcards that their rules have."""

import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

RULES = Path(__file__).parents[3] / "rules"
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
    assert ("ml-100k" in text) != path.stem.startswith("across_")
    assert "{{" not in text
    if path.stem == "trials":
        assert ("user-knn" in text) == ("method" in names)
        assert ("fold\nu1" in text) == ("fold" in names)


def test_every_caption_that_a_rule_names_is_there_and_the_other_way_round():
    named = set()
    for path in RULES.glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"captions/(\w+)\.rst", text))
        for place in re.findall(r"table\(\s*(result\([^)]*\))", text):
            kind = re.search(r'(?:table=|result\()"(\w+)"\)', place)
            named.add(kind[1])
        named |= {
            f"across_{Path(place).stem}"
            for place in re.findall(r'table_across\(\s*"([^"]+)"', text)
        }
        named |= set(re.findall(r'caption="(\w+)"', text))
    assert named >= {"slices", "backends", "generators", "factors", "similar_titles"}
    assert {path.stem for path in REPORT.glob("captions/*.rst")} == named


def test_description_of_the_workflow_names_what_is_studied():
    config = {"study": {"datasets": ["ml-100k"], "methods": ["user-knn", "mf"]}}
    template = jinja2.Template((REPORT / "workflow.rst").read_text(encoding="utf-8"))
    text = template.render(snakemake=SimpleNamespace(config=config))
    assert "ml-100k" in text
    assert "user-knn, mf" in text
