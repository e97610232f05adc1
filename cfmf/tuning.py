"""Every candidate of a method, tried on the validation part of each fold."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from cfmf.deadline import OutOfTimeError, check_deadline
from cfmf.files import load_matrix
from cfmf.methods.base import Method
from cfmf.observed import pairs, rmse
from cfmf.selection import ERROR
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
    """

    method: type[Method]
    block: Mapping[str, Any]
    folds: Mapping[str, Mapping[str, Matrix]]
    dataset: str = ""
    scale: tuple[float, float] | None = None
    threads: int = 1
    device: str = "cpu"

    def matrix(self, fold: str, part: str) -> sparse.csr_array:
        """One part of a fold, read from its file where it is one."""
        found = self.folds[fold][part]
        return load_matrix(found) if isinstance(found, str | Path) else found

    def keys(self, fold: str) -> dict[str, str]:
        """Columns dataset, fold and method of a table."""
        return {"dataset": self.dataset, "fold": fold, "method": self.method.name}


def tune(setup: Setup, seconds: float | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Try every candidate on the validation part of every fold.

    Parameters
    ----------
    seconds
        Limit of the search on each fold; see `search`.

    Returns
    -------
    A `trials` table, and a `costs` table of the seconds that each fold took.
    """
    tables, costs = [], []
    for fold in setup.folds:
        begun = time.perf_counter()
        tables.append(search(setup, fold, seconds))
        costs.append(cost_row(setup.keys(fold), "tune", time.perf_counter() - begun))
    return pd.concat(tables, ignore_index=True), pd.DataFrame(costs)[COLUMNS["costs"]]


def search(setup: Setup, fold: str, seconds: float | None = None) -> pd.DataFrame:
    """Validation RMSE of every candidate on one fold, as a `trials` table.

    Candidates that share a pass over the data are predicted together. Where `seconds` have passed
    before a pass is done, it is given up: its trials have the state OUT_OF_TIME and no value. The
    first pass is never given up once it began, so that there is something to choose from; by how
    much it exceeded the limit is logged. Without a limit the table does not depend on the machine.
    """
    fit, validation = setup.matrix(fold, "fit"), setup.matrix(fold, "validation")
    users, items = pairs(validation)
    method = setup.method
    rows: list[dict[str, Any]] = []
    limit = None if seconds is None else time.monotonic() + seconds
    for group in _passes(setup):
        until = limit if rows else None
        try:
            check_deadline(limit)
            predictions = method.predict_grid(
                [candidate for _, candidate in group],
                fit,
                users,
                items,
                threads=setup.threads,
                device=setup.device,
                until=until,
            )
            values = [rmse(one.values, validation.data) for one in predictions]
            state = "COMPLETE"
        except OutOfTimeError:
            values = [np.nan] * len(group)
            state = "OUT_OF_TIME"
        if limit is not None and not rows and (over := time.monotonic() - limit) > 0:
            log.warning("%s exceeded the %g s of its search by %.1f s", method.name, seconds, over)
        for (trial, candidate), value in zip(group, values, strict=True):
            found = {"trial": trial, "state": state, "setting": candidate.chosen_text()}
            rows.append(setup.keys(fold) | found | {"metric": ERROR, "value": value})
    return pd.DataFrame(rows)[COLUMNS["trials"]]


def _passes(setup: Setup) -> Iterator[list[tuple[int, Method]]]:
    """Numbered candidates, in lists that share a pass over the data."""
    shared = setup.method.shared_pass
    numbered = enumerate(setup.method.candidates(setup.block, setup.scale))

    def key(one: tuple[int, Method]) -> Any:
        return getattr(one[1], shared) if shared else one[0]

    for _, group in groupby(numbered, key=key):
        yield list(group)
