"""Each stage's environment holds what its scripts and the package files they use import."""

import ast
import importlib.metadata
import re
import subprocess
import sys

import pytest
import yaml

from cfmf.extras import EXTRAS
from cfmf.imports import ROOT, imported_files
from cfmf.methods.registry import installed

RULE = re.compile(
    r'conda:\s+.*?"../envs/([^"]+)\.yaml".*?script:\s+"../scripts/(\w+)\.py"', re.DOTALL
)
SOURCE = yaml.safe_load((ROOT / "requirements/stages.yaml").read_text())
STAGES = {**SOURCE["stages"], **SOURCE["optional"]}
# What a stage needs without importing it.
UNIMPORTED = {
    "pyarrow": STAGES,  # pandas reads and writes Parquet by it
    "pip": ["data"],  # fetches the package that holds MovieLens 100K
    # of the methods that a search loads by name
    "llvmlite": ["search"],
    "threadpoolctl": ["search"],
    **{name: ["jax"] for name in ("jaxlib", "ml-dtypes", "opt-einsum")},  # JAX's own, by hand
    "py4j": ["spark"],  # Spark's own, by hand
}
PEERS = "peers"  # of the methods of other packages, which a config names as module:Class
UNIMPORTED |= {
    name.split("==")[0]: [PEERS, *UNIMPORTED.get(name.split("==")[0], [])]
    for name in STAGES[PEERS]
    if "==" in name and name.split("==")[0] not in EXTRAS[PEERS]
}
OWN = {name: method.environment for name, method in installed().items() if method.environment}
OWN["a method of another package"] = PEERS


def stages_of(written):
    """The name that a rule writes, or, where it asks `environment`, all that this may answer."""
    asked = re.match(r"{environment\('(\w+)'", written)
    return [asked[1], *sorted(set(OWN.values()))] if asked else [written]


def scripts():
    found = [
        (stage, script)
        for path in sorted((ROOT / "rules").glob("*.smk"))
        for rule in re.split(r"^(?:rule|checkpoint) ", path.read_text(), flags=re.MULTILINE)
        for written, script in RULE.findall(rule)
        for stage in stages_of(written)
    ]
    assert {script for _, script in found} == {path.stem for path in ROOT.glob("scripts/*.py")}
    return found


def third_party(paths, nodes=ast.walk):
    """Modules that the files import and that neither Python nor this project has."""
    names = set()
    for path in paths:
        for node in nodes(ast.parse((ROOT / path).read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"cfmf"}


def distributions(modules):
    """What brings the modules, by its name in the package index."""
    providers = {"surprise": ["scikit-surprise"], **importlib.metadata.packages_distributions()}
    return {providers.get(name, [name])[0].lower() for name in modules}


def files_of(stage, script):
    """A script and the package files that it, or a method that it runs in this stage, imports."""
    starts = [f"scripts/{script}.py"]
    families = ["neighbours", "factorization"] if stage == "evaluation" else [stage]
    if stage not in ("evaluation", "neighbours"):
        families = ["factorization"]
    if stage in (*families, *OWN.values(), "evaluation"):
        starts += [
            found.__module__
            for method, found in installed().items()
            if ("factorization" if found.job_per_point else "neighbours") in families
            and OWN.get(method, stage) == stage
        ]
    if stage == PEERS:
        starts += [f"cfmf.peers.{path.stem}" for path in (ROOT / "cfmf/peers").glob("[a-z]*.py")]
    return [starts[0], *imported_files(*starts)]


def test_no_rule_builds_a_shell_command():
    # A name from a config or a title could end up in one.
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        assert not re.search(r"^\s*(shell|run)\s*:", path.read_text(), re.MULTILINE), path


@pytest.mark.parametrize(("stage", "script"), scripts())
def test_environment_is_complete(stage, script):
    files = files_of(stage, script)
    needed = distributions(third_party(files))
    listed = {name.split("==")[0].lower() for name in STAGES[stage]}
    # Functions that import these are reached in their own environments; their files must load here.
    needed -= {"jax", "pyspark"} - listed - third_party(files, ast.iter_child_nodes)
    assert needed <= listed


@pytest.mark.parametrize("stage", STAGES)
def test_environment_is_minimal(stage):
    files = {path for one, script in scripts() if one == stage for path in files_of(stage, script)}
    listed = {name.split("==")[0].lower() for name in STAGES[stage]}
    unused = listed - distributions(third_party(files))
    assert {name for name in unused if stage not in UNIMPORTED.get(name, [])} == set()


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("requirements/*.txt"), ROOT / "benchmarks/requirements-peers.txt"],
    ids=lambda path: path.stem,
)
def test_every_version_is_pinned(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith(("#", "-r "))]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_tools_beside_the_locks_are_pinned():
    lines = (ROOT / "Makefile").read_text().replace("\\\n", "")
    installed = re.findall(r"-m pip install --quiet (.*)", lines)
    tools = re.findall(r"^\w+ := ([\w-]+==[\d.]+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {tool.split("==")[0] for tool in tools} == {"uv", "pip-audit"}
    assert all("--requirement" in line or line in ("$(UV)", "$(AUDIT)") for line in installed)


def test_locks_follow_their_source():
    done = subprocess.run(
        [sys.executable, ROOT / "requirements/lock.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted(ROOT.glob("envs/*.yaml")), ids=lambda path: path.stem)
def test_wheels_are_hashed_where_one_hash_can_hold(path):
    lines = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]
    torch = any(line.startswith("torch==") for line in lines)
    assert all(("--hash=sha256:" in line) != torch for line in lines)
