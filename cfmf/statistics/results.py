"""What analyses return: results of tests and checks, each with its family as keys.

The tables `tests` and `assumptions` are views of them. What a cell names is a key of
`cfmf.statistics.names` or of the report's catalogues, and what it counts is a number: no reader of
the tables needs to take a text apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import import_module
from typing import Any

import pandas as pd

from cfmf.tables import COLUMNS

Row = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Comparisons that belong together: p-values are adjusted inside a family only.

    Attributes
    ----------
    key
        What is compared, such as `k` or `methods`.
    method
        The method whose k are compared, or the control; empty where there is none.
    estimand
        What is estimated: `E1`, `E2`, `E3`, or `published`.
    design
        The unit of observation, and so the population that the inference is about.
    factor
        `k` or `method`.
    """

    key: str = ""
    method: str = ""
    estimand: str = ""
    design: str = ""
    factor: str = ""


@dataclass(frozen=True)
class Interval:
    """Interval of an effect: the key of its method, its ends and level; or why there is none.

    `resamples` is the number of resamples where the method is a percentile of them.
    """

    method: str = ""
    low: float = math.nan
    high: float = math.nan
    level: float = math.nan
    resamples: float = math.nan


@dataclass(frozen=True)
class Result:
    """One test, estimate or effect: a row of the `tests` table, whose columns its fields are.

    `note` has the keys of remarks, joined by semicolons, and `note_value` the number that one of
    them is about. A result without `function` was not computed; its note gives the reason.
    `verdict` is one of `cfmf.statistics.names.VERDICTS`; `population`, one of its `POPULATIONS`, is
    what the effect and its interval are for.
    """

    test: str
    function: str = ""
    family: Family = Family()
    group_a: str = ""
    group_b: str = ""
    n_blocks: float = math.nan
    n_obs: float = math.nan
    stat_name: str = ""
    stat: float = math.nan
    df1: float = math.nan
    df2: float = math.nan
    p_raw: float = math.nan
    p_adj: float = math.nan
    adj_method: str = ""
    family_size: float = math.nan
    effect_name: str = ""
    effect: float = math.nan
    interval: Interval = Interval()
    margin: float = math.nan
    verdict: str = ""
    population: str = ""
    reject: bool | None = None
    converged: bool | None = None
    note: str = ""
    note_value: float = math.nan

    def row(self) -> Row:
        """The row of the `tests` table."""
        ends = {
            "ci_low": self.interval.low,
            "ci_high": self.interval.high,
            "ci_level": self.interval.level,
            "ci_method": self.interval.method,
            "ci_resamples": self.interval.resamples,
        }
        return {**_flat(self), **ends, "version": version_of(self.function)}


@cache
def version_of(function: str) -> str:
    """Version of the package that a function is of, by its dotted name; empty without a name."""
    package = function.partition(" ")[0].partition(".")[0]
    return str(import_module(package).__version__) if package else ""


@dataclass(frozen=True)
class Check:
    """One check of an assumption: a row of the `assumptions` table, whose columns its fields are.

    `threshold` is what p or the statistic is judged by; `violation` is None where nothing was.
    """

    check: str
    function: str = ""
    family: Family = Family()
    group: str = ""
    n: int = 0
    stat_name: str = ""
    stat: float = math.nan
    p_value: float = math.nan
    threshold: float = math.nan
    violation: bool | None = None
    note: str = ""
    note_value: float = math.nan

    def row(self) -> Row:
        """The row of the `assumptions` table."""
        return _flat(self)


@dataclass(frozen=True)
class Analysis:
    """Results and checks, and the rows of the `medians` and `best_rows` tables."""

    tests: tuple[Result, ...] = ()
    checks: tuple[Check, ...] = ()
    medians: tuple[Row, ...] = ()
    best_rows: tuple[Row, ...] = ()

    def __add__(self, other: Analysis) -> Analysis:
        """The results of both, these first."""
        return Analysis(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of the stage by their kind in `cfmf.tables`."""
        rows = {
            "tests": [one.row() for one in self.tests],
            "assumptions": [one.row() for one in self.checks],
            "medians": self.medians,
            "best_rows": self.best_rows,
        }
        return {kind: pd.DataFrame(found, columns=COLUMNS[kind]) for kind, found in rows.items()}


def _flat(result: Result | Check) -> Row:
    """The fields of a result, its family's among them."""
    found = {f.name: getattr(result, f.name) for f in fields(result)}
    of_family = vars(result.family) | {"family": result.family.key}
    return {**found, **of_family}


def of_family(results: Iterable[Any], family: Family) -> list[Any]:
    """The results, or checks, as those of a family."""
    return [replace(one, family=family) for one in results]


def find(results: Iterable[Result], key: str, **known: str) -> list[Result]:
    """The results of the families of a key, with further fields of the family or of the result."""
    return [
        one
        for one in results
        if one.family.key == key
        and all(
            getattr(one.family if hasattr(one.family, name) else one, name) == value
            for name, value in known.items()
        )
    ]
