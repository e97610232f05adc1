"""Neighbour methods: the registry, cheap to import (neither numba nor torch is loaded here)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

METHODS = {
    "baseline": "cfmf.neighbours.baseline:Baseline",
    "user-cf-published": "cfmf.neighbours.user_cf:UserCF",
    "user-knn": "cfmf.neighbours.user_knn:UserKNN",
    "item-knn": "cfmf.neighbours.item_knn:ItemKNN",
}


def method_class(name: str) -> type[Any]:
    """Class of the method called `name`.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    if name not in METHODS:
        raise ValueError(f"no neighbour method is called {name!r}; known are {', '.join(METHODS)}")
    module, attribute = METHODS[name].split(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found
