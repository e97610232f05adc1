"""A time by which a pass over the data must be done."""

from __future__ import annotations

import time


class OutOfTimeError(RuntimeError):
    """A pass was given up because its time was over."""


def check_deadline(until: float | None) -> None:
    """Raise OutOfTimeError if the monotonic clock has reached `until`; None is never reached."""
    if until is not None and time.monotonic() >= until:
        raise OutOfTimeError("the time that this search may take is over")
