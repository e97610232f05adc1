"""The jobs of the hosted CI run others' actions at one commit, and leave them no credentials."""

import re

import pytest
import yaml

from cfmf.imports import ROOT

FILES = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
STEPS = [
    pytest.param(step, id=f"{path.stem}-{name}-{number}")
    for path in FILES
    for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    for number, step in enumerate(job["steps"])
    if "uses" in step
]


@pytest.mark.parametrize("step", STEPS)
def test_action_is_pinned_by_commit(step):
    """A tag can be moved to other code; a commit cannot."""
    assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
    if step["uses"].startswith("actions/checkout@"):
        assert step["with"]["persist-credentials"] is False


def test_version_stands_beside_each_commit():
    for path in FILES:
        lines = [line for line in path.read_text().splitlines() if "uses:" in line]
        assert all(re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line) for line in lines)
