"""Memory and time that jobs request, as functions that Snakemake calls for each job.

Each function here returns such a function, of a job's wildcards, inputs and attempt. A further
attempt requests twice the memory, or as much time again. What is requested is about a third more
memory than was measured, and several times the time that a job took on two busy cores with a
million synthetic ratings of 6,040 users and 3,700 items in two folds, where the matrices of all
folds and parts take 6.4 MB and the ratings 3.5 MB. Memory is in MB, time in minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cfmf.workflow.storage import uses_storage

Request = Callable[[Any, Any, int], int]
Folds = Mapping[str, Sequence[str]]
"""Names of the folds of each data set."""


def input_megabytes(inputs: Any, names: Sequence[str] = ()) -> float:
    """Size of a job's inputs in MB; with names, of these only."""
    if not names:
        return float(inputs.size_mb)
    files = [inputs[name] for name in names]
    flat = [path for one in files for path in ([one] if isinstance(one, str) else one)]
    # Snakemake knows the sizes of files in a storage, too.
    sizes = dict(zip(inputs, inputs.size_files, strict=True))
    return sum(sizes[path] for path in flat) / 1e6


def megabytes(base: float, times: float, *names: str) -> Request:
    """Memory: a base and a multiple of the inputs; with names, of these inputs only."""
    return _memory(lambda wildcards, inputs: base + times * input_megabytes(inputs, names))


def minutes(base: float, each: float, *names: str) -> Request:
    """Time: a base and so much for each MB of the inputs; with names, of these inputs only."""
    return _time(lambda wildcards, inputs: base + each * input_megabytes(inputs, names))


def fold_megabytes(folds: Folds) -> Request:
    """Memory of a job that holds one fold at a time.

    Measured on one fold, from MovieLens 100K over MovieLens 1M to 10,000 x 10,000 with 6.9 million
    training ratings: 0.3, 0.6 and 1.3 GB at most, for training matrices of 0.1, 1.7 and 15 MB.
    At 15 MB, 0.5 GB of that are the kept similarities; they grow beyond it only with the ratings:
    item-knn took 5.8 GB with 99 million ratings, 236 MB, of the shape of the Netflix Prize.
    """
    return _memory(
        lambda wildcards, inputs: 1200 + 30 * inputs.size_mb / len(folds[wildcards.dataset])
    )


def tuning_minutes(folds: Folds, seconds: float) -> Request:
    """Time of a job that tunes on every fold: all of `tuning.seconds`, and some to start.

    Past that limit the job itself stops tuning; a batch system should not end it before.
    """
    return _time(
        lambda wildcards, inputs: 30 + len(folds[wildcards.dataset]) * seconds / 60 + inputs.size_mb
    )


def training_megabytes(folds: Folds, environment: Callable[[str], str]) -> Request:
    """Memory of a job that trains one point, all folds of which are loaded.

    Measured with one thread, by the size of all matrices of all folds: MovieLens 100K (1.7 MB) took
    461 MB at k 16 (mf) and 444 (gibbs); MovieLens 1M (19 MB) 652 at k 16 and 938 at k 128 (mf), 879
    at k 128 (als), 674 at k 16 (gibbs-implicit); one fold of the study's 10,000 × 10,000 (37 MB)
    1044 at k 50 (mf). JAX, which gathers the factors of every rating of a fold, took 672, 827, 1221
    and 1748 MB at k 4, 16, 64 and 128 on a fold of 3.2 MB.

    Parameters
    ----------
    folds
        Names of the folds of each data set.
    environment
        Name in envs/ of what a method runs in: `jax` and `spark` take more.
    """

    def needed(wildcards: Any, inputs: Any) -> float:
        k = int(wildcards.k)
        known = 700 + inputs.size_mb * (12 + k / 6)
        runs_in = environment(wildcards.method)
        if runs_in == "spark":
            known += 700  # Java and the workers
        if runs_in == "jax":
            known += 200 + 3.6 * k * inputs.size_mb / len(folds[wildcards.dataset])
        return float(known)

    return _memory(needed)


