"""The lattice of a method's numeric settings, and the rule by which a search grows on it.

A setting with a grid may declare a step and limits (`cfmf.methods.base.setting`). Along such a
setting the lattice holds the listed values, values between those that are more than a step apart,
and steps beyond both ends up to the limits. The search is a compass search (Kolda, Lewis and
Torczon 2003): it starts with all combinations of the listed values and tries, along each such
setting, the two neighbours of what validation chooses, until they have been tried for the choice of
every fold. It never leaves the limits, tries nothing twice, and ends with its budget of trials.
Nothing here measures an error: a setting is a text, as `Method.chosen_text` writes it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, log
from typing import Any

from cfmf.methods.base import Method, text_of, text_parts

FEWER = ("k", "neighbours")
"""Settings of which a higher value makes a larger model, which takes longer."""
DIGITS = 2
"""Significant digits of a value that the config does not list."""
BOUNDS = {"ge": -inf, "le": inf}
"""What a field calls its lowest and its highest possible value, and their absence."""


@dataclass(frozen=True)
class Axis:
    """A numeric setting along which a search moves.

    Attributes
    ----------
    name
        Of the setting.
    values
        All that can be tried, ascending.
    possible
        Whether a value below the lowest, and one above the highest, would be possible: these are
        then limits that the method declares, and else no edge.
    """

    name: str
    values: tuple[float, ...]
    possible: tuple[bool, bool] = (True, True)

    def beside(self, value: float) -> tuple[float | None, float | None]:
        """The next lower and the next higher value; None where there is none."""
        below, above = bisect_left(self.values, value), bisect_right(self.values, value)
        lower = self.values[below - 1] if below else None
        return lower, self.values[above] if above < len(self.values) else None

    def around(self, text: str) -> tuple[str | None, str | None]:
        """The setting of a text with the next lower and the next higher value of this axis."""
        parts = text_parts(text)
        lower, higher = self.beside(float(parts[self.name]))
        return _moved(parts, self.name, lower), _moved(parts, self.name, higher)


def axes(method: type[Method], block: Mapping[str, Any]) -> tuple[Axis, ...]:
    """The axes of a method, starting from what a block of the config lists.

    A setting without a step is no axis. Where 0 is possible it follows the lowest step.
    """
    found = []
    for name, listed in method.listed(block).items():
        field = method.settings()[name]
        extra = field.json_schema_extra
        if "step" not in extra:
            continue
        least, most = (_bound(field.metadata, name, none) for name, none in BOUNDS.items())
        limits = max(extra["search"][0], least), min(extra["search"][1], most)
        values = lattice(listed, extra["step"], limits, field.annotation is int)
        values = tuple(sorted({*values, 0.0})) if least == 0 else values
        found.append(Axis(name, values, (values[0] > least, values[-1] < most)))
    return tuple(found)


def lattice(
    listed: Sequence[float], step: float, limits: tuple[float, float], whole: bool = False
) -> tuple[float, ...]:
    """Every value of an axis, ascending.

    Parameters
    ----------
    listed
        Values to start from; all of them are kept, those beyond the limits and 0 too.
    step
        Factor from one value to the next, at least 1.2: smaller ones would vanish in the rounding.
    limits
        Lowest and highest value that is added.
    whole
        Whether added values are whole numbers.
    """

    def rounded(value: float) -> float:
        return float(round(value) if whole else f"{value:.{DIGITS}g}")

    low, high = limits
    start = sorted({float(value) for value in listed})
    found = set(start)
    for below, above in pairwise(value for value in start if value > 0):
        parts = max(round(log(above / below) / log(step)), 1)
        found |= {rounded(below * (above / below) ** (part / parts)) for part in range(1, parts)}
    value = start[0]
    while value > low:
        value = max(min(rounded(value / step), value - whole), low)
        found.add(value)
    value = start[-1]
    while value < high:
        value = min(max(rounded(value * step), value + whole, low), high)
        found.add(value)
    return tuple(sorted(found))


def missing(
    chosen: Iterable[str], tried: Collection[str], axes: Sequence[Axis], room: int
) -> list[str]:
    """Neighbours of the choices that have not been tried: what a search tries next.

    Parameters
    ----------
    chosen
        What validation chooses on each fold, as texts.
    tried
        The texts of all settings that have been tried.
    axes
        Of the method.
    room
        How many more may be tried.

    Returns
    -------
    At most `room` texts, those that most folds ask for first, then in the order of the folds and
    of the axes, the lower neighbour before the higher one. A larger model than the choice is tried
    only where its other neighbours have been: on the way to another penalty it is trained in vain.
    Empty where the search is at its end.
    """
    wanted: Counter[str] = Counter()
    for text in chosen:
        untried = [
            (axis.name in FEWER and higher, one)
            for axis in axes
            for higher, one in enumerate(axis.around(text))
            if one is not None and one not in tried
        ]
        wanted.update([one for larger, one in untried if not larger] or [one for _, one in untried])
    return [text for text, _ in wanted.most_common()][: max(room, 0)]


def open_ends(chosen: str, tried: Collection[str], axes: Sequence[Axis]) -> str:
    """At which ends of what was tried a choice is, as `k=highest-limit;reg=lowest-budget`.

    A `limit` is declared by the method; at a `budget` the trials were spent before the next value
    was tried. Empty where every neighbour has been tried or is impossible.
    """
    found = []
    for axis in axes:
        sides = zip(("lowest", "highest"), axis.possible, axis.around(chosen), strict=True)
        for end, possible, neighbour in sides:
            if neighbour is None and possible:
                found.append(f"{axis.name}={end}-limit")
            elif neighbour is not None and neighbour not in tried:
                found.append(f"{axis.name}={end}-budget")
    return ";".join(found)


def _bound(metadata: Iterable[Any], name: str, none: float) -> float:
    return next((float(getattr(one, name)) for one in metadata if hasattr(one, name)), none)


def _moved(parts: Mapping[str, str], name: str, value: float | None) -> str | None:
    if value is None:
        return None
    return text_of({**parts, name: value})
