"""Matrix factorization as published with JAX."""

from __future__ import annotations

from typing import Any, ClassVar

from cfmf.published.methods.mf_published import PUBLISHED, MFPublished


class MFPublishedJax(MFPublished):
    """As mf-published, with the loss and the start of the study's JAX code."""

    # The study's JAX code minimizes another loss from another start; JAX is not needed for either.
    name = "mf-published-jax"
    label = "MF, as published with JAX"
    equation = (
        "x̂<sub>ui</sub> = U<sub>u</sub>·V<sub>i</sub>; J = (1/N Σ (x̂<sub>ui</sub> − "
        "x<sub>ui</sub>)²)<sup>½</sup>; AdamW"
    )
    source = "THU-Coursework-Machine-Learning-for-Big-Data (2024)."
    variant: ClassVar[dict[str, Any]] = {**PUBLISHED, "loss": "rmse", "same_key": True}
