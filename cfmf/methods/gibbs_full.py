"""Bayesian matrix factorization with all that is known beside the ratings."""

from __future__ import annotations

from cfmf.methods.gibbs_dated import GibbsDated


class GibbsFull(GibbsDated):
    """As gibbs-dated, with prior means that depend on the attributes of users and of items."""

    name = "gibbs-full"
    label = "Bayesian MF with dates and attributes"
    uses = frozenset({"dates", "user_attributes", "item_attributes"})
