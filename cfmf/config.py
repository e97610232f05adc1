"""What the config says, in the words that paths and tables use, and what is wrong with it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

FAMILIES = ("neighbours", "factorization")


def registry() -> dict[str, str]:
    """Every method that exists, with the family whose package area registers it."""
    return {
        method: family
        for family in FAMILIES
        for method in importlib.import_module(f"cfmf.{family}").METHODS
    }


def family(method: str) -> str:
    """What a method is compared as: `baseline`, `neighbours` or `factorization`.

    The baseline is registered with the neighbour methods and belongs to neither kind. A name that
    no registry has counts as a factorization.
    """
    return "baseline" if method == "baseline" else registry().get(method, "factorization")


def entry(method: str) -> Any:
    """A method's entry in the registry of its family."""
    return importlib.import_module(f"cfmf.{registry()[method]}").METHODS[method]


def module_of(method: str) -> str:
    """The module, in dotted form, that a method's registry entry names."""
    return str(entry(method).solver).split(":")[0]


def on_gpu(method: str) -> bool:
    """Whether a method's solver can use a GPU, as its registry entry says."""
    return bool(entry(method).on_gpu)


def environment(stage: str, *methods: str) -> str:
    """The name in envs/ of what a job runs in that fits some methods: one may need its own."""
    own = [getattr(entry(method), "environment", "") for method in methods]
    return next(filter(None, own), stage)


def canonical(value: float) -> str:
    """The one text of a number in paths and tables: `0.01`, never `1e-2`; `1`, never `1.0`."""
    return np.format_float_positional(float(value), trim="-")
