"""What the config says, in the words that paths and tables use, and what is wrong with it."""

from __future__ import annotations

import numpy as np

from cfmf.methods import registry as methods


def registry() -> dict[str, str]:
    """Every method that exists, with its area: `factorization` of one with a job for each point."""
    return {
        name: "factorization" if one.job_per_point else "neighbours"
        for name, one in methods.methods().items()
    }


def module_of(method: str) -> str:
    """The module, in dotted form, that a method is in."""
    return methods.method(method).__module__


def on_gpu(method: str) -> bool:
    """Whether a method can use a GPU."""
    return methods.method(method).on_gpu


environment = methods.environment


def canonical(value: float) -> str:
    """The one text of a number in paths and tables: `0.01`, never `1e-2`; `1`, never `1.0`."""
    return np.format_float_positional(float(value), trim="-")
