"""Bayesian matrix factorization with all that is known beside the ratings."""

from __future__ import annotations

from cfmf.methods.gibbs_dated import GibbsDated


class GibbsFull(GibbsDated):
    """As gibbs-dated, with prior means that depend on the attributes of users and of items."""

    name = "gibbs-full"
    label = "Bayesian MF with dates and attributes"
    equation = (
        "p<sub>uf</sub> ~ N(μ<sub>f</sub> + Σ<sub>a</sub> x<sub>ua</sub> β<sub>af</sub> + "
        "|R(u)|<sup>−½</sup> Σ<sub>j∈R(u)</sub> y<sub>jf</sub>, 1/λ<sub>f</sub>)"
    )
    source = (
        "Simm et al. (2017). Macau: scalable Bayesian factorization with high-dimensional "
        "side information using MCMC. MLSP."
    )
    uses = frozenset({"dates", "user_attributes", "item_attributes"})
