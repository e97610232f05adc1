"""Which files of the package a script uses, so that an edit reruns what depends on it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def imported_files(*starts: str) -> list[str]:
    """Files of the package that the `starts` import, directly or through one another.

    Parameters
    ----------
    starts
        Python files, or modules in dotted form, of the package (`cfmf.factorization.als`) or of
        one's own.

    Returns
    -------
    Paths relative to the repository, sorted; of modules of one's own, absolute paths. They are
    found by reading the import statements, those inside functions too; no module is executed.
    """
    paths = [path for path in map(_start, starts) if path]
    found = set[Path]().union(*map(_reached, paths))
    package = {path for path in found if ROOT / "cfmf" in path.parents}
    own = found - package - {ROOT / start for start in starts if start.endswith(".py")}
    return sorted(map(str, own | {path.relative_to(ROOT) for path in package}))


def _start(start: str) -> Path | None:
    if start.endswith(".py"):
        return ROOT / start
    if start.startswith("cfmf."):
        return _file(start)
    spec = find_spec(start)
    return Path(spec.origin) if spec and spec.origin else None


@cache
def _reached(start: Path) -> frozenset[Path]:
    """A file and those that it imports, directly or through one another."""
    found: set[Path] = set()
    ahead = [start]
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            ahead += _imported(path)
    return frozenset(found)


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    """Files of the package that a file imports itself."""
    names: list[str] = []
    for node in _statements(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from cfmf.data import splits` may name a module or something within one.
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = (_file(name) for name in names if name.split(".")[0] == "cfmf")
    return tuple(dict.fromkeys(file for file in files if file))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a node; not its expressions, most of the tree, which import nothing."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        below = getattr(node, block, None)
        for one in below if isinstance(below, list) else ():
            yield one
            yield from _statements(one)


@cache
def _file(module: str) -> Path | None:
    base = ROOT / Path(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
