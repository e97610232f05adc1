"""Bayesian matrix factorization with implicit feedback and dates."""

from __future__ import annotations

from scipy import sparse

from cfmf.methods.base import setting
from cfmf.methods.gibbs_implicit import GibbsImplicit
from cfmf.models import Model


class GibbsDated(GibbsImplicit):
    """As gibbs-implicit, with biases of days and of a user's days, those of test ratings too."""

    name = "gibbs-dated"
    label = "Bayesian MF with dates"
    equation = (
        "x̂<sub>uit</sub> = μ + b<sub>u</sub> + c<sub>i</sub> + U<sub>u</sub>·V<sub>i</sub> +"
        " d<sub>t</sub> + e<sub>ut</sub>"
    )
    source = (
        "Rendle, Zhang & Koren (2019). On the difficulty of evaluating baselines. arXiv:1905.01395."
    )
    can = GibbsImplicit.can - {"fold_in"}  # ratings of new users come without their days
    uses = frozenset({"dates"})

    day_factors: bool = setting(
        False, "Whether days also have factors, that interact with those of users and of items."
    )

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """See `Method.operations`; with factors of days, every rating is in a third regression."""
        return super().operations(train, queried) * (1.5 if self.day_factors else 1.0)

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """See `Method.parameter_count`, and the biases and factors that days and sessions have."""
        held = model.arrays()
        dated = sum(held[name].size for name in ("day_bias", "day_factors", "session_bias"))
        return super().parameter_count(shape, ratings, model) + int(dated)
