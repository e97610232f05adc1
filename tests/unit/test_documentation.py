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
