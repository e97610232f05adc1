"""cfmf installs on its own: all its modules, texts and templates, and nothing of Snakemake."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
import venv
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cfmf.extras import EXTRAS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Python of an environment that holds cfmf from its wheel, and this one's other packages."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("cfmf", "report"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    built = subprocess.run(
        [*build, "--wheel-dir", folder, source], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    venv.create(folder / "venv", with_pip=False)
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    with zipfile.ZipFile(next(folder.glob("cfmf-*.whl"))) as wheel:
        wheel.extractall(site)
    (site / "others.pth").write_text(
        "".join(f"{path}\n" for path in sys.path if path.endswith("-packages"))
    )
    return folder / "venv/bin/python"


def run(python, code, folder):
    """What some code prints when run away from the checkout, where Snakemake cannot be imported."""
    blocked = "import sys; sys.modules['snakemake'] = None\n"
    done = subprocess.run(
        [python, "-I", "-c", blocked + textwrap.dedent(code)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_imports(installed, tmp_path):
    printed = run(
        installed,
        """
        import importlib, pkgutil, cfmf
        print(cfmf.__file__)
        for found in pkgutil.walk_packages(cfmf.__path__, "cfmf."):
            try:
                importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                if error.name != "jax":
                    raise
            print(found.name)
        """,
        tmp_path,
    ).split()
    assert Path(printed[0]).is_relative_to(installed.parents[1])
    files = {path for path in ROOT.glob("cfmf/**/*.py") if path.name != "__init__.py"}
    assert len(printed) > len(files)


def test_texts_and_templates_are_packed(installed, tmp_path):
    texts = "from cfmf.report.strings import CATALOGUES, Catalogue\n"
    printed = run(
        installed,
        texts
        + "from cfmf.report.render import TEMPLATES\n"
        + "from cfmf.published.printed import printed_numbers, quotes\n"
        + "assert printed_numbers() and quotes()\n"
        + "print(*(p.name for f in (CATALOGUES, TEMPLATES) for p in f.iterdir()))\n"
        + "print(Catalogue('en').language, Catalogue('zh').language)",
        tmp_path,
    ).split()
    wanted = {
        path.name
        for name in ("strings", "templates")
        for path in (ROOT / "report" / name).iterdir()
    }
    assert set(printed) == wanted | {"en", "zh"}


def test_notebook_needs_no_snakemake(installed, tmp_path):
    page = (ROOT / "docs/notebook.md").read_text(encoding="utf-8")
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(cells) > 5
    imports = [
        ast.unparse(node)
        for cell in cells
        for node in ast.parse(cell).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    printed = run(installed, "\n".join([*imports, "import sys; print(len(sys.modules))"]), tmp_path)
    assert int(printed) > 100


# What may need an extra: the rest of the package imports with the core alone.
MAY_NEED = {
    "torch": "factorization.autoencoder factorization.penalties factorization.torch_adamw"
    " kernels.dense kernels.products published",
    "jax": "factorization.jax_adamw",
    "statistics": "statistics verdict published report",
    "report": "report published workflow.config",
    "workflow": "workflow adaptive_search hyperband data.download data.sources published",
}
ABSENT = f"""
import sys

class Absent:
    def find_spec(name, path=None, target=None):
        if name in {[*chain(*EXTRAS.values())]}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent)
"""


def test_only_the_parts_of_an_extra_need_it(installed, tmp_path):
    printed = run(
        installed,
        ABSENT
        + """
import importlib, pkgutil, cfmf
from cfmf.extras import EXTRAS, MissingExtraError, explained
for found in pkgutil.walk_packages(cfmf.__path__, "cfmf."):
    try:
        with explained():
            importlib.import_module(found.name)
    except MissingExtraError as error:
        extra = next(extra for extra, modules in EXTRAS.items() if error.name in modules)
        assert f"pip install 'cfmf[{extra}]'" in str(error), error
        print(extra, found.name.removeprefix("cfmf."))
""",
        tmp_path,
    )
    failed = [line.split() for line in printed.splitlines()]
    assert {extra for extra, _ in failed} == set(EXTRAS) - {"peers"}  # imported when they fit
    beyond = [
        f"{module} needs {extra}"
        for extra, module in failed
        if not f"{module}.".startswith(tuple(f"{one}." for one in MAY_NEED[extra].split()))
    ]
    assert beyond == []


def test_a_method_fits_with_the_core_or_names_its_extra(tmp_path):
    printed = run(  # in the checkout, whose kernels are compiled
        sys.executable,
        f"{ABSENT}\nsys.path.insert(0, {str(ROOT)!r})"
        + """
import numpy as np
from scipy import sparse
from cfmf.extras import MissingExtraError
from cfmf.methods.registry import installed
drawn = np.random.default_rng(1)
ratings = np.where(drawn.random((30, 20)) < 0.4, drawn.integers(1, 6, (30, 20)), 0)
train = sparse.csr_array(ratings.astype(np.float32))
for name, method in installed().items():
    if method.uses:
        continue
    try:
        model = method(scale=(1, 5)).fit(train)
        assert np.isfinite(model.predict(*train.nonzero()).values).all()
        print(name, "fits")
    except MissingExtraError as error:
        print(name, error.name)
""",
        tmp_path,
    )
    found = dict(line.split() for line in printed.splitlines())
    core = (
        "baseline user-cf-published item-knn user-knn item-linear als mf mf-bounded mf-cubic"
        " mf-published mf-published-jax mf-sgd gibbs gibbs-implicit"
    )
    assert {name for name, needed in found.items() if needed == "fits"} >= set(core.split())
    assert {name for name, needed in found.items() if needed == "torch"} >= {"autorec", "sparse-fc"}
    assert set(found.values()) == {"fits", "torch", "jax"}


def test_dependencies_are_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    providers = {"surprise": ["scikit-surprise"]} | importlib.metadata.packages_distributions()
    imported = set()
    for path in ROOT.glob("cfmf/**/*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    imported -= set(sys.stdlib_module_names) | {"cfmf"}

    def distributions(modules):
        return {canonicalize_name(providers.get(name, [name])[0]) for name in modules}

    listed = {
        extra: {canonicalize_name(Requirement(line).name) for line in lines} - {"cfmf"}
        for extra, lines in project["optional-dependencies"].items()
    }
    brought = {extra: distributions(modules) for extra, modules in EXTRAS.items()}
    brought["peers"].add("setuptools")  # of which myFM needs an old one
    assert listed == brought
    # Snakemake runs the workflow and is imported by nothing here.
    needed = distributions(imported) | {"snakemake", "setuptools"}
    assert needed == {canonicalize_name(name) for name in project["dependencies"]}.union(
        *listed.values()
    )
    assert not set(project["dependencies"]) & set().union(*listed.values())
