"""The numbers that the published study printed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def printed_numbers() -> dict[str, Any]:
    """The printed numbers by name; `printed.yaml` describes them."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
