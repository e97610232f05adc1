"""One study's results, read from the files that the stages before wrote."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from cfmf.files import load_matrix
from cfmf.neighbours.stored import corner, distribution, load_similarity
from cfmf.observed import overlap
from cfmf.tables import COLUMNS, MEASURED, read_table

log = logging.getLogger(__name__)

TABLES = {
    "evaluation": ("metrics", "selected", "selection", "costs", "slices"),
    "statistics": ("tests", "assumptions", "medians", "best_rows", "planning", "user_differences"),
}
"""Tables that the report reads, by the stage that makes them."""
MANDATORY = ("metrics", "selected")
EXTRA = MEASURED | {
    name: name for name in ("intervals", "prediction_intervals", "scaling", "timings")
}
"""Tables below evaluation/ that only some runs make, and their kinds."""


@dataclass(frozen=True)
class Similarity:
    """Users' similarities in one fold.

    Attributes
    ----------
    fold
        Its name.
    corner
        5 × 5, float32; None where only the nearest users of each were kept.
    histogram
        Columns low, high, count, of pairs of different users or of the kept ones.
    kept
        Nearest users kept of each where there is no corner, else 0.
    seconds
        Of computing it, where known.
    """

    fold: str
    corner: np.ndarray | None
    histogram: pd.DataFrame
    kept: int
    seconds: float | None = None


@dataclass(frozen=True)
class Matrices:
    """What the sparse matrices of the first fold are.

    Attributes
    ----------
    fold
        Its name.
    kinds
        Columns part (train or test), rows, columns, storage (such as CSR), dtype, stored (ratings).
    overlap
        For users and for items, how many have ratings in train, test, both and either.
    """

    fold: str
    kinds: pd.DataFrame
    overlap: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Study:
    """Everything that a report is made of.

    `tables` has the tables of `cfmf.tables` by kind and `extra` those that only some runs make; see
    `table`. `histories` has a frame of one fold and seed for each (method, k, reg); `adaptive` the
    trials, metrics and costs of the adaptive searches of all methods and folds; `added` the tables
    that an extension of the report has read.
    """

    dataset: str
    tables: dict[str, pd.DataFrame]
    audit: dict[str, Any]
    ratings: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    items: pd.DataFrame | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    folds: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    side: dict[str, Any] = field(default_factory=dict)
    verdict: list[dict[str, Any]] = field(default_factory=list)
    similarity: Similarity | None = None
    matrices: Matrices | None = None
    histories: dict[tuple[str, str, str], pd.DataFrame] = field(default_factory=dict)
    neighbour_trials: pd.DataFrame | None = None
    benchmarks: pd.DataFrame | None = None
    blend_weights: pd.DataFrame | None = None
    adaptive: dict[str, pd.DataFrame] = field(default_factory=dict)
    added: dict[str, pd.DataFrame] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, pd.DataFrame] = field(default_factory=dict)
    across_verdict: list[dict[str, Any]] = field(default_factory=list)

    def label(self, dataset: str = "") -> str:
        """What the config calls a data set in the report, by default this one."""
        name = dataset or self.dataset
        described = self.provenance.get("config", {}).get("datasets", {}).get(name, {})
        return described.get("label") or name

    def table(self, name: str) -> pd.DataFrame:
        """A table of `tables`, `extra` or `added`; without rows where the run has none."""
        for tables in (self.tables, self.extra, self.added):
            if name in tables:
                return tables[name]
        return pd.DataFrame(columns=COLUMNS.get(EXTRA.get(name, name)))


class Files(Protocol):
    """The files of one data set's results by their names, as `cfmf.workflow.layout` has them."""

    @property
    def dataset(self) -> str:
        """Its name."""

    def where(self, name: str, **wildcards: object) -> Path:
        """The path of a result, whether it exists or not."""

    def at(self, name: str, **wildcards: object) -> Path | None:
        """The path of a result if it exists and belongs to the study."""

    def all(self, name: str, **wildcards: object) -> list[tuple[Path, dict[str, str]]]:
        """Every result of a name, with the wildcards that were not given."""


def load(files: Files) -> Study:
    """Read the results of one data set.

    Raises
    ------
    ValueError
        If a file that every report needs is missing or is not what it should be.
    """
    audit = files.at("audit")
    if not audit:
        raise ValueError(f"{files.where('audit')} is missing; run the stage that makes it")
    provenance = _json(files.at("provenance")) or {}
    # A folder that an earlier study of several data sets left is not this study's.
    several = len(provenance.get("config", {}).get("study", {}).get("datasets", [])) > 1
    return Study(
        dataset=files.dataset,
        tables=_tables(files),
        audit=_json(audit),
        ratings=parquet(files.at("ratings")),
        users=parquet(files.at("users")),
        items=parquet(files.at("items")),
        manifest=_json(files.at("manifest")) or {},
        folds=_json(files.at("folds")) or {},
        plan=_json(files.at("plan")) or {},
        side=_json(files.at("side_facts")) or {},
        verdict=_json(files.at("verdict")) or [],
        similarity=_similarity(files),
        matrices=_matrices(files),
        histories=_histories(files),
        neighbour_trials=_joined(files, "neighbours", "trials"),
        benchmarks=_benchmarks(files),
        blend_weights=_joined(files, "blend", "weights"),
        adaptive=_adaptive(files),
        provenance=provenance,
        extra=_extra(files) | (_across(files) if several else {}),
        across_verdict=(_json(files.at("across", file="verdict.json")) or []) if several else [],
    )


