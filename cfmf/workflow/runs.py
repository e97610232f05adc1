"""What two runs of a data set differ in: config, versions, choices, and errors with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfmf.data.splits import size_ratio
from cfmf.statistics.intervals import of_folds
from cfmf.tables import read_table, where
from cfmf.workflow.declared import differences
from cfmf.workflow.layout import ROOT, Results

COLUMNS = ["what", "name", "folds", "first", "second", "difference", "ci_low", "ci_high"]
DIGITS = 9
"""Decimals of the tables that are read."""


@dataclass(frozen=True)
class Run:
    """What a run kept of one data set.

    Attributes
    ----------
    facts
        The config, the `version` of packages, the `commit`, and `data`: the hashes of ratings and
        folds.
    folds
        The content of folds.json.
    choices
        The chosen setting by method, fold and seed.
    errors
        RMSE on test by method and fold, the mean over seeds.
    """

    facts: dict[str, Any]
    folds: dict[str, Any]
    choices: pd.Series
    errors: pd.Series


def read_run(folder: str | Path) -> Run:
    """Read the results of one data set, `…/results/NAME`, or a folder whose `results/` has one.

    Raises
    ------
    ValueError
        If they are not there.
    """
    files = Results(*_place(Path(folder)))
    provenance = json.loads(files.where("provenance").read_text("utf-8"))
    folds = json.loads(files.where("folds").read_text("utf-8"))
    facts = {
        # The name of a run has no effect on its results.
        "config": {key: block for key, block in provenance["config"].items() if key != "run"},
        "version": provenance["versions"],
        "commit": provenance["git"].get("commit"),
        "data": {"ratings": folds["ratings"]["sha256"], "folds": folds["sha256"]},
    }
    selection = read_table(files.where("evaluation", table="selection"), "selection")
    selected = read_table(files.where("evaluation", table="selected"), "metrics")
    scored = where(selected, split="test", metric="rmse")
    return Run(
        facts,
        folds,
        selection.set_index(["method", "fold", "seed"])["setting"],
        scored.groupby(["method", "fold"])["value"].mean(),
    )


def compare_runs(first: Run, second: Run) -> pd.DataFrame:
    """What differs between two runs, a row each.

    Returns
    -------
    Columns `what` (config, version, commit, data; choice; rmse), `name` (of the key or the
    package, or the method), `folds`, `first` and `second`. A row `choice` has the folds, with the
    seed where there are several, in which another setting was chosen. Every method of both runs has
    a row `rmse`: the means over the folds of both, their difference, second minus first, and its
    95% interval by the corrected t over folds (Nadeau & Bengio 2003), which is missing where the
    test ratings are not the same.
    """
    rows = [*_facts(first.facts, second.facts), *_choices(first, second), *_errors(first, second)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _place(folder: Path) -> tuple[Path, str]:
    """The folder of all results, and the name of the data set."""
    inside = sorted(folder.glob(f"{ROOT}*/provenance.json"))
    if len(inside) > 1:
        names = ", ".join(str(one.parent) for one in inside)
        raise ValueError(f"{folder} has results of several data sets; choose one of {names}")
    home = (inside[0] if inside else folder / "provenance.json").parent
    if not (home / "provenance.json").is_file():
        raise ValueError(
            f"{folder} has no finished study: give results/NAME of a data set, or the folder in"
            " which results/ is"
        )
    return home.parent, home.name


def _facts(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for place, values in differences(first, second).items():
        what, _, name = place.partition(".")
        one, other = ("" if value is None else _text(value) for value in values)
        yield {"what": what, "name": name, "first": one, "second": other}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _choices(first: Run, second: Run) -> Iterator[dict[str, Any]]:
    both = pd.DataFrame({"first": first.choices, "second": second.choices}).dropna()
    differ = both[both["first"] != both["second"]].reset_index()
    for (method, one, other), rows in differ.groupby(["method", "first", "second"], sort=False):
        folds = [f"{row.fold} {row.seed}".strip() for row in rows.itertuples()]
        known = {"what": "choice", "name": method, "folds": ", ".join(folds)}
        yield known | {"first": one, "second": other}


def _errors(first: Run, second: Run) -> Iterator[dict[str, Any]]:
    both = pd.DataFrame({"first": first.errors, "second": second.errors}).dropna()
    same = first.folds["sha256"] == second.folds["sha256"]
    for method, rows in both.groupby("method", sort=False):
        differences = (rows["second"] - rows["first"]).to_numpy()
        folds = [fold for _, fold in rows.index]
        low, high = np.nan, np.nan
        if same and np.ptp(differences):
            low, high = of_folds(differences, size_ratio(first.folds, folds))
        known = {"what": "rmse", "name": method, "folds": ", ".join(folds)}
        means = {name: round(rows[name].mean(), DIGITS) for name in ("first", "second")}
        ends = {"difference": differences.mean(), "ci_low": low, "ci_high": high}
        yield known | means | ends
