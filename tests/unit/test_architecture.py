"""The package keeps its order: imports go one way, functions are short, names mean one thing."""

import ast
import re
import subprocess
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from cfmf.imports import ROOT
from cfmf.methods import registry

# From the bottom to the top: a module may import from its own layer and from those before it.
LAYERS = [
    ["files", "observed", "progress", "tables", "imports", "addresses", "deadline", "devices",
     "extras", "models", "side", "tasks", "terminal", "threads"],
    ["kernels"],
    ["data"],
    ["neighbours", "factorization"],
    ["methods"],
    ["peers"],
    ["lattice", "selection", "metrics", "convergence", "training", "tuning", "prediction"],
    ["evaluation", "hyperband", "adaptive_search", "saved", "inputs", "tuned"],
    ["statistics"],
    ["verdict"],
    ["published"],
    ["report"],
    ["published.reporting"],
    ["workflow"],
    ["testing", "api", "cli", "__main__", "course", "submission"],
]  # fmt: skip
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
LINES, PARAMETERS, SCRIPT_LINES, COMMON_LINES = 50, 7, 74, 199

# One meaning in two places: an algorithm and its method, what a job does about a device and what
# there is, and so on.
SHARED_NAMES = {
    "devices",
    "als",
    "gibbs",
    "kernels",
    "knn",
    "methods",
    "extension",
    "similarity",
}


@cache
def modules():
    """Every module of the package by its dotted name, with its syntax tree."""
    found = {}
    for path in sorted((ROOT / "cfmf").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_bytes())
    return found


@cache
def imports():
    """For each module, the modules that it imports, those inside functions too."""
    known = modules()
    found = defaultdict(set)
    for name, tree in known.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{name} imports relatively"
                below = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [one for one in below if one in known] or [node.module]
            else:
                continue
            found[name] |= {one for one in names if one in known} - {name}
    return dict(found)


def layer(module):
    """The longest part of a module's name that LAYERS has, without the package's own."""
    parts = module.split(".")[1:]
    tried = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return next((one for one in tried if one in RANK), parts[0] if parts else "")


def functions():
    """Every function outside kernels: its name after that of its module, and its node."""

    def below(node, name):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from below(child, f"{name}.{child.name}")
                if not isinstance(child, ast.ClassDef):
                    yield f"{name}.{child.name}", child
            else:
                yield from below(child, name)

    for module, tree in modules().items():
        if "kernels" not in module.split("."):
            yield from below(tree, module)


def test_every_module_has_a_layer():
    assert {layer(module) for module in modules()} - {"", *RANK} == set()


def test_imports_go_one_way():
    upward = {
        f"{module} -> {one}"
        for module, others in imports().items()
        for one in others
        if layer(one) and layer(module) and RANK[layer(one)] > RANK[layer(module)]
    }
    assert upward == set()


def test_no_modules_import_each_other():
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_only_rules_know_snakemake():
    for name, tree in modules().items():
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            assert not [one for one in names if one.split(".")[0] == "snakemake"], name


def test_functions_are_short():
    lines = {name: node.end_lineno - node.lineno + 1 for name, node in functions()}
    assert {name: n for name, n in lines.items() if n > LINES} == {}


def test_functions_have_few_parameters():
    found = {}
    for name, node in functions():
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        found[name] = len([one for one in given if one.arg not in ("self", "cls")])
    assert {name: n for name, n in found.items() if n > PARAMETERS} == {}


def test_only_methods_and_the_published_study_name_methods():
    """What is true of one method is declared in its class; others ask the class."""
    # Other tests of the process make more of them known.
    built_in = ("cfmf.methods.", "cfmf.published.")
    known = registry.methods().items()
    names = {name for name, found in known if found.__module__.startswith(built_in)}
    assert {"mf", "gibbs", "mf-published"} <= names
    quoted = {
        f"{module}: {node.value}"
        for module, tree in modules().items()
        if layer(module).split(".")[0] not in ("methods", "published")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    }
    assert quoted == set()


def test_a_base_name_means_one_thing():
    places = defaultdict(list)
    for module in modules():
        if "." in module:
            places[module.rpartition(".")[2]].append(module)
    allowed = SHARED_NAMES
    assert {name: at for name, at in places.items() if len(at) > 1 and name not in allowed} == {}


@pytest.mark.parametrize("path", sorted(ROOT.glob("scripts/*.py")), ids=lambda path: path.stem)
def test_script_is_thin_and_named_as_its_rule(path):
    assert len(path.read_text("utf-8").splitlines()) <= SCRIPT_LINES
    rules = "".join(one.read_text("utf-8") for one in ROOT.glob("rules/*.smk"))
    split = re.split(r"^(?:rule|checkpoint) ", rules, flags=re.MULTILINE)
    (rule,) = [one for one in split if one.startswith(f"{path.stem}:")]
    assert f'"../scripts/{path.name}"' in rule


def test_common_rules_are_few():
    lines = (ROOT / "rules/common.smk").read_text("utf-8").splitlines()
    assert len(lines) <= COMMON_LINES


def test_only_the_layout_spells_a_path_of_a_result():
    spelled = re.compile(r"""["']results["'/]""")
    files = [*ROOT.glob("cfmf/**/*.py"), *ROOT.glob("scripts/*.py")]
    files += [*ROOT.glob("rules/*.smk"), ROOT / "Snakefile"]
    found = {
        str(path.relative_to(ROOT)) for path in files if spelled.search(path.read_text("utf-8"))
    }
    assert found == {str(Path("cfmf/workflow/layout.py"))}


def test_every_folder_of_tests_is_run_by_continuous_integration():
    """By name, and none within another: pytest would take those within for named twice."""
    called = subprocess.run(
        ["make", "--dry-run", "test-everything"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [one for one in called.stdout.splitlines() if "-m pytest" in one]
    words = [word for word in line.split() if word.startswith("tests")]
    named = sorted(path for word in words for path in ROOT.glob(word) if path.is_dir())
    having = {path.parent for path in ROOT.glob("tests/**/test_*.py")}
    assert not [path for path in named if set(path.parents) & set(named)]
    assert all({folder, *folder.parents} & set(named) for folder in having)
    assert "test-everything" in (ROOT / ".ci/run").read_text("utf-8")