def _json(path: Path | None) -> Any:
    if path is None or not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it and run again") from error


def parquet(path: Path | None) -> pd.DataFrame | None:
    """A Parquet table; None without a path."""
    if path is None:
        return None
    try:
        return pd.read_parquet(path)
    except Exception as error:
        raise ValueError(
            f"{path} is not readable Parquet ({error}); delete it and run again"
        ) from error


def _tables(files: Files) -> dict[str, pd.DataFrame]:
    """The tables of `TABLES` that are there."""
    found = {}
    for stage, kinds in TABLES.items():
        for kind in kinds:
            if path := files.at(stage, table=kind):
                found[kind] = read_table(path, "metrics" if kind == "selected" else kind)
            elif kind in MANDATORY:
                path = files.where(stage, table=kind)
                raise ValueError(f"{path} is missing; run the stage that makes it: {stage}")
    return found


def _similarity(files: Files) -> Similarity | None:
    """Corner and histogram of the first fold's similarities, and the time they took."""
    paths = files.all("similarity")
    if not paths:
        return None
    path, place = paths[0]
    found = load_similarity(path)
    histogram, _ = distribution(found, bins=60)
    kept = 0 if found.neighbours is None else found.neighbours.shape[1]
    costs = files.at("similarity_costs", **place)
    seconds = float(read_table(costs, "costs")["value"].iloc[0]) if costs else None
    return Similarity(place["fold"], corner(found), histogram, kept, seconds)


def _matrices(files: Files) -> Matrices | None:
    """Shapes and kinds of train and test of the first fold, and whom and what they share."""
    trains = files.all("matrix", part="train")
    fold = trains[0][1]["fold"] if trains else ""
    test = files.at("matrix", fold=fold, part="test")
    if test is None:
        return None
    found = {"train": load_matrix(trains[0][0]), "test": load_matrix(test)}
    kinds = pd.DataFrame(
        [
            [part, *matrix.shape, matrix.format.upper(), str(matrix.dtype), matrix.nnz]
            for part, matrix in found.items()
        ],
        columns=["part", "rows", "columns", "storage", "dtype", "stored"],
    )
    present = {
        "users": [np.diff(matrix.indptr) > 0 for matrix in found.values()],
        "items": [
            np.bincount(matrix.indices, minlength=matrix.shape[1]) > 0 for matrix in found.values()
        ],
    }
    shared = {what: overlap(*marks) for what, marks in present.items()}
    return Matrices(fold, kinds, shared)


def _histories(files: Files) -> dict[tuple[str, str, str], pd.DataFrame]:
    """The first fold's and first seed's learning curve of every point."""
    found = {}
    for path, place in files.all("point", file="history.parquet"):
        history = parquet(path)
        if history is None or history.empty:
            continue
        first = history.iloc[0]
        same = (history["fold"] == first["fold"]) & (history["seed"] == first["seed"])
        found[place["method"], place["k"], place["reg"]] = history[same].reset_index(drop=True)
    return found


def _joined(files: Files, name: str, kind: str) -> pd.DataFrame | None:
    """All tables of a kind of one name in one; None where there are none."""
    tables = [read_table(path, kind) for path, _ in files.all(name, file=f"{kind}.tsv")]
    return pd.concat(tables, ignore_index=True) if tables else None


def _adaptive(files: Files) -> dict[str, pd.DataFrame]:
    """What the adaptive searches found, all methods and folds together; empty without them."""
    found = {kind: _joined(files, "adaptive", kind) for kind in ("trials", "metrics", "costs")}
    return {kind: table for kind, table in found.items() if table is not None}


def _benchmarks(files: Files) -> pd.DataFrame | None:
    """Snakemake's own measurements: rule, job, wall seconds and peak memory in MB of every job."""
    rows = []
    for path, place in files.all("benchmark"):
        try:
            table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])[["s", "max_rss"]].astype(
                float
            )
        except (ValueError, KeyError):
            log.warning("%s is not a benchmark table; left out", path)
            continue
        rule, _, job = place["job"].partition("/")
        rows.append(table.assign(rule=rule, job=job))
    return pd.concat(rows, ignore_index=True) if rows else None


def _extra(files: Files) -> dict[str, pd.DataFrame]:
    """The tables of `EXTRA` that are there and have rows."""
    paths = {name: files.at("evaluation", table=name) for name in EXTRA}
    found = {name: read_table(path, EXTRA[name]) for name, path in paths.items() if path}
    return {name: table for name, table in found.items() if len(table)}


def _across(files: Files) -> dict[str, pd.DataFrame]:
    """What the study found over all its data sets."""
    kinds = {"errors": "datasets", "tests": "tests"}
    paths = {name: files.at("across", file=f"{name}.tsv") for name in kinds}
    return {f"across_{name}": read_table(path, kinds[name]) for name, path in paths.items() if path}
