"""Matrix factorization by stochastic gradient descent."""

from __future__ import annotations

from cfmf.methods.base import setting
from cfmf.methods.factorization_base import PenalizedMethod
from cfmf.tasks import Solver


class MFSGD(PenalizedMethod):
    """The objective of mf minimized by stochastic gradient descent, one rating at a time."""

    name = "mf-sgd"
    label = "MF by SGD"
    equation = (
        "x̂<sub>ui</sub> = μ + b<sub>u</sub> + c<sub>i</sub> + U<sub>u</sub>·V<sub>i</sub>; "
        "η<sub>t</sub> = η / (1 + δt)"
    )
    source = (
        "Gemulla, Nijkamp, Haas & Sismanis (2011). Large-scale matrix factorization with "
        "distributed stochastic gradient descent. KDD."
    )

    reg: float = setting(
        0.05,
        "Strength λ of the penalty, as for mf.",
        grid=[0.05, 0.1],
        step=1.5,
        search=(0.01, 10),
        ge=0,
    )
    learning_rate: float = setting(0.06, "Length of a step in the first epoch.", gt=0)
    decay: float = setting(0.5, "Steps of epoch t are learning_rate / (1 + decay · t) long.", ge=0)
    max_epochs: int = setting(100, "Epochs at most.", ge=1)
    patience: int = setting(
        20,
        "Stops when the validation RMSE has not improved for this many epochs, and the best epoch"
        " is kept.",
        ge=1,
    )
    initial_scale: float = setting(
        0.1, "The initial factors are normal with standard deviation initial_scale / √k.", gt=0
    )

    def solver(self, device: str) -> Solver:
        """Stochastic gradient descent on the CPU."""
        from cfmf.factorization.sgd import SGD

        return SGD(**self.model_dump(exclude_none=True))
