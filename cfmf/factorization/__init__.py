"""Matrix factorization: the study's, the corrected one, and its exact and Bayesian relatives.

`METHODS` names every method; importing this package loads neither torch nor numba nor JAX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Method:
    """One method: the solver it uses and what sets it apart from the solver's other methods.

    Attributes
    ----------
    solver
        Module and class, as `module:class`.
    options
        Arguments of the class that the method fixes and the config cannot change.
    tuned_by
        Which of `k` and `reg` the config gives a grid for.
    label
        What a report calls it.
    stops_on_validation
        Whether validation decides how many epochs the final training takes.
    watches_test
        Whether the curve shows the test RMSE at every epoch, as the study's did.
    on_gpu
        Whether it computes on a GPU where there is one; the others know the CPU only.
    exact
        Whether an epoch solves for every row's factors exactly, given the others', or steps along
        a gradient.
    sweeps
        Whether it draws samples, in sweeps, rather than train in epochs.
    environment
        Name of the file in envs/ that its jobs need, where it is not that of their stage.
    """

    solver: str
    label: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    tuned_by: tuple[str, ...] = ("k", "reg")
    stops_on_validation: bool = True
    watches_test: bool = False
    on_gpu: bool = False
    exact: bool = False
    sweeps: bool = False
    environment: str = ""


ADAMW = "cfmf.factorization.adamw:AdamW"
GIBBS = "cfmf.factorization.gibbs:Gibbs"

PUBLISHED = {
    "biases": False,
    "penalty": "decay",
    "initial_scale": 1.0,
    "scale_by_k": False,
    "patience": None,
    "epsilon": 1e-8,
}
"""What the study did, with torch and with JAX."""

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "mf-published": Method(
            ADAMW,
            "MF, as published",
            PUBLISHED,
            stops_on_validation=False,
            watches_test=True,
            on_gpu=True,
        ),
        # The study's JAX code minimizes another loss from another start; torch can do both.
        "mf-published-jax": Method(
            ADAMW,
            "MF, as published with JAX",
            {**PUBLISHED, "loss": "rmse", "same_key": True},
            stops_on_validation=False,
            watches_test=True,
            on_gpu=True,
        ),
        "mf": Method(ADAMW, "MF, corrected", on_gpu=True),
        "mf-bounded": Method(ADAMW, "MF, bounded output", {"bounded": True}, on_gpu=True),
        "mf-cubic": Method(ADAMW, "MF, cubic penalty", {"penalty": "cubic"}, on_gpu=True),
        "mf-jax": Method(
            "cfmf.factorization.jax_adamw:JaxAdamW",
            "MF, corrected, in JAX",
            on_gpu=True,
            environment="jax",
        ),
        "mf-sgd": Method("cfmf.factorization.sgd:SGD", "MF by SGD"),
        "als": Method("cfmf.factorization.als:ALS", "MF by ALS", exact=True),
        "gibbs": Method(
            GIBBS,
            "Bayesian MF",
            tuned_by=("k",),
            stops_on_validation=False,
            exact=True,
            sweeps=True,
        ),
        "gibbs-implicit": Method(
            GIBBS,
            "Bayesian MF with implicit feedback",
            {"implicit": "both"},
            tuned_by=("k",),
            stops_on_validation=False,
            exact=True,
            sweeps=True,
        ),
    }
)


def method(name: str) -> Method:
    """The method of a name.

    Raises
    ------
    ValueError
        If no method has the name.
    """
    if name not in METHODS:
        raise ValueError(f"no factorization method is named {name!r}; there are {list(METHODS)}")
    return METHODS[name]
