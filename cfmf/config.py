"""What the config says, in the words that paths and tables use, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cfmf import factorization
from cfmf.methods import registry as methods


def registry() -> dict[str, str]:
    """Every method that exists, with its area: `factorization` of one with a job for each point."""
    found = {
        name: "factorization" if one.job_per_point else "neighbours"
        for name, one in methods.methods().items()
    }
    return found | dict.fromkeys(factorization.METHODS, "factorization")


def family(method: str) -> str:
    """What a method is compared as: `baseline`, `neighbours` or `factorization`."""
    return methods.family(method)


def entry(method: str) -> Any:
    """What declares a method: its class, or its entry in the registry of factorizations."""
    return factorization.METHODS.get(method) or methods.method(method)


def module_of(method: str) -> str:
    """The module, in dotted form, that a method is in."""
    found = entry(method)
    return str(getattr(found, "solver", found.__module__)).split(":")[0]


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
