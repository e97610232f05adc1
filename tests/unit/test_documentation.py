"""The documentation tells of every method and every package; the rest of it is generated."""

import re
from pathlib import Path

import pytest

from cfmf.methods.registry import installed

DOCS = Path(__file__).resolve().parents[2] / "docs"


def headings(page):
    return re.findall(r"^## (.+)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_method_has_its_equation():
    assert set(installed()) <= set(headings("explanation/methods.md"))


@pytest.mark.parametrize(
    "package", [path.parent.name for path in DOCS.parent.glob("cfmf/*/__init__.py")]
)
def test_every_package_has_its_page(package):
    page = DOCS / f"reference/api/{package}.md"
    assert f"modules cfmf.{package}\n" in page.read_text(encoding="utf-8")
    assert f"\n{package}\n" in (DOCS / "reference/api/index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["judge-my-method.md", "ship-the-winner.md"])
def test_the_answers_have_the_numbers_that_the_commands_print(page):
    """What the commands print is compared with the page by `tests/workflow`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    printed = "".join(re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    known = [float(one) for one in re.findall(r"\d+\.\d+", printed)]
    told = re.findall(r"\d+\.\d{2,}", text.partition("## Answers")[2])
    assert told
    for one in told:
        reach = 0.51 * 10.0 ** -len(one.partition(".")[2])
        assert any(abs(float(one) - number) <= reach for number in known), one
