"""What any value of a config may be, whatever its key: text, numbers, lists and maps of them.

YAML and JSON can say more than a study can use (dates, infinity, half a character, a list that
contains itself), and a few bytes of YAML can stand for billions of values. This comes before the
schema, which is then only asked about values that it can judge.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 20
MOST = 100_000
LONGEST = 4096
SMALLEST, LARGEST = 1e-15, 1e15
LARGEST_WHOLE = 2**63 - 1
HIDDEN = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of what no name or label has: control characters, halves of surrogate pairs,
and separators of lines and paragraphs."""
NONCHARACTERS = "\ufffe\uffff"


class ValueRefusedError(ValueError):
    """A value that no config may have; the message says where it is and what to do."""


def plain_values(config: Mapping[Any, Any]) -> dict[str, Any]:
    """A copy without shared parts, as YAML's aliases make them, and with whole floats as integers.

    Raises
    ------
    ValueRefusedError
        If a key is not text, a value is neither text, number, true, false, null, list nor map, a
        number is not finite or beyond what a study can use, text has characters that cannot be
        shown or is too long, or the whole is too deep or too large.
    """
    left = iter(range(MOST))
    copied: dict[str, Any] = _copied(config, (), left)
    return copied


def _copied(value: Any, path: tuple[Any, ...], left: Iterator[int]) -> Any:
    """A plain copy of one value; `left` counts down what may still come."""
    if next(left, None) is None:
        raise ValueRefusedError(
            f"{place(path[:1])} has more than {MOST:,} values, each use of a YAML alias counted;"
            " shorten it"
        )
    if len(path) > DEEPEST:
        raise ValueRefusedError(
            f"{place(path[:3])} is nested more than {DEEPEST} deep, or contains itself by a YAML"
            " alias; correct it"
        )
    if isinstance(value, Mapping):
        return {_key(key, path): _copied(one, (*path, key), left) for key, one in value.items()}
    if isinstance(value, list):
        return [_copied(one, (*path, number), left) for number, one in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int | float):
        return _number(value, path)
    raise ValueRefusedError(
        f"{place(path)} is a {type(value).__name__}, which no key takes; to make it text, put it"
        " in quotes"
    )


def _key(key: Any, path: tuple[Any, ...]) -> str:
    if not isinstance(key, str):
        raise ValueRefusedError(
            f"{place(path)} has the key {shown(key)}, which YAML reads as a {type(key).__name__};"
            " put it in quotes"
        )
    return _text(key, (*path, key))


def _text(text: str, path: tuple[Any, ...]) -> str:
    # Columns may be separated by a tab or another control character.
    allowed = path[-1] == "separator"
    for character in text:
        if (
            unicodedata.category(character) in HIDDEN
            and not (allowed and ord(character) < 32 and character not in "\0\n\r")
        ) or character in NONCHARACTERS:
            raise ValueRefusedError(
                f"{place(path)} contains {shown(character)}, a character that cannot be shown;"
                " remove it"
            )
    if len(text) > LONGEST:
        raise ValueRefusedError(
            f"{place(path)} has {len(text):,} characters; at most {LONGEST:,} are allowed"
        )
    return text


def _number(number: float, path: tuple[Any, ...]) -> float:
    """The number; an integer where it is whole, as 8.0 or 1e3."""
    if isinstance(number, float):
        if not math.isfinite(number):
            raise ValueRefusedError(f"{place(path)} is {number}; give a finite number")
        if number.is_integer() and abs(number) <= LARGEST:
            number = int(number)
    if isinstance(number, int):
        if abs(number) > LARGEST_WHOLE:
            raise ValueRefusedError(
                f"{place(path)} is too large: at most {LARGEST_WHOLE} is allowed"
            )
    elif not SMALLEST <= abs(number) <= LARGEST:
        raise ValueRefusedError(
            f"{place(path)} is {number}; numbers other than 0 must be between {SMALLEST} and"
            f" {LARGEST:.0e} in size"
        )
    return number


def place(path: tuple[Any, ...]) -> str:
    """Where a value of a config is: `methods.mf.k[0]`."""
    parts = [f"[{one}]" if isinstance(one, int) else f".{shown_name(one)}" for one in path]
    return "".join(parts).lstrip(".") or "the config"


def shown_name(name: Any) -> str:
    """A key as a message shows it: as it is where that is harmless, else escaped, and not long."""
    return name if isinstance(name, str) and name.isprintable() and len(name) < 100 else shown(name)


def shown(value: Any, most: int = 100) -> str:
    """A value as a message shows it: without control characters, and not long."""
    text = repr(value[: most + 1] if isinstance(value, str) else value)
    return text if len(text) <= most + 2 else f"{text[:most]}…"
