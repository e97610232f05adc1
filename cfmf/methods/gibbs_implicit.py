"""Bayesian matrix factorization with implicit feedback."""

from __future__ import annotations

from scipy import sparse

from cfmf.methods.gibbs import Gibbs


class GibbsImplicit(Gibbs):
    """As gibbs, with who rated what, whatever the rating, as a further source."""

    name = "gibbs-implicit"
    label = "Bayesian MF with implicit feedback"
    equation = (
        "p<sub>uf</sub> ~ N(μ<sub>f</sub> + |R(u)|<sup>−½</sup> Σ<sub>j∈R(u)</sub> "
        "y<sub>jf</sub>, 1/λ<sub>f</sub>), y<sub>jf</sub> ~ N(0, 1/κ<sub>f</sub>)"
    )
    source = (
        "Koren (2008). Factorization meets the neighborhood. KDD. Salakhutdinov & Mnih "
        "(2008). ICML."
    )
    implicit = "both"

    def operations(self, train: sparse.csr_array, queried: sparse.csr_array) -> float:
        """See `Method.operations`; implicit feedback adds c for each rating, from both sides."""
        links = 2.0 * train.nnz * (self.k + 1)
        return super().operations(train, queried) + self.chains * links
