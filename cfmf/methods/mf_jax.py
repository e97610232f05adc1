"""Matrix factorization in JAX."""

from __future__ import annotations

from typing import ClassVar

from cfmf.methods.mf import MF
from cfmf.tasks import Solver


class MFJax(MF):
    """As mf, computed by JAX, one run after another; it comes with an environment of its own."""

    name = "mf-jax"
    label = "MF, corrected, in JAX"
    equation = "x̂<sub>ui</sub> = μ + b<sub>u</sub> + c<sub>i</sub> + U<sub>u</sub>·V<sub>i</sub>"
    source = (
        "Koren, Bell & Volinsky (2009). Matrix factorization techniques for recommender "
        "systems. Computer 42(8)."
    )
    environment = "jax"
    batch_size: ClassVar[int] = 1  # type: ignore[misc]  # no setting: JAX trains one run after another

    def solver(self, device: str) -> Solver:
        """AdamW on all observed pairs at once, in JAX."""
        from cfmf.factorization.jax_adamw import JaxAdamW

        return JaxAdamW(**self.model_dump(exclude_none=True), device=device)
