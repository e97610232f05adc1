"""One study's results, read from the files that the stages before wrote."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from cfmf.files import load_matrix
from cfmf.neighbours.stored import corner, distribution, load_similarity
from cfmf.observed import overlap
from cfmf.search import PUBLISHED_METHOD
from cfmf.tables import MEASURED, read_table

log = logging.getLogger(__name__)

TABLES = {
    "metrics": "evaluation",
    "selected": "evaluation",
    "settings": "evaluation",
    "costs": "evaluation",
    "slices": "evaluation",
    "tests": "statistics",
    "assumptions": "statistics",
    "medians": "statistics",
    "best_rows": "statistics",
    "trials": "statistics",
    "backends": "backends",
    "generators": "backends",
}
MANDATORY = ("metrics", "selected")
FIGURES = Path(__file__).parent / "assets" / "published.yaml"
SEARCH = ("frame", "intermediate", "importances")


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
    first_row
        Columns item, wrong, right: first predictions of the first user; None where not kept.
    seconds
        Of computing it (`similarity`) and of the study's loop (`loop`), where known.
    """

    fold: str
    corner: np.ndarray | None
    histogram: pd.DataFrame
    kept: int
    first_row: pd.DataFrame | None = None
    seconds: dict[str, float] = field(default_factory=dict)


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
    """Everything that a report is made of; a table that no stage wrote is None.

    `tables` has the tables of `cfmf.tables` by kind and, under `extra`, those that only some runs
    make. `histories` has a frame of one fold and seed for each (method, k, reg); `search` the
    tables of `cfmf.published.search.Search` where the published search was repeated; `searches` the
    trials, metrics and costs of every method and fold that was searched beside the grids.
    """

    dataset: str
    tables: dict[str, pd.DataFrame]
    audit: dict[str, Any]
    ratings: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    items: pd.DataFrame | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    folds: dict[str, Any] = field(default_factory=dict)
    verdict: list[dict[str, Any]] = field(default_factory=list)
    similarity: Similarity | None = None
    matrices: Matrices | None = None
    histories: dict[tuple[str, str, str], pd.DataFrame] = field(default_factory=dict)
    neighbour_trials: pd.DataFrame | None = None
    benchmarks: pd.DataFrame | None = None
    search: dict[str, pd.DataFrame] = field(default_factory=dict)
    searches: dict[str, pd.DataFrame] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, pd.DataFrame] = field(default_factory=dict)
    across_verdict: list[dict[str, Any]] = field(default_factory=list)

    def table(self, kind: str) -> pd.DataFrame | None:
        """A table by its kind; None where the run has none or it is empty."""
        found = self.tables.get(kind)
        return None if found is None or found.empty else found


@dataclass(frozen=True)
class _Files:
    """The files below a folder that may be read: all, or `only` some (or those in such a folder).

    Results that an earlier config left lie beside this study's, and are none of its business.
    """

    home: Path
    only: frozenset[Path] | None

    def has(self, path: Path) -> bool:
        allowed = self.only is None or bool({path, path.parent} & self.only)
        return allowed and path.is_file()

    def at(self, *parts: str) -> Path | None:
        path = self.home.joinpath(*parts)
        return path if self.has(path) else None

    def like(self, pattern: str) -> list[Path]:
        return [path for path in sorted(self.home.glob(pattern)) if self.has(path)]


def load(results: Path, dataset: str, only: Iterable[str | Path] | None = None) -> Study:
    """Read the results of one data set.

    Parameters
    ----------
    results
        The folder that holds a folder for each data set.
    dataset
        Its name.
    only
        The files, and folders of files, that belong to the study; None reads whatever is there.

    Raises
    ------
    ValueError
        If a file that every report needs is missing or is not what it should be.
    """
    home = Path(results) / dataset
    known = None if only is None else frozenset(map(Path, only))
    files = _Files(home, known)
    tables = {}
    for kind, stage in TABLES.items():
        if path := files.at(stage, f"{kind}.tsv"):
            tables[kind] = read_table(path, "metrics" if kind == "selected" else kind)
        elif kind in MANDATORY:
            path = home / stage / f"{kind}.tsv"
            raise ValueError(f"{path} is missing; run the stage that makes it: snakemake {stage}")
    if not files.at("ratings", "audit.json"):
        raise ValueError(f"{home / 'ratings/audit.json'} is missing; run the stage that makes it")
    provenance = _json(home / "provenance.json") or {}
    across = _Files(Path(results) / "across_datasets", known)
    # A folder that an earlier study of several data sets left is not this study's.
    several = len(provenance.get("config", {}).get("study", {}).get("datasets", [])) > 1
    return Study(
        dataset=dataset,
        tables=tables,
        audit=_json(files.at("ratings", "audit.json")),
        ratings=_parquet(files.at("ratings", "ratings.parquet")),
        users=_parquet(files.at("ratings", "users.parquet")),
        items=_parquet(files.at("ratings", "items.parquet")),
        manifest=_json(files.at("raw", "manifest.json")) or {},
        folds=_json(files.at("folds", "folds.json")) or {},
        verdict=_json(files.at("statistics", "verdict.json")) or [],
        similarity=_similarity(files),
        matrices=_matrices(files),
        histories=_searched(files)
        | _histories(files.like("factorization/*/k~*_reg~*/history.parquet")),
        neighbour_trials=_neighbour_trials(files.like("neighbours/*/trials.tsv")),
        benchmarks=_benchmarks(home / "benchmarks", files.like("benchmarks/**/*.tsv")),
        search=_search(files),
        searches=_searches(files),
        provenance=provenance,
        extra=_extra(files) | (_across(across) if several else {}),
        across_verdict=(_json(across.at("verdict.json")) or []) if several else [],
    )


