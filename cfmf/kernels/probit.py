"""Compiled loops over ratings that are intervals of a latent normal number.

Sums are over the ratings in their order, in float64 and on one core.
"""

from __future__ import annotations

import math
from typing import Any

from cfmf.kernels.compiled import compiled

_inlined: Any = compiled(inline="always")
_serial: Any = compiled(nogil=True)
LOWEST = 1e-300  # of a probability, so that its logarithm is finite


@_inlined
def _below(x):  # type: ignore[no-untyped-def]
    """Probability that a standard normal number is below x."""
    return 0.5 * math.erfc(-x * 0.7071067811865476)


@_inlined
def _tails(low, high):  # type: ignore[no-untyped-def]
    """Whether the interval is seen from above, its start as seen so, and its probability.

    Seen from the nearer tail, as the difference of two probabilities close to 1 is lost.
    """
    above = low > 0
    if above:
        low, high = -high, -low
    start = _below(low)
    return above, start, max(_below(high) - start, LOWEST)


@_serial
def evidence(codes, ends, eta, root, slopes, curves):  # type: ignore[no-untyped-def]
    """Log likelihood of the cutpoints, and its first and second derivatives.

    Parameters
    ----------
    codes
        Level of each rating, counted from 0.
    ends
        −∞, the cutpoints, ∞.
    eta, root
        Of each rating: mean of the latent number, and one over its standard deviation.
    slopes
        One an end, replaced: first derivatives.
    curves
        2 × ends, replaced: second derivatives in one end, and in it and the next one.
    """
    total = 0.0
    slopes[:] = 0
    curves[:] = 0
    for j in range(len(codes)):
        code = codes[j]
        low, high = (ends[code] - eta[j]) * root[j], (ends[code + 1] - eta[j]) * root[j]
        _, _, width = _tails(low, high)
        total += math.log(width)
        scale = 0.3989422804014327 * root[j] / width
        at_low = math.exp(-0.5 * low * low) * scale
        at_high = math.exp(-0.5 * high * high) * scale
        if code > 0:
            slopes[code] -= at_low
            curves[0, code] += at_low * (low * root[j] - at_low)
        if code + 2 < len(ends):
            slopes[code + 1] += at_high
            curves[0, code + 1] -= at_high * (high * root[j] + at_high)
        curves[1, code] += at_low * at_high
    return total


@_serial
def intervals(codes, ends, eta, root, above, start, width):  # type: ignore[no-untyped-def]
    """Fill in, for each rating: seen from above or not, where it starts, and its probability."""
    for j in range(len(codes)):
        low = (ends[codes[j]] - eta[j]) * root[j]
        high = (ends[codes[j] + 1] - eta[j]) * root[j]
        above[j], start[j], width[j] = _tails(low, high)


@_serial
def rating_moments(levels, cutpoints, eta, root, mean, variance):  # type: ignore[no-untyped-def]
    """Fill in the mean and the variance of each rating; `levels` are its values."""
    last = len(levels) - 1
    for j in range(len(eta)):
        total, square = levels[last], levels[last] * levels[last]
        for a in range(last):
            below = _below((cutpoints[a] - eta[j]) * root[j])
            total -= (levels[a + 1] - levels[a]) * below
            square -= (levels[a + 1] * levels[a + 1] - levels[a] * levels[a]) * below
        mean[j], variance[j] = total, max(square - total * total, 0.0)
