"""Neighbour methods: the registry, cheap to import (neither numba nor torch is loaded here)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Method:
    """One method: its class, and what the config may list values of.

    Attributes
    ----------
    solver
        Module and class, as `module:class`.
    parameters
        Arguments of the class that are searched, in the order of a trial's name, with the values
        that stand where a config has none.
    on_gpu
        Whether it computes on a GPU where there is one; the others know the CPU only.
    keeps
        Of what it keeps a number each: similarities are computed where they are used, so the m × m
        matrix of the published study is not among them.
    """

    solver: str
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    on_gpu: bool = False
    keeps: tuple[str, ...] = ("ratings", "users", "items")


KNN: Mapping[str, Any] = MappingProxyType(
    {
        "similarity": "pearson-baseline",
        "prediction": "baseline",
        "shrinkage": 100.0,
        "neighbours": 40,
        "damping": 0.1,
        "reg_user": 10.0,
        "reg_item": 5.0,
    }
)
METHODS = {
    "baseline": Method(
        "cfmf.neighbours.baseline:Baseline",
        {"reg_user": 10.0, "reg_item": 5.0},
        keeps=("users", "items"),
    ),
    "user-cf-published": Method("cfmf.neighbours.user_cf:UserCF", on_gpu=True, keeps=("ratings",)),
    "user-knn": Method("cfmf.neighbours.user_knn:UserKNN", KNN, on_gpu=True),
    "item-knn": Method("cfmf.neighbours.item_knn:ItemKNN", KNN, on_gpu=True),
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
    module, attribute = METHODS[name].solver.split(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found