def published_figures() -> dict[str, Any]:
    """The figures that the study printed."""
    loaded: dict[str, Any] = yaml.safe_load(FIGURES.read_text(encoding="utf-8"))
    return loaded


def _json(path: Path | None) -> Any:
    if path is None or not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it and run again") from error


def _parquet(path: Path | None) -> pd.DataFrame | None:
    if path is None:
        return None
    try:
        return pd.read_parquet(path)
    except Exception as error:
        raise ValueError(
            f"{path} is not readable Parquet ({error}); delete it and run again"
        ) from error


def _similarity(files: _Files) -> Similarity | None:
    """Corner and histogram of the first fold's similarities, and what was computed beside them."""
    paths = files.like("similarity/*.npz")
    if not paths:
        return None
    found, fold = load_similarity(paths[0]), paths[0].stem
    histogram, _ = distribution(found, bins=60)
    kept = 0 if found.neighbours is None else found.neighbours.shape[1]
    row, costs = (
        read_table(path, path.stem) if path else None
        for path in (files.at("similarity", fold, f"{kind}.tsv") for kind in ("first_row", "costs"))
    )
    seconds = {} if costs is None else dict(zip(costs["stage"], costs["value"], strict=True))
    return Similarity(fold, corner(found), histogram, kept, row, seconds)


def _matrices(files: _Files) -> Matrices | None:
    """Shapes and kinds of train and test of the first fold, and whom and what they share."""
    paths = files.like("matrices/*/train.npz")
    test = files.at("matrices", paths[0].parent.name, "test.npz") if paths else None
    if test is None:
        return None
    found = {"train": load_matrix(paths[0]), "test": load_matrix(test)}
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
    return Matrices(paths[0].parent.name, kinds, shared)


def _histories(paths: Iterable[Path]) -> dict[tuple[str, str, str], pd.DataFrame]:
    """The first fold's and first seed's learning curve of every point."""
    found = {}
    for path in paths:
        k, reg = path.parent.name.removeprefix("k~").split("_reg~", 1)
        history = _parquet(path)
        if history is None or history.empty:
            continue
        first = history.iloc[0]
        same = (history["fold"] == first["fold"]) & (history["seed"] == first["seed"])
        found[path.parts[-3], k, reg] = history[same].reset_index(drop=True)
    return found


def _searched(files: _Files) -> dict[tuple[str, str, str], pd.DataFrame]:
    """The one whole learning curve of the published search's code."""
    curve = _parquet(files.at("published", "curve.parquet"))
    if curve is None:
        return {}
    first = curve.iloc[0]
    return {(PUBLISHED_METHOD, str(first["k"]), str(first["reg"])): curve}


def _neighbour_trials(paths: Iterable[Path]) -> pd.DataFrame | None:
    tables = [read_table(path, "trials") for path in paths]
    return pd.concat(tables, ignore_index=True) if tables else None


def _search(files: _Files) -> dict[str, pd.DataFrame]:
    """What the published search left: frame, intermediate and importances; empty without it."""
    found = {name: _parquet(files.at("published", f"{name}.parquet")) for name in SEARCH}
    return {name: table for name, table in found.items() if table is not None and len(table)}


def _searches(files: _Files) -> dict[str, pd.DataFrame]:
    """What `tuning.search` found, all methods and folds together; empty where it is off."""
    tables = {
        kind: [read_table(path, kind) for path in files.like(f"search/*/*/{kind}.tsv")]
        for kind in ("trials", "metrics", "costs")
    }
    return {kind: pd.concat(found, ignore_index=True) for kind, found in tables.items() if found}


def _benchmarks(folder: Path, paths: Iterable[Path]) -> pd.DataFrame | None:
    """Snakemake's own measurements: rule, job, wall seconds and peak memory in MB of every job."""
    rows = []
    for path in paths:
        try:
            table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        except (ValueError, pd.errors.ParserError):
            log.warning("%s is not a benchmark table; left out", path)
            continue
        if {"s", "max_rss"} <= set(table.columns):
            parts = path.relative_to(folder).with_suffix("").parts
            rows.append(table[["s", "max_rss"]].assign(rule=parts[0], job="/".join(parts[1:])))
    return pd.concat(rows, ignore_index=True) if rows else None


EXTRA = {**MEASURED, "intervals": "intervals", "scaling": "scaling", "timings": "timings"}
"""Tables below evaluation/ that only some runs make, and their kinds."""


def _extra(files: _Files) -> dict[str, pd.DataFrame]:
    """The tables of `EXTRA` that are there and have rows."""
    paths = {name: files.at("evaluation", f"{name}.tsv") for name in EXTRA}
    found = {name: read_table(path, EXTRA[name]) for name, path in paths.items() if path}
    return {name: table for name, table in found.items() if len(table)}


def _across(files: _Files) -> dict[str, pd.DataFrame]:
    """What the study found over all its data sets."""
    kinds = {"errors": "datasets", "tests": "tests"}
    paths = {name: files.at(f"{name}.tsv") for name in kinds}
    return {f"across_{name}": read_table(path, kinds[name]) for name, path in paths.items() if path}
