"""An item autoencoder with one hidden layer and plain weights: I-AutoRec."""

from __future__ import annotations

from cfmf.methods.base import setting
from cfmf.methods.sparse_fc import SparseFC
from cfmf.tasks import Solver


class AutoRec(SparseFC):
    """I-AutoRec (Sedhain, Menon, Sanner & Xie 2015), an item autoencoder with one hidden layer."""

    name = "autorec"
    label = "I-AutoRec"
    equation = "x̂<sub>ui</sub> = w<sub>u</sub>·σ(Wᵀ y<sub>i</sub> + b) + c<sub>u</sub>"
    source = (
        "Sedhain, Menon, Sanner & Xie (2015). AutoRec: autoencoders meet collaborative "
        "filtering. WWW."
    )

    reg: float = setting(
        1.0,
        "Strength λ of the penalty of the weights, as for sparse-fc.",
        grid=[0.5, 1],
        step=2,
        search=(0.01, 10),
        gt=0,
    )

    def solver(self, device: str) -> Solver:
        """As for sparse-fc."""
        from cfmf.factorization import autoencoder

        return autoencoder.AutoRec(**self.model_dump(), device=device)
