"""Matrix factorization with a cubic penalty."""

from __future__ import annotations

from typing import Any, ClassVar

from cfmf.methods.mf import MF


class MFCubic(MF):
    """As mf, with the penalty ⅓‖v‖³ of a user's or item's factors in place of ½‖v‖²."""

    name = "mf-cubic"
    label = "MF, cubic penalty"
    penalty_power = 3.0
    variant: ClassVar[dict[str, Any]] = {"penalty": "cubic"}
