"""Bayesian matrix factorization by Gibbs sampling."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from scipy import sparse

from cfmf.methods.base import Method, setting
from cfmf.methods.factorization_base import FactorizationMethod, solving_operations
from cfmf.models import Model
from cfmf.tasks import Solver


class Gibbs(FactorizationMethod):
    """Bayesian matrix factorization by Gibbs sampling, which infers every penalty's strength."""

    name = "gibbs"
    label = "Bayesian MF"
    equation = (
        "x<sub>ui</sub> ~ N(μ + b<sub>u</sub> + c<sub>i</sub> + U<sub>u</sub>·V<sub>i</sub>, "
        "1/(α w<sub>u</sub> v<sub>i</sub>)), p<sub>uf</sub> ~ N(μ<sub>f</sub>, "
        "1/λ<sub>f</sub>)"
    )
    source = (
        "Salakhutdinov & Mnih (2008). Bayesian probabilistic matrix factorization using "
        "Markov chain Monte Carlo. ICML."
    )
    can = FactorizationMethod.can | {"fold_in", "sd"}
    iterates = "sweeps"
    stops_on_validation = False
    implicit: ClassVar[str] = "none"  # whose implicit feedback the model has

    k: int = setting(16, "Number of factors.", grid=[8, 16], step=2, search=(1, 128), ge=1)
    sweeps: int = setting(
        300, "Sweeps in all; predictions are means over those after the burn-in.", ge=2
    )
    burn_in: int = setting(30, "Sweeps at the start that do not count; fewer than sweeps.", ge=0)
    chains: int = setting(
        1,
        "Chains with starts of their own whose predictions are averaged; they are sampled side by"
        " side where there are cores, and the time of training grows with their number otherwise.",
        ge=1,
    )
    noise: Literal["own", "shared"] = setting(
        "own",
        "Whether every user and item has noise of its own, as erratic raters have (own), or all"
        " ratings the same (shared).",
    )
    likelihood: Literal["gaussian", "ordinal"] = setting(
        "gaussian",
        "Whether a rating is a normal number (gaussian) or one of a few levels in order, at"
        " thresholds that are learned (ordinal, for ratings of at most 20 values; others are taken"
        " for gaussian). ordinal takes about twice the time.",
    )
    draws: int = setting(
        20,
        "Models, evenly spread over the counted sweeps of all chains, that are kept for predicting"
        " other pairs; at least one of each chain.",
        ge=1,
    )
    initial_scale: float = setting(
        0.5, "The initial factors are normal with standard deviation initial_scale / √k.", gt=0
    )

    @model_validator(mode="after")
    def _counts_some(self) -> Self:
        if self.burn_in >= self.sweeps:
            raise ValueError(
                f"burn_in is {self.burn_in} of {self.sweeps} sweeps; it must leave some to count"
            )
        return self

    def solver(self, device: str) -> Solver:
        """A Gibbs sampler on the CPU."""
        from cfmf.factorization import gibbs

        return gibbs.Gibbs(**self.model_dump(), implicit=self.implicit)

    def shortened(self, passes: int) -> Method:
        """See `Method.shortened`."""
        return self.model_copy(update={"sweeps": passes, "burn_in": 1, "draws": 1})

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """See `Method.operations`: exact solutions with c = k + 1 unknowns, in every chain."""
        return self.chains * solving_operations(train, self.k + 1)

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """See `Method.parameter_count`: k factors, a bias and a precision of each in every draw."""
        return model.draws() * (sum(shape) * (self.k + 2) + 1)
