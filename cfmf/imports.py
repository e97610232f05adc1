"""Which files of the package a script uses, so that an edit reruns what depends on it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def imported_files(*starts: str) -> list[str]:
    """Files of the package that the `starts` import, directly or through one another.

    Parameters
    ----------
    starts
        Python files, or modules of the package in dotted form (`cfmf.factorization.als`).

    Returns
    -------
    Paths relative to the repository, sorted. Found by reading the import statements, those inside
    functions too, so nothing is executed.
    """
    return list(_reached(starts))


@cache
def _reached(starts: tuple[str, ...]) -> tuple[str, ...]:
    found: set[Path] = set()
    ahead = [
        path
        for start in starts
        for path in (_files(start) if start.startswith("cfmf.") else [ROOT / start])
    ]
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            ahead += _imports(path)
    below = (path.relative_to(ROOT) for path in found if path.is_relative_to(ROOT / "cfmf"))
    return tuple(sorted(map(str, below)))


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    """Files of the package that one file imports itself."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from cfmf.data import splits` may name a module or something within one.
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(file for name in names if name.split(".")[0] == "cfmf" for file in _files(name))


@cache
def _files(module: str) -> tuple[Path, ...]:
    """The module's file, if there is such a module."""
    base = ROOT / Path(*module.split("."))
    paths = (base.with_suffix(".py"), base / "__init__.py")
    return tuple(path for path in paths if path.is_file())[:1]
