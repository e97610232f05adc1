"""The config of a study: which of its keys a rule uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def pick(block: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """A part of the config with these keys only, so that an edit of others reruns nothing.

    Parameters
    ----------
    block
        The part.
    keys
        Names of its keys, those below them as `table.ratings`; what is not there is left out.
    """
    found: dict[str, Any] = {}
    for key in keys:
        name, _, rest = key.partition(".")
        if name not in block:
            continue
        if rest:
            found.setdefault(name, {}).update(pick(block[name], rest))
        else:
            found[name] = block[name]
    return found


def without(block: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """A part of the config without some of its keys."""
    return {key: value for key, value in block.items() if key not in keys}
