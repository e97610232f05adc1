"""Matrix factorization, corrected: mean and biases, a penalty in the objective."""

from __future__ import annotations

from typing import Any, ClassVar

from cfmf.methods.base import setting
from cfmf.methods.factorization_base import PenalizedMethod
from cfmf.tasks import Solver


class MF(PenalizedMethod):
    """Matrix factorization with mean, biases, a small start and a penalty; validation stops it."""

    name = "mf"
    label = "MF, corrected"
    equation = (
        "x̂<sub>ui</sub> = μ + b<sub>u</sub> + c<sub>i</sub> + U<sub>u</sub>·V<sub>i</sub>; J"
        " = Σ (x̂<sub>ui</sub> − x<sub>ui</sub>)² + λ Σ w<sub>u</sub> ‖U<sub>u</sub>‖² + λ Σ "
        "w<sub>i</sub> ‖V<sub>i</sub>‖² + λ<sub>b</sub> (‖b‖² + ‖c‖²)"
    )
    source = (
        "Koren, Bell & Volinsky (2009). Matrix factorization techniques for recommender "
        "systems. Computer 42(8)."
    )
    on_gpu = True
    variant: ClassVar[dict[str, Any]] = {}  # options of the solver

    learning_rate: float = setting(
        0.05,
        "Learning rate of AdamW, for ratings of standard deviation 1.",
        gt=0,
    )
    max_epochs: int = setting(1000, "Epochs at most.", ge=1)
    patience: int = setting(
        30,
        "Training stops when the validation RMSE has not improved for this many epochs, and the"
        " best epoch is kept.",
        ge=1,
    )
    initial_scale: float = setting(
        0.1, "The initial factors are normal with standard deviation initial_scale / √k.", gt=0
    )
    batch_size: int | None = setting(
        None,
        "Runs (fold and seed) trained side by side on a GPU; null trains all at once. Lower it when"
        " a GPU's memory does not suffice. On a CPU they are trained one after another.",
        ge=1,
    )

    def solver(self, device: str) -> Solver:
        """AdamW on all observed pairs at once: compiled on the CPU, in torch on a GPU."""
        options = self.model_dump(exclude={"batch_size"}, exclude_none=True) | self.variant
        if device == "cpu":
            from cfmf.factorization.adamw import AdamW

            return AdamW(**options)
        from cfmf.factorization.torch_adamw import TorchAdamW

        return TorchAdamW(**options, device=device)

    def tasks_at_once(self, device: str, tasks: int) -> int:
        """One on a CPU, `batch_size` on a GPU; by default all."""
        return 1 if device == "cpu" else self.batch_size or tasks
