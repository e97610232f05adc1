"""A neural network for ratings: an item autoencoder with kernelized weights."""

from __future__ import annotations

from cfmf.methods.base import setting
from cfmf.methods.factorization_base import FactorizationMethod
from cfmf.tasks import Solver


class SparseFC(FactorizationMethod):
    """An item autoencoder whose weights are made sparse by a kernel (Sparse FC); validation stops.

    Müller, Martel & Indiveri (2018), *Kernelized synaptic weight matrices*. The published figures
    are the lowest test errors over the epochs of a training; here the test part decides nothing.
    """

    name = "sparse-fc"
    label = "Sparse FC"
    equation = (
        "h<sub>i</sub> = σ(W⁽²⁾ᵀ σ(W⁽¹⁾ᵀ y<sub>i</sub> + b⁽¹⁾) + b⁽²⁾), x̂<sub>ui</sub> = "
        "w<sub>u</sub>·h<sub>i</sub> + c<sub>u</sub>, W<sub>ab</sub> = V<sub>ab</sub> max(0, "
        "1 − ‖p<sub>a</sub> − q<sub>b</sub>‖²)"
    )
    source = "Müller, Martel & Indiveri (2018). Kernelized synaptic weight matrices. ICML."
    can = FactorizationMethod.can | {"fold_in"}
    on_gpu = True
    watches_test = True

    k: int = setting(500, "Units of each hidden layer.", grid=[500], ge=1)
    reg: float = setting(
        0.25,
        "Strength λ of the penalty of the weights, a pseudo-rating's share of the mean number of"
        " ratings of a user, for ratings of standard deviation 1.",
        grid=[0.125, 0.25],
        step=2,
        search=(0.01, 10),
        gt=0,
    )
    learning_rate: float = setting(0.003, "Learning rate of Adam.", gt=0)
    max_epochs: int = setting(1000, "Epochs at most; each is one step on all ratings.", ge=1)
    patience: int = setting(
        50,
        "Training stops when the validation RMSE has not improved for this many epochs, and the"
        " best epoch is kept.",
        ge=1,
    )

    def solver(self, device: str) -> Solver:
        """Adam on all observed pairs at once, in torch."""
        from cfmf.factorization.autoencoder import Autoencoder

        return Autoencoder(**self.model_dump(), device=device)