def training_minutes(folds: Folds, seeds: int, seconds: Callable[[str], float]) -> Request:
    """Time of a job that trains one point: its share of `tuning.seconds` on fit, as much on train.

    The training on train takes the epochs that fit took, on a tenth more ratings.

    Parameters
    ----------
    folds
        Names of the folds of each data set.
    seeds
        How many trainings there are of each fold.
    seconds
        Share of one training of a method.
    """

    def needed(wildcards: Any, inputs: Any) -> float:
        runs = len(folds[wildcards.dataset]) * seeds
        return float(30 + 2.5 * runs * seconds(wildcards.method) / 60 + inputs.size_mb)

    return _time(needed)


def retrieve_megabytes(datasets: Mapping[str, Mapping[str, Any]]) -> Request:
    """Memory to retrieve raw files: downloads and drawn ratings pass through in parts.

    A hundred million drawn ratings took 193 MB.
    """
    return _memory(lambda wildcards, inputs: 1000 + drawn_millions(datasets[wildcards.dataset]))


def retrieve_minutes(datasets: Mapping[str, Mapping[str, Any]]) -> Request:
    """Time to retrieve raw files: two hours for a download; a million drawn ratings took 10 s."""
    return _time(lambda wildcards, inputs: 120 + drawn_millions(datasets[wildcards.dataset]))


def parse_megabytes(datasets: Mapping[str, Mapping[str, Any]]) -> Request:
    """Memory to parse raw files.

    Measured in parse_ratings on 223 MB of raw files (8.6 million ratings): 0.47 GB; in
    benchmarks/data.py on 2713 MB (100 million), read and checked but not written: 2.8 GB. Text ids
    are held once each, whatever the longest: 22 MB (1.5 million ratings by 100,000 users) took
    0.28 GB, also with one id of 250 characters, and 24 MB in which every user has one rating
    0.52 GB, 0.18 of which are libraries.
    """

    def needed(wildcards: Any, inputs: Any) -> float:
        table = datasets[wildcards.dataset].get("table", {})
        times = 14 if table.get("ids") == "text" else 1.5
        return 500 + times * raw_megabytes(inputs)

    return _memory(needed)


def parse_minutes() -> Request:
    """Time to parse raw files; measured on 223 MB: 6 seconds."""
    return _time(lambda wildcards, inputs: 10 + raw_megabytes(inputs) / 50)


def raw_megabytes(inputs: Any) -> float:
    """MB of all raw files as text: a folder's own size is not that of its files.

    Parquet has the ratings of text in a half (random ids and times) to a sixth of the bytes. Of a
    folder that is in a storage this is its size there.

    Raises
    ------
    FileNotFoundError
        If there is no such folder yet; Snakemake calls again once there is.
    """
    if uses_storage():
        return input_megabytes(inputs, ["raw"])
    os.listdir(inputs.raw)
    files = (path for path in Path(inputs.raw).rglob("*") if path.is_file())
    sizes = (
        path.stat().st_size * (6 if path.suffix in (".parquet", ".pq") else 1) for path in files
    )
    return sum(sizes) / 1e6


def drawn_millions(dataset: Mapping[str, Any]) -> float:
    """Millions of ratings of a synthetic data set; 0 of others."""
    drawn = dataset.get("synthetic", {})
    return float(drawn.get("train", 0) + drawn.get("test", 0)) / 1e6


def _memory(needed: Callable[[Any, Any], float]) -> Request:
    """Twice the memory at each further attempt. Snakemake passes arguments by these names."""

    def request(wildcards: Any, input: Any, attempt: int) -> int:
        return int(needed(wildcards, input) * 2 ** (attempt - 1))

    return request


def _time(needed: Callable[[Any, Any], float]) -> Request:
    """As much time again at each further attempt."""

    def request(wildcards: Any, input: Any, attempt: int) -> int:
        return int(needed(wildcards, input)) * attempt

    return request
