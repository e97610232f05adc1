"""Matrix factorization as published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from cfmf.methods.base import setting
from cfmf.methods.factorization_base import FactorizationMethod
from cfmf.methods.mf import MF

PUBLISHED: dict[str, Any] = {
    "biases": False,
    "penalty": "decay",
    "initial_scale": 1.0,
    "scale_by_k": False,
    "patience": None,
    "epsilon": 1e-8,
}
"""What the study did, with torch and with JAX."""


class MFPublished(FactorizationMethod):
    """Matrix factorization as the study did it, with the settings of its search."""

    name = "mf-published"
    label = "MF, as published"
    equation = (
        "x̂<sub>ui</sub> = U<sub>u</sub>·V<sub>i</sub>; J = 1/(2N) Σ (x̂<sub>ui</sub> − "
        "x<sub>ui</sub>)²; AdamW"
    )
    source = (
        "THU-Coursework-Machine-Learning-for-Big-Data (2024). Loshchilov & Hutter (2019). "
        "Decoupled weight decay regularization. ICLR."
    )
    stops_on_validation = False
    watches_test = True
    on_gpu = True
    raw_values = True
    has_biases = False
    known_failures: ClassVar[Mapping[str, str]] = {
        "order": "the study draws the start of users and items in the order of their numbers"
    }
    variant: ClassVar[dict[str, Any]] = PUBLISHED

    reg: float = setting(
        0.01,
        "Weight decay λ of AdamW; each step shrinks the factors by learning_rate · λ.",
        grid=[0.01],
        ge=0,
    )
    learning_rate: float = setting(0.005, "Learning rate of AdamW.", gt=0)
    tolerance: float = setting(
        0.0001,
        "Training stops once the loss changes by less than this from one epoch to the next.",
        gt=0,
    )
    max_epochs: int = setting(100_000, "Epochs at most.", ge=1)
    batch_size: int | None = MF.model_fields["batch_size"]  # type: ignore[assignment]

    solver = MF.solver
    tasks_at_once = MF.tasks_at_once
