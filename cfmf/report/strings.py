"""The words of the report, from a catalogue in one language, and numbers written into them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from markupsafe import Markup, escape

from cfmf.report import ASSETS

DECIMALS: ContextVar[int] = ContextVar("decimals", default=4)
"""Decimals of errors and of their differences in the report that is being written."""
NARROW = "\u202f"
"""Narrow space, between thousands and before a unit."""
CATALOGUES = ASSETS / "strings"


def languages(folder: Path = CATALOGUES) -> list[str]:
    """The languages that have a catalogue."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def flatten(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The leaves of a tree as one dictionary, its keys joined by dots; an empty map is a leaf."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        below = isinstance(value, Mapping) and value
        flat |= flatten(value, f"{before}{key}.") if below else {f"{before}{key}": value}
    return flat


@cache
def texts_of(path: Path) -> Mapping[str, str]:
    """The texts of a catalogue's file, read once: pages of the report ask for theirs often."""
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {key: str(text) for key, text in flatten(tree).items()}


class Catalogue:
    """Texts of one language: `catalogue("key", name=value)` gives safe HTML.

    A text of the catalogue may hold HTML; a value put into it is escaped unless it is markup
    already, as what `number` and `code` return.

    Parameters
    ----------
    language
        Name of the catalogue's file, such as `en`.
    folders
        Folders of catalogues; a text replaces one of the same key in a folder before.

    Raises
    ------
    ValueError
        If there is no catalogue of that language.
    """

    def __init__(self, language: str = "en", *folders: Path) -> None:
        self.language = language
        self.texts: dict[str, str] = {}
        for folder in folders or (CATALOGUES,):
            path = folder / f"{language}.yaml"
            if not path.is_file():
                raise ValueError(
                    f"there is no string catalogue for language {language!r};"
                    f" choose one of {languages(folder)}"
                )
            self.texts |= texts_of(path)

    def __contains__(self, key: str) -> bool:
        return key in self.texts

    def __call__(self, key: str, **values: object) -> Markup:
        """The text of a key with its placeholders filled."""
        if key not in self.texts:
            raise KeyError(f"the string catalogue {self.language}.yaml lacks the text {key!r}")
        return Markup(self.texts[key].strip()).format(**values)

    def plain(self, key: str) -> str:
        """The text of a key as plain text, for figures and attributes."""
        return self(key).striptags()

    def term(self, column: str, key: object, **values: object) -> Markup:
        """The wording of a key in a column of a table; the key itself where there is none."""
        return self.otherwise(f"term.{column}.{key}", key, **values)

    def terms(self, column: str, keys: Iterable[object]) -> list[str]:
        """The wording of every key in a column, as plain text."""
        return [self.term(column, key).striptags() for key in keys]

    def listed(self, parts: Iterable[object], between: str = "list") -> Markup:
        """Parts of a sentence with the language's comma between them, or its semicolon (`further`).

        A name and its detail in parentheses is the text `term.with`.
        """
        return Markup(self.texts[f"term.{between}"]).join(escape(part) for part in parts)

    def otherwise(self, key: str, text: object, **values: object) -> Markup:
        """The text of a key if the catalogue has it, else `text`, escaped."""
        try:
            return self(key, **values) if key in self else escape(text)
        except (KeyError, IndexError, ValueError, TypeError):
            return escape(text)


def raw(value: object) -> str:
    """A number as the tables write it: nine significant digits, integers whole."""
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{value:.9g}"
    return str(value)


