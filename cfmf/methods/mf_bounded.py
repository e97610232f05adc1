"""Matrix factorization with a bounded output."""

from __future__ import annotations

from typing import Any, ClassVar

from cfmf.methods.mf import MF


class MFBounded(MF):
    """As mf, with predictions squashed onto the rating scale by a logistic function."""

    name = "mf-bounded"
    label = "MF, bounded output"
    variant: ClassVar[dict[str, Any]] = {"bounded": True}
