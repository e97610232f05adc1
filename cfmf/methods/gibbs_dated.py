"""Bayesian matrix factorization with implicit feedback and dates."""

from __future__ import annotations

from scipy import sparse

from cfmf.methods.gibbs_implicit import GibbsImplicit
from cfmf.models import Model


class GibbsDated(GibbsImplicit):
    """As gibbs-implicit, with a bias and factors of every day, those of test ratings too."""

    name = "gibbs-dated"
    label = "Bayesian MF with dates"
    uses = frozenset({"dates"})

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """See `Method.operations`; every rating is of a day too."""
        return 1.5 * super().operations(train, queried)

    def parameter_count(self, shape: tuple[int, int], ratings: int, model: Model) -> int:
        """See `Method.parameter_count`; a day has k factors and a bias in every draw."""
        days = model.arrays()["day_bias"].size
        return super().parameter_count(shape, ratings, model) + days * (self.k + 1)
