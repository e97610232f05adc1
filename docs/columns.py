"""What docs/reference/columns.yaml and cfmf/tables.py tell of the columns of the results."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import yaml

from cfmf.tables import COLUMNS, MEASURED

SOURCE = Path(__file__).resolve().parent / "reference/columns.yaml"
# Tables whose file is not called as the kind of table that it is.
KINDS = {
    "selected": "metrics",
    "settings": "selection",
    "tuning_costs": "costs",
    "loop_costs": "costs",
    **MEASURED,
}


def facts() -> dict[str, Any]:
    """What docs/reference/columns.yaml tells."""
    loaded: dict[str, Any] = yaml.safe_load(SOURCE.read_text())
    return loaded


def kind_of(path: str) -> str:
    """Kind of table, a key of `cfmf.tables.COLUMNS`, that a result file is; or empty text."""
    name = path.rpartition("/")[2].removesuffix(".tsv")
    kind = KINDS.get(name, name)
    return kind if path.endswith(".tsv") and kind in COLUMNS else ""


def columns_of(path: str) -> list[str]:
    """Columns of a result file by its path below results/NAME/, perhaps with `*` in them.

    Raises
    ------
    KeyError
        If nothing tells of the file.
    """
    if kind := kind_of(path):
        return COLUMNS[kind]
    for pattern, held in facts()["files"].items():
        if fnmatch.fnmatchcase(path, pattern):
            return list(held)
    raise KeyError(f"docs/reference/columns.yaml does not tell the columns of {path}")
