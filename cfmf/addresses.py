"""Addresses on the web as they may be shown: without signatures and passwords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit


def shown(url: str) -> str:
    """An address without query and password, which may be secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def shown_below(value: Any) -> Any:
    """A config, or a part of one, with every address in it as `shown`."""
    if isinstance(value, Mapping):
        return {key: shown_below(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shown_below(one) for one in value]
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return shown(value)
    return value
