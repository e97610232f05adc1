"""Each stage's environment holds what its scripts and the package files they use import."""

import ast
import importlib.metadata
import re
import subprocess
import sys

import pytest
import yaml

from cfmf.config import FAMILIES, module_of, registry
from cfmf.imports import ROOT, imported_files

RULE = re.compile(r'conda:\s+"../envs/(\w+)\.yaml".*?script:\s+"../scripts/(\w+)\.py"', re.DOTALL)
STAGES = yaml.safe_load((ROOT / "requirements/stages.yaml").read_text())["stages"]
# Imports that are tried and may fail: optional, or present under some systems only.
OPTIONAL = {"jax", "jaxlib"}


def scripts():
    found = [
        (stage, script)
        for path in sorted((ROOT / "rules").glob("*.smk"))
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)
        for stage, script in RULE.findall(rule)
    ]
    assert {script for _, script in found} == {path.stem for path in ROOT.glob("scripts/*.py")}
    return found


def third_party(paths):
    """Distributions that the files import."""
    providers = importlib.metadata.packages_distributions()
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse((ROOT / path).read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    names -= set(sys.stdlib_module_names) | {"cfmf"} | OPTIONAL
    return {providers.get(name, [name])[0].lower() for name in names}


@pytest.mark.parametrize(("stage", "script"), scripts())
def test_environment_is_complete(stage, script):
    starts = [f"scripts/{script}.py"]
    if stage in ("neighbours", "factorization", "evaluation"):
        fitted = FAMILIES if stage == "evaluation" else (stage,)
        starts += [module_of(method) for method, family in registry().items() if family in fitted]
    needed = third_party([starts[0], *imported_files(*starts)])
    assert needed <= {name.lower() for name in STAGES[stage]}


def test_locks_follow_their_source():
    done = subprocess.run(
        [sys.executable, ROOT / "requirements/lock.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
