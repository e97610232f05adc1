"""Matrix factorization with a cubic penalty."""

from __future__ import annotations

from typing import Any, ClassVar

from cfmf.methods.mf import MF


class MFCubic(MF):
    """As mf, with the penalty ⅓‖v‖³ of a user's or item's factors in place of ½‖v‖²."""

    name = "mf-cubic"
    label = "MF, cubic penalty"
    equation = (
        "x̂<sub>ui</sub> = μ + b<sub>u</sub> + c<sub>i</sub> + U<sub>u</sub>·V<sub>i</sub>; J"
        " = ½ Σ (x̂<sub>ui</sub> − x<sub>ui</sub>)² + ⅓ λ (Σ w<sub>u</sub> ‖U<sub>u</sub>‖³ +"
        " Σ w<sub>i</sub> ‖V<sub>i</sub>‖³)"
    )
    source = (
        "Koren, Bell & Volinsky (2009). Matrix factorization techniques for recommender "
        "systems. Computer 42(8)."
    )
    penalty_power = 3.0
    variant: ClassVar[dict[str, Any]] = {"penalty": "cubic"}