def missing(value: object) -> bool:
    """Whether a value is none or not a number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def shown(value: object, kind: str = "") -> str:
    """A number as people read it.

    `kind` is `rmse` (of `DECIMALS`), `signed` (the same with a sign), `figure` (the same, whole
    where large), `rating` (two decimals fewer), `similarity` (four decimals), `loss` (six, as the
    study prints its training),
    `count` (thousands apart), `share` and `percent` (per cent, with one decimal and none), `p`
    (three decimals, never zero) and `p_in_text` (the same with its sign of equality),
    `seconds`, `bytes`, `gib` (of bytes), `mb` (mebibytes), `exponent` (two decimals), or anything
    else for four significant digits.
    """
    if missing(value):
        return "–"
    if isinstance(value, (str, bool)):
        return str(value)
    number = float(str(value))
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    text = FORMATS.get(kind, _plain)(number)
    return text.replace("-", "−") if text.startswith("-") else text


def _grouped(number: float) -> str:
    return f"{number:,.0f}".replace(",", NARROW)


def _plain(number: float) -> str:
    whole = number.is_integer() and abs(number) < 1e15
    return _grouped(number) if whole else f"{number:.4g}"


def _p_value(number: float) -> str:
    return f"<{NARROW}0.001" if number < 1e-3 else f"{number:.3f}"


def _p_in_text(number: float) -> str:
    return _p_value(number) if number < 1e-3 else f"=\u00a0{number:.3f}"


def _seconds(number: float) -> str:
    return f"{_three_digits(number)}{NARROW}s"


def _three_digits(number: float) -> str:
    if number >= 99.95 or number.is_integer():
        return _grouped(number)
    return f"{number:.{2 - math.floor(math.log10(number))}f}"


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g}{NARROW}{unit}"
        number /= 1000
    return f"{number:.3g}{NARROW}TB"


def _gibibytes(number: float) -> str:
    found = number / 2**30
    return f"{found:.2f}{NARROW}GiB" if found >= 1 else f"{found:.3g}{NARROW}GiB"


UNITS = {
    "seconds": [("s", 1.0)],
    "bytes": [("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)],
    "mb": [("MB", 1.0)],
    "fixed": [("", 1.0)],
}
"""Kinds of numbers that a column writes in one unit, with one number of decimals."""


def scale(values: Sequence[float], kind: str) -> tuple[str, float, int]:
    """The unit of a column, its size and the decimals.

    The unit is the largest in which half of the values are at least 1; the decimals, at most
    three, show a digit of the smallest value that is not zero.
    """
    sizes = [abs(value) for value in values if value and math.isfinite(value)] or [1.0]
    fitting = [one for one in UNITS[kind] if median(sizes) >= one[1]]
    name, unit = fitting[-1] if fitting else UNITS[kind][0]
    smallest, largest = min(sizes) / unit, max(sizes) / unit
    decimals = min(3, max(0, -math.floor(math.log10(smallest))))
    whole = all((value / unit).is_integer() for value in sizes)
    return name, unit, 0 if whole else decimals or int(largest < 100)


def decimal(number: float, decimals: int) -> str:
    """A number with so many decimals, its thousands apart."""
    if math.isinf(number):
        return shown(number)
    return f"{number:,.{decimals}f}".replace(",", NARROW).replace("-", "−")


FORMATS = {
    "rmse": lambda number: f"{number:.{DECIMALS.get()}f}",
    "loss": lambda number: f"{number:.6f}",
    "signed": lambda number: f"{number:+.{DECIMALS.get()}f}",
    "count": _grouped,
    "share": lambda number: f"{number:.1%}",
    "percent": lambda number: f"{number:.0%}",
    "rating": lambda number: f"{number:.{max(0, DECIMALS.get() - 2)}f}",
    "exponent": lambda number: f"{number:.2f}",
    "figure": lambda number: f"{number:.{DECIMALS.get()}f}" if abs(number) < 10 else _plain(number),
    "similarity": lambda number: f"{number:.4f}",
    "p": _p_value,
    "p_in_text": _p_in_text,
    "seconds": _seconds,
    "bytes": _bytes,
    "gib": _gibibytes,
    "mb": lambda number: f"{_grouped(number)}{NARROW}MB",
}


def number(value: object, kind: str = "") -> Markup:
    """A number in running text, its raw value kept in the element `data`."""
    return Markup('<data value="{}">{}</data>').format(raw(value), shown(value, kind))


def amounts(kind: str, **values: object) -> dict[str, Markup]:
    """Several numbers of one kind, by the names of their placeholders in a text."""
    return {name: number(value, kind) for name, value in values.items()}


def code(text: object) -> Markup:
    """A name in code letters."""
    return Markup("<code>{}</code>").format(text)
