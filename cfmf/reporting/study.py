"""One study's results, read from the files that the stages before wrote."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

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
SEARCH = ("frame", "intermediate", "importances")
SAMPLE = 4096
"""Rows of a similarity matrix that its distribution is counted over, spread evenly."""


@dataclass(frozen=True)
class Similarity:
    """Users' similarities in one fold.

    `corner` is 5 × 5 float; `edges` and `counts` are the histogram of pairs of different users,
    of `users` rows out of `of`.
    """

    fold: str
    corner: np.ndarray
    edges: np.ndarray
    counts: np.ndarray
    users: int
    of: int


@dataclass(frozen=True)
class Study:
    """Everything that a report is made of; a table that no stage wrote is None.

    `tables` has the tables of `cfmf.tables` by kind and, under `extra`, those that only some runs
    make. `histories` has a frame of one fold and seed for each (method, k, reg); `search` the
    tables of `cfmf.search.published.Search` where the published search was repeated; `searches` the
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


def load(results: Path, dataset: str) -> Study:
    """Read the results of one data set.

    Parameters
    ----------
    results
        The folder that holds a folder for each data set.
    dataset
        Its name.

    Raises
    ------
    ValueError
        If a file that every report needs is missing or is not what it should be.
    """
    home = Path(results) / dataset
    tables = {}
    for kind, stage in TABLES.items():
        path = home / stage / f"{kind}.tsv"
        if path.is_file():
            tables[kind] = read_table(path, "metrics" if kind == "selected" else kind)
        elif kind in MANDATORY:
            raise ValueError(f"{path} is missing; run the stage that makes it: snakemake {stage}")
    ratings = home / "ratings"
    verdict = _json(home / "statistics" / "verdict.json") or []
    provenance = _json(home / "provenance.json") or {}
    folder = Path(results) / "across_datasets"
    # A folder that an earlier study of several data sets left is not this study's.
    several = len(provenance.get("config", {}).get("study", {}).get("datasets", [])) > 1
    return Study(
        dataset=dataset,
        tables=tables,
        audit=_json(ratings / "audit.json", needed=True),
        ratings=_parquet(ratings / "ratings.parquet"),
        users=_parquet(ratings / "users.parquet"),
        items=_parquet(ratings / "items.parquet"),
        manifest=_json(home / "raw" / "manifest.json") or {},
        folds=_json(home / "folds" / "folds.json") or {},
        verdict=verdict,
        similarity=_similarity(home / "similarity"),
        histories=_histories(home / "factorization"),
        neighbour_trials=_neighbour_trials(home / "neighbours"),
        benchmarks=_benchmarks(home / "benchmarks"),
        search=_search(home / "published"),
        searches=_searches(home / "search", provenance.get("config", {})),
        provenance=provenance,
        extra=_extra(home) | (_across(folder) if several else {}),
        across_verdict=(_json(folder / "verdict.json") or []) if several else [],
    )


def _json(path: Path, needed: bool = False) -> Any:
    if not path.is_file():
        if needed:
            raise ValueError(f"{path} is missing; run the stage that makes it")
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it and run again") from error


def _parquet(path: Path, **how: Any) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        return pd.read_parquet(path, **how)
    except Exception as error:
        raise ValueError(
            f"{path} is not readable Parquet ({error}); delete it and run again"
        ) from error


def _similarity(folder: Path) -> Similarity | None:
    """Corner and histogram of the first fold's similarities, dense or sparse."""
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        return None
    with np.load(paths[0], allow_pickle=False) as stored:
        names = set(stored.files)
        if {"data", "indices", "indptr"} <= names:
            return _sparse_similarity(paths[0].stem, stored)
        dense = [name for name in stored.files if stored[name].ndim == 2]
        if not dense:
            return None
        return _dense_similarity(paths[0].stem, stored[dense[0]])


def _dense_similarity(fold: str, matrix: np.ndarray) -> Similarity:
    n = len(matrix)
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(int))
    values = matrix[rows]
    values = values[np.arange(n)[None, :] != rows[:, None]]
    counts, edges = np.histogram(values, bins=60)
    corner = matrix[:5, :5].astype(float)
    np.fill_diagonal(corner, 1.0)
    return Similarity(fold, corner, edges, counts, len(rows), n)


def _sparse_similarity(fold: str, stored: Any) -> Similarity:
    from scipy import sparse

    rows, columns = (int(size) for size in stored["shape"])
    matrix = sparse.csr_array(
        (stored["data"], stored["indices"], stored["indptr"]), shape=(rows, columns)
    )
    counts, edges = np.histogram(matrix.data, bins=60)
    corner = matrix[:5, :5].toarray().astype(float)
    np.fill_diagonal(corner, 1.0)
    return Similarity(fold, corner, edges, counts, rows, rows)


def _histories(folder: Path) -> dict[tuple[str, str, str], pd.DataFrame]:
    """The first fold's and first seed's learning curve of every point."""
    found = {}
    for path in sorted(folder.glob("*/k~*_reg~*/history.parquet")):
        k, reg = path.parent.name.removeprefix("k~").split("_reg~", 1)
        history = _parquet(path)
        if history is None or history.empty:
            continue
        first = history.iloc[0]
        same = (history["fold"] == first["fold"]) & (history["seed"] == first["seed"])
        found[path.parts[-3], k, reg] = history[same].reset_index(drop=True)
    return found


def _neighbour_trials(folder: Path) -> pd.DataFrame | None:
    tables = [read_table(path, "trials") for path in sorted(folder.glob("*/trials.tsv"))]
    return pd.concat(tables, ignore_index=True) if tables else None


def _search(folder: Path) -> dict[str, pd.DataFrame]:
    """What the published search left: frame, intermediate and importances; empty without it."""
    found = {name: _parquet(folder / f"{name}.parquet") for name in SEARCH}
    return {name: table for name, table in found.items() if table is not None and len(table)}


def _searches(folder: Path, config: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """What `tuning.search` found, all methods and folds together; empty where it is off."""
    block = config.get("tuning", {}).get("search", {})
    if not block.get("enabled"):
        return {}
    folders = [path for method in block["methods"] for path in sorted(folder.glob(f"{method}/*"))]
    tables = {
        kind: [read_table(path / f"{kind}.tsv", kind) for path in folders]
        for kind in ("trials", "metrics", "costs")
    }
    return {kind: pd.concat(found, ignore_index=True) for kind, found in tables.items() if found}


def _benchmarks(folder: Path) -> pd.DataFrame | None:
    """Snakemake's own measurements: rule, job, wall seconds and peak memory in MB of every job."""
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
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


def _extra(home: Path) -> dict[str, pd.DataFrame]:
    """The tables of `EXTRA` that are there and have rows."""
    paths = {name: home / "evaluation" / f"{name}.tsv" for name in EXTRA}
    found = {name: read_table(path, EXTRA[name]) for name, path in paths.items() if path.is_file()}
    return {name: table for name, table in found.items() if len(table)}


def _across(folder: Path) -> dict[str, pd.DataFrame]:
    """What the study found over all its data sets."""
    kinds = {"errors": "datasets", "tests": "tests"}
    return {
        f"across_{name}": read_table(folder / f"{name}.tsv", kind)
        for name, kind in kinds.items()
        if (folder / f"{name}.tsv").is_file()
    }
