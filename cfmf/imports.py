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
    found: set[Path] = set()
    ahead = [_file(start) if start.startswith("cfmf.") else ROOT / start for start in starts]
    while ahead:
        path = ahead.pop()
        if path is None or path in found:
            continue
        found.add(path)
        ahead += [_file(name) for name in _imports(path)]
    return sorted(str(path.relative_to(ROOT)) for path in found if ROOT / "cfmf" in path.parents)


@cache
def _imports(path: Path) -> tuple[str, ...]:
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from cfmf.data import splits` may name a module or something within one.
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] == "cfmf")


def _file(module: str) -> Path | None:
    base = ROOT / Path(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
