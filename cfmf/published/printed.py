"""The numbers that the published study printed, and the lines of it that the errata quote."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def printed_numbers() -> dict[str, Any]:
    """The printed numbers by name; `printed.yaml` describes them."""
    return _read("printed")


@cache
def quotes() -> dict[int, dict[int, str]]:
    """For each erratum, by its number, the text quoted from each line, by the line's number."""
    return _read("quotes")


def _read(name: str) -> dict[Any, Any]:
    text = Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    loaded: dict[Any, Any] = yaml.safe_load(text)
    return loaded
