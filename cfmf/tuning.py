"""A method that is tuned in one job: its candidates on the validation part of each fold."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cfmf.deadline import OutOfTimeError, check_deadline
from cfmf.files import load_matrix
from cfmf.lattice import axes
from cfmf.methods.base import Method, Prediction
from cfmf.observed import pairs, rmse
from cfmf.selection import ERROR, further_trials
from cfmf.side import Side
from cfmf.tables import COLUMNS, cost_row

Matrix = sparse.csr_array | str | Path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """What the jobs of a method that tries its whole grid in one job are given.

    Attributes
    ----------
    block
        The method's block of the config.
    folds
        By fold and name of the part (fit, validation, train, test): matrices or their files.
    dataset
        For the tables.
    scale
        Lowest and highest rating; those of each fold's training ratings where not given.
    side
        What is known beside the ratings, for a method that uses it.
    """

    method: type[Method]
    block: Mapping[str, Any]
    folds: Mapping[str, Mapping[str, Matrix]]
    dataset: str = ""
    scale: tuple[float, float] | None = None
    threads: int = 1
    device: str = "cpu"
    side: Side | None = None

    def candidates(self) -> list[Method]:
        """The settings that the block lists."""
        return self.method.candidates(self.block, self.scale, self.side)

    def named(self, text: str) -> Method:
        """The setting that a table writes as `text`."""
        return self.method.named(self.block, text, self.scale, self.side)

    def matrix(self, fold: str, part: str) -> sparse.csr_array:
        """One part of a fold, read from its file where it is one."""
        found = self.folds[fold][part]
        return load_matrix(found) if isinstance(found, str | Path) else found

    def keys(self, fold: str) -> dict[str, str]:
        """Columns dataset, fold and method of a table."""
        return {"dataset": self.dataset, "fold": fold, "method": self.method.name}


class Tuned(NamedTuple):
    """What tuning found.

    Attributes
    ----------
    trials
        A `trials` table: every setting that was tried, on every fold.
    costs
        A `costs` table of the seconds that each fold took.
    lowest
        By fold, the setting with the lowest error and its predictions of the validation pairs.
    """

    trials: pd.DataFrame
    costs: pd.DataFrame
    lowest: Mapping[str, Lowest]


class Lowest(NamedTuple):
    """The lowest error of any setting so far, the setting in words, and its predictions."""

    value: float = math.inf
    setting: str = ""
    predictions: NDArray[np.float32] = np.empty(0, np.float32)

    def or_of(
        self, tried: Sequence[Method], values: Sequence[float], predictions: Sequence[Prediction]
    ) -> Lowest:
        """The lowest of it and of further ones, the first of equals."""
        which = int(np.argmin(values))
        if not values[which] < self.value:
            return self
        return Lowest(values[which], tried[which].chosen_text(), predictions[which].values)


def tune(setup: Setup, seconds: float | None = None, limit: int = 0) -> Tuned:
    """Try the listed settings on the validation part of every fold, then further ones.

    Parameters
    ----------
    seconds
        Limit of the search on each fold; see `search`.
    limit
        How many settings the search may try as it grows by `cfmf.lattice`; the listed ones are
        tried in any case. 0 tries no others, and none are tried once a fold is out of time.
    """
    along = axes(setup.method, setup.block)
    spent = dict.fromkeys(setup.folds, 0.0)
    lowest = dict.fromkeys(setup.folds, Lowest())
    trials = pd.DataFrame()
    further = setup.candidates()
    while further:
        tables = [trials] if len(trials) else []
        numbered = list(enumerate(further, len(trials) // len(setup.folds)))
        for fold in setup.folds:
            begun = time.perf_counter()
            left = None if seconds is None else seconds - spent[fold]
            found, lowest[fold] = search(setup, fold, left, numbered, lowest[fold])
            tables.append(found)
            spent[fold] += time.perf_counter() - begun
        trials = pd.concat(tables, ignore_index=True)
        if seconds is not None and max(spent.values()) >= seconds:
            break
        further = [setup.named(text) for text in further_trials(trials, along, limit)]
    order = {fold: number for number, fold in enumerate(setup.folds)}
    trials = trials.sort_values("fold", kind="stable", key=lambda one: one.map(order))
    costs = [cost_row(setup.keys(fold), "tune", taken) for fold, taken in spent.items()]
    costs_table = pd.DataFrame(costs)[COLUMNS["costs"]]
    return Tuned(trials.reset_index(drop=True), costs_table, lowest)


def search(
    setup: Setup,
    fold: str,
    seconds: float | None = None,
    numbered: Sequence[tuple[int, Method]] | None = None,
    lowest: Lowest | None = None,
) -> tuple[pd.DataFrame, Lowest]:
    """Validation RMSE of candidates on one fold, as a `trials` table, and the lowest of them.

    Candidates that share a pass over the data are predicted together. Where `seconds` have passed
    before a pass is done, it is given up: its trials have the state OUT_OF_TIME and no value. The
    first pass is never given up once it began, so that there is something to choose from; by how
    much it exceeded the limit is logged. Without a limit the table does not depend on the machine.

    Parameters
    ----------
    numbered
        The candidates with the numbers of their trials; by default those that the config lists.
        The first pass is that of trial 0: later ones are all given up in time.
    lowest
        Of earlier candidates.
    """
    fit, validation = setup.matrix(fold, "fit"), setup.matrix(fold, "validation")
    users, items = pairs(validation)
    method = setup.method
    rows: list[dict[str, Any]] = []
    limit = None if seconds is None else time.monotonic() + seconds
    numbered = numbered or list(enumerate(setup.candidates()))
    first, lowest = numbered[0][0] == 0, lowest or Lowest()
    for group in _passes(method, numbered):
        until = None if first and not rows else limit
        state, values = "OUT_OF_TIME", [np.nan] * len(group)
        try:
            check_deadline(limit)
            tried = [candidate for _, candidate in group]
            given = tried, fit, users, items
            threads, device = setup.threads, setup.device
            predictions = method.predict_grid(*given, threads=threads, device=device, until=until)
            state, values = "COMPLETE", [rmse(one.values, validation.data) for one in predictions]
            lowest = lowest.or_of(tried, values, predictions)
        except OutOfTimeError:
            pass
        if limit is not None and until is None and (over := time.monotonic() - limit) > 0:
            log.warning("%s exceeded the %g s of its search by %.1f s", method.name, seconds, over)
        for (trial, candidate), value in zip(group, values, strict=True):
            found = {"trial": trial, "state": state, "setting": candidate.chosen_text()}
            rows.append(setup.keys(fold) | found | {"metric": ERROR, "value": value})
    return pd.DataFrame(rows)[COLUMNS["trials"]], lowest


def _passes(
    method: type[Method], numbered: Sequence[tuple[int, Method]]
) -> Iterator[list[tuple[int, Method]]]:
    """Numbered candidates, in lists that share a pass over the data."""
    shared = method.shared_pass

    def key(one: tuple[int, Method]) -> Any:
        return getattr(one[1], shared) if shared else one[0]

    groups = {key(one): list[tuple[int, Method]]() for one in numbered}
    for one in numbered:
        groups[key(one)].append(one)
    yield from groups.values()
