"""Matrix factorization with a bounded output."""

from __future__ import annotations

from typing import Any, ClassVar

from cfmf.methods.mf import MF


class MFBounded(MF):
    """As mf, with predictions squashed onto the rating scale by a logistic function."""

    name = "mf-bounded"
    label = "MF, bounded output"
    equation = (
        "x̂<sub>ui</sub> = l + (h − l) / (1 + exp(−z<sub>ui</sub>)), z<sub>ui</sub> = μ + "
        "b<sub>u</sub> + c<sub>i</sub> + U<sub>u</sub>·V<sub>i</sub>"
    )
    source = (
        "Koren, Bell & Volinsky (2009). Matrix factorization techniques for recommender "
        "systems. Computer 42(8)."
    )
    variant: ClassVar[dict[str, Any]] = {"bounded": True}
